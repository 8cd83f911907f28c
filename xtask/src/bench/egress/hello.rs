//! What the two sides say first: a real client's hello, and the beginning of a server's.

use std::sync::Arc;

use anyhow::Context as _;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// A server's hello that asks for no second one; nobody here reads more of it than its first bytes.
pub(super) const ANSWER: [u8; 53] = answer();
/// What a client sends next: a record that says what the connection is for.
pub(super) const PURPOSE: usize = 6;

/// What a connection is for, once its hello was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Purpose {
    /// The server sends.
    Down = b'd',
    /// The client sends.
    Up = b'u',
    /// Both do.
    Both = b'b',
    /// The server sends back what it got.
    Echo = b'e',
}

impl Purpose {
    /// The record that says so.
    pub(super) const fn record(self) -> [u8; PURPOSE] {
        [23, 3, 3, 0, 1, self as u8]
    }

    /// What a record says.
    pub(super) fn read(record: &[u8]) -> Option<Self> {
        let all = [Self::Down, Self::Up, Self::Both, Self::Echo];
        all.into_iter().find(|purpose| record.starts_with(&purpose.record()))
    }
}

const fn answer() -> [u8; 53] {
    let mut bytes = [7; 53];
    let head = [22, 3, 3, 0, 48, 2, 0, 0, 44, 3, 3];
    let mut at = 0;
    while at < head.len() {
        bytes[at] = head[at];
        at += 1;
    }
    bytes
}

/// The hello that rustls sends to a host.
pub(super) fn for_host(name: &str) -> anyhow::Result<Vec<u8>> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from(name.to_owned()).context("a host name")?;
    let mut client = ClientConnection::new(Arc::new(config), name)?;
    let mut hello = Vec::new();
    client.write_tls(&mut hello)?;
    Ok(hello)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_names_its_host_and_a_purpose_reads_back() {
        let hello = for_host("api.bench.example").unwrap();
        assert!(hello.starts_with(&[22, 3, 1]) && hello[5] == 1);
        assert!(hello.windows(17).any(|part| part == b"api.bench.example"));
        assert_eq!(Purpose::read(&Purpose::Both.record()), Some(Purpose::Both));
        assert_eq!(Purpose::read(b"GET / HTTP/1.1"), None);
        assert_eq!(usize::from(u16::from_be_bytes([ANSWER[3], ANSWER[4]])) + 5, ANSWER.len());
    }
}
