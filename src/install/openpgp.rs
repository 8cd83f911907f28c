//! As much of OpenPGP (RFC 9580) as tells whether a detached signature is good: version 4, RSA and Ed25519,
//! SHA-2. Everything else is refused.
//!
//! Reads bytes and does no I/O. The arithmetic is ring's, as in TLS; what is here is the framing around it and
//! the rules about which keys may sign.

mod armor;
mod certificate;
mod fields;
mod key;
mod packet;
mod signature;

use std::fmt;

use armor::Label;
use certificate::Certificate;
use key::Key;
use signature::{BINARY, Signature};

/// How far the clocks of signer and builder may be apart, in seconds.
const CLOCK_SKEW: u64 = 24 * 60 * 60;

/// Which of the two files is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The file with the key.
    #[error("the key {0}")]
    Key(OpenPgpError),
    /// The file with the signature.
    #[error("the signature {0}")]
    Signature(OpenPgpError),
}

/// What is wrong with it; completes "the key …" or "the signature …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenPgpError {
    /// Not armour, and not packets.
    #[error("is not what OpenPGP programs write: {0}")]
    Malformed(&'static str),
    /// Some other key.
    #[error("has the fingerprint {found}, not {wanted}")]
    OtherFingerprint {
        /// The primary keys in the file.
        found: String,
        /// The pinned one.
        wanted: Fingerprint,
    },
    /// The same key twice, which may say two things.
    #[error("is in the file twice")]
    Twice,
    /// The owner took the key back.
    #[error("was revoked by its owner")]
    Revoked,
    /// Nothing in the file says what the key is for.
    #[error("has no valid signature of its own that says it may sign")]
    NotForSigning,
    /// The key's time is over.
    #[error("has expired")]
    Expired,
    /// Signed by an unknown key, or by one of the certificate that may not sign.
    #[error("was not made by the key {0} or a signing key of its owner's")]
    OtherSigner(Fingerprint),
    /// A signature of another kind, or by other means.
    #[error("is of a kind that is not accepted: {0}")]
    NotAccepted(&'static str),
    /// Not of the key's lifetime.
    #[error("was made {0}")]
    Untimely(&'static str),
    /// The signature has a time limit of its own.
    #[error("was limited in time and has expired")]
    SignatureExpired,
    /// The bytes, or the signature, were changed.
    #[error("does not fit what was signed")]
    Bad,
}

/// The fingerprint of a version 4 key: the SHA-1 of its public part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 20]);

impl Fingerprint {
    /// Reads 40 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 20];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
            *byte = u8::try_from(high? << 4 | low?).ok()?;
        }
        Some(Self(bytes))
    }

    /// The last eight bytes, which older signatures name a key by.
    fn key_id(&self) -> &[u8] {
        &self.0[12..]
    }
}

/// Checks that the detached signature in `signature_file` is over `message`, and was made by the key `pinned` or
/// a signing key of its owner's; `now` is in seconds since 1970.
///
/// Both files may be armoured or not. Other keys in `key_file` do not count.
pub fn verify(
    key_file: &[u8],
    pinned: Fingerprint,
    signature_file: &[u8],
    message: &[u8],
    now: u64,
) -> Result<(), Refusal> {
    let packets = armor::packets(key_file, Label::Key).map_err(Refusal::Key)?;
    let certificate = Certificate::pick(&packets, pinned).map_err(Refusal::Key)?;
    let signers = certificate.signers(now).map_err(Refusal::Key)?;

    let packets = armor::packets(signature_file, Label::Signature).map_err(Refusal::Signature)?;
    let mut outcome = Err(OpenPgpError::Malformed("it holds nothing"));
    for packet in packet::split(&packets).map_err(Refusal::Signature)? {
        if packet.tag != packet::SIGNATURE {
            return Err(Refusal::Signature(OpenPgpError::Malformed(
                "it holds something other than signatures",
            )));
        }
        // Of several, as while keys are exchanged, one must be good.
        if outcome.is_err() {
            outcome = verify_one(packet.body, &signers, pinned, message, now);
        }
    }
    outcome.map_err(Refusal::Signature)
}

fn verify_one(
    body: &[u8],
    signers: &[Key<'_>],
    pinned: Fingerprint,
    message: &[u8],
    now: u64,
) -> Result<(), OpenPgpError> {
    let signature = Signature::parse(body)?;
    if signature.kind != BINARY {
        return Err(OpenPgpError::NotAccepted("it is not one over a file as it is"));
    }
    let mut outcome = Err(OpenPgpError::OtherSigner(pinned));
    for key in signers.iter().filter(|key| signature.may_be_by(&key.fingerprint)) {
        outcome = key.verify(&signature, message.to_vec());
        if outcome.is_ok() {
            let created = signature.created()?;
            if created < key.created {
                return Err(OpenPgpError::Untimely("before its key"));
            }
            if u64::from(created) > now + CLOCK_SKEW {
                return Err(OpenPgpError::Untimely("in the future (is the clock of the build right?)"));
            }
            if signature.has_expired(now) {
                return Err(OpenPgpError::SignatureExpired);
            }
            break;
        }
    }
    outcome
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl serde::Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_digits() {
        let text = "0123456789ABCDEF0123456789abcdef01234567";
        let read = Fingerprint::parse(text).unwrap();
        assert_eq!(read.to_string(), text.to_ascii_uppercase());
        assert_eq!(read.key_id(), [0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67]);
        for text in
            ["", "0123", &text[1..], &format!("{text}00"), &text.replace('F', "G"), &text.replace("01", "é")]
        {
            assert!(Fingerprint::parse(text).is_none(), "{text}");
        }
    }
}
