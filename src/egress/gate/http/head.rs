//! The head of a request: its first line and its fields (RFC 9112 sections 2, 3, 5 and 6).

use std::ops::Range;

use super::authority::{Authority, Host};
use super::fields::{Fields, Upgrade};
use super::{HTTP_PORT, MAX_FIELDS, MAX_HEAD, MAX_LINE, MAX_METHOD, Refusal, is_token};

/// A version of HTTP/1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: one request, then the end.
    Http10,
    /// HTTP/1.1
    Http11,
}

/// How a target is written (RFC 9112 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `/path`, as to the server itself.
    Origin,
    /// `http://host/path`, as to a proxy.
    Absolute,
    /// `host:port` behind CONNECT.
    Authority,
    /// `*` behind OPTIONS.
    Asterisk,
}

/// Where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    None,
    /// After that many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
}

/// A request's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How many bytes it has.
    pub len: usize,
    /// Its method, at most [`MAX_METHOD`] characters, as sent.
    pub method: String,
    /// Its version.
    pub version: Version,
    /// How its target is written.
    pub form: Form,
    /// Whom it is for: the target's host, which `Host` does not contradict, or that of `Host`. Behind CONNECT there
    /// always is a port.
    pub authority: Authority,
    /// Where its body ends.
    pub body: Body,
    /// Whether no other request may follow.
    pub close: bool,
    /// What the connection is to become.
    pub upgrade: Option<Upgrade>,
    /// Whether the client waits for [`CONTINUE`](super::CONTINUE) before it sends the body. The caller sends that by
    /// itself: servers and proxies disagree on what follows a head that the server has turned down.
    pub expects_continue: bool,
    /// What the server is asked for, in the bytes of the head.
    pub(super) path: Range<usize>,
}

impl Head {
    /// The name that the request is for, unless it is an address.
    pub fn name(&self) -> Option<&crate::policy::HostName> {
        match &self.authority.host {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        }
    }

    /// Whether it asks a proxy for a tunnel.
    pub fn is_connect(&self) -> bool {
        self.form == Form::Authority
    }
}

/// Reads a head that comes in pieces.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    /// How far the bytes were looked at.
    at: usize,
    /// Where the present line begins.
    line: usize,
    first: Option<FirstLine>,
    fields: Fields,
}

#[derive(Debug, Clone)]
struct FirstLine {
    method: String,
    version: Version,
    form: Form,
    authority: Option<Authority>,
    path: Range<usize>,
}

