//! Names that are safe as paths because they follow the specification's grammar.

use std::fmt;

use crate::feature::grammar;
use crate::oci::digest::Digest;

/// A repository's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// A tag or digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A tag.
    Tag(String),
    /// A digest.
    Digest(Digest),
}

impl Name {
    /// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, with slashes between such components.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() <= 255 && text.split('/').all(is_component)).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Reference {
    /// Reads a tag or digest.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains(':') {
            return text.parse().ok().map(Self::Digest);
        }
        grammar::is_tag(text).then(|| Self::Tag(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

fn is_component(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.starts_with(word) || !text.ends_with(word) {
        return false;
    }
    // What is between the words must be one separator.
    text.split(word).all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.chars().all(|c| c == '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_leave_their_folder() {
        for good in ["a", "a/b", "a.b/c_d/e__f/g--h", "0"] {
            assert!(Name::parse(good).is_some(), "{good}");
        }
        for bad in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "_tags", "a/_tags", "a..b", "a___b",
            "A", "a b", "a\\b", "a\0", "a%2fb", "é", "a-", "-a", "a.-b",
        ] {
            assert!(Name::parse(bad).is_none(), "{bad}");
        }
        for bad in ["", "..", ".a", "a/b", "sha256:..", "sha256:", "-a", "a b", "md5:00"] {
            assert!(Reference::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(Reference::parse("1.2.3"), Some(Reference::Tag("1.2.3".to_owned())));
    }
}
