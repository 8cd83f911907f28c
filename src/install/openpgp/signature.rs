//! Version 4 signatures: what they say of themselves (RFC 9580, section 5.2).

use ring::digest::{Algorithm, SHA256, SHA384, SHA512};

use super::fields::Fields;
use super::{Fingerprint, OpenPgpError};

/// Over a file.
pub(super) const BINARY: u8 = 0x00;
/// Over a key and a user ID: four kinds, which differ in how sure the signer was.
pub(super) const CERTIFICATIONS: std::ops::RangeInclusive<u8> = 0x10..=0x13;
/// By a key over its subkey.
pub(super) const SUBKEY_BINDING: u8 = 0x18;
/// By a subkey over its key.
pub(super) const PRIMARY_BINDING: u8 = 0x19;
/// By a key over itself.
pub(super) const DIRECT: u8 = 0x1f;
/// By a key over itself, that it is not to be used.
pub(super) const KEY_REVOCATION: u8 = 0x20;
/// The same over its subkey.
pub(super) const SUBKEY_REVOCATION: u8 = 0x28;
/// That a certification does not hold any more.
pub(super) const CERTIFICATION_REVOCATION: u8 = 0x30;

/// The flag of keys that sign data.
const MAY_SIGN: u8 = 0x02;

/// A hash that signatures are accepted over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn from_number(number: u8) -> Result<Self, OpenPgpError> {
        match number {
            8 => Ok(Self::Sha256),
            9 => Ok(Self::Sha384),
            10 => Ok(Self::Sha512),
            1..=3 => Err(OpenPgpError::NotAccepted("its hash is MD5, SHA-1 or RIPEMD-160")),
            _ => Err(OpenPgpError::NotAccepted("its hash is none of SHA-256, SHA-384 and SHA-512")),
        }
    }

    pub(super) fn ring(self) -> &'static Algorithm {
        match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        }
    }
}

/// A signature, not verified.
#[derive(Debug)]
pub(super) struct Signature<'a> {
    pub(super) kind: u8,
    pub(super) algorithm: u8,
    pub(super) hash: Hash,
    /// The first two bytes of the hash, for readers in a hurry.
    pub(super) start_of_hash: [u8; 2],
    /// What the signer's arithmetic gave.
    pub(super) numbers: &'a [u8],
    /// From the version to the subpackets that are signed along.
    signed: &'a [u8],
    said: Said<'a>,
}

/// What subpackets say.
#[derive(Debug, Default)]
struct Said<'a> {
    created: Option<u32>,
    lifetime: Option<u32>,
    key_lifetime: Option<u32>,
    flags: Option<u8>,
    /// A signature inside, which a subkey makes over its key.
    inner: Option<&'a [u8]>,
    /// By key ID or fingerprint.
    signers: Vec<&'a [u8]>,
}

/// The kind of the signature in `body`, of whatever version, without reading the rest.
pub(super) fn kind_of(body: &[u8]) -> Option<u8> {
    match body {
        // Version 3 has a length in between.
        [2 | 3, _, kind, ..] | [_, kind, ..] => Some(*kind),
        _ => None,
    }
}

