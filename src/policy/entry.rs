//! An entry of a policy as people write it: a host or a zone, and a port.

use super::decide::NAMED_PORTS;
use super::name::NameError;
use super::pattern::Pattern;
use super::{DEFAULT_PORT, HostName};

/// How a name that people write becomes one of ASCII; [`ascii_only`] where there is no way.
pub type ToAscii = fn(&str) -> Result<String, NameError>;

/// What is wrong with an entry, and what to write instead; the entry itself goes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A URL, or a part of one.
    #[error("is a URL; write the host name, as in api.example.com or api.example.com:8443")]
    Url,
    /// Behind the colon is something else than a port.
    #[error("has no port between 1 and 65535 behind the colon")]
    Port,
    /// A port where only a name belongs.
    #[error("has a port in the name; write it into \"ports\", as in \"ports\": [8443]")]
    PortInName,
    /// DNS to a server of somebody's.
    #[error(
        "opens port 53, and DNS to a chosen server is a tunnel; leave it out, listed names are looked up"
    )]
    Dns,
    /// A zone's names cannot be asked for ahead, so they cannot be opened by address.
    #[error(
        "is a wildcard with another port than 443 and 80, where no connection names its host; write the whole name"
    )]
    ZonePort,
    /// The name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl EntryError {
    /// Whether it is the port that does not go with the name.
    pub fn is_of_port(self) -> bool {
        matches!(self, Self::Port | Self::Dns | Self::ZonePort)
    }
}

/// Reads `name`, `name:port`, `*.zone` or `*.zone:port`.
pub fn parse(text: &str, to_ascii: ToAscii) -> Result<(Pattern, u16), EntryError> {
    let (name, port) = split(text)?;
    Ok((named(name, port, to_ascii)?, port))
}

/// Reads a name that is to be open at a port.
pub fn named(name: &str, port: u16, to_ascii: ToAscii) -> Result<Pattern, EntryError> {
    if name.contains('/') {
        return Err(EntryError::Url);
    }
    if is_ipv6(name) {
        return Err(NameError::Address.into());
    }
    if name.contains(':') {
        return Err(EntryError::PortInName);
    }
    if port == 53 {
        return Err(EntryError::Dns);
    }
    let (star, rest) = name.strip_prefix("*.").map_or(("", name), |zone| ("*.", zone));
    let pattern = Pattern::parse(&format!("{star}{}", to_ascii(rest)?))?;
    if pattern.host().is_none() && !NAMED_PORTS.contains(&port) {
        return Err(EntryError::ZonePort);
    }
    Ok(pattern)
}

/// The question `NAME` or `NAME:PORT`, which names one host.
pub fn question(text: &str) -> Result<(HostName, u16), EntryError> {
    let (name, port) = split(text)?;
    Ok((HostName::parse(name.strip_suffix('.').unwrap_or(name))?, port))
}

/// Leaves names of ASCII as they are and knows no others.
pub fn ascii_only(name: &str) -> Result<String, NameError> {
    if name.is_ascii() { Ok(name.to_owned()) } else { Err(NameError::NotAscii) }
}

fn split(text: &str) -> Result<(&str, u16), EntryError> {
    if text.contains('/') {
        return Err(EntryError::Url);
    }
    if is_ipv6(text) {
        return Err(NameError::Address.into());
    }
    let Some((name, port)) = text.split_once(':') else { return Ok((text, DEFAULT_PORT)) };
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse::<u16>().ok().filter(|port| digits && *port != 0);
    Ok((name, port.ok_or(EntryError::Port)?))
}

/// Whether it is an IPv6 address, with or without brackets and a port.
fn is_ipv6(text: &str) -> bool {
    text.starts_with('[') || text.parse::<std::net::Ipv6Addr>().is_ok()
}