impl Reader {
    /// Reads on. `bytes` is all that came since the head began, so it only grows from call to call. `None` asks for
    /// more; after a head or a refusal it is to be dropped.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<Head>, Refusal> {
        while let Some(byte) = bytes.get(self.at) {
            let after_cr = self.at > self.line && bytes[self.at - 1] == b'\r';
            match byte {
                b'\n' if !after_cr => return Err(Refusal::BareLf),
                _ if after_cr && *byte != b'\n' => return Err(Refusal::BareCr),
                b'\t' | b'\r' | b'\n' | b' '..=b'~' | 0x80..=0xff => {}
                control => return Err(Refusal::Control(*control)),
            }
            if self.at >= MAX_HEAD {
                return Err(Refusal::LongHead);
            }
            // With its end, of two bytes.
            if self.at - self.line > MAX_LINE + 1 {
                return Err(Refusal::LongLine);
            }
            self.at += 1;
            if *byte == b'\n' {
                let line = &bytes[self.line..self.at - 2];
                self.line = self.at;
                if self.take(line)? {
                    return std::mem::take(self).finish().map(Some);
                }
            }
        }
        Ok(None)
    }

    /// Takes in one line; `true` says that it was the empty one behind the last field.
    fn take(&mut self, line: &[u8]) -> Result<bool, Refusal> {
        match (&self.first, line) {
            (None, []) => Err(Refusal::EmptyLine),
            (None, line) => {
                self.first = Some(FirstLine::parse(line)?);
                Ok(false)
            }
            (Some(_), []) => Ok(true),
            (Some(_), line) => {
                self.fields.count += 1;
                if self.fields.count > MAX_FIELDS {
                    return Err(Refusal::ManyFields);
                }
                self.fields.take(line)?;
                Ok(false)
            }
        }
    }

    fn finish(self) -> Result<Head, Refusal> {
        let FirstLine { method, version, form, authority, path } = self.first.ok_or(Refusal::EmptyLine)?;
        let fields = self.fields;
        let new = version == Version::Http11;
        let body = match (fields.chunked.is_some(), fields.length) {
            (true, Some(_)) => return Err(Refusal::BothLengths),
            (true, None) if !new => return Err(Refusal::OldChunked),
            (true, None) => Body::Chunked,
            (false, Some(length)) => Body::Length(length),
            (false, None) => Body::None,
        };
        let default = if form == Form::Authority { authority.as_ref().and_then(|a| a.port) } else { None };
        let authority = match (authority, fields.host) {
            (Some(target), Some(host)) if !target.same(&host, default.unwrap_or(HTTP_PORT)) => {
                return Err(Refusal::OtherHost);
            }
            (Some(target), host) if host.is_some() || !new => target,
            (None, Some(host)) => host,
            (_, None) | (Some(_), Some(_)) => return Err(Refusal::NoHost),
        };
        // HTTP/1.0 knows neither this nor Expect (RFC 9110 sections 7.8 and 10.1.1), and who closes becomes nothing.
        let upgrade = fields.upgrade.filter(|_| new && fields.upgrades && !fields.close);
        let bodiless = form == Form::Authority || upgrade == Some(Upgrade::WebSocket);
        if bodiless && body != Body::None {
            return Err(Refusal::NoBody);
        }
        Ok(Head {
            len: self.at,
            method,
            version,
            form,
            authority,
            body,
            close: fields.close || !new,
            upgrade,
            expects_continue: fields.expects.is_some() && new,
            path,
        })
    }
}

impl FirstLine {
    /// `METHOD target HTTP/1.1`
    fn parse(line: &[u8]) -> Result<Self, Refusal> {
        if line == b"PRI * HTTP/2.0" {
            return Err(Refusal::Http2);
        }
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), version, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::RequestLine);
        };
        if !is_token(method) || method.len() > MAX_METHOD {
            return Err(Refusal::Method);
        }
        let version = match version {
            Some(b"HTTP/1.1") => Version::Http11,
            Some(b"HTTP/1.0") => Version::Http10,
            Some(_) => return Err(Refusal::Version),
            None => return Err(Refusal::Http09),
        };
        if target.is_empty() {
            return Err(Refusal::RequestLine);
        }
        if !target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
            return Err(Refusal::Target);
        }
        let start = method.len() + 1;
        let (form, authority, path) = match target {
            target if method == b"CONNECT" => {
                let authority = Authority::parse(target).map_err(|refusal| match refusal {
                    Refusal::BadHost | Refusal::NoHost if target.contains(&b'/') => Refusal::Form,
                    other => other,
                })?;
                authority.port.ok_or(Refusal::Port)?;
                (Form::Authority, Some(authority), 0)
            }
            b"*" if method == b"OPTIONS" => (Form::Asterisk, None, 0),
            [b'/', ..] => (Form::Origin, None, 0),
            target => {
                let (authority, path) = absolute(target)?;
                (Form::Absolute, Some(authority), path)
            }
        };
        let path = start + path..start + target.len();
        Ok(Self { method: String::from_utf8_lossy(method).into_owned(), version, form, authority, path })
    }
}

/// `http://host:port/path`: the authority, and where the path begins.
fn absolute(target: &[u8]) -> Result<(Authority, usize), Refusal> {
    const SCHEME: &[u8] = b"http://";
    let Some((scheme, rest)) = target.split_at_checked(SCHEME.len()) else { return Err(Refusal::Form) };
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        let other = target.windows(3).any(|window| window == b"://");
        return Err(if other { Refusal::Scheme } else { Refusal::Form });
    }
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    Ok((Authority::parse(&rest[..end])?, SCHEME.len() + end))
}
