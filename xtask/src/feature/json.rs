//! JSON with comments, parsed strictly into values that keep what JavaScript would keep.
//!
//! Comments and trailing commas are allowed, because the official CLI allows them. Everything else
//! that is not JSON is a syntax error with its place: a forgiving parser packs broken Features. So is
//! what is JSON, but does not survive the official CLI's way to read and write it.

use std::collections::HashMap;

use jsonc_parser::ast::{ObjectProp, ObjectPropName, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

/// Deeper nesting is nobody's intention, and a way to exhaust a reader's stack.
const MAX_DEPTH: usize = 200;

/// A JSON value. Numbers are doubles, as in JavaScript.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Any number
    Number(f64),
    /// A string
    String(String),
    /// A list
    Array(Vec<Json>),
    /// An object
    Object(Object),
}

/// The properties of an object in the order in which they were first written.
///
/// As in JavaScript, a later duplicate replaces the value and keeps the first one's place.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object {
    properties: Vec<(String, Json)>,
    /// Where each one is.
    places: HashMap<String, usize>,
}

/// Where and why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong there.
    pub what: String,
}

impl Object {
    /// The value of a property.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.places.get(name).map(|&place| &self.properties[place].1)
    }

    /// Sets a property: in place when it exists, else at the end.
    pub fn set(&mut self, name: &str, value: Json) {
        if let Some(&place) = self.places.get(name) {
            self.properties[place].1 = value;
        } else {
            self.places.insert(name.to_owned(), self.properties.len());
            self.properties.push((name.to_owned(), value));
        }
    }

    /// The properties in the order of their first mention.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.properties.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many properties there are.
    pub fn len(&self) -> usize {
        self.properties.len()
    }

    /// Whether there is no property.
    pub fn is_empty(&self) -> bool {
        self.properties.is_empty()
    }
}

impl Json {
    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The object, if this is one.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The list, if this is one.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// What kind of value this is, as a reader of JSON calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// Parses JSON with comments and trailing commas. The byte order mark that editors on Windows write is no part of it.
pub fn parse(text: &str) -> Result<Json, SyntaxError> {
    // Some editors write a byte order mark, and the official CLI reads on behind it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    scan(text)?;
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options)
        .map_err(|error| at(text, error.range().start, &sentence(&error.kind().to_string())))?;
    match parsed.value {
        Some(value) => convert(value, text),
        None => Err(at(text, text.len(), "the file holds no JSON value")),
    }
}

/// Finds what the parser takes and others do not, before it is parsed.
fn scan(text: &str) -> Result<(), SyntaxError> {
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let offset = text.len() - rest.len();
        let length = match c {
            '"' => string_length(rest),
            '/' if rest.starts_with("//") => rest.find(['\n', '\r']).unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest[2..].find("*/").map_or(rest.len(), |end| end + 4),
            '{' | '[' if depth == MAX_DEPTH => return Err(at(text, offset, "nested too deeply")),
            '{' | '[' => {
                depth += 1;
                1
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                1
            }
            c if c.is_whitespace() && !matches!(c, ' ' | '\t' | '\r' | '\n') => {
                let what = format!("the character {} is no white space in JSON", c.escape_unicode());
                return Err(at(text, offset, &what));
            }
            c => c.len_utf8(),
        };
        rest = &rest[length..];
    }
    Ok(())
}

