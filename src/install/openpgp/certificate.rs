//! A key with what its owner says about it, and which keys may sign because of that.

use super::key::Key;
use super::packet::{KEY, MARKER, PADDING, Packet, SIGNATURE, SUBKEY, TRUST, USER_ATTRIBUTE, USER_ID, split};
use super::signature::{
    CERTIFICATION_REVOCATION, CERTIFICATIONS, DIRECT, KEY_REVOCATION, PRIMARY_BINDING, SUBKEY_BINDING,
    SUBKEY_REVOCATION, Signature, kind_of,
};
use super::{CLOCK_SKEW, Fingerprint, OpenPgpError};

/// What precedes a user ID where it is signed.
const USER_ID_MARK: u8 = 0xb4;

/// How many fingerprints of other keys an error names.
const MAX_NAMED: usize = 3;

/// A certificate taken apart.
#[derive(Debug)]
pub(super) struct Certificate<'a> {
    primary: Key<'a>,
    /// What follows the primary key: it itself first, then user IDs and subkeys, each with its signatures.
    components: Vec<Component<'a>>,
}

#[derive(Debug)]
struct Component<'a> {
    packet: Packet<'a>,
    signatures: Vec<&'a [u8]>,
}

impl<'a> Certificate<'a> {
    /// Takes the certificate with the fingerprint `pinned` out of packets; others beside it do not count.
    pub(super) fn pick(bytes: &'a [u8], pinned: Fingerprint) -> Result<Self, OpenPgpError> {
        let packets = split(bytes)?;
        let (mut picked, mut others) = (None, Vec::new());
        for chunk in packets.chunk_by(|_, next| next.tag != KEY) {
            let Some(first) = chunk.first().filter(|first| first.tag == KEY) else {
                return Err(OpenPgpError::Malformed("it does not start with a public key"));
            };
            let components = components(chunk)?;
            match Key::parse(first.body) {
                Ok(primary) if primary.fingerprint == pinned => {
                    if picked.replace(Self { primary, components }).is_some() {
                        return Err(OpenPgpError::Twice);
                    }
                }
                Ok(other) => others.push(other.fingerprint.to_string()),
                // Of another version, so its fingerprint is not the pinned one.
                Err(_) => {}
            }
        }
        others.truncate(MAX_NAMED);
        let found = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
        picked.ok_or(OpenPgpError::OtherFingerprint { found, wanted: pinned })
    }

    /// The keys that may sign data at `now`.
    pub(super) fn signers(&self, now: u64) -> Result<Vec<Key<'a>>, OpenPgpError> {
        // Not verified: who can put a false revocation there could as well put nothing there.
        if self.components.iter().any(|component| component.has(KEY_REVOCATION)) {
            return Err(OpenPgpError::Revoked);
        }
        let said = self.components.iter().filter_map(|component| self.said_of_primary(component, now));
        let said = newest(said).ok_or(OpenPgpError::NotForSigning)?;
        if said.ends_key(self.primary.created, now) {
            return Err(OpenPgpError::Expired);
        }
        let primary = said.lets_sign().then_some(self.primary);
        let subkeys = self.components.iter().filter_map(|component| self.signing_subkey(component, now));
        let signers: Vec<_> = primary.into_iter().chain(subkeys).collect();
        if signers.is_empty() { Err(OpenPgpError::NotForSigning) } else { Ok(signers) }
    }

    /// The last that the owner said of the primary key, alone or together with a user ID.
    fn said_of_primary(&self, component: &Component<'a>, now: u64) -> Option<Signature<'a>> {
        let mut message = Vec::new();
        self.primary.hash_into(&mut message).ok()?;
        match component.packet.tag {
            KEY => newest(self.own(component, DIRECT..=DIRECT, &message, now)),
            USER_ID if !component.signatures.iter().any(|body| self.takes_back(body)) => {
                message.push(USER_ID_MARK);
                message.extend(u32::try_from(component.packet.body.len()).ok()?.to_be_bytes());
                message.extend(component.packet.body);
                newest(self.own(component, CERTIFICATIONS, &message, now))
            }
            _ => None,
        }
    }

    /// The subkey in `component`, where the owner says that it may sign and it says that it is the owner's.
    fn signing_subkey(&self, component: &Component<'a>, now: u64) -> Option<Key<'a>> {
        if component.packet.tag != SUBKEY || component.has(SUBKEY_REVOCATION) {
            return None;
        }
        let subkey = Key::parse(component.packet.body).ok()?;
        let mut message = Vec::new();
        self.primary.hash_into(&mut message).ok()?;
        subkey.hash_into(&mut message).ok()?;
        let said = newest(self.own(component, SUBKEY_BINDING..=SUBKEY_BINDING, &message, now))?;
        let back = Signature::parse(said.inner()?).ok()?;
        let good = said.lets_sign()
            && !said.ends_key(subkey.created, now)
            && back.kind == PRIMARY_BINDING
            && back.may_be_by(&subkey.fingerprint)
            && !back.has_expired(now)
            && subkey.verify(&back, message).is_ok();
        good.then_some(subkey)
    }

    /// The good signatures of `kinds` on `component` which the primary key made over `message`.
    fn own(
        &self,
        component: &Component<'a>,
        kinds: impl std::ops::RangeBounds<u8>,
        message: &[u8],
        now: u64,
    ) -> impl Iterator<Item = Signature<'a>> {
        let readable = component.signatures.iter().filter_map(|body| Signature::parse(body).ok());
        readable.filter(move |signature| {
            kinds.contains(&signature.kind)
                && signature.may_be_by(&self.primary.fingerprint)
                && signature.created().is_ok_and(|created| u64::from(created) <= now + CLOCK_SKEW)
                && !signature.has_expired(now)
                && self.primary.verify(signature, message.to_vec()).is_ok()
        })
    }

    /// Whether a signature says that the owner's on the same user ID do not hold; not verified, as above.
    fn takes_back(&self, body: &[u8]) -> bool {
        kind_of(body) == Some(CERTIFICATION_REVOCATION)
            && Signature::parse(body).map_or(true, |found| found.may_be_by(&self.primary.fingerprint))
    }
}

impl Component<'_> {
    fn has(&self, kind: u8) -> bool {
        self.signatures.iter().any(|body| kind_of(body) == Some(kind))
    }
}

/// Sorts the packets of one certificate.
fn components<'a>(packets: &[Packet<'a>]) -> Result<Vec<Component<'a>>, OpenPgpError> {
    let mut components: Vec<Component<'a>> = Vec::new();
    for packet in packets {
        match (packet.tag, components.last_mut()) {
            (KEY | USER_ID | USER_ATTRIBUTE | SUBKEY, _) => {
                components.push(Component { packet: *packet, signatures: Vec::new() });
            }
            (SIGNATURE, Some(component)) => component.signatures.push(packet.body),
            (MARKER | TRUST | PADDING, _) => {}
            _ => return Err(OpenPgpError::Malformed("it holds something other than public keys")),
        }
    }
    Ok(components)
}

fn newest<'a>(signatures: impl Iterator<Item = Signature<'a>>) -> Option<Signature<'a>> {
    signatures.max_by_key(|signature| signature.created().unwrap_or(0))
}
