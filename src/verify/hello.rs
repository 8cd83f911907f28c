//! A TLS hello to try with: it names a host and nobody can finish a handshake with it.

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// A server goes on with the handshake.
    Handshake,
    /// A fatal alert (RFC 8446 section 6), and which.
    Alert(u8),
}

/// Alerts that the gate sends.
pub(super) const ACCESS_DENIED: u8 = 49;
/// The gate could not connect.
pub(super) const INTERNAL_ERROR: u8 = 80;

/// A hello for TLS 1.2 and 1.3 (RFC 8446 section 4.1.2). It has no key share, so a server of 1.3 asks for another one.
pub(super) fn client_hello(name: &str) -> Vec<u8> {
    let name = name.as_bytes();
    let host = [&[0][..], &sized(name)].concat();
    let extensions = [
        extension(0, &sized(&host)),
        // X25519 and P-256.
        extension(10, &sized(&[0, 29, 0, 23])),
        extension(11, &[1, 0]),
        // ECDSA with P-256, RSA-PSS and RSA, each with SHA-256.
        extension(13, &sized(&[4, 3, 8, 4, 4, 1])),
        extension(43, &[4, 3, 4, 3, 3]),
        extension(51, &sized(&[])),
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[0x5a; 32],
        &[0],
        // Of TLS 1.3 the one that everybody has, of 1.2 four that servers have today.
        &sized(&[0x13, 0x01, 0xc0, 0x2b, 0xc0, 0x2f, 0xcc, 0xa9, 0xcc, 0xa8]),
        &[1, 0],
        &sized(&extensions),
    ]
    .concat();
    let message = [&[1, 0][..], &sized(&body)].concat();
    [&[22, 3, 1][..], &sized(&message)].concat()
}

/// The first record of an answer.
pub(super) fn read(bytes: &[u8]) -> Option<Reply> {
    match bytes {
        [22, 3, ..] => Some(Reply::Handshake),
        [21, 3, _, 0, 2, _, alert, ..] => Some(Reply::Alert(*alert)),
        _ => None,
    }
}

fn extension(number: u16, data: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &sized(data)].concat()
}

/// With its length in two bytes before it.
fn sized(data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes()[..], data].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::gate::client_hello::{Outcome, Reader};

    #[test]
    fn it_reads_as_one() {
        let hello = client_hello("api.example");
        let Outcome::Hello(read) = Reader::default().read(&hello) else { panic!("it does not read") };
        assert_eq!(read.server_name.unwrap().as_str(), "api.example");
        assert_eq!(read.len, hello.len());
    }

    #[test]
    fn answers() {
        let denied = crate::egress::gate::alert::record(crate::egress::gate::alert::Alert::AccessDenied);
        assert_eq!(read(&denied), Some(Reply::Alert(ACCESS_DENIED)));
        assert_eq!(read(&[22, 3, 3, 0, 80, 2]), Some(Reply::Handshake));
        assert_eq!(read(b"HTTP/1.1 400"), None);
        assert_eq!(read(&[]), None);
    }
}
