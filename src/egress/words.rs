//! What the gate's worker and the daemon say to each other, one message each. Pure.
//!
//! The worker reads bytes of anybody's, so whatever it says may be anything: the daemon takes what reads as a
//! [`Wish`] or a [`Complaint`] for no more than that.

use std::net::{Ipv6Addr, SocketAddr};

use crate::policy::HostName;

/// The longest message.
pub const MAX_WORD: usize = 512;

/// What the worker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// It is at work.
    Alive,
    /// It wants a connection.
    Wish(Wish),
    /// It refused somebody.
    Complaint(Complaint),
}

/// A connection that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Which of the worker's connections it is for.
    pub id: u32,
    /// The host.
    pub name: HostName,
    /// The TCP port.
    pub port: u16,
    /// Where the client's socket is, by which it can be found out whose it is.
    pub client: SocketAddr,
}

/// Why the worker refused somebody without asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The port that the connection was made for.
    pub port: u16,
    /// What was said instead of a host's name, if it can be shown.
    pub said: Option<String>,
    /// Why.
    pub why: Why,
    /// Where the client's socket is.
    pub client: SocketAddr,
}

/// Why a connection has no host that a policy could judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Why {
    /// The hello names no host.
    NoName = 1,
    /// An address stands where a name should.
    Address = 2,
    /// It is not TLS.
    NotTls = 3,
    /// It is not HTTP/1.
    NotHttp = 4,
    /// It does not read.
    Broken = 5,
    /// A later request on the connection is for another host.
    OtherHost = 6,
    /// It said nothing in time.
    Silent = 7,
    /// The tunnel was asked for with another name than what goes through it.
    OtherName = 8,
    /// The request wants to become another protocol.
    Upgrade = 9,
}

impl Why {
    const ALL: [Self; 9] = [
        Self::NoName,
        Self::Address,
        Self::NotTls,
        Self::NotHttp,
        Self::Broken,
        Self::OtherHost,
        Self::Silent,
        Self::OtherName,
        Self::Upgrade,
    ];

    /// The sentence's second half.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoName => "the connection names no host (no SNI)",
            Self::Address => "the connection names an address and no host",
            Self::NotTls => "what came is not TLS",
            Self::NotHttp => "what came is not HTTP/1",
            Self::Broken => "what came does not read",
            Self::OtherHost => "a later request on the connection is for another host",
            Self::Silent => "nothing came in time",
            Self::OtherName => "the tunnel was asked for with another name",
            Self::Upgrade => "the request wants to become another protocol, which nobody could judge",
        }
    }
}

/// What the daemon answers to a wish; with the first comes the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is made.
    Connected,
    /// The policy says no; the sentence is for the program that asked.
    Refused(String),
    /// It could not be made.
    Failed(String),
}

const ALIVE: u8 = 0;
const WISH: u8 = 1;
const COMPLAINT: u8 = 2;

impl Word {
    /// As a message.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Alive => vec![ALIVE],
            Self::Wish(Wish { id, name, port, client }) => {
                let name = name.as_str().as_bytes();
                [&[WISH][..], &id.to_be_bytes(), &port.to_be_bytes(), &written(*client), name].concat()
            }
            Self::Complaint(Complaint { port, said, why, client }) => {
                let said = said.as_deref().unwrap_or_default().as_bytes();
                let said = said.get(..said.len().min(253)).unwrap_or_default();
                [&[COMPLAINT, *why as u8][..], &port.to_be_bytes(), &written(*client), said].concat()
            }
        }
    }

    /// A message, if it is one.
    pub fn decode(message: &[u8]) -> Option<Self> {
        let (kind, rest) = message.split_first()?;
        match *kind {
            ALIVE if rest.is_empty() => Some(Self::Alive),
            WISH => {
                let (id, rest) = rest.split_first_chunk()?;
                let (port, rest) = rest.split_first_chunk()?;
                let (client, name) = read(rest)?;
                let name = HostName::parse(std::str::from_utf8(name).ok()?).ok()?;
                let (id, port) = (u32::from_be_bytes(*id), u16::from_be_bytes(*port));
                Some(Self::Wish(Wish { id, name, port, client }))
            }
            COMPLAINT => {
                let (why, rest) = rest.split_first()?;
                let (port, rest) = rest.split_first_chunk()?;
                let (client, said) = read(rest)?;
                let why = Why::ALL.into_iter().find(|known| *known as u8 == *why)?;
                // Shown to people, so of the characters that names and addresses are made of.
                let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(byte);
                let said = Some(said).filter(|said| (1..=253).contains(&said.len()));
                let said = said.filter(|said| said.iter().all(is_plain));
                let said = said.map(|said| String::from_utf8_lossy(said).into_owned());
                Some(Self::Complaint(Complaint { port: u16::from_be_bytes(*port), said, why, client }))
            }
            _ => None,
        }
    }
}