/// The length of the string that a text begins with, its quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return index + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// The parser's messages as sentence fragments, and without its advice for other dialects.
fn sentence(kind: &str) -> String {
    let mut chars = kind.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn at(text: &str, offset: usize, what: &str) -> SyntaxError {
    let offset = (0..=offset).rev().find(|&offset| text.is_char_boundary(offset)).unwrap_or(0);
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    SyntaxError {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        what: what.to_owned(),
    }
}

fn convert(value: Value<'_>, text: &str) -> Result<Json, SyntaxError> {
    Ok(match value {
        Value::NullKeyword(_) => Json::Null,
        Value::BooleanLit(literal) => Json::Bool(literal.value),
        Value::NumberLit(literal) => Json::Number(
            number(literal.value).ok_or_else(|| at(text, literal.range.start, "not a JSON number"))?,
        ),
        Value::StringLit(literal) => {
            no_control(text, literal.range())?;
            Json::String(literal.value.into_owned())
        }
        Value::Array(array) => Json::Array(
            array.elements.into_iter().map(|element| convert(element, text)).collect::<Result<_, _>>()?,
        ),
        Value::Object(object) => {
            let mut properties = Object::default();
            for ObjectProp { name, value, .. } in object.properties {
                if let ObjectPropName::String(literal) = &name {
                    no_control(text, literal.range())?;
                }
                let value = convert(value, text)?;
                // In the official CLI this names the object's prototype, which is not part of what it writes.
                if name.as_str() != "__proto__" {
                    properties.set(name.as_str(), value);
                }
            }
            Json::Object(properties)
        }
    })
}

/// JSON strings may hold control characters as escapes only; the parser takes them raw.
fn no_control(text: &str, range: jsonc_parser::common::Range) -> Result<(), SyntaxError> {
    match text[range.start..range.end].find(|c: char| c < ' ') {
        Some(offset) => {
            Err(at(text, range.start + offset, "a control character in a string needs an escape"))
        }
        None => Ok(()),
    }
}

/// The value of a number that follows JSON's grammar; too large ones are infinite, as in JavaScript.
fn number(literal: &str) -> Option<f64> {
    let digits = literal.strip_prefix('-').unwrap_or(literal);
    let integer = &digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())];
    if integer.is_empty() || (integer.len() > 1 && integer.starts_with('0')) {
        return None;
    }
    literal.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_official_cli_accepts() {
        let value = parse("// head\n{ \"a\": [1, 2.5,], /* in */ \"b\": null, }").unwrap();
        let object = value.as_object().unwrap();
        assert_eq!(object.get("a"), Some(&Json::Array(vec![Json::Number(1.0), Json::Number(2.5)])));
        assert_eq!(object.get("b"), Some(&Json::Null));
        // Line breaks before a value are no part of its name, whatever escapes the name has.
        let value = parse("{\"a\\b\":\r\n1}").unwrap();
        assert_eq!(value.as_object().unwrap().get("a\u{8}"), Some(&Json::Number(1.0)));
        assert_eq!(parse("\u{feff}{\"a\":1}"), parse("{\"a\":1}"));
        assert_eq!(parse("\u{feff}{\n\"a\" 1}"), parse("{\n\"a\" 1}"));
    }

    #[test]
    fn names_the_place_of_a_syntax_error() {
        for (text, line, fragment) in [
            ("{\n  \"id\": \"a\"\n", 1, "unterminated object"),
            ("{\n  \"id\": \"a\"\n  \"name\": 1\n}", 2, "expected comma"),
            ("{ id: 1 }", 1, "expected string"),
            ("{ 'id': 1 }", 1, "single-quoted"),
            ("{ \"id\": 01 }", 1, "expected comma"),
            ("{ \"id\": +1 }", 1, "unary plus"),
            ("{ \"id\": .5 }", 1, "decimal"),
            ("{ \"id\": \"a\nb\" }", 1, "control character"),
            ("{ \"i\nd\": 1 }", 1, "control character"),
            ("{} {}", 1, "more than one"),
            ("", 1, "no JSON value"),
            ("// nothing", 1, "no JSON value"),
            ("{ \"a\": \"\\x41\" }", 1, "escape"),
            ("{ \"a\": \"\\ud800\" }", 1, "surrogate"),
            ("{ \"a\": \"\\u12\" }", 1, "four hex digits"),
            ("{ \"a\": 1. }", 1, "decimal"),
            ("{ \"a\": 0x1 }", 1, "hexadecimal"),
            ("{ \"a\": NaN }", 1, "unexpected word"),
            ("{ \"a\": 1,, }", 1, "unexpected token"),
            ("[,]", 1, "unexpected comma"),
            ("{ \"a\" 1 }", 1, "expected colon"),
            ("{ \"a\": 1; }", 1, "unexpected token"),
            ("// a carriage return ends a comment, and no line\r\"x", 1, "unterminated string"),
            ("# no comment\n{}", 1, "unexpected token"),
            ("{}\n/* unterminated", 2, "unterminated comment"),
            ("{}\n\0", 2, "unexpected token"),
            ("\u{feff}\u{feff}{}", 1, "unexpected token"),
            ("{\u{feff}}", 1, "unexpected token"),
            ("{\n\u{a0}}", 2, "\\u{a0} is no white space"),
            ("{}\u{2028}", 1, "\\u{2028} is no white space"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.what.contains(fragment), "{text:?}: {error}");
            assert_eq!(error.line, line, "{text:?}: {error}");
        }
    }

    #[test]
    fn odd_white_space_is_no_error_where_it_means_nothing() {
        for text in [
            "// \u{a0}\r{}",
            "/* \u{feff} \" */{}",
            "{\"\u{a0}\\\"\u{2028}\":\"\\\\\"}",
            "{\"//\":\"/*\"}// \"",
            "\t\r\n {}",
        ] {
            assert!(parse(text).is_ok(), "{text:?}: {:?}", parse(text));
        }
    }

    #[test]
    fn depth_has_an_end() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(parse(&nested(MAX_DEPTH + 1)).unwrap_err().what, "nested too deeply");
        assert_eq!(parse(&"[{\"a\":".repeat(200_000)).unwrap_err().what, "nested too deeply");
        let wide = format!("[{}1]", "[],".repeat(10_000));
        assert!(parse(&wide).is_ok());
    }

    #[test]
    fn a_duplicate_keeps_the_first_place_and_the_last_value() {
        let value = parse(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        let keys: Vec<_> = value.as_object().unwrap().iter().map(|(key, _)| key.to_owned()).collect();
        assert_eq!(keys, ["a", "b"]);
        assert_eq!(value.as_object().unwrap().get("a"), Some(&Json::Number(3.0)));
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_where_it_may_be() {
        assert_eq!(parse("\u{feff}{\"a\":1}"), parse("{\"a\":1}"));
        assert_eq!(parse("\u{feff}{\n 01}").unwrap_err().line, 2);
        assert!(parse("{\u{feff}}").is_err());
    }

    #[test]
    fn a_prototype_is_no_property() {
        assert_eq!(parse(r#"{"__proto__":{"x":1},"a":{"__proto__":2}}"#), parse(r#"{"a":{}}"#));
        assert!(parse(r#"{"__proto__":01}"#).is_err());
    }

    #[test]
    fn the_time_grows_with_the_number_of_properties_and_not_with_its_square() {
        let properties: Vec<String> = (0..100_000).map(|number| format!("\"{number}\":0")).collect();
        let text = format!("{{{}}}", properties.join(","));
        let start = std::time::Instant::now();
        assert_eq!(parse(&text).unwrap().as_object().unwrap().len(), 100_000);
        // Comparing each with each takes minutes.
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
    }
}
