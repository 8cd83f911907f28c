//! Host names as a policy may list them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A lower-cased DNS host name (RFC 1123 section 2.1) without a trailing dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

/// Why a text is no host name that a policy may list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty or longer than 253 bytes (RFC 1035 section 2.3.4).
    #[error("a host name has 1 to 253 characters")]
    Length,
    /// A wildcard in another place than in front of a zone.
    #[error("has a wildcard that is not in front of a zone, as in *.example.com")]
    Wildcard,
    /// A wildcard over names of everybody's.
    #[error("is a wildcard over zones of everybody's; write it with one label more, as in *.example.com")]
    TooWide,
    /// Other letters than those of ASCII.
    #[error("has other letters than those of ASCII; write its xn-- form, as the policy holds it")]
    NotAscii,
    /// Not a name by UTS 46.
    #[error(
        "is no valid name in the letters of its script, or has an xn-- label that stands for none (UTS 46); check how it is spelled"
    )]
    Unicode,
    /// Letters that look like others.
    #[error(
        "mixes letters of several scripts in a label, which may look like another name; spell it in one, or write its xn-- form if it is meant"
    )]
    MixedScripts,
    /// Names that lead to the container itself (RFC 6761 section 6.3).
    #[error("is a name of the container itself, where everything is open already; leave it out")]
    Localhost,
    /// Where a cloud hands out credentials.
    #[error("is, or covers, a cloud's metadata service, which hands out credentials; leave it out")]
    Metadata,
    /// Addresses go stale and hide who is behind them.
    #[error("is an IP address, and only host names can be listed")]
    Address,
    /// A label is empty, too long, or holds other characters than letters, digits and inner hyphens.
    #[error("has a label that is not 1 to 63 letters, digits and inner hyphens")]
    Label,
}

/// What Docker calls the machine that containers run on.
const LOCAL_NAMES: [&str; 2] = ["host.docker.internal", "gateway.docker.internal"];

impl HostName {
    /// Parses and lower-cases a host name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > 253 {
            return Err(NameError::Length);
        }
        if !text.is_ascii() {
            return Err(NameError::NotAscii);
        }
        if text.contains('*') {
            return Err(NameError::Wildcard);
        }
        if !text.split('.').all(is_label) {
            return Err(NameError::Label);
        }
        // inet_aton reads a last label of digits, or 0x and hex digits, as an address (WHATWG URL, "ends in a number").
        let last = text.rsplit('.').next().unwrap_or(text);
        let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
        let number = last.bytes().all(|b| b.is_ascii_digit())
            || hex.is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        if number {
            return Err(NameError::Address);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// Whether it is a name of this network: a sibling, or what Docker calls the host.
    pub fn is_local(&self) -> bool {
        !self.0.contains('.') || LOCAL_NAMES.contains(&self.as_str())
    }

    /// Whether it is a name in a zone, with at least one label more.
    pub fn is_below(&self, zone: &Self) -> bool {
        self.0.strip_suffix(zone.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && bytes.first() != Some(&b'-')
        && bytes.last() != Some(&b'-')
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for HostName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, expected) in [
            ("api.anthropic.com", Ok("api.anthropic.com")),
            ("API.Example", Ok("api.example")),
            ("postgres", Ok("postgres")),
            ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
            ("1.example", Ok("1.example")),
            ("", Err(NameError::Length)),
            ("*.a.example", Err(NameError::Wildcard)),
            ("a..example", Err(NameError::Label)),
            ("a.example.", Err(NameError::Label)),
            ("-a.example", Err(NameError::Label)),
            ("a-.example", Err(NameError::Label)),
            ("a_b.example", Err(NameError::Label)),
            ("bücher.example", Err(NameError::NotAscii)),
            ("a\n127.0.0.1 b", Err(NameError::Label)),
            ("127.0.0.1", Err(NameError::Address)),
            ("2130706433", Err(NameError::Address)),
            ("a.0x1F", Err(NameError::Address)),
            ("::1", Err(NameError::Label)),
        ] {
            let parsed = HostName::parse(text);
            assert_eq!(parsed.as_ref().map(HostName::as_str), expected.as_ref().copied(), "{text}");
        }
        assert_eq!(HostName::parse(&"a".repeat(64)), Err(NameError::Label));
        assert_eq!(HostName::parse(&"a.".repeat(127)), Err(NameError::Length));
    }
}
