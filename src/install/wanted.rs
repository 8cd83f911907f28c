//! Which release somebody asked for.

use std::fmt;

use semver::Version;

/// The value of the option `version`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever a word such as `latest` stands for.
    Tag(String),
    /// Exactly this.
    Exact(Version),
}

impl Wanted {
    /// Reads the `version` option: a word or a full version, never a range.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(version) = Version::parse(text) {
            return Some(Self::Exact(version));
        }
        // npm refuses dist-tags that read as a version range, so such a text is a slip.
        let tag = text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.len() <= 64
            && text.chars().all(|each| each.is_ascii_alphanumeric() || "-_".contains(each))
            && !text.starts_with(['v', 'V', 'x', 'X']);
        tag.then(|| Self::Tag(text.to_owned()))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Exact(version) => version.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_or_a_full_version() {
        for (text, tag) in [("latest", true), ("stable", true), ("beta-2_x", true), ("2.1.330", false)] {
            let wanted = Wanted::parse(text).unwrap();
            assert_eq!(matches!(wanted, Wanted::Tag(_)), tag, "{text}");
            assert_eq!(wanted.to_string(), text);
        }
        for text in ["", "2", "2.1", "^2.1.0", ">=2", "v2.1.330", "x", "*", "la test", "../x", "1.2.3.4", "ü"]
        {
            assert_eq!(Wanted::parse(text), None, "{text}");
        }
    }
}
