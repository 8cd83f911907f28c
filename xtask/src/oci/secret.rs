//! A text that no log, error or debug print may show.

use std::fmt;

/// A password or token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Secrets that others may repeat to us, and that must not be shown.
#[derive(Default)]
pub struct Known(Vec<String>);

impl Known {
    /// Adds a secret, in each form in which an answer may repeat it.
    pub fn add(&mut self, secret: &str) {
        let json = serde_json::Value::from(secret).to_string();
        let mut query = String::new();
        if let Ok(mut url) = reqwest::Url::parse("x://x") {
            url.query_pairs_mut().append_key_only(secret);
            query.push_str(url.query().unwrap_or_default());
        }
        let forms = [secret.trim_end_matches('=').to_owned(), json[1..json.len() - 1].to_owned(), query];
        self.0.extend(forms.into_iter().filter(|form| !form.is_empty()));
        // The longest first: one may be a part of another.
        self.0.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.0.dedup();
    }

    /// A text without the secrets.
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(secret) = self.0.iter().find(|secret| rest.starts_with(secret.as_str())) {
                hidden.push_str("[secret]");
                rest = &rest[secret.len()..];
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

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_hidden() {
        let mut known = Known::default();
        for secret in ["", "pass", "pass\"word &", "cGFzcw=="] {
            known.add(secret);
        }
        for (text, expected) in [
            ("no", "no"),
            ("(pass)", "([secret])"),
            ("pass\"word &", "[secret]"),
            (r#"{"said":"pass\"word &"}"#, r#"{"said":"[secret]"}"#),
            ("x?y=pass%22word+%26&z", "x?y=[secret]&z"),
            ("Basic cGFzcw==", "Basic [secret]"),
            ("cGFzcw", "[secret]"),
            ("é pass é", "é [secret] é"),
        ] {
            assert_eq!(known.hide(text), expected);
        }
    }
}
