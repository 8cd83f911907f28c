//! Which hosts may be given credentials.
//!
//! A registry names the place where its tokens are made, where uploads go and where blobs are. Were
//! any place good enough, then whoever answers for a registry could have its users' passwords sent
//! wherever he likes.

use reqwest::Url;

use super::error::OciError;
use super::reference::is_local_host;

/// The flag that allows a host.
pub const ALLOW_FLAG: &str = "--allow-auth-host";
/// The variable that allows hosts, comma-separated.
pub const ALLOW_VARIABLE: &str = "DEVCONTAINERS_OCI_AUTH_HOSTS";

/// Registries whose tokens are known to be made elsewhere; the official CLI has the same list.
const KNOWN: &[(&str, &str)] = &[
    ("registry-1.docker.io", "auth.docker.io"),
    ("registry.docker.io", "auth.docker.io"),
    ("docker.io", "auth.docker.io"),
    ("index.docker.io", "auth.docker.io"),
    ("registry.gitlab.com", "gitlab.com"),
];

/// The hosts that the user named: for one registry, or for whichever is talked to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trusted(Vec<(Option<String>, String)>);

impl Trusted {
    /// Reads `HOST` and `REGISTRY=HOST`, separated by commas.
    pub fn parse(text: &str) -> Result<Self, OciError> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let read = |entry: &str| {
            let wrong = || {
                OciError::Reference(format!(
                    "\"{}\" allows no host; write {ALLOW_FLAG} (or {ALLOW_VARIABLE}) as \"host\" or \"registry=host\", each with its port if it has one",
                    entry.rsplit_once('@').map_or(entry, |(_, rest)| rest)
                ))
            };
            let (registry, host) = match entry.split_once('=') {
                Some((registry, host)) => (Some(named(registry).ok_or_else(wrong)?), host),
                None => (None, entry),
            };
            Ok((registry, named(host).ok_or_else(wrong)?))
        };
        entries.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a realm may see a registry's credentials.
    pub fn realm(&self, registry: &Url, realm: &Url) -> bool {
        let known = || {
            let (Some(from), Some(to)) = (authority(registry), authority(realm)) else { return false };
            KNOWN.contains(&(from.as_str(), to.as_str()))
        };
        is_safe(registry, realm)
            && (authority(registry) == authority(realm) || known() || self.has(registry, realm))
    }

    /// Whether another address than a realm may see what the registry itself sees.
    pub fn address(&self, registry: &Url, address: &Url) -> bool {
        registry.origin() == address.origin() || (is_safe(registry, address) && self.has(registry, address))
    }

    fn has(&self, registry: &Url, host: &Url) -> bool {
        let (Some(registry), Some(host)) = (authority(registry), authority(host)) else { return false };
        self.0.iter().any(|(from, to)| from.as_ref().is_none_or(|from| *from == registry) && *to == host)
    }
}

/// A host and a port as a user writes them, in the form in which addresses have them.
fn named(text: &str) -> Option<String> {
    let text = text.trim();
    let url = Url::parse(&format!("https://{text}/")).ok()?;
    let bare = !text.contains(['=', '*', '\\'])
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    if bare { authority(&url) } else { None }
}

/// Credentials travel by HTTPS, or do not leave this machine.
fn is_safe(registry: &Url, to: &Url) -> bool {
    let local = |url: &Url| url.host_str().is_some_and(is_local_host);
    to.scheme() == "https" || (to.scheme() == "http" && local(to) && local(registry))
}

/// Host and port as written in a URL.
pub fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn only_the_registry_itself_and_known_places() {
        for (registry, realm, allowed, expected) in [
            ("https://ghcr.io/v2/", "https://ghcr.io/token", "", true),
            ("https://ghcr.io/v2/", "http://ghcr.io/token", "", false),
            ("https://ghcr.io/v2/", "https://evil.example/token", "", false),
            ("https://ghcr.io/v2/", "https://ghcr.io.evil.example/token", "", false),
            ("https://ghcr.io/v2/", "https://ghcr.io:444/token", "", false),
            ("https://registry-1.docker.io/v2/", "https://auth.docker.io/token", "", true),
            ("https://registry.gitlab.com/v2/", "https://gitlab.com/jwt/auth", "", true),
            ("https://gitlab.com/v2/", "https://registry.gitlab.com/jwt/auth", "", false),
            ("https://r.example/v2/", "https://a.example/t", "r.example=a.example", true),
            ("https://r.example/v2/", "https://a.example/t", "x=y, R.example=A.example", true),
            ("https://r.example/v2/", "https://a.example/t", "a.example", true),
            ("https://r.example/v2/", "https://a.example/t", "a.example:443", true),
            ("https://r.example/v2/", "https://a.example:8443/t", "a.example", false),
            ("https://r.example/v2/", "https://a.example/t", "other.example=a.example", false),
            ("https://r.example/v2/", "http://a.example/t", "r.example=a.example", false),
            ("http://localhost:5000/v2/", "http://localhost:5000/t", "", true),
            ("http://localhost:5000/v2/", "http://localhost:5001/t", "", false),
            ("http://localhost:5000/v2/", "http://localhost:5001/t", "localhost:5000=localhost:5001", true),
            ("https://r.example/v2/", "http://localhost:5001/t", "localhost:5001", false),
        ] {
            let trusted = Trusted::parse(allowed).unwrap();
            assert_eq!(
                trusted.realm(&url(registry), &url(realm)),
                expected,
                "{registry} -> {realm} ({allowed})"
            );
        }
    }

    #[test]
    fn a_place_for_tokens_is_no_place_for_uploads() {
        for (registry, address, allowed, expected) in [
            ("https://ghcr.io/v2/", "https://ghcr.io/v2/x", "", true),
            ("https://ghcr.io/v2/", "http://ghcr.io/v2/x", "", false),
            ("https://ghcr.io/v2/", "https://storage.example/x", "", false),
            ("https://registry-1.docker.io/v2/", "https://auth.docker.io/x", "", false),
            ("https://ghcr.io/v2/", "https://storage.example/x", "storage.example", true),
            ("https://ghcr.io/v2/", "http://storage.example/x", "storage.example", false),
            ("http://localhost:5000/v2/", "http://localhost:5001/x", "localhost:5001", true),
        ] {
            let trusted = Trusted::parse(allowed).unwrap();
            assert_eq!(trusted.address(&url(registry), &url(address)), expected, "{registry} -> {address}");
        }
    }

    #[test]
    fn what_allows_no_host() {
        for text in ["https://a.example", "a/b", "=", "a=", "=a", "a=b=c", "me:pass@a", "a b", "*"] {
            let parsed = Trusted::parse(text);
            let error = parsed.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("allows no host") && !error.contains("pass"), "{text}: {error}");
        }
        assert_eq!(Trusted::parse(" , ").unwrap(), Trusted::default());
    }
}
