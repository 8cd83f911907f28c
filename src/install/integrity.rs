//! The hash that decides whether a download is what was published.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha512};

/// What a download must hash to.
#[derive(Clone, PartialEq, Eq)]
pub enum Integrity {
    /// In the notation of Subresource Integrity, as npm's `dist.integrity` has it.
    Sha512([u8; 64]),
    /// In hexadecimal, as the release manifest has it.
    Sha256([u8; 32]),
}

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
    /// Not 32 bytes in hexadecimal.
    #[error("`{0}` is not a sha256 hash in hexadecimal")]
    NotHex(String),
}

impl Integrity {
    /// Takes the sha512 out of a list of hashes; weaker ones beside it are ignored.
    pub fn from_sri(text: &str) -> Result<Self, IntegrityError> {
        let mut hashes = text.split_ascii_whitespace().filter_map(|hash| hash.strip_prefix("sha512-"));
        let hash = hashes.next().ok_or_else(|| IntegrityError::NoSha512(text.to_owned()))?;
        if hashes.next().is_some() {
            return Err(IntegrityError::Several(text.to_owned()));
        }
        // The notation allows options after a question mark, and defines none.
        let hash = hash.split('?').next().unwrap_or(hash);
        let malformed = || IntegrityError::Malformed(text.to_owned());
        let bytes = STANDARD.decode(hash).map_err(|_| malformed())?;
        Ok(Self::Sha512(bytes.try_into().map_err(|_| malformed())?))
    }

    /// Reads a sha256 of 64 hexadecimal digits.
    pub fn from_sha256_hex(text: &str) -> Result<Self, IntegrityError> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
        match bytes.and_then(|bytes| bytes.try_into().ok()) {
            Some(hash) if rest.is_empty() => Ok(Self::Sha256(hash)),
            _ => Err(IntegrityError::NotHex(text.to_owned())),
        }
    }

    /// Enough of the hash for a person to tell two apart.
    pub fn prefix(&self) -> String {
        self.to_string().chars().take("sha512-".len() + 16).collect()
    }

    /// What computes a hash to compare with this one.
    pub fn hasher(&self) -> Hasher {
        match self {
            Self::Sha512(_) => Hasher::Sha512(Sha512::new()),
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
        }
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha512(hash) => write!(f, "sha512-{}", STANDARD.encode(hash)),
            Self::Sha256(hash) => {
                f.write_str("sha256:")?;
                hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl fmt::Debug for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hashes a download while it passes by.
pub enum Hasher {
    /// Towards [`Integrity::Sha512`].
    Sha512(Sha512),
    /// Towards [`Integrity::Sha256`].
    Sha256(Sha256),
}

impl Hasher {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    /// The hash of everything added.
    pub fn finish(self) -> Integrity {
        match self {
            Self::Sha512(hasher) => Integrity::Sha512(hasher.finalize().into()),
            Self::Sha256(hasher) => Integrity::Sha256(hasher.finalize().into()),
        }
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

    const EMPTY_HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn hashes_what_it_was_given() {
        let sha512 = Integrity::from_sri(EMPTY).unwrap();
        let sha256 = Integrity::from_sha256_hex(EMPTY_HEX).unwrap();
        for (empty, text) in [(sha512, EMPTY.to_owned()), (sha256, format!("sha256:{EMPTY_HEX}"))] {
            assert_eq!(empty.to_string(), text);
            assert_eq!(empty.hasher().finish(), empty);
            let mut hasher = empty.hasher();
            hasher.update(b"x");
            assert_ne!(hasher.finish(), empty);
        }
    }

    #[test]
    fn a_sha256_has_64_digits() {
        let upper = EMPTY_HEX.to_uppercase();
        assert_eq!(Integrity::from_sha256_hex(&upper), Integrity::from_sha256_hex(EMPTY_HEX));
        let (short, odd) = (&EMPTY_HEX[2..], &EMPTY_HEX[1..]);
        let (long, signed) = (format!("{EMPTY_HEX}00"), format!("+{odd}"));
        let (odder, wide) = (format!("{EMPTY_HEX}0"), "é".repeat(32));
        for text in ["", short, odd, &long, &signed, &odder, &wide, EMPTY] {
            let error = Integrity::from_sha256_hex(text).unwrap_err();
            assert_eq!(error, IntegrityError::NotHex(text.to_owned()));
        }
    }

    #[test]
    fn picks_the_sha512() {
        for text in [
            EMPTY.to_owned(),
            format!("sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk= {EMPTY}"),
            format!("{EMPTY} sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
            format!("{EMPTY}?option"),
        ] {
            assert_eq!(Integrity::from_sri(&text).unwrap().to_string(), EMPTY);
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
            let error = Integrity::from_sri(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
