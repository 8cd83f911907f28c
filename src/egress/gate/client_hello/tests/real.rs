//! Hellos as programs send them, and what those make of an alert.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Error, RootCertStore, SupportedProtocolVersion,
};

use super::*;
use crate::egress::gate::alert::{self, Alert};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

#[test]
fn recorded_ones() {
    // Which program, the name it was to ask for, and how many protocols it offers.
    for (program, hex, name, protocols) in [
        ("openssl s_client", include_str!("../hellos/openssl-1.3.hex"), Some(NAME), 0),
        ("openssl s_client -tls1_2", include_str!("../hellos/openssl-1.2-alpn.hex"), Some(NAME), 2),
        ("openssl s_client -noservername", include_str!("../hellos/openssl-no-name.hex"), None, 0),
        ("curl", include_str!("../hellos/curl.hex"), Some(NAME), 2),
        ("Node.js", include_str!("../hellos/node.hex"), Some(NAME), 1),
        ("Python", include_str!("../hellos/python.hex"), Some(NAME), 0),
        ("Python, to an address", include_str!("../hellos/python-address.hex"), None, 0),
        ("Java", include_str!("../hellos/java.hex"), Some(NAME), 0),
        // Its key share makes it larger than a segment on most links.
        ("Claude Code", include_str!("../hellos/claude-code.hex"), Some("localhost"), 1),
    ] {
        let bytes = bytes(hex);
        let read = read(&bytes);
        assert_eq!(read.server_name.as_ref().map(HostName::as_str), name, "{program}");
        assert_eq!((read.len, read.alpn.len(), read.ech), (bytes.len(), protocols, false), "{program}");
        assert_eq!(in_pieces(&bytes, 0..bytes.len()), Outcome::Hello(read), "{program}");
    }
}

fn client(
    versions: &[&'static SupportedProtocolVersion],
    change: impl FnOnce(&mut ClientConfig),
) -> ClientConnection {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    change(&mut config);
    ClientConnection::new(Arc::new(config), ServerName::try_from(NAME).unwrap()).unwrap()
}

fn sent(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

#[test]
fn those_of_rustls() {
    let both = [&TLS12, &TLS13];
    let mut clients = [
        client(&both, |_| {}),
        client(&[&TLS12], |_| {}),
        client(&[&TLS13], |config| config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()]),
        client(&both, |config| config.max_fragment_size = Some(64)),
        client(&both, |config| config.enable_sni = false),
    ];
    let hellos = clients.each_mut().map(|client| {
        let bytes = sent(client);
        let read = read(&bytes);
        assert_eq!(read.len, bytes.len());
        (bytes, read)
    });
    for (_, hello) in &hellos[..4] {
        assert_eq!(hello.server_name.as_ref().map(HostName::as_str), Some(NAME));
    }
    assert_eq!(hellos[2].1.alpn.len(), 2);
    assert!(hellos[3].0[3..5] == [0, 59], "in several records");
    assert_eq!(hellos[4].1.server_name, None);
}

#[test]
fn an_alert_is_understood() {
    for versions in [&[&TLS12][..], &[&TLS13], &[&TLS12, &TLS13]] {
        for (alert, understood) in [
            (Alert::UnrecognizedName, AlertDescription::UnrecognisedName),
            (Alert::AccessDenied, AlertDescription::AccessDenied),
            (Alert::DecodeError, AlertDescription::DecodeError),
            (Alert::InternalError, AlertDescription::InternalError),
        ] {
            let mut client = client(versions, |_| {});
            sent(&mut client);
            client.read_tls(&mut &alert::record(alert)[..]).unwrap();
            assert_eq!(client.process_new_packets().unwrap_err(), Error::AlertReceived(understood));
        }
    }
}
