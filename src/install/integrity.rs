//! The hash that decides whether a download is what the registry published.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha512};

const SHA512_BYTES: usize = 64;

/// A sha512 in the notation of Subresource Integrity, as npm's `dist.integrity` has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Integrity([u8; SHA512_BYTES]);

/// Why an integrity text cannot be relied on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntegrityError {
    /// No sha512 among the hashes.
    #[error("`{0}` holds no sha512 hash")]
    NoSha512(String),
    /// More than one sha512, of which any would do.
    #[error("`{0}` holds several sha512 hashes")]
    Several(String),
    /// Not 64 bytes of base64.
    #[error("`{0}` is not a sha512 hash in base64")]
    Malformed(String),
}

impl Integrity {
    /// Takes the sha512 out of a list of hashes; weaker ones beside it are ignored.
    pub fn parse(text: &str) -> Result<Self, IntegrityError> {
        let mut hashes = text.split_ascii_whitespace().filter_map(|hash| hash.strip_prefix("sha512-"));
        let hash = hashes.next().ok_or_else(|| IntegrityError::NoSha512(text.to_owned()))?;
        if hashes.next().is_some() {
            return Err(IntegrityError::Several(text.to_owned()));
        }
        // The notation allows options after a question mark, and defines none.
        let hash = hash.split('?').next().unwrap_or(hash);
        let malformed = || IntegrityError::Malformed(text.to_owned());
        let bytes = STANDARD.decode(hash).map_err(|_| malformed())?;
        Ok(Self(bytes.try_into().map_err(|_| malformed())?))
    }

    /// Enough of the hash for a person to tell two apart.
    pub fn prefix(&self) -> String {
        self.to_string().chars().take("sha512-".len() + 16).collect()
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha512-{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hashes a download while it passes by.
#[derive(Default)]
pub struct Hasher(Sha512);

impl Hasher {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of everything added.
    pub fn finish(self) -> Integrity {
        Integrity(self.0.finalize().into())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str =
        "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";

    #[test]
    fn hashes_what_it_was_given() {
        assert_eq!(Hasher::default().finish().to_string(), EMPTY);
        let mut hasher = Hasher::default();
        hasher.update(b"x");
        assert_ne!(hasher.finish(), Integrity::parse(EMPTY).unwrap());
    }

    #[test]
    fn picks_the_sha512() {
        for text in [
            EMPTY.to_owned(),
            format!("sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk= {EMPTY}"),
            format!("{EMPTY} sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
            format!("{EMPTY}?option"),
        ] {
            assert_eq!(Integrity::parse(&text).unwrap().to_string(), EMPTY);
        }
    }

    #[test]
    fn refuses_what_proves_nothing() {
        let several = format!("{EMPTY} {EMPTY}");
        for (text, part) in [
            ("", "no sha512"),
            ("sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "no sha512"),
            ("SHA512-xxxx", "no sha512"),
            (several.as_str(), "several"),
            ("sha512-", "not a sha512 hash"),
            ("sha512-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "not a sha512 hash"),
            ("sha512-!!!!", "not a sha512 hash"),
        ] {
            let error = Integrity::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
