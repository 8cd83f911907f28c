//! Which proxy stands before a host, from the variables that build tools share.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;

use ureq::{Proxy, ProxyProtocol};

use super::url::Url;

/// Where a proxy is looked for; the first that is not empty counts.
///
/// As in curl the lower case goes first. The last two are meant for plain http, which is never fetched; who sets
/// nothing else means them anyway.
const VARIABLES: [&str; 6] =
    ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy", "HTTP_PROXY"];

/// Hosts that are reached without.
const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// What the environment says about proxies.
#[derive(Debug, Default)]
pub struct Proxies {
    named: Option<Named>,
    exceptions: Vec<String>,
}

/// The proxy, and the variable that it came from.
#[derive(Clone)]
pub struct Named {
    variable: &'static str,
    /// `None` for what is no HTTP proxy.
    proxy: Option<Proxy>,
}

/// A proxy that cannot be used. Its address may hold a password, so it is not repeated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} does not name an HTTP proxy; set it to http://HOST:PORT or http://USER:PASSWORD@HOST:PORT")]
pub struct NotAProxy(&'static str);

impl Proxies {
    /// Reads the environment through `variable`.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &&'static str| Some((*name, variable(name).filter(|value| !value.is_empty())?));
        let named = VARIABLES.iter().find_map(set).map(|(variable, value)| {
            let proxy = value.to_str().and_then(|value| Proxy::new(value.trim()).ok());
            let http = |proxy: &Proxy| matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https);
            Named { variable, proxy: proxy.filter(http) }
        });
        let exceptions =
            EXCEPTIONS.iter().find_map(set).map(|(_, value)| value.to_string_lossy().into_owned());
        let split = |list: String| {
            let entries = list.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty());
            entries.map(str::to_ascii_lowercase).collect()
        };
        Self { named, exceptions: exceptions.map(split).unwrap_or_default() }
    }

    /// The proxy that stands before `url`, if any.
    pub fn before(&self, url: &Url) -> Result<Option<&Named>, NotAProxy> {
        let (host, port) = (url.host().to_ascii_lowercase(), url.port());
        let excepted = || self.exceptions.iter().any(|entry| matches(entry, &host, port));
        match &self.named {
            Some(named) if !url.is_loopback() && !excepted() => {
                if named.proxy.is_some() {
                    Ok(Some(named))
                } else {
                    Err(NotAProxy(named.variable))
                }
            }
            _ => Ok(None),
        }
    }

    /// The proxy, for whatever has to go through it.
    pub fn proxy(&self) -> Option<&Proxy> {
        self.named.as_ref()?.proxy.as_ref()
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.proxy {
            Some(proxy) => write!(f, "{}:{} (from {})", proxy.host(), proxy.port(), self.variable),
            None => f.write_str(self.variable),
        }
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether an entry such as `example.com`, `.example.com:8443`, `[::1]` or `*` means `host`.
///
/// A name means everything below it, too, with and without a dot in front.
fn matches(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let (name, wanted) = split_port(entry);
    if wanted.is_some_and(|wanted| wanted != port.to_string()) {
        return false;
    }
    if let (Ok(a), Ok(b)) = (name.parse::<IpAddr>(), host.parse::<IpAddr>()) {
        return a == b;
    }
    let name = name.trim_start_matches("*.").trim_start_matches('.').trim_end_matches('.');
    let host = host.trim_end_matches('.');
    let below = || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
    !name.is_empty() && (host == name || host.parse::<IpAddr>().is_err() && below())
}

/// The name or address without brackets, and what stands after its colon.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    if let Some(rest) = entry.strip_prefix('[') {
        let (address, after) = rest.split_once(']').unwrap_or((rest, ""));
        return (address, after.strip_prefix(':'));
    }
    match entry.split_once(':') {
        // More than one colon is an address without brackets.
        Some((name, port)) if !port.contains(':') => (name, Some(port)),
        _ => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Proxies {
        Proxies::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        })
    }

    fn before(variables: &[(&str, &str)], url: &str) -> String {
        match read(variables).before(&Url::parse(url).unwrap()) {
            Ok(None) => "direct".to_owned(),
            Ok(Some(named)) => named.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_first_variable_that_is_set() {
        let url = "https://h.example/x";
        for (variables, want) in [
            (&[][..], "direct"),
            (&[("HTTPS_PROXY", "")], "direct"),
            (&[("HTTPS_PROXY", "http://p:3128")], "p:3128 (from HTTPS_PROXY)"),
            (&[("HTTPS_PROXY", " p:3128 ")], "p:3128 (from HTTPS_PROXY)"),
            (&[("https_proxy", "p:1"), ("HTTPS_PROXY", "q:2")], "p:1 (from https_proxy)"),
            (&[("https_proxy", ""), ("HTTPS_PROXY", "q:2")], "q:2 (from HTTPS_PROXY)"),
            (&[("ALL_PROXY", "https://p")], "p:443 (from ALL_PROXY)"),
            (&[("HTTP_PROXY", "http://p"), ("all_proxy", "q:2")], "q:2 (from all_proxy)"),
            (&[("HTTP_PROXY", "http://p")], "p:80 (from HTTP_PROXY)"),
            (&[("HTTPS_PROXY", "http://me:secret@p:3128/")], "p:3128 (from HTTPS_PROXY)"),
            (&[("HTTPS_PROXY", "http://[2001:db8::1]:3128/")], "[2001:db8::1]:3128 (from HTTPS_PROXY)"),
        ] {
            assert_eq!(before(variables, url), want, "{variables:?}");
        }
        for bad in [
            "socks5://me:secret@p:1080",
            "ftp://me:secret@p",
            "http://",
            "http://me:secret@p p",
            "me:sec%ret@",
        ] {
            let error = before(&[("ALL_PROXY", bad)], url);
            assert!(error.starts_with("ALL_PROXY does not name an HTTP proxy"), "{bad}: {error}");
            assert!(
                !error.contains("secret") && !format!("{:?}", read(&[("ALL_PROXY", bad)])).contains("secret")
            );
            // Nobody is told about a proxy that is not needed.
            assert_eq!(before(&[("ALL_PROXY", bad), ("NO_PROXY", "*")], url), "direct");
            assert_eq!(before(&[("ALL_PROXY", bad)], "http://127.0.0.1:1/"), "direct");
        }
        assert!(!format!("{:?}", read(&[("HTTPS_PROXY", "http://me:secret@p:1")])).contains("secret"));
        let credentials = read(&[("HTTPS_PROXY", "http://me:s%40cret@p:1")]);
        assert_eq!(credentials.proxy().unwrap().password(), Some("s@cret"));
    }

    #[test]
    fn exceptions() {
        for (entry, host, port, want) in [
            ("*", "h.example", 443, true),
            ("h.example", "h.example", 443, true),
            ("H.Example", "h.example", 443, true),
            ("h.example", "h.example.", 443, true),
            ("h.example", "a.h.example", 443, true),
            (".h.example", "a.h.example", 443, true),
            (".h.example", "h.example", 443, true),
            ("*.h.example", "a.b.h.example", 443, true),
            ("h.example", "xh.example", 443, false),
            ("h.example", "h.example.org", 443, false),
            ("example", "h.example", 443, true),
            ("h.example:443", "h.example", 443, true),
            ("h.example:8443", "h.example", 443, false),
            (".h.example:8443", "a.h.example", 8443, true),
            ("h.example:", "h.example", 443, false),
            ("", "h.example", 443, false),
            (".", "h.example", 443, false),
            ("192.0.2.1", "192.0.2.1", 443, true),
            ("192.0.2.1:8443", "192.0.2.1", 443, false),
            ("2.1", "192.0.2.1", 443, false),
            ("2001:db8::1", "2001:db8:0::1", 443, true),
            ("[2001:db8::1]", "2001:db8::1", 443, true),
            ("[2001:db8::1]:8443", "2001:db8::1", 443, false),
            ("[2001:db8::1]:443", "2001:db8::1", 443, true),
        ] {
            assert_eq!(matches(&entry.to_ascii_lowercase(), host, port), want, "{entry} {host}:{port}");
        }
        let both = [("HTTPS_PROXY", "p:1"), ("NO_PROXY", "a.example, b.example\tc.example:8443")];
        for (url, want) in [
            ("https://a.example/", "direct"),
            ("https://B.example/", "direct"),
            ("https://c.example:8443/", "direct"),
            ("https://c.example/", "p:1 (from HTTPS_PROXY)"),
            ("https://d.example/", "p:1 (from HTTPS_PROXY)"),
        ] {
            assert_eq!(before(&both, url), want, "{url}");
        }
        let lower_first = [("HTTPS_PROXY", "p:1"), ("NO_PROXY", "a.example"), ("no_proxy", "b.example")];
        assert_eq!(before(&lower_first, "https://a.example/"), "p:1 (from HTTPS_PROXY)");
    }
}
