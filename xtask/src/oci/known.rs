//! Secrets that others may repeat to us, in whatever form.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shorter pieces of base64 hide nothing but other words.
const SHORTEST_PIECE: usize = 6;

/// Secrets that no message may show.
#[derive(Default)]
pub struct Known(Vec<String>);

impl Known {
    /// Adds a secret, and what base64 makes of it.
    pub fn add(&mut self, secret: &str) {
        // Padding is often left away.
        self.0.extend([secret.to_owned(), secret.trim_end_matches('=').to_owned()]);
        self.0.extend(in_base64(secret));
        self.settle();
    }

    /// Adds what another list has.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.iter().cloned());
        self.settle();
    }

    /// The longest first: one may be a part of another.
    fn settle(&mut self) {
        self.0.retain(|secret| !secret.is_empty());
        self.0.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.0.dedup();
    }

    /// A text without the secrets.
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(length) = self.0.iter().find_map(|secret| length_at_start(rest, secret)) {
                hidden.push_str("[secret]");
                rest = &rest[length..];
            } else {
                hidden.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        hidden
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secrets]")
    }
}

/// How much of the text's beginning is the secret, each character of it written in any way.
fn length_at_start(text: &str, secret: &str) -> Option<usize> {
    if text.starts_with(secret) {
        return Some(secret.len());
    }
    let mut ends = vec![0];
    for c in secret.chars() {
        let mut next = Vec::new();
        for end in ends {
            let rest = &text[end..];
            if rest.starts_with(c) {
                next.push(end + c.len_utf8());
            }
            for way in escapes(c) {
                if rest.get(..way.len()).is_some_and(|start| start.eq_ignore_ascii_case(&way)) {
                    next.push(end + way.len());
                }
            }
        }
        if next.is_empty() {
            return None;
        }
        next.sort_unstable();
        next.dedup();
        ends = next;
    }
    ends.last().copied()
}

/// How JSON, HTML, addresses and forms write a character. Letters and digits stay what they are.
fn escapes(c: char) -> Vec<String> {
    if c.is_ascii_alphanumeric() {
        return Vec::new();
    }
    let code = u32::from(c);
    let percent: Vec<String> = c.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect();
    let json: Vec<String> = c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    let mut ways = vec![percent.concat(), json.concat(), format!("&#{code};"), format!("&#x{code:x};")];
    let more: &[&str] = match c {
        ' ' => &["+"],
        '"' => &["\\\"", "&quot;"],
        '\\' => &["\\\\"],
        '/' => &["\\/"],
        '\n' => &["\\n"],
        '\t' => &["\\t"],
        '&' => &["&amp;"],
        '<' => &["&lt;"],
        '>' => &["&gt;"],
        '\'' => &["&apos;"],
        _ => &[],
    };
    ways.extend(more.iter().map(|&way| way.to_owned()));
    ways
}

/// What does not change of a secret in base64, at whichever of three places it begins.
fn in_base64(secret: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(secret.as_bytes());
        // The first characters mix in what stands before, the last one what stands behind.
        let (start, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            if let Some(piece) = encoded.get(start..end).filter(|piece| piece.len() >= SHORTEST_PIECE) {
                pieces.push(piece.to_owned());
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_hidden() {
        let mut known = Known::default();
        for secret in ["", "pass", "pass\"word &", "cGFzcw==", "a/b~c'd<é%25"] {
            known.add(secret);
        }
        for (text, expected) in [
            ("no", "no"),
            ("(pass)", "([secret])"),
            ("pass\"word &", "[secret]"),
            (r#"{"said":"pass\"word &"}"#, r#"{"said":"[secret]"}"#),
            (r#"{"said":"pass\u0022word\u0020\u0026"}"#, r#"{"said":"[secret]"}"#),
            ("<p>pass&quot;word &amp;</p>", "<p>[secret]</p>"),
            ("x?y=pass%22word+%26&z", "x?y=[secret]&z"),
            ("x?y=pass%22word%20%26&z", "x?y=[secret]&z"),
            ("Basic cGFzcw==", "Basic [secret]"),
            ("cGFzcw", "[secret]"),
            ("é pass é", "é [secret] é"),
            ("a/b~c'd<é%25", "[secret]"),
            ("a%2fb%7Ec%27d%3C%c3%A9%2525", "[secret]"),
            (r"a\/b~c'd\u003c\u00E9%25", "[secret]"),
            ("a/b~c&#39;d&lt;&#xe9;%25", "[secret]"),
        ] {
            assert_eq!(known.hide(text), expected);
        }
    }

    #[test]
    fn base64_is_hidden_wherever_the_secret_begins() {
        let mut known = Known::default();
        known.add("s3cr3t-passw0rd?>~");
        for before in ["", "a", "ab", "abc", "me:", "someone:"] {
            for after in ["", "x", "xy", "xyz"] {
                let text = format!("{before}s3cr3t-passw0rd?>~{after}");
                for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    let hidden = known.hide(&encoded);
                    assert!(
                        hidden.contains("[secret]") && hidden.len() <= encoded.len() - 20 + 8,
                        "{hidden}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_long_secret_is_no_burden() {
        let mut known = Known::default();
        let token = "%".repeat(60_000);
        known.add(&token);
        assert_eq!(known.hide(&format!("x{token}y")), "x[secret]y");
        assert_eq!(known.hide("%25%25"), "%25%25");
    }
}
