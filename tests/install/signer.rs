//! Whoever signs the manifests of the tests' release host: an OpenPGP key made on the spot.
//!
//! That the installer reads what others write is the matter of `openpgp.rs`; here only the bytes differ from
//! run to run.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA512, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// The one whom the tests' command line pins.
pub(crate) static MAKER: LazyLock<Signer> = LazyLock::new(Signer::new);

/// An Ed25519 key of version 4, a day old.
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    /// The body of its packet.
    body: Vec<u8>,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let secret = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(secret.as_ref()).unwrap();
        let body = [&[4][..], &time(24 * 60 * 60), &[27], pair.public_key().as_ref()].concat();
        Self { pair, body }
    }

    /// 40 hexadecimal digits.
    pub(crate) fn fingerprint(&self) -> String {
        let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.hashed());
        let digits: Vec<_> = sum.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        digits.concat()
    }

    /// The public key with a user ID, and that it may sign.
    pub(crate) fn key_file(&self) -> Vec<u8> {
        let user = b"test <test@example.com>";
        let length = u32::try_from(user.len()).unwrap().to_be_bytes();
        let message = [&self.hashed()[..], &[0xb4], &length, user].concat();
        let certification = self.make(0x13, &[2, 27, 0x02], &message);
        [packet(6, &self.body), packet(13, user), certification].concat()
    }

    /// A detached signature over `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.make(0x00, &[], message)
    }

    fn hashed(&self) -> Vec<u8> {
        [&[0x99, 0, u8::try_from(self.body.len()).unwrap()], &self.body[..]].concat()
    }

    fn make(&self, kind: u8, more: &[u8], message: &[u8]) -> Vec<u8> {
        let said = [&[5, 2][..], &time(0), more].concat();
        let head = [&[4, kind, 27, 10, 0, u8::try_from(said.len()).unwrap()], &said[..]].concat();
        let trailer = [4, 0xff, 0, 0, 0, u8::try_from(head.len()).unwrap()];
        let sum = digest(&SHA512, &[message, &head, &trailer].concat());
        let signature = self.pair.sign(sum.as_ref());
        packet(2, &[&head[..], &[0, 0], &sum.as_ref()[..2], signature.as_ref()].concat())
    }
}

fn time(ago: u64) -> [u8; 4] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    u32::try_from(now - ago).unwrap().to_be_bytes()
}

fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[0xc0 | tag, u8::try_from(body.len()).unwrap()], body].concat()
}
