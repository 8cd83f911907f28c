//! A head as the server gets it.

use super::authority::Host;
use super::fields::{self, Kind, Upgrade};
use super::head::{Form, Head, Version};
use super::{Body, HTTP_PORT};

impl Head {
    /// Writes the head anew, from the bytes that it was read from: the target as to a server, `Host` first and as it
    /// was understood, no field that is between the client and a proxy (RFC 9110 section 7.6.1), and no `Expect`.
    /// `None` for CONNECT, of which the server hears nothing.
    ///
    /// The result is at most some thirty bytes longer than the head.
    pub fn forward(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.form == Form::Authority {
            return None;
        }
        let head = bytes.get(..self.len)?;
        let path = head.get(self.path.clone())?;
        let mut out = Vec::with_capacity(self.len + 32);
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        match path {
            // RFC 9112 section 3.2.4: OPTIONS for a whole server.
            [] if self.method == "OPTIONS" => out.push(b'*'),
            [b'/' | b'*', ..] => {}
            _ => out.push(b'/'),
        }
        out.extend_from_slice(path);
        out.extend_from_slice(match self.version {
            Version::Http10 => b" HTTP/1.0\r\nHost: ",
            Version::Http11 => b" HTTP/1.1\r\nHost: ",
        });
        match &self.authority.host {
            Host::Name(name) => out.extend_from_slice(name.as_str().as_bytes()),
            Host::Address(text) => out.extend_from_slice(text.as_bytes()),
        }
        if let Some(port) = self.authority.port.filter(|port| *port != HTTP_PORT) {
            out.extend_from_slice(format!(":{port}").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        for line in head.split_inclusive(|byte| *byte == b'\n').skip(1) {
            let Ok((name, _)) = fields::split(line) else { continue };
            if matches!(fields::kind(name), Ok(Kind::Other | Kind::Length | Kind::Coding)) {
                out.extend_from_slice(line);
            }
        }
        if self.upgrade == Some(Upgrade::WebSocket) {
            debug_assert_eq!(self.body, Body::None);
            out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
        } else if self.close {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        Some(out)
    }
}
