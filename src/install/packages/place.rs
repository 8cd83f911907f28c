//! Where an address leads: a host outside and a port. Pure.

use std::net::IpAddr;

use crate::install::names;
use crate::policy::HostName;

/// A host and a TCP port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Why an address is left out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Skip {
    #[error("an entry is no address of a host; it is left out")]
    NoUrl,
    #[error("an address has the scheme '{0}', which leads to no host; it is left out")]
    Scheme(String),
    #[error("an address is an IP address, and only names can be listed; it is left out")]
    Address,
    #[error(
        "'{0}' is a name of a private network; it is left out, list it in the option `allow` if it is meant"
    )]
    Private(String),
    #[error("'{0}' is no host name; it is left out")]
    Name(String),
}

/// What may stand before a scheme to say what is spoken over it.
const PREFIXES: [&str; 5] = ["sparse+", "registry+", "git+", "mirror+", "tor+"];

/// Endings that no public name has (RFC 6761, RFC 6762, RFC 8375, and what ICANN keeps for private use), and those that
/// private networks commonly have.
const PRIVATE: [&str; 6] = ["localhost", "local", "internal", "home.arpa", "lan", "intranet"];

impl Place {
    /// Reads an absolute URL; user, password, path and query are passed over.
    pub(super) fn of_url(text: &str) -> Result<Self, Skip> {
        let mut text = text.trim();
        for prefix in PREFIXES {
            text = text.strip_prefix(prefix).unwrap_or(text);
        }
        let (scheme, rest) = text.split_once(':').ok_or(Skip::NoUrl)?;
        let default = match scheme.to_ascii_lowercase().as_str() {
            "https" => 443,
            "http" => 80,
            other if other.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) => {
                return Err(Skip::Scheme(other.to_owned()));
            }
            _ => return Err(Skip::NoUrl),
        };
        let rest = rest.strip_prefix("//").ok_or(Skip::NoUrl)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if authority.starts_with('[') {
            return Err(Skip::Address);
        }
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0).ok_or(Skip::NoUrl)?),
            None => (authority, default),
        };
        Ok(Self { host: public(host)?, port })
    }
}

/// The host's name, where it is one of a host outside.
fn public(host: &str) -> Result<String, Skip> {
    if host.is_empty() {
        return Err(Skip::NoUrl);
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.parse::<IpAddr>().is_ok() {
        return Err(Skip::Address);
    }
    let name = names::to_ascii(host).and_then(|host| HostName::parse(&host));
    let name = name.map_err(|_| Skip::Name(host.to_owned()))?;
    let ending =
        |ending: &str| HostName::parse(ending).is_ok_and(|zone| name == zone || name.is_below(&zone));
    if name.is_local() || PRIVATE.into_iter().any(ending) {
        return Err(Skip::Private(name.to_string()));
    }
    Ok(name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("https://Index.Example.com/simple/", Ok(("index.example.com", 443))),
            ("http://deb.example.org", Ok(("deb.example.org", 80))),
            ("HTTPS://user:pa:ss@a.example:8443?x#y", Ok(("a.example", 8443))),
            ("sparse+https://index.example/", Ok(("index.example", 443))),
            ("https://a.example.", Ok(("a.example", 443))),
            ("https://bücher.example/", Ok(("xn--bcher-kva.example", 443))),
            ("file:///srv/mirror", Err(Skip::Scheme("file".to_owned()))),
            ("cdrom:[Debian]/", Err(Skip::Scheme("cdrom".to_owned()))),
            ("mirror+file:/etc/mirrors", Err(Skip::Scheme("file".to_owned()))),
            ("https://192.0.2.7/simple", Err(Skip::Address)),
            ("https://[2001:db8::1]:8443/", Err(Skip::Address)),
            ("https://localhost:4873/", Err(Skip::Private("localhost".to_owned()))),
            ("http://nexus:8081/", Err(Skip::Private("nexus".to_owned()))),
            ("https://npm.corp.internal/", Err(Skip::Private("npm.corp.internal".to_owned()))),
            ("https://host.docker.internal/", Err(Skip::Private("host.docker.internal".to_owned()))),
            ("https://a_b.example/", Err(Skip::Name("a_b.example".to_owned()))),
            ("https://${HOST}/", Err(Skip::Name("${HOST}".to_owned()))),
            ("https://a.example:0/", Err(Skip::NoUrl)),
            ("https:///x", Err(Skip::NoUrl)),
            ("https:a.example", Err(Skip::NoUrl)),
            ("simple", Err(Skip::NoUrl)),
            ("", Err(Skip::NoUrl)),
        ] {
            let place = Place::of_url(text);
            let found = place.as_ref().map(|place| (place.host.as_str(), place.port));
            assert_eq!(found, expected.as_ref().copied(), "{text}");
        }
        assert!(!Place::of_url("https://u:secret@192.0.2.1/").unwrap_err().to_string().contains("secret"));
    }
}
