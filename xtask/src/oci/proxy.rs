//! HTTP proxies: the variables that curl and the official CLI read.

use std::net::IpAddr;

use reqwest::Url;

use super::error::OciError;
use super::known::Known;
use super::reference::is_local_host;
use super::secret::Secret;

/// The proxies as the environment names them.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// `HTTPS_PROXY`.
    pub https: Option<Secret>,
    /// `HTTP_PROXY`.
    pub http: Option<Secret>,
    /// `ALL_PROXY`, for whatever the other two say nothing about.
    pub all: Option<Secret>,
    /// `NO_PROXY`: what is reached directly.
    pub none: String,
}

/// Which way each address goes.
#[derive(Clone, Default)]
pub(super) struct Routes {
    https: Option<Url>,
    http: Option<Url>,
    direct: Vec<Direct>,
}

/// One entry of `NO_PROXY`.
#[derive(Clone)]
struct Direct {
    host: Pattern,
    port: Option<u16>,
}

#[derive(Clone)]
enum Pattern {
    Everything,
    /// A name, and whatever is below it.
    Name(String),
    Network(IpAddr, u32),
}

impl Proxies {
    /// What the environment says; the lower-case names count first, as for curl.
    pub fn from_env() -> Self {
        let value = |name: &str| {
            let names = [name.to_lowercase(), name.to_owned()];
            names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        };
        Self {
            https: value("HTTPS_PROXY").map(Secret::new),
            http: value("HTTP_PROXY").map(Secret::new),
            all: value("ALL_PROXY").map(Secret::new),
            none: value("NO_PROXY").unwrap_or_default(),
        }
    }

    /// Reads the values. Those that no address would use are not looked at.
    pub(super) fn routes(&self, scheme: &str) -> Result<Routes, OciError> {
        let mut routes =
            Routes { direct: self.none.split([',', ' ']).filter_map(direct).collect(), ..Routes::default() };
        let all = || self.all.as_ref().map(|value| ("ALL_PROXY", value));
        let https = self.https.as_ref().map(|value| ("HTTPS_PROXY", value)).or_else(all);
        let http = self.http.as_ref().map(|value| ("HTTP_PROXY", value)).or_else(all);
        let read = |named: Option<(&str, &Secret)>| named.map(|(name, value)| parse(name, value)).transpose();
        match scheme {
            "https" => routes.https = read(https)?,
            _ => routes.http = read(http)?,
        }
        Ok(routes)
    }
}

fn parse(variable: &str, value: &Secret) -> Result<Url, OciError> {
    let text = value.expose().trim();
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    // The value is not quoted: it may hold a password.
    let wrong = |what: &str| {
        OciError::Trust(format!(
            "{variable} {what}; write it as http://host:port, or http://user:password@host:port with %-escapes in the password"
        ))
    };
    let url = Url::parse(&text).map_err(|_| wrong("is no address"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(wrong("names a kind of proxy that is not supported, which are http and https")),
    }
}

fn direct(entry: &str) -> Option<Direct> {
    let entry = entry.trim();
    let network = |text: &str| {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.parse().ok().filter(|bits| *bits <= all))?;
        Some(Pattern::Network(address, bits))
    };
    if entry.is_empty() {
        return None;
    }
    if let Some(host) = network(entry) {
        return Some(Direct { host, port: None });
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (entry, None),
    };
    let name = host.trim_start_matches('*').trim_start_matches('.').to_lowercase();
    let host = match network(host) {
        Some(network) => network,
        None if name.is_empty() => Pattern::Everything,
        None => Pattern::Name(name),
    };
    Some(Direct { host, port })
}

impl Direct {
    fn is_for(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_lowercase();
        let port = self.port.is_none_or(|port| url.port_or_known_default() == Some(port));
        port && match &self.host {
            Pattern::Everything => true,
            Pattern::Name(name) => {
                host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Pattern::Network(network, bits) => {
                host.parse().is_ok_and(|address| share(*network, address, *bits))
            }
        }
    }
}

/// Whether two addresses have their first bits in common.
fn share(a: IpAddr, b: IpAddr, bits: u32) -> bool {
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 4),
        IpAddr::V6(address) => (address.to_bits(), 6),
    };
    let ((a, a_kind), (b, b_kind)) = (number(a), number(b));
    a_kind == b_kind && (a ^ b).checked_shr(128 - bits).unwrap_or(0) == 0
}

impl Routes {
    /// The proxy for an address. This machine is always reached directly.
    fn proxy(&self, url: &Url) -> Option<&Url> {
        let local = url.host_str().is_some_and(|host| is_local_host(host) || host.ends_with(".localhost"));
        if local || self.direct.iter().any(|direct| direct.is_for(url)) {
            return None;
        }
        if url.scheme() == "https" { self.https.as_ref() } else { self.http.as_ref() }
    }

    /// The proxy for an address, without user and password, for messages.
    pub(super) fn describe(&self, url: &Url) -> Option<String> {
        self.proxy(url).and_then(super::realm::authority)
    }

