//! Answering a DNS question (RFC 1035) from a table of names, and from nothing else. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::message::{
    CLASS_IN, Code, Edns, FLAG_RESPONSE, HEADER, Kind, Message, OPCODE, Question, TYPE_OPT, read, u16_at,
};
use crate::policy::HostName;

/// What may be answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Names with their addresses; one without any cannot be reached at the moment.
    pub names: BTreeMap<HostName, Vec<IpAddr>>,
    /// Zones all of whose names are in the policy, and are asked for when somebody wants them.
    pub zones: Vec<HostName>,
    /// Whether all other names are asked for, too, as in audit mode.
    #[serde(default)]
    pub all: bool,
}

/// What a message leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The message to send back.
    pub bytes: Vec<u8>,
    /// The name that was asked for and is not in the policy.
    pub refused: Option<HostName>,
    /// The name that has to be asked for before there is another answer than that there is none now.
    pub wanted: Option<HostName>,
}

/// Largest message sent or announced; it fits into every link's packets (DNS flag day 2020).
pub const MAX_SIZE: usize = 1232;
/// A reply over TCP may be this long; the length before it has two bytes.
const MAX_SIZE_OVER_TCP: usize = 16 * 1024;
/// How many times as large as its question a reply may be.
const MAX_GROWTH: usize = 3;
/// A client without EDNS takes this much (RFC 1035 section 2.3.4).
const PLAIN_SIZE: usize = 512;
/// Seconds that an address may be kept; what is open can change.
const TTL: u32 = 30;

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const FLAG_AUTHORITATIVE: u16 = 0x0400;
const FLAG_RECURSION_DESIRED: u16 = 0x0100;
const FLAG_RECURSION_AVAILABLE: u16 = 0x0080;
/// The name at the start of the question, as a compression pointer.
const POINTER_TO_QUESTION: u16 = 0xc00c;

/// Replies to a message that came over UDP, or says nothing to what is no question.
pub fn reply(message: &[u8], names: &Names) -> Option<Reply> {
    reply_within(message, names, MAX_SIZE.min(MAX_GROWTH * message.len()))
}

/// The same over TCP, where a reply has room and goes nowhere but to who asks.
pub fn reply_over_tcp(message: &[u8], names: &Names) -> Option<Reply> {
    reply_within(message, names, MAX_SIZE_OVER_TCP)
}

fn reply_within(message: &[u8], names: &Names, most: usize) -> Option<Reply> {
    let flags = u16_at(message, 2)?;
    let draft = Draft { message, flags, question: &[], edns: None, most };
    let question = match read(message) {
        Message::Silence => return None,
        Message::Refused(code, None) => return Some(draft.plain(code)),
        Message::Refused(code, Some(question)) => {
            return Some(Draft { question: question.raw, edns: question.edns, ..draft }.plain(code));
        }
        Message::Question(question) => question,
    };
    let draft = Draft { question: question.raw, edns: question.edns, ..draft };
    Some(match find(&question, names) {
        Found::Nothing => draft.plain(Code::NoSuchName),
        Found::Refused(name) => Reply { refused: Some(name), ..draft.plain(Code::NoSuchName) },
        Found::Wanted(name) => Reply { wanted: Some(name), ..draft.plain(Code::Failure) },
        _ if matches!(question.kind, Kind::Meta(_)) => draft.plain(Code::Refused),
        Found::Addresses([]) => draft.plain(Code::Failure),
        Found::Addresses(addresses) => draft.with_addresses(question.kind, addresses),
        Found::Local => draft.with_addresses(question.kind, &LOCALHOST),
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
    /// In the policy, and not asked for yet.
    Wanted(HostName),
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
    if let Ok(name) = HostName::parse(&text) {
        if let Some(addresses) = names.names.get(&name) {
            return Found::Addresses(addresses);
        }
        if names.all || names.zones.iter().any(|zone| name.is_below(zone)) {
            return Found::Wanted(name);
        }
    }
    // Of a service's name (`_https._tcp.api.example`) what a policy could list is the host's.
    let mut host = text.as_str();
    while let Some((label, rest)) = host.split_once('.')
        && label.starts_with('_')
    {
        host = rest;
    }
    match HostName::parse(host) {
        Ok(name) if !names.names.contains_key(&name) => Found::Refused(name),
        _ => Found::Nothing,
    }
}

/// A reply in the making.
struct Draft<'a> {
    message: &'a [u8],
    flags: u16,
    question: &'a [u8],
    edns: Option<Edns>,
    /// How long it may be.
    most: usize,
}

impl Draft<'_> {
    fn plain(&self, code: Code) -> Reply {
        self.finish(code, 0, &[])
    }

    /// The addresses of the type asked for, as many as fit. What does not fit is left out without a sign: the gate goes
    /// by names, and of what is opened by address a few are enough.
    fn with_addresses(&self, kind: Kind, addresses: &[IpAddr]) -> Reply {
        let fixed = HEADER + self.question.len() + self.opt(Code::Ok).len();
        let mut records = Vec::new();
        let mut count = 0;
        for address in addresses {
            let (number, data) = match (address, kind) {
                (IpAddr::V4(v4), Kind::A) => (TYPE_A, v4.octets().to_vec()),
                (IpAddr::V6(v6), Kind::Aaaa) => (TYPE_AAAA, v6.octets().to_vec()),
                _ => continue,
            };
            let mut record = POINTER_TO_QUESTION.to_be_bytes().to_vec();
            record.extend(number.to_be_bytes());
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
        if self.most > MAX_SIZE {
            return self.most;
        }
        let taken = self.edns.map_or(PLAIN_SIZE, |edns| usize::from(edns.size).max(PLAIN_SIZE));
        taken.min(self.most)
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
        Reply { bytes, refused: None, wanted: None }
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

#[cfg(test)]
mod tests;
