//! `JSON.stringify` as JavaScript does it, byte for byte.
//!
//! The metadata annotation is part of the manifest, so its bytes decide the digest that users
//! lock. The official CLI writes it with `JSON.stringify`; a number that is formatted in another
//! way would give the same Feature another digest.

use super::json::{Json, Object};

/// `JSON.stringify(value)`.
pub fn stringify(value: &Json) -> String {
    let mut out = String::new();
    write(&mut out, value, None, 0);
    out
}

/// `JSON.stringify(value, null, 4)`.
pub fn stringify_pretty(value: &Json) -> String {
    stringify_indented(value, 4)
}

/// `JSON.stringify(value, null, width)`.
pub fn stringify_indented(value: &Json, width: usize) -> String {
    let mut out = String::new();
    write(&mut out, value, Some(width), 0);
    out
}

fn write(out: &mut String, value: &Json, indent: Option<usize>, depth: usize) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Json::Number(number) => out.push_str(&format_number(*number)),
        Json::String(text) => write_string(out, text),
        Json::Array(items) if items.is_empty() => out.push_str("[]"),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, index, indent, depth + 1);
                write(out, item, indent, depth + 1);
            }
            close(out, ']', indent, depth);
        }
        Json::Object(object) if object.is_empty() => out.push_str("{}"),
        Json::Object(object) => {
            out.push('{');
            for (index, (key, item)) in in_property_order(object).into_iter().enumerate() {
                separate(out, index, indent, depth + 1);
                write_string(out, key);
                out.push_str(if indent.is_some() { ": " } else { ":" });
                write(out, item, indent, depth + 1);
            }
            close(out, '}', indent, depth);
        }
    }
}

fn separate(out: &mut String, index: usize, indent: Option<usize>, depth: usize) {
    if index > 0 {
        out.push(',');
    }
    new_line(out, indent, depth);
}

fn close(out: &mut String, bracket: char, indent: Option<usize>, depth: usize) {
    new_line(out, indent, depth);
    out.push(bracket);
}

fn new_line(out: &mut String, indent: Option<usize>, depth: usize) {
    if let Some(width) = indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', width * depth));
    }
}

/// The order in which JavaScript enumerates: array indices ascending, then the rest as inserted.
pub(crate) fn in_property_order(object: &Object) -> Vec<(&str, &Json)> {
    let mut indices = Vec::new();
    let mut names = Vec::new();
    for (key, value) in object.iter() {
        match array_index(key) {
            Some(index) => indices.push((index, key, value)),
            None => names.push((key, value)),
        }
    }
    indices.sort_by_key(|(index, ..)| *index);
    indices.into_iter().map(|(_, key, value)| (key, value)).chain(names).collect()
}

/// An array index is a canonical integer below 2^32 - 1.
fn array_index(key: &str) -> Option<u32> {
    let index: u32 = key.parse().ok()?;
    (index != u32::MAX && index.to_string() == key).then_some(index)
}