/// An address as 16 bytes, and a port.
fn written(client: SocketAddr) -> [u8; 18] {
    let address = match client {
        SocketAddr::V4(v4) => v4.ip().to_ipv6_mapped(),
        SocketAddr::V6(v6) => *v6.ip(),
    };
    let mut bytes = [0; 18];
    bytes[..16].copy_from_slice(&address.octets());
    bytes[16..].copy_from_slice(&client.port().to_be_bytes());
    bytes
}

/// The same, and what follows it.
fn read(bytes: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (address, rest) = bytes.split_first_chunk::<16>()?;
    let (port, rest) = rest.split_first_chunk()?;
    let address = Ipv6Addr::from(*address).to_canonical();
    Some((SocketAddr::new(address, u16::from_be_bytes(*port)), rest))
}

impl Verdict {
    /// As a message about a wish.
    pub fn encode(&self, id: u32) -> Vec<u8> {
        let (kind, text) = match self {
            Self::Connected => (0_u8, ""),
            Self::Refused(text) => (1, text.as_str()),
            Self::Failed(text) => (2, text.as_str()),
        };
        let most = MAX_WORD - 5;
        let text = text.as_bytes().get(..text.len().min(most)).unwrap_or_default();
        [&id.to_be_bytes()[..], &[kind], text].concat()
    }

    /// A message, if it is one, and which wish it is about.
    pub fn decode(message: &[u8]) -> Option<(u32, Self)> {
        let (id, rest) = message.split_first_chunk()?;
        let (kind, text) = rest.split_first()?;
        let text = || String::from_utf8_lossy(text).into_owned();
        let verdict = match *kind {
            0 => Self::Connected,
            1 => Self::Refused(text()),
            2 => Self::Failed(text()),
            _ => return None,
        };
        Some((u32::from_be_bytes(*id), verdict))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_round_trip() {
        let name = HostName::parse("a.example").unwrap();
        let [v4, v6] = ["172.17.0.2:4711", "[2001:db8::2]:4711"].map(|text| text.parse().unwrap());
        for word in [
            Word::Alive,
            Word::Wish(Wish { id: 7, name, port: 443, client: v6 }),
            Word::Complaint(Complaint {
                port: 80,
                said: Some("[::1]:80".to_owned()),
                why: Why::Address,
                client: v4,
            }),
            Word::Complaint(Complaint { port: 443, said: None, why: Why::Silent, client: v6 }),
        ] {
            assert_eq!(Word::decode(&word.encode()), Some(word));
        }
        for why in Why::ALL {
            assert_eq!(Why::ALL.iter().filter(|other| **other as u8 == why as u8).count(), 1);
        }
        for verdict in
            [Verdict::Connected, Verdict::Refused("no".to_owned()), Verdict::Failed("x".to_owned())]
        {
            assert_eq!(Verdict::decode(&verdict.encode(9)), Some((9, verdict)));
        }
        assert!(Verdict::Failed("x".repeat(2000)).encode(1).len() <= MAX_WORD);
    }

    #[test]
    fn what_is_no_message_is_none() {
        for message in [
            &b""[..],
            b"\0x",
            b"\x01\0\0\0\0\x01",
            b"\x01\0\0\0\0\x01\xbb0123456789abcdef01exa mple",
            b"\x01\0\0\0\0\x01\xbb0123456789abcdef0110.0.0.1",
            b"\x01\0\0\0\0\x01\xbb0123456789abcdef",
            b"\x02\x02\0\x500123",
            b"\x02\xff\0\x50",
            b"\x03",
        ] {
            assert_eq!(Word::decode(message), None, "{message:?}");
        }
        let shown =
            Word::decode(b"\x02\x02\0\x50\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\x01\0\x07\x1b[2J").unwrap();
        let client = "127.0.0.1:7".parse().unwrap();
        assert_eq!(shown, Word::Complaint(Complaint { port: 80, said: None, why: Why::Address, client }));
    }
}
