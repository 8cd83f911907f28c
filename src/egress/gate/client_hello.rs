//! The first bytes of a TLS connection: which name does the client ask for? Pure.
//!
//! ```
//! use agent_sandbox::egress::gate::client_hello::{Outcome, Reader};
//! let mut reader = Reader::default();
//! assert_eq!(reader.read(b"\x16\x03\x01"), Outcome::More);
//! assert_eq!(reader.read(b"GET / HTTP/1.1"), Outcome::NotTls);
//! ```
//!
//! [`Reader::read`] is given all bytes that came so far. It remembers which records it has seen, so that many small
//! pieces cost no more than one large one. The hello may be spread over any number of segments and records (RFC 8446
//! section 5.1); what follows it, early data for example, is the caller's to keep.
//!
//! Nothing here believes a length: what does not fit exactly, appears twice, or may mean two things is refused, since
//! the server behind the gate may read it in the other way.

mod body;
mod retry;

use crate::policy::HostName;

pub use body::Hello;
pub use retry::Watch;

/// Largest hello, with the headers of its records. Real ones have 200 to 2,500 bytes; a session ticket may add some
/// thousand.
pub const MAX_BYTES: usize = 32 * 1024;

/// Largest record (RFC 8446 section 5.1).
const MAX_RECORD: usize = 1 << 14;
const RECORD_HEADER: usize = 5;
/// Type and length of a handshake message (RFC 8446 section 4).
const MESSAGE_HEADER: usize = 4;
const CONTENT_HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// What the bytes so far are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The beginning of a hello.
    More,
    /// A whole one.
    Hello(Hello),
    /// Something else than TLS.
    NotTls,
    /// TLS that is not passed on.
    Refused(Refusal),
}

/// Why a hello is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A hello of SSL 2.0 has no room for a name (RFC 6176).
    #[error("it is a hello of SSL 2.0, which names no host")]
    Sslv2,
    /// A first record of another type than handshake.
    #[error("its first TLS record is of type {0} and not a handshake")]
    FirstRecord(u8),
    /// A record of another type between the hello's fragments (RFC 8446 section 5.1).
    #[error("a TLS record of type {0} stands between the parts of its hello")]
    Interleaved(u8),
    /// No version of TLS has this number in its records.
    #[error("a TLS record bears the unknown version 3.{0}")]
    RecordVersion(u8),
    /// Empty fragments of a handshake are forbidden (RFC 8446 section 5.1).
    #[error("a TLS record of its hello is empty")]
    EmptyRecord,
    /// More than a record may hold.
    #[error("a TLS record of its hello is larger than any may be")]
    LongRecord,
    /// A handshake that begins with another message.
    #[error("its handshake begins with message {0} and not with a hello")]
    FirstMessage(u8),
    /// More than [`MAX_BYTES`].
    #[error("its hello is larger than {MAX_BYTES} bytes")]
    TooLong,
    /// The record that ends the hello holds another message (RFC 8446 section 5.1).
    #[error("another message follows its hello in the same TLS record")]
    Behind,
    /// A length in it is wrong, or something is missing.
    #[error("its hello is malformed: {0}")]
    Malformed(&'static str),
    /// The same extension twice (RFC 8446 section 4.2).
    #[error("its hello has extension {0} twice")]
    Twice(u16),
    /// More extensions than anybody sends.
    #[error("its hello has more than {} extensions", body::MAX_EXTENSIONS)]
    ManyExtensions,
    /// More protocols than anybody speaks.
    #[error("its hello offers more than {} protocols", body::MAX_PROTOCOLS)]
    ManyProtocols,
    /// Another kind of name than a host's, or more than one (RFC 6066 section 3).
    #[error("its hello has several names, or one that is no host name")]
    Names,
    /// An IP address in the place of a name (RFC 6066 section 3 forbids it).
    #[error("its hello names an IP address and not a host")]
    Address,
    /// A name with a dot at its end (RFC 6066 section 3 forbids it).
    #[error("the name in its hello ends in a dot")]
    TrailingDot,
    /// A name that no host has.
    #[error("the name in its hello is not a host name")]
    BadName,
    /// The part of an encrypted hello that must never be seen outside of one (RFC 9849 section 5).
    #[error("its hello is the inner part of an encrypted one")]
    InnerHello,
    /// After a request to try again, another hello (RFC 8446 section 4.1.2).
    #[error("its second hello differs from the first in the name it asks for")]
    OtherName,
}

/// Reads a hello that comes in pieces.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    /// Where the first record begins that is not whole.
    next: usize,
    /// Bytes of the message in the records before it.
    seen: usize,
    /// The message's length, once its header is there.
    wanted: Option<usize>,
    /// The first bytes of the message, until its header is whole.
    header: [u8; MESSAGE_HEADER],
}

