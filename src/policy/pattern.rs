//! What an entry of a policy names: one host, or all below a zone.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::{HostName, NameError};

/// One host, or every name below a zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pattern {
    /// Just this name.
    Host(HostName),
    /// Every name that ends in this one and has at least one label more, as `*.example.com`.
    Below(HostName),
}

/// Labels below two-letter country codes that many unrelated zones lie under, as in `co.uk`.
const SHARED_BELOW_COUNTRIES: [&str; 9] = ["ac", "co", "com", "edu", "gob", "gov", "net", "ne", "org"];

/// Names under which clouds offer their metadata services to machines.
const METADATA: [&str; 5] = [
    "metadata.google.internal",
    "metadata.goog",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
    "metadata.platformequinix.com",
];

impl Pattern {
    /// Parses `name` or `*.zone`; a final dot is the root's and says nothing.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let pattern = Self::read(text.strip_suffix('.').unwrap_or(text))?;
        let (Self::Host(name) | Self::Below(name)) = &pattern;
        if name.as_str().rsplit('.').next() == Some("localhost") {
            return Err(NameError::Localhost);
        }
        let mut metadata = METADATA.iter().filter_map(|name| HostName::parse(name).ok());
        if metadata.any(|service| pattern.covers(&service) || *name == service || name.is_below(&service)) {
            return Err(NameError::Metadata);
        }
        Ok(pattern)
    }

    fn read(text: &str) -> Result<Self, NameError> {
        let Some(zone) = text.strip_prefix("*.") else {
            return HostName::parse(text).map(Self::Host);
        };
        let zone = HostName::parse(zone)?;
        match zone.as_str().split('.').collect::<Vec<_>>().as_slice() {
            [_] => Err(NameError::TooWide),
            [second, country] if country.len() == 2 && SHARED_BELOW_COUNTRIES.contains(second) => {
                Err(NameError::TooWide)
            }
            _ => Ok(Self::Below(zone)),
        }
    }

    /// Whether it covers a name.
    pub fn covers(&self, name: &HostName) -> bool {
        match self {
            Self::Host(host) => host == name,
            Self::Below(zone) => name.is_below(zone),
        }
    }

    /// The host, if it is just one.
    pub fn host(&self) -> Option<&HostName> {
        match self {
            Self::Host(host) => Some(host),
            Self::Below(_) => None,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(f),
            Self::Below(zone) => write!(f, "*.{zone}"),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (text, expected) in [
            ("API.example.", Ok("api.example")),
            ("*.Example.com", Ok("*.example.com")),
            ("*.example.com.", Ok("*.example.com")),
            ("*.a.co.uk", Ok("*.a.co.uk")),
            ("*.com", Err(NameError::TooWide)),
            ("*.com.", Err(NameError::TooWide)),
            ("*.co.uk", Err(NameError::TooWide)),
            ("*.com.au", Err(NameError::TooWide)),
            ("*", Err(NameError::Wildcard)),
            ("*.", Err(NameError::Wildcard)),
            ("a.*.example", Err(NameError::Wildcard)),
            ("*.*.example", Err(NameError::Wildcard)),
            ("*a.example", Err(NameError::Wildcard)),
            (".", Err(NameError::Length)),
            ("LocalHost.", Err(NameError::Localhost)),
            ("a.localhost", Err(NameError::Localhost)),
            ("*.a.localhost", Err(NameError::Localhost)),
            ("localhost.example", Ok("localhost.example")),
            ("metadata.goog", Err(NameError::Metadata)),
            ("x.Metadata.Google.Internal", Err(NameError::Metadata)),
            ("*.google.internal", Err(NameError::Metadata)),
            ("*.ec2.internal", Err(NameError::Metadata)),
            ("*.metadata.goog", Err(NameError::Metadata)),
            ("db.google.internal", Ok("db.google.internal")),
            ("a..", Err(NameError::Label)),
            ("*.10.0.0.1", Err(NameError::Address)),
        ] {
            let parsed = Pattern::parse(text).map(|pattern| pattern.to_string());
            assert_eq!(parsed.as_deref(), expected.as_ref().copied(), "{text}");
        }
    }

    #[test]
    fn what_they_cover() {
        for (pattern, name, covered) in [
            ("a.example", "a.example", true),
            ("a.example", "b.a.example", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "xexample.com", false),
            ("*.example.com", "a.example.com.evil.test", false),
            ("*.example.com", "com", false),
        ] {
            let (pattern, name) = (Pattern::parse(pattern).unwrap(), HostName::parse(name).unwrap());
            assert_eq!(pattern.covers(&name), covered, "{pattern} {name}");
        }
    }
}
