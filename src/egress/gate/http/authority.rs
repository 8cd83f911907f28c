//! A host and a port, as they stand in `Host` and in targets.

use std::fmt;
use std::net::Ipv6Addr;

use super::Refusal;
use crate::policy::{HostName, NameError};

/// Whom a request is for (RFC 3986 section 3.2, without a user).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The host.
    pub host: Host,
    /// The port, if there is one.
    pub port: Option<u16>,
}

/// A host that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name, in lower case.
    Name(HostName),
    /// An IP address, or what some programs take for one (`0x7f.1`), in lower case; IPv6 in its brackets.
    Address(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(text) => f.write_str(text),
        }
    }
}

impl Authority {
    /// Reads `host` or `host:port`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(bytes).map_err(|_| Refusal::BadHost)?;
        if text.contains('@') {
            return Err(Refusal::UserInfo);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']').ok_or(Refusal::BadHost)?;
            let address: Ipv6Addr = address.parse().map_err(|_| Refusal::BadHost)?;
            let port = match port.strip_prefix(':') {
                Some(port) => Some(parse_port(port)?),
                None if port.is_empty() => None,
                None => return Err(Refusal::BadHost),
            };
            return Ok(Self { host: Host::Address(format!("[{address}]")), port });
        }
        let (host, port) = match text.split_once(':') {
            // IPv6 without its brackets.
            Some((_, port)) if port.contains(':') => return Err(Refusal::BadHost),
            Some((host, port)) => (host, Some(parse_port(port)?)),
            None => (text, None),
        };
        if host.is_empty() {
            return Err(Refusal::NoHost);
        }
        let host = match HostName::parse(host) {
            Ok(name) => Host::Name(name),
            Err(NameError::Address) => Host::Address(host.to_ascii_lowercase()),
            Err(_) if host.len() > 1 && host.ends_with('.') => return Err(Refusal::TrailingDot),
            Err(_) => return Err(Refusal::BadHost),
        };
        Ok(Self { host, port })
    }

    /// Whether both name the same, where a port that is left out is `default`.
    pub(super) fn same(&self, other: &Self, default: u16) -> bool {
        self.host == other.host && self.port.unwrap_or(default) == other.port.unwrap_or(default)
    }
}

/// A number as everybody writes it: no sign, no leading zero.
fn parse_port(text: &str) -> Result<u16, Refusal> {
    let plain = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain && !text.starts_with('0')).ok_or(Refusal::Port)
}
