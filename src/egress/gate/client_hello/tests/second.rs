//! Servers that ask for another hello, one of them real, and clients that name another host in it.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::*;

/// As a server asks again, or does not.
fn answer(random: &[u8; 32]) -> Vec<u8> {
    record(22, &[&[2, 0, 0, 60, 3, 3][..], random, &[0; 24]].concat())
}

fn again() -> Vec<u8> {
    let random = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c";
    let byte = |at: usize| u8::from_str_radix(&random[2 * at..2 * at + 2], 16).unwrap();
    answer(&std::array::from_fn(byte))
}

fn watch(extensions: &[(u16, Vec<u8>)]) -> Watch {
    let all: Vec<_> = [named(NAME.as_bytes())].into_iter().chain(extensions.iter().cloned()).collect();
    Watch::new(&read(&hello(&all)))
}

#[test]
fn the_second_hello_names_the_same_host() {
    let same = hello(&[named(b"API.example.com"), (44, vec![1])]);
    let cipher = record(20, &[1]);
    let mut watch = watch(&[]);
    // Sent ahead of the answer: held back.
    assert_eq!(watch.client(&same), Ok(0));
    watch.server(&again()[..42]);
    assert_eq!(watch.client(&same), Ok(0));
    watch.server(&again());
    assert!(!watch.is_over());
    for cut in 0..same.len() {
        assert_eq!(watch.clone().client(&same[..cut]), Ok(0), "{cut}");
    }
    let all = [&cipher[..], &same, b"what follows"].concat();
    assert_eq!(watch.clone().client(&all[..20]), Ok(6));
    assert_eq!(watch.client(&all), Ok(all.len()));
    assert!(watch.is_over());
}

#[test]
fn the_second_hello_names_another() {
    for (what, bytes, expected) in [
        ("another host", hello(&[named(b"evil.example")]), Refusal::OtherName),
        ("none", hello(&[]), Refusal::OtherName),
        ("two", hello(&[named(NAME.as_bytes()), named(b"evil.example")]), Refusal::Twice(0)),
        ("another message", record(22, &[16, 0, 0, 0]), Refusal::FirstMessage(16)),
        ("data", record(23, b"x"), Refusal::Interleaved(23)),
        ("a long alert", record(21, b"xxx"), Refusal::LongRecord),
    ] {
        let mut watch = watch(&[]);
        watch.server(&again());
        assert_eq!(watch.client(&bytes), Err(expected), "{what}");
    }
    // In a record that is too short to tell, the server may have asked again, too.
    let mut watch = watch(&[]);
    watch.server(&record(22, &again()[5..30]));
    assert_eq!(watch.client(&hello(&[named(b"evil.example")])), Err(Refusal::OtherName));
}

#[test]
fn a_server_that_goes_on_frees_the_client() {
    for bytes in [&answer(&[1; 32])[..], &[21], b"HTTP/1.1 400", &record(22, &[11])] {
        let mut watch = watch(&[]);
        assert_eq!(watch.client(b"\x16\x03\x03\0\x01\x10"), Ok(0));
        watch.server(bytes);
        assert!(watch.is_over());
        assert_eq!(watch.client(b"anything"), Ok(8));
    }
}

#[test]
fn early_data_passes_before_the_second_hello() {
    let mut watch = watch(&[(42, vec![])]);
    let data = [record(20, &[1]), record(23, &[7; 300])].concat();
    // A record passes as it comes.
    assert_eq!(watch.client(&data[..100]), Ok(100));
    let rest = [&data[100..], &hello(&[named(b"evil.example")])].concat();
    assert_eq!(watch.client(&rest), Ok(data.len() - 100));
    watch.server(&again());
    assert_eq!(watch.client(&rest[data.len() - 100..]), Err(Refusal::OtherName));
}

/// A server that takes one curve only, so that it asks again, and what it says and hears.
#[test]
fn a_real_second_hello() {
    let certified = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = ring::default_provider();
    let one = |group| CryptoProvider { kx_groups: vec![group], ..provider.clone() };
    for (groups, asks) in [(provider.kx_groups.clone(), false), (vec![provider.kx_groups[1]], true)] {
        let mut roots = RootCertStore::empty();
        roots.add(certified.cert.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(provider.clone()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerConfig::builder_with_provider(Arc::new(one(groups[0])))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key.clone_key())
            .unwrap();
        let mut client =
            ClientConnection::new(Arc::new(config), ServerName::try_from(NAME).unwrap()).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        let read = read(&hello);
        let mut watch = Watch::new(&read);
        server.read_tls(&mut &hello[..]).unwrap();
        server.process_new_packets().unwrap();
        let mut answered = Vec::new();
        server.write_tls(&mut answered).unwrap();
        watch.server(&answered);
        assert_eq!(watch.is_over(), !asks);
        client.read_tls(&mut &answered[..]).unwrap();
        client.process_new_packets().unwrap();
        let mut second = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut second).unwrap();
        }
        assert_eq!(watch.client(&second), Ok(second.len()));
        assert!(watch.is_over());
    }
}