impl<'a> Signature<'a> {
    /// Reads the body of a signature's packet.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, OpenPgpError> {
        let mut fields = Fields(body);
        if fields.u8()? != 4 {
            return Err(OpenPgpError::NotAccepted("it is not of version 4"));
        }
        let (kind, algorithm) = (fields.u8()?, fields.u8()?);
        let hash = Hash::from_number(fields.u8()?)?;
        let hashed = fields.block()?;
        // Version, kind, two algorithms, a length of two bytes.
        let signed = &body[..6 + hashed.len()];
        let unhashed = fields.block()?;
        let start_of_hash = fields.array()?;
        let mut said = Said::default();
        said.read(hashed, true)?;
        said.read(unhashed, false)?;
        Ok(Self { kind, algorithm, hash, start_of_hash, numbers: fields.0, signed, said })
    }

    /// When it was made.
    pub(super) fn created(&self) -> Result<u32, OpenPgpError> {
        self.said.created.ok_or(OpenPgpError::Malformed("it does not say when it was made"))
    }

    /// Whether its own time is over at `now`; zero means never.
    pub(super) fn has_expired(&self, now: u64) -> bool {
        is_over(self.said.created, self.said.lifetime, now)
    }

    /// Whether the time that it gives a key made at `created` is over at `now`.
    pub(super) fn ends_key(&self, created: u32, now: u64) -> bool {
        is_over(Some(created), self.said.key_lifetime, now)
    }

    /// Whether it says that the key is for signing.
    pub(super) fn lets_sign(&self) -> bool {
        self.said.flags.is_some_and(|flags| flags & MAY_SIGN != 0)
    }

    /// Whether whatever it says of its signer fits `key`.
    pub(super) fn may_be_by(&self, key: &Fingerprint) -> bool {
        self.said.signers.iter().all(|signer| *signer == key.key_id() || *signer == key.0)
    }

    /// The body of the signature inside.
    pub(super) fn inner(&self) -> Option<&'a [u8]> {
        self.said.inner
    }

    /// Appends what is signed after the message itself.
    pub(super) fn trailer_into(&self, to: &mut Vec<u8>) {
        to.extend(self.signed);
        to.extend([4, 0xff]);
        // Never longer than two lengths of two bytes.
        to.extend(u32::try_from(self.signed.len()).unwrap_or(u32::MAX).to_be_bytes());
    }
}

fn is_over(from: Option<u32>, lifetime: Option<u32>, now: u64) -> bool {
    match (from, lifetime) {
        (Some(from), Some(lifetime)) if lifetime != 0 => now >= u64::from(from) + u64::from(lifetime),
        _ => false,
    }
}

impl<'a> Said<'a> {
    fn read(&mut self, area: &'a [u8], signed: bool) -> Result<(), OpenPgpError> {
        let mut fields = Fields(area);
        while !fields.0.is_empty() {
            let length = match fields.u8()? {
                short @ ..192 => short.into(),
                long @ 192..255 => ((u32::from(long) - 192) << 8) + u32::from(fields.u8()?) + 192,
                255 => fields.u32()?,
            };
            let mut part = Fields(fields.bytes(length as usize)?);
            let number = part.u8()?;
            if signed { self.signed(number, part.0)? } else { self.unsigned(number, part.0)? }
        }
        Ok(())
    }

    /// A part that the signature covers.
    fn signed(&mut self, number: u8, value: &'a [u8]) -> Result<(), OpenPgpError> {
        // The highest bit says that a reader who does not know the number must not go on.
        match (number & 0x7f, number & 0x80 != 0) {
            (2, _) => once(&mut self.created, seconds(value)?),
            (3, _) => once(&mut self.lifetime, seconds(value)?),
            (9, _) => once(&mut self.key_lifetime, seconds(value)?),
            (27, _) => once(&mut self.flags, value.first().copied().unwrap_or(0)),
            (number @ (16 | 32 | 33), _) => self.unsigned(number, value),
            // Whether it may be copied or revoked, which algorithms are liked, which user ID is the main one.
            (4 | 7 | 11 | 21 | 22 | 23 | 25 | 30 | 34, _) | (_, false) => Ok(()),
            (_, true) => Err(OpenPgpError::NotAccepted("it demands something that is not known here")),
        }
    }

    /// A part that anybody may have changed: it can say where to look, and no more.
    fn unsigned(&mut self, number: u8, value: &'a [u8]) -> Result<(), OpenPgpError> {
        match (number, value) {
            (16, key_id) => self.signers.push(key_id),
            // A version comes first.
            (33, [_, fingerprint @ ..]) => self.signers.push(fingerprint),
            (32, inner) => once(&mut self.inner, inner)?,
            _ => return Err(OpenPgpError::Malformed("a part that is not signed says more than who signed")),
        }
        Ok(())
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), OpenPgpError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(OpenPgpError::Malformed("it says the same thing twice")),
    }
}

fn seconds(value: &[u8]) -> Result<u32, OpenPgpError> {
    let mut fields = Fields(value);
    let seconds = fields.u32()?;
    fields.end()?;
    Ok(seconds)
}
