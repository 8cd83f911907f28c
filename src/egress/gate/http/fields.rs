//! The header fields that say where a request goes, where it ends, and what becomes of the connection.

use super::authority::Authority;
use super::{Refusal, is_token};

/// What a client wants the connection to become (RFC 9110 section 7.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// A WebSocket (RFC 6455): asked for at the server.
    WebSocket,
    /// Anything else, HTTP/2 in clear text among it: left out, so that the server answers in HTTP/1.
    Other,
}

/// What the fields read so far say.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    pub(super) count: usize,
    pub(super) host: Option<Authority>,
    pub(super) length: Option<u64>,
    pub(super) chunked: Option<()>,
    pub(super) close: bool,
    pub(super) upgrade: Option<Upgrade>,
    /// Whether `Connection` names the upgrade; without that there is none.
    pub(super) upgrades: bool,
    pub(super) expects: Option<()>,
}

/// A field's line: its name, and its value without the space around it.
pub(super) fn split(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if line.first().is_some_and(|byte| is_space(*byte)) {
        return Err(Refusal::Fold);
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Refusal::FieldName)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.last().is_some_and(|byte| is_space(*byte)) {
        return Err(Refusal::SpaceBeforeColon);
    }
    if !is_token(name) {
        return Err(Refusal::FieldName);
    }
    Ok((name, trim(value)))
}

fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = value
        && is_space(*first)
    {
        value = rest;
    }
    while let [rest @ .., last] = value
        && is_space(*last)
    {
        value = rest;
    }
    value
}

/// A field that decides something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Host,
    Length,
    Coding,
    Connection,
    Upgrade,
    Expect,
    /// Between the client and a proxy only (RFC 9110 section 7.6.1), without a meaning for the gate.
    Hop,
    Other,
}

const KINDS: [(&str, Kind); 10] = [
    ("Host", Kind::Host),
    ("Content-Length", Kind::Length),
    ("Transfer-Encoding", Kind::Coding),
    ("Connection", Kind::Connection),
    ("Upgrade", Kind::Upgrade),
    ("Expect", Kind::Expect),
    ("Keep-Alive", Kind::Hop),
    ("TE", Kind::Hop),
    ("HTTP2-Settings", Kind::Hop),
    ("Proxy-Connection", Kind::Hop),
];

/// Which field a name is of.
pub(super) fn kind(name: &[u8]) -> Result<Kind, Refusal> {
    if let Some((_, kind)) = KINDS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())) {
        return Ok(*kind);
    }
    if name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"proxy-")) {
        return Ok(Kind::Hop);
    }
    // Gateways of the CGI kind turn both into the same.
    let same = |a: u8, b: u8| a.eq_ignore_ascii_case(&b) || (a == b'_' && b == b'-');
    let almost =
        |known: &str| known.len() == name.len() && name.iter().zip(known.bytes()).all(|(a, b)| same(*a, b));
    match KINDS.iter().find(|(known, _)| name.contains(&b'_') && almost(known)) {
        Some((known, _)) => Err(Refusal::Lookalike(known)),
        None => Ok(Kind::Other),
    }
}

impl Fields {
    /// Takes in one line.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let (name, value) = split(line)?;
        match kind(name)? {
            Kind::Host => once(&mut self.host, "Host", Authority::parse(value)?),
            Kind::Length => once(&mut self.length, "Content-Length", length(value)?),
            Kind::Coding if value != b"chunked" => Err(Refusal::Coding),
            Kind::Coding => once(&mut self.chunked, "Transfer-Encoding", ()),
            Kind::Connection => self.connection(value),
            Kind::Upgrade => {
                let socket = value.eq_ignore_ascii_case(b"websocket");
                once(&mut self.upgrade, "Upgrade", if socket { Upgrade::WebSocket } else { Upgrade::Other })
            }
            Kind::Expect if !value.eq_ignore_ascii_case(b"100-continue") => Err(Refusal::Expect),
            Kind::Expect => once(&mut self.expects, "Expect", ()),
            Kind::Hop | Kind::Other => Ok(()),
        }
    }

    fn connection(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for option in value.split(|byte| *byte == b',') {
            match trim(option).to_ascii_lowercase().as_slice() {
                b"close" => self.close = true,
                b"upgrade" => self.upgrades = true,
                b"keep-alive" | b"te" | b"http2-settings" => {}
                _ => return Err(Refusal::ConnectionOption),
            }
        }
        Ok(())
    }
}

fn once<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::Twice(name)),
    }
}

/// Digits alone: no sign, no list, no zero before others, and not so many that a reader's number runs over.
fn length(value: &[u8]) -> Result<u64, Refusal> {
    let plain = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    if !plain || (value.len() > 1 && value[0] == b'0') {
        return Err(Refusal::Length);
    }
    Ok(value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