    /// What no message may repeat.
    pub(super) fn secrets(&self) -> Known {
        let mut known = Known::default();
        for url in [&self.https, &self.http].into_iter().flatten() {
            if let Some(password) = url.password() {
                known.add(password);
                known.add(&percent_decoded(password));
                known.add(&format!("{}:{}", percent_decoded(url.username()), percent_decoded(password)));
            }
        }
        known
    }

    /// The same as a client takes it.
    pub(super) fn into_proxy(self) -> reqwest::Proxy {
        reqwest::Proxy::custom(move |url| self.proxy(url).cloned())
    }
}

fn percent_decoded(text: &str) -> String {
    // A query's pairs are decoded like this, but for the plus sign.
    let query = format!("x:?{}", text.replace('+', "%2B"));
    let decoded =
        Url::parse(&query).ok().and_then(|url| url.query_pairs().next().map(|(key, _)| key.into_owned()));
    decoded.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(https: &str, none: &str) -> Proxies {
        Proxies { https: Some(Secret::new(https)), none: none.to_owned(), ..Proxies::default() }
    }

    #[test]
    fn what_goes_through_the_proxy() {
        for (none, address, through) in [
            ("", "https://ghcr.io/v2/", true),
            ("", "https://localhost:5000/", false),
            ("", "https://127.0.0.1/", false),
            ("", "https://[::1]/", false),
            ("", "https://registry.localhost/", false),
            ("ghcr.io", "https://ghcr.io/v2/", false),
            ("GHCR.io", "https://ghcr.io/v2/", false),
            ("ghcr.io", "https://pkg.ghcr.io/", false),
            (".example.com", "https://r.example.com/", false),
            ("*.example.com", "https://r.example.com/", false),
            ("example.com", "https://notexample.com/", true),
            ("a.example, b.example", "https://b.example/", false),
            ("a.example b.example", "https://b.example/", false),
            ("*", "https://ghcr.io/", false),
            ("ghcr.io:443", "https://ghcr.io/", false),
            ("ghcr.io:8443", "https://ghcr.io/", true),
            ("10.0.0.0/8", "https://10.1.2.3/", false),
            ("10.0.0.0/8", "https://11.1.2.3/", true),
            ("10.0.0.0/99", "https://10.0.0.0/", true),
            ("0.0.0.0/0", "https://11.1.2.3/", false),
            ("192.168.1.1", "https://192.168.1.1/", false),
            ("192.168.1.1", "https://192.168.1.10/", true),
            ("fd00::/8", "https://[fd12::1]/", false),
            ("fd00::/8", "https://[fe80::1]/", true),
            ("::1,fd00::1", "https://[fd00::1]/", false),
        ] {
            let routes = proxies("http://proxy.example:3128", none).routes("https").unwrap();
            let url = Url::parse(address).unwrap();
            assert_eq!(routes.describe(&url).is_some(), through, "{address} with NO_PROXY={none}");
        }
    }

    #[test]
    fn which_variable_counts() {
        let secret = |text: &str| Some(Secret::new(text));
        let https = Url::parse("https://ghcr.io/").unwrap();
        let all = Proxies { all: secret("a.example:1"), http: secret("h.example:2"), ..Proxies::default() };
        assert_eq!(all.routes("https").unwrap().describe(&https).as_deref(), Some("a.example:1"));
        let both = Proxies { https: secret("https://s.example"), ..all };
        assert_eq!(both.routes("https").unwrap().describe(&https).as_deref(), Some("s.example"));
        let http = Url::parse("http://r.example/").unwrap();
        assert_eq!(both.routes("http").unwrap().describe(&http).as_deref(), Some("h.example:2"));
        // The name of the proxy for plain HTTP is nothing to HTTPS, and may be anything.
        let other = Proxies { http: secret("socks5://x"), ..Proxies::default() };
        assert_eq!(other.routes("https").unwrap().describe(&https), None);
    }

    #[test]
    fn a_password_is_not_shown() {
        for value in ["ftp://me:hunter2@p.example", "http://me:hunter2@", "http://me:hunter2@p:99999"] {
            let error = proxies(value, "").routes("https").err().unwrap().to_string();
            assert!(error.starts_with("HTTPS_PROXY ") && !error.contains("hunter2"), "{error}");
        }
        let proxies = proxies("http://me:hunter%2B2%25@p.example:3128", "");
        let routes = proxies.routes("https").unwrap();
        let url = Url::parse("https://ghcr.io/").unwrap();
        assert_eq!(routes.describe(&url).as_deref(), Some("p.example:3128"));
        for text in ["hunter%2B2%25", "hunter+2%", "me:hunter+2%", "bWU6aHVudGVyKzIl"] {
            assert_eq!(routes.secrets().hide(text), "[secret]");
        }
        assert!(!format!("{proxies:?}").contains("hunter"));
    }
}
