//! Where the installer may fetch from: `https`, and plain `http` only from this machine itself.

use std::fmt;
use std::net::IpAddr;

use ureq::http::Uri;

/// An absolute URL that was checked to be safe to fetch from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(Box<Uri>);

/// Why a text is not a URL the installer fetches from.
///
/// The text itself is never repeated when it holds a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not an absolute URL.
    #[error("`{0}` is not an absolute URL; write it as https://host/path")]
    NotAbsolute(String),
    /// A scheme other than http and https.
    #[error("`{0}` has a scheme other than https; only https is fetched")]
    Scheme(String),
    /// A user or password in front of the host.
    #[error(
        "the URL for the host `{0}` holds a user or password, which would end up in the image; remove it"
    )]
    Credentials(String),
    /// Plain http to another machine.
    #[error("`{0}` is plain http, which anybody on the way can change; use https")]
    PlainHttp(String),
}

impl Url {
    /// Reads an absolute URL.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let not_absolute = || UrlError::NotAbsolute(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| not_absolute())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(not_absolute());
        };
        if authority.as_str().contains('@') {
            return Err(UrlError::Credentials(authority.host().to_owned()));
        }
        if authority.host().is_empty() {
            return Err(not_absolute());
        }
        match scheme {
            "https" => Ok(Self(Box::new(uri))),
            "http" if is_loopback(authority.host()) => Ok(Self(Box::new(uri))),
            "http" => Err(UrlError::PlainHttp(text.to_owned())),
            _ => Err(UrlError::Scheme(text.to_owned())),
        }
    }

    /// Appends `path` to the folder that this URL names, with exactly one slash between.
    pub fn join(&self, path: &str) -> Result<Self, UrlError> {
        let base = self.origin() + self.0.path().trim_end_matches('/');
        Self::parse(&format!("{base}/{}", path.trim_start_matches('/')))
    }

    /// The folder that holds everything on this host.
    pub fn root(&self) -> Result<Self, UrlError> {
        Self::parse(&self.origin())
    }

    /// Where a redirect from here with this `Location` leads.
    pub fn redirect(&self, location: &str) -> Result<Self, UrlError> {
        if location.starts_with("//") {
            let scheme = self.0.scheme_str().unwrap_or("https");
            Self::parse(&format!("{scheme}:{location}"))
        } else if location.starts_with('/') {
            Self::parse(&(self.origin() + location))
        } else {
            Self::parse(location)
        }
    }

    /// The host, an address without its brackets.
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, also where it is not written.
    pub fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.0.scheme_str() == Some("http") { 80 } else { 443 })
    }

    /// Whether the host is this machine, which no proxy stands before.
    pub fn is_loopback(&self) -> bool {
        self.0.host().is_some_and(is_loopback)
    }

    /// The parsed form that the HTTP client takes.
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    fn origin(&self) -> String {
        let scheme = self.0.scheme_str().unwrap_or("https");
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        format!("{scheme}://{authority}")
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A query may carry a signature; scheme, host and path are what a reader needs.
        write!(f, "{}{}", self.origin(), self.0.path())
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_anywhere_and_http_at_home() {
        for good in [
            "https://registry.example.com",
            "https://registry.example.com:8443/npm/",
            "http://127.0.0.1:4873",
            "http://127.9.9.9/",
            "http://[::1]:4873/",
            "http://localhost:4873/a/b",
            "http://LOCALHOST/",
        ] {
            assert!(Url::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let cases = [
            ("", "not an absolute URL"),
            ("registry.example.com", "not an absolute URL"),
            ("/path", "not an absolute URL"),
            ("https://", "not an absolute URL"),
            ("https:// x/", "not an absolute URL"),
            ("ftp://registry.example.com/", "only https"),
            ("file://host/etc/passwd", "only https"),
            ("http://registry.example.com/", "plain http"),
            ("http://127.0.0.1.example.com/", "plain http"),
            ("http://localhost.example.com/", "plain http"),
            ("http://10.0.0.1/", "plain http"),
            ("https://me:secret@registry.example.com/", "user or password"),
        ];
        for (text, part) in cases {
            let error = Url::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn joins_with_one_slash() {
        for (base, path, want) in [
            ("https://r.example", "@a%2fb", "https://r.example/@a%2fb"),
            ("https://r.example/", "@a%2fb", "https://r.example/@a%2fb"),
            ("https://r.example:1/npm", "/x", "https://r.example:1/npm/x"),
            ("https://r.example/npm///", "x", "https://r.example/npm/x"),
        ] {
            assert_eq!(Url::parse(base).unwrap().join(path).unwrap().to_string(), want);
        }
    }

    #[test]
    fn a_redirect_never_weakens() {
        let here = Url::parse("https://r.example/a/b?c").unwrap();
        for (location, want) in [
            ("/x", Some("https://r.example/x")),
            ("//cdn.example/x", Some("https://cdn.example/x")),
            ("https://cdn.example/x", Some("https://cdn.example/x")),
            ("http://cdn.example/x", None),
            ("sibling", None),
        ] {
            let got = here.redirect(location).ok().map(|url| url.to_string());
            assert_eq!(got.as_deref(), want, "{location}");
        }
    }
}