impl Reader {
    /// Reads on. `bytes` is all that came since the connection began, so it only grows from call to call.
    pub fn read(&mut self, bytes: &[u8]) -> Outcome {
        match self.step(bytes) {
            Ok(outcome) => outcome,
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    fn step(&mut self, bytes: &[u8]) -> Result<Outcome, Refusal> {
        loop {
            let rest = bytes.get(self.next..).unwrap_or_default();
            if self.next == 0
                && let Some(other) = other_than_tls(rest)?
            {
                return Ok(other);
            }
            let Some(len) = record_length(rest)? else { return Ok(Outcome::More) };
            let end = self.next + RECORD_HEADER + len;
            if end > MAX_BYTES {
                return Err(Refusal::TooLong);
            }
            // A message that is not one of ours, or too long, is known before its record is whole.
            let payload = &rest[RECORD_HEADER..rest.len().min(RECORD_HEADER + len)];
            self.look_at_header(payload, len)?;
            if payload.len() < len {
                return Ok(Outcome::More);
            }
            self.seen += len;
            self.next = end;
            if self.wanted == Some(self.seen) {
                return self.finish(&bytes[..end]);
            }
        }
    }

    /// Takes the message's header out of what is there of a record, and compares its length with the record's.
    fn look_at_header(&mut self, payload: &[u8], len: usize) -> Result<(), Refusal> {
        if self.wanted.is_none() {
            for (slot, byte) in self.header.iter_mut().skip(self.seen).zip(payload) {
                *slot = *byte;
            }
            let there = self.seen + payload.len();
            if there > 0 && self.header[0] != CLIENT_HELLO {
                return Err(Refusal::FirstMessage(self.header[0]));
            }
            if there < MESSAGE_HEADER {
                return Ok(());
            }
            let [_, high, middle, low] = self.header.map(usize::from);
            let length = (high << 16) | (middle << 8) | low;
            if length > MAX_BYTES {
                return Err(Refusal::TooLong);
            }
            self.wanted = Some(MESSAGE_HEADER + length);
        }
        if self.wanted.is_some_and(|wanted| self.seen + len > wanted) {
            return Err(Refusal::Behind);
        }
        Ok(())
    }

    fn finish(&self, records: &[u8]) -> Result<Outcome, Refusal> {
        let (first, rest) = split_record(records);
        let joined: Vec<u8>;
        let message = if rest.is_empty() {
            first
        } else {
            let mut parts = Vec::with_capacity(self.seen);
            parts.extend_from_slice(first);
            let mut rest = rest;
            while !rest.is_empty() {
                let (payload, behind) = split_record(rest);
                parts.extend_from_slice(payload);
                rest = behind;
            }
            joined = parts;
            &joined
        };
        let hello = body::read(message.get(MESSAGE_HEADER..).unwrap_or_default(), records.len())?;
        Ok(Outcome::Hello(hello))
    }
}

/// The payload of the first of records that are whole, and the records behind it.
fn split_record(records: &[u8]) -> (&[u8], &[u8]) {
    let len =
        records.get(3..RECORD_HEADER).map_or(0, |len| usize::from(u16::from_be_bytes([len[0], len[1]])));
    let (header, rest) = records.split_at(records.len().min(RECORD_HEADER));
    debug_assert_eq!(header.len(), RECORD_HEADER);
    rest.split_at(rest.len().min(len))
}

/// Tells a connection that is no TLS, or of which no more need be seen, by its first bytes.
fn other_than_tls(bytes: &[u8]) -> Result<Option<Outcome>, Refusal> {
    match *bytes {
        // Of these kinds, change of cipher, alert, data and heartbeat, the next byte tells; of a length with its upper
        // bit set, as SSL 2.0 begins, the type of the message behind it (RFC 5246 appendix E.2).
        [] | [20..=24 | 0x80..=0xff] | [0x80..=0xff, _] => Ok(Some(Outcome::More)),
        [0x80..=0xff, _, CLIENT_HELLO, ..] => Err(Refusal::Sslv2),
        [CONTENT_HANDSHAKE, 3, ..] => Ok(None),
        [kind @ 20..=24, 3, ..] => Err(Refusal::FirstRecord(kind)),
        _ => Ok(Some(Outcome::NotTls)),
    }
}

/// The length of the record that begins here, as soon as its header is whole.
fn record_length(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    if let Some(kind) = bytes.first()
        && *kind != CONTENT_HANDSHAKE
    {
        return Err(Refusal::Interleaved(*kind));
    }
    if bytes.get(1).is_some_and(|major| *major != 3) {
        return Err(Refusal::Malformed("a record's version"));
    }
    // To be ignored (RFC 8446 section 5.1); these are all that were ever sent.
    if let Some(minor @ 5..) = bytes.get(2) {
        return Err(Refusal::RecordVersion(*minor));
    }
    let Some(len) = bytes.get(3..RECORD_HEADER) else { return Ok(None) };
    match usize::from(u16::from_be_bytes([len[0], len[1]])) {
        0 => Err(Refusal::EmptyRecord),
        len if len > MAX_RECORD => Err(Refusal::LongRecord),
        len => Ok(Some(len)),
    }
}

/// A name as a hello may bear it.
fn host_name(bytes: &[u8]) -> Result<HostName, Refusal> {
    use crate::policy::NameError;
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::BadName)?;
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Err(Refusal::Address);
    }
    HostName::parse(text).map_err(|error| match error {
        NameError::Address => Refusal::Address,
        _ if text.len() > 1 && text.ends_with('.') => Refusal::TrailingDot,
        _ => Refusal::BadName,
    })
}

#[cfg(test)]
mod tests;
