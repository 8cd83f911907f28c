//! Answering a DNS question (RFC 1035) from a table of names, and from nothing else. Pure.
//!
//! The message is read by hand: it comes from anybody, only one question and one kind of additional record
//! matter, and a question for a record type that no library knows still wants an answer at once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::policy::HostName;

/// The policy's names with the addresses that are open now; a name without any is still being resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Names(pub BTreeMap<HostName, Vec<IpAddr>>);

/// What a message leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The message to send back.
    pub bytes: Vec<u8>,
    /// The name that was asked for and is not in the policy.
    pub refused: Option<HostName>,
}

/// Largest message sent or announced; it fits into every link's packets (DNS flag day 2020).
pub const MAX_SIZE: usize = 1232;
/// How many times as large as its question a reply may be.
const MAX_GROWTH: usize = 3;
/// A client without EDNS takes this much (RFC 1035 section 2.3.4).
const PLAIN_SIZE: usize = 512;
/// Seconds that an address may be kept; what is open can change.
const TTL: u32 = 30;

const HEADER: usize = 12;
const FLAG_RESPONSE: u16 = 0x8000;
const FLAG_AUTHORITATIVE: u16 = 0x0400;
const FLAG_RECURSION_DESIRED: u16 = 0x0100;
const FLAG_RECURSION_AVAILABLE: u16 = 0x0080;
const OPCODE: u16 = 0x7800;
const CLASS_IN: u16 = 1;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const TYPE_OPT: u16 = 41;
/// The name at the start of the question, as a compression pointer.
const POINTER_TO_QUESTION: u16 = 0xc00c;

/// Response codes (RFC 1035 section 4.1.1, RFC 6891 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
enum Code {
    Ok = 0,
    Malformed = 1,
    Failure = 2,
    NoSuchName = 3,
    NotImplemented = 4,
    Refused = 5,
    BadVersion = 16,
}

/// Replies to a message, or says nothing to what is no question.
pub fn reply(message: &[u8], names: &Names) -> Option<Reply> {
    let flags = u16_at(message, 2)?;
    // Answering an answer would let two servers talk for ever; less than a header names no question.
    if message.len() < HEADER || flags & FLAG_RESPONSE != 0 {
        return None;
    }
    let draft = Draft { message, flags, question: &[], edns: None };
    if flags & OPCODE != 0 {
        return Some(draft.plain(Code::NotImplemented));
    }
    let Some(question) = Question::read(message) else {
        return Some(draft.plain(Code::Malformed));
    };
    let draft = Draft { question: question.raw, edns: question.edns, ..draft };
    if question.edns.is_some_and(|edns| edns.version != 0) {
        return Some(draft.plain(Code::BadVersion));
    }
    if question.class != CLASS_IN {
        return Some(draft.plain(Code::Refused));
    }
    Some(match find(&question, names) {
        Found::Addresses([]) => draft.plain(Code::Failure),
        Found::Addresses(addresses) => draft.with_addresses(question.kind, addresses),
        Found::Local => draft.with_addresses(question.kind, &LOCALHOST),
        Found::Nothing => draft.plain(Code::NoSuchName),
        Found::Refused(name) => Reply { refused: Some(name), ..draft.plain(Code::NoSuchName) },
    })
}

/// What RFC 6761 section 6.3 wants of `localhost`.
const LOCALHOST: [IpAddr; 2] =
    [IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)];

enum Found<'a> {
    /// In the policy, with what is open now.
    Addresses(&'a [IpAddr]),
    /// `localhost`
    Local,
    /// A name that nobody could list, or that never is anybody's: no loss, nothing to report.
    Nothing,
    /// Not in the policy.
    Refused(HostName),
}

fn find<'a>(question: &Question<'_>, names: &'a Names) -> Found<'a> {
    let Some(text) = question.name() else { return Found::Nothing };
    let last = text.rsplit('.').next().unwrap_or(&text);
    match last {
        "localhost" => return Found::Local,
        // Reverse names, and those that RFC 6761 section 6.4 reserves for being nobody's.
        "arpa" | "invalid" => return Found::Nothing,
        _ => {}
    }
    if let Some(addresses) = HostName::parse(&text).ok().and_then(|name| names.0.get(&name)) {
        return Found::Addresses(addresses);
    }
    // Of a service's name (`_https._tcp.api.example`) what a policy could list is the host's.
    let mut host = text.as_str();
    while let Some((label, rest)) = host.split_once('.')
        && label.starts_with('_')
    {
        host = rest;
    }
    match HostName::parse(host) {
        Ok(name) if !names.0.contains_key(&name) => Found::Refused(name),
        _ => Found::Nothing,
    }
}

/// The one question of a message.
struct Question<'a> {
    /// Its bytes, which a reply repeats as they are, upper and lower case included.
    raw: &'a [u8],
    /// The name's part of it.
    name: &'a [u8],
    kind: u16,
    class: u16,
    edns: Option<Edns>,
}

/// What the sender says of itself in an OPT record (RFC 6891).
#[derive(Clone, Copy)]
struct Edns {
    size: u16,
    version: u8,
}

