//! Public keys, and whether one of them made a signature.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::signature::{
    ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::fields::Fields;
use super::signature::{Hash, Signature};
use super::{Fingerprint, OpenPgpError};

const RSA: u8 = 1;
const EDDSA: u8 = 22;
const ED25519_KEY: u8 = 27;

/// The curve Ed25519, as keys of the older kind name it.
const ED25519_OID: [u8; 9] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];

/// Says that a compressed point follows.
const COMPRESSED: u8 = 0x40;

/// A version 4 public key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    body: &'a [u8],
    /// When it was made.
    pub(super) created: u32,
    pub(super) fingerprint: Fingerprint,
    numbers: Numbers<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Numbers<'a> {
    Rsa {
        n: &'a [u8],
        e: &'a [u8],
    },
    /// The bytes and the number of the algorithm that they came as.
    Ed25519 {
        point: &'a [u8],
        algorithm: u8,
    },
    /// A key of another kind, such as one to encrypt to.
    Other,
}

impl<'a> Key<'a> {
    /// Reads the body of a key's packet.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, OpenPgpError> {
        let mut fields = Fields(body);
        if fields.u8()? != 4 {
            return Err(OpenPgpError::Malformed("a key is not of version 4"));
        }
        let created = fields.u32()?;
        let numbers = match fields.u8()? {
            RSA => {
                let numbers = Numbers::Rsa { n: fields.mpi()?, e: fields.mpi()? };
                fields.end()?;
                numbers
            }
            algorithm @ EDDSA => {
                let length = fields.u8()?;
                let curve = fields.bytes(length.into())?;
                let point = fields.mpi()?;
                fields.end()?;
                match point {
                    [COMPRESSED, point @ ..] if curve == ED25519_OID => Numbers::Ed25519 { point, algorithm },
                    _ => Numbers::Other,
                }
            }
            algorithm @ ED25519_KEY => {
                let point = fields.bytes(32)?;
                fields.end()?;
                Numbers::Ed25519 { point, algorithm }
            }
            _ => Numbers::Other,
        };
        let mut key = Self { body, created, fingerprint: Fingerprint([0; 20]), numbers };
        let mut hashed = Vec::new();
        key.hash_into(&mut hashed)?;
        // Whoever could find a second key with the same SHA-1 could do so for every key of version 4.
        let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, &hashed);
        key.fingerprint.0.copy_from_slice(sum.as_ref());
        Ok(key)
    }

    /// Appends what stands for this key in fingerprints and signatures.
    pub(super) fn hash_into(&self, to: &mut Vec<u8>) -> Result<(), OpenPgpError> {
        let length =
            u16::try_from(self.body.len()).map_err(|_| OpenPgpError::Malformed("a key is too long"))?;
        to.push(0x99);
        to.extend(length.to_be_bytes());
        to.extend(self.body);
        Ok(())
    }

    /// Whether `signature` is this key's over `message`. The rules about time and purpose are not looked at.
    pub(super) fn verify(&self, signature: &Signature<'_>, mut message: Vec<u8>) -> Result<(), OpenPgpError> {
        signature.trailer_into(&mut message);
        let sum = digest(signature.hash.ring(), &message);
        if !sum.as_ref().starts_with(&signature.start_of_hash) {
            return Err(OpenPgpError::Bad);
        }
        let good = match self.numbers {
            Numbers::Rsa { n, e } if signature.algorithm == RSA => {
                let mut fields = Fields(signature.numbers);
                let number = fields.mpi()?;
                fields.end()?;
                // The number lost its leading zeros, and ring wants it as long as the modulus.
                let mut padded = vec![0; n.len().saturating_sub(number.len())];
                padded.extend(number);
                let parameters = match signature.hash {
                    Hash::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                    Hash::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
                    Hash::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, &message, &padded)
            }
            Numbers::Ed25519 { point, algorithm } if signature.algorithm == algorithm => {
                let number = ed25519_signature(algorithm, signature.numbers)?;
                // What is signed is the hash, and not the message.
                UnparsedPublicKey::new(&ED25519, point).verify(sum.as_ref(), &number)
            }
            _ => return Err(OpenPgpError::NotAccepted("neither RSA nor Ed25519, or not as its key")),
        };
        good.map_err(|_| OpenPgpError::Bad)
    }
}

/// The 64 bytes of the two ways to write them.
fn ed25519_signature(algorithm: u8, numbers: &[u8]) -> Result<[u8; 64], OpenPgpError> {
    let mut fields = Fields(numbers);
    let mut bytes = [0; 64];
    if algorithm == ED25519_KEY {
        bytes = fields.array()?;
    } else {
        for half in bytes.chunks_exact_mut(32) {
            let number = fields.mpi()?;
            let start = half.len().checked_sub(number.len()).ok_or(OpenPgpError::Bad)?;
            half[start..].copy_from_slice(number);
        }
    }
    fields.end()?;
    Ok(bytes)
}