/// `Number.prototype.toString()`; what is not finite becomes `null`, as `JSON.stringify` has it.
pub(crate) fn format_number(number: f64) -> String {
    if !number.is_finite() {
        return "null".to_owned();
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    // Rust's `e` format gives the shortest digits that read back as the same double, which is
    // what the language standard of JavaScript asks for.
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = ties_to_even(number.abs(), digits, exponent);
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{}", place_point(&digits, exponent))
}

/// Of two shortest candidates that are equally near, JavaScript takes the even one, and Rust the larger.
fn ties_to_even(number: f64, digits: String, exponent: i32) -> String {
    // No double has more significant digits than this, so what follows is the exact value.
    let exact = format!("{number:.780e}");
    let exact: String = exact.chars().take_while(|c| *c != 'e').filter(char::is_ascii_digit).collect();
    let (below, rest) = exact.split_at(digits.len().min(exact.len()));
    let tie = rest.starts_with('5') && rest[1..].bytes().all(|digit| digit == b'0');
    let odd = digits.bytes().last().is_some_and(|digit| digit % 2 == 1);
    let reads_back = |digits: &str| {
        let shift = exponent + 1 - i32::try_from(digits.len()).unwrap_or(0);
        format!("{digits}e{shift}").parse() == Ok(number)
    };
    if tie && odd && reads_back(below) { below.to_owned() } else { digits }
}

/// Digits `d.ddd` times ten to the exponent, written as JavaScript writes it.
fn place_point(digits: &str, exponent: i32) -> String {
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let length = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    // The standard's `n`: the place of the decimal point, counted from the first digit.
    let point = exponent + 1;
    if length <= point && point <= 21 {
        format!("{digits}{}", zeros(point - length))
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        format!("{whole}.{fraction}")
    } else if -6 < point && point <= 0 {
        format!("0.{}{digits}", zeros(-point))
    } else {
        let (first, rest) = digits.split_at(1);
        let fraction = if rest.is_empty() { String::new() } else { format!(".{rest}") };
        format!("{first}{fraction}e{exponent:+}")
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                use std::fmt::Write as _;
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::json::parse;
    use super::*;

    /// Texts, and what `JSON.stringify(JSON.parse(text))` gives.
    const TABLE: &[(&str, &str)] = &[
        ("1.0", "1"),
        ("-0", "0"),
        ("1e3", "1000"),
        ("1e20", "100000000000000000000"),
        ("123456789012345680000", "123456789012345680000"),
        ("1e21", "1e+21"),
        ("1.5e300", "1.5e+300"),
        ("1e-6", "0.000001"),
        ("1.25e-6", "0.00000125"),
        ("1e-7", "1e-7"),
        ("-2.5e-9", "-2.5e-9"),
        ("0.1", "0.1"),
        ("12.5", "12.5"),
        ("667082108456853.25", "667082108456853.2"),
        ("9007199254740993", "9007199254740992"),
        ("5e-324", "5e-324"),
        ("1e999", "null"),
        (r#""\u0041\/\u00e9\ud83d\ude00""#, r#""A/é😀""#),
        (r#""\u0000\u001f\u007f\u2028""#, "\"\\u0000\\u001f\u{7f}\u{2028}\""),
        (r#""\b\f\n\r\t\"\\""#, r#""\b\f\n\r\t\"\\""#),
        (r#"{"b":1,"2":2,"a":3,"1":4,"01":5}"#, r#"{"1":4,"2":2,"b":1,"a":3,"01":5}"#),
        (r#"{"4294967294":1,"4294967295":2,"3":3}"#, r#"{"3":3,"4294967294":1,"4294967295":2}"#),
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
        ("[ ] ", "[]"),
        (r#"{"a":{},"b":[{}],"c":[null,true,false]}"#, r#"{"a":{},"b":[{}],"c":[null,true,false]}"#),
    ];

    #[test]
    fn writes_what_javascript_writes() {
        for (text, expected) in TABLE {
            assert_eq!(stringify(&parse(text).unwrap()), *expected, "{text}");
        }
    }

    #[test]
    fn indents_as_javascript_does() {
        let value = parse(r#"{"a":[],"b":{},"c":[1,{"d":2}]}"#).unwrap();
        assert_eq!(
            stringify_pretty(&value),
            "{\n    \"a\": [],\n    \"b\": {},\n    \"c\": [\n        1,\n        {\n            \"d\": 2\n        }\n    ]\n}"
        );
    }

    #[test]
    fn agrees_with_node() {
        let mut corpus: Vec<String> = TABLE.iter().map(|(text, _)| (*text).to_owned()).collect();
        // A fixed walk over the doubles: every exponent, and mantissas that are hard to round.
        let mut bits: u64 = 0x9e37_79b9_7f4a_7c15;
        while corpus.len() < 4000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = f64::from_bits(bits);
            if number.is_finite() {
                corpus.push(format!("{number:e}"));
                // Sums of a large whole and a dyadic fraction are where two candidates tie.
                let whole = f64::from(u32::try_from(bits >> 32).unwrap()) * 65536.0;
                corpus.push(format!("{:e}", whole + f64::from(u8::try_from(bits & 63).unwrap()) / 64.0));
            }
        }
        let script = "const lines = require('fs').readFileSync(0, 'utf8').split('\\n');\
                      process.stdout.write(lines.map(l => JSON.stringify(JSON.parse(l))).join('\\n'))";
        let child = std::process::Command::new("node")
            .args(["-e", script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            assert!(std::env::var_os("CI").is_none(), "node is missing, and CI skips nothing");
            eprintln!("SKIPPED: node is not installed, so nothing was compared with the real JSON.stringify");
            return;
        };
        let input = corpus.join("\n");
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let theirs = String::from_utf8(output.stdout).unwrap();
        let theirs: Vec<&str> = theirs.split('\n').collect();
        assert_eq!(theirs.len(), corpus.len());
        for (text, expected) in corpus.iter().zip(theirs) {
            assert_eq!(stringify(&parse(text).unwrap()), expected, "{text}");
        }
    }
}