impl<'a> Question<'a> {
    /// Reads exactly one question and, where it follows right behind, an OPT record. Names are written out: a
    /// pointer in the first name of a message can only lead into its header.
    fn read(message: &'a [u8]) -> Option<Self> {
        let count = |at| u16_at(message, at);
        let (questions, answers, authorities, additional) = (count(4)?, count(6)?, count(8)?, count(10)?);
        if questions != 1 || answers != 0 || authorities != 0 {
            return None;
        }
        let mut end = HEADER;
        loop {
            match *message.get(end)? {
                0 => break,
                len @ 1..=63 => end += 1 + usize::from(len),
                _ => return None,
            }
        }
        end += 1;
        if end - HEADER > 255 {
            return None;
        }
        let rest = message.get(end + 4..)?;
        let edns = if additional == 0 { None } else { Edns::read(rest)? };
        Some(Self {
            raw: message.get(HEADER..end + 4)?,
            name: message.get(HEADER..end)?,
            kind: u16_at(message, end)?,
            class: u16_at(message, end + 2)?,
            edns,
        })
    }

    /// The name in lower case, if it is of letters, digits, hyphens and underscores.
    fn name(&self) -> Option<String> {
        let mut text = String::new();
        let mut rest = self.name;
        while let Some((len @ 1.., tail)) = rest.split_first() {
            let (label, tail) = tail.split_at_checked(usize::from(*len))?;
            if !text.is_empty() {
                text.push('.');
            }
            for byte in label {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => {
                        text.push(char::from(byte.to_ascii_lowercase()));
                    }
                    _ => return None,
                }
            }
            rest = tail;
        }
        Some(text)
    }
}

impl Edns {
    /// `None` for a broken record, `Some(None)` for another record than OPT, which says nothing to us.
    #[expect(clippy::option_option, reason = "broken and absent lead to different replies")]
    fn read(record: &[u8]) -> Option<Option<Self>> {
        if *record.first()? != 0 || u16_at(record, 1)? != TYPE_OPT {
            return Some(None);
        }
        let len = usize::from(u16_at(record, 9)?);
        record.get(11..11 + len)?;
        Some(Some(Self { size: u16_at(record, 3)?, version: *record.get(6)? }))
    }
}

/// A reply in the making.
struct Draft<'a> {
    message: &'a [u8],
    flags: u16,
    question: &'a [u8],
    edns: Option<Edns>,
}

impl Draft<'_> {
    fn plain(&self, code: Code) -> Reply {
        self.finish(code, 0, &[])
    }

    /// The addresses of the type asked for, as many as fit. What does not fit is left out without a sign: a
    /// client that is told of a truncation asks again over TCP, which is closed.
    fn with_addresses(&self, kind: u16, addresses: &[IpAddr]) -> Reply {
        let fixed = HEADER + self.question.len() + self.opt(Code::Ok).len();
        let mut records = Vec::new();
        let mut count = 0;
        for address in addresses {
            let data = match (address, kind) {
                (IpAddr::V4(v4), TYPE_A) => v4.octets().to_vec(),
                (IpAddr::V6(v6), TYPE_AAAA) => v6.octets().to_vec(),
                _ => continue,
            };
            let mut record = POINTER_TO_QUESTION.to_be_bytes().to_vec();
            record.extend(kind.to_be_bytes());
            record.extend(CLASS_IN.to_be_bytes());
            record.extend(TTL.to_be_bytes());
            record.extend(u16::try_from(data.len()).unwrap_or_default().to_be_bytes());
            record.extend(data);
            if fixed + records.len() + record.len() > self.limit() {
                break;
            }
            records.extend(record);
            count += 1;
        }
        self.finish(Code::Ok, count, &records)
    }

    fn limit(&self) -> usize {
        let taken = self.edns.map_or(PLAIN_SIZE, |edns| usize::from(edns.size).max(PLAIN_SIZE));
        taken.min(MAX_SIZE).min(MAX_GROWTH * self.message.len())
    }

    fn finish(&self, code: Code, answers: u16, records: &[u8]) -> Reply {
        let kept = self.flags & (OPCODE | FLAG_RECURSION_DESIRED);
        let flags = FLAG_RESPONSE | FLAG_AUTHORITATIVE | FLAG_RECURSION_AVAILABLE | kept | (code as u16 & 15);
        let opt = self.opt(code);
        let mut bytes = self.message.get(..2).unwrap_or_default().to_vec();
        for field in [flags, u16::from(!self.question.is_empty()), answers, 0, u16::from(!opt.is_empty())] {
            bytes.extend(field.to_be_bytes());
        }
        bytes.extend_from_slice(self.question);
        bytes.extend_from_slice(records);
        bytes.extend(opt);
        Reply { bytes, refused: None }
    }

    /// An OPT record without options, where the question has one.
    fn opt(&self, code: Code) -> Vec<u8> {
        if self.edns.is_none() {
            return Vec::new();
        }
        let mut record = vec![0];
        record.extend(TYPE_OPT.to_be_bytes());
        record.extend(u16::try_from(MAX_SIZE).unwrap_or_default().to_be_bytes());
        // The code's upper bits, then version 0, no flags, no data.
        record.extend([u8::try_from(code as u16 >> 4).unwrap_or_default(), 0, 0, 0, 0, 0]);
        record
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
