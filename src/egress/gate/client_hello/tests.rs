//! Hellos of real programs, hellos made by hand that lie, and random ones.

mod lies;
mod real;
mod second;

use super::*;
use proptest::prelude::*;

const NAME: &str = "api.example.com";

/// Bytes behind their length in one byte.
fn short(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// Bytes behind their length in two bytes.
fn long(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// A `server_name` extension's data.
fn names(names: &[(u8, &[u8])]) -> Vec<u8> {
    long(&names.iter().flat_map(|(kind, name)| [vec![*kind], long(name)].concat()).collect::<Vec<u8>>())
}

fn named(name: &[u8]) -> (u16, Vec<u8>) {
    (0, names(&[(0, name)]))
}

/// The outer form of an encrypted hello.
fn encrypted() -> Vec<u8> {
    [&[0, 0, 1, 0, 1, 7][..], &long(&[5; 32]), &long(&[9; 200])].concat()
}

/// A hello's body up to its extensions.
fn start() -> Vec<u8> {
    [&[3, 3][..], &[7; 32], &short(&[8; 32]), &long(&[0x13, 1, 0x13, 2]), &short(&[0])].concat()
}

fn body(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let list: Vec<u8> =
        extensions.iter().flat_map(|(kind, data)| [&kind.to_be_bytes()[..], &long(data)].concat()).collect();
    [start(), long(&list)].concat()
}

fn message(body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1], &len[1..], body].concat()
}

fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &long(payload)].concat()
}

/// A message in records of that many bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|part| record(22, part)).collect()
}

fn hello(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    records(&message(&body(extensions)), MAX_RECORD)
}

fn once(bytes: &[u8]) -> Outcome {
    Reader::default().read(bytes)
}

/// Feeds the bytes up to each cut, and stops at the first outcome.
fn in_pieces(bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> Outcome {
    let mut reader = Reader::default();
    let mut last = 0;
    for cut in cuts.into_iter().chain([bytes.len()]) {
        last = last.max(cut.min(bytes.len()));
        match reader.read(&bytes[..last]) {
            Outcome::More => {}
            outcome => return outcome,
        }
    }
    Outcome::More
}

fn read(bytes: &[u8]) -> Hello {
    match once(bytes) {
        Outcome::Hello(hello) => hello,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_read() {
    let alpn = long(&[short(b"h2"), short(b"http/1.1")].concat());
    let bytes = hello(&[(10, vec![0, 2, 0, 29]), named(b"API.Example.COM"), (16, alpn), (42, vec![])]);
    let read = read(&[&bytes[..], b"early data"].concat());
    assert_eq!(read.server_name.as_ref().map(HostName::as_str), Some(NAME));
    assert_eq!((read.len, read.ech, read.early_data), (bytes.len(), false, true));
    assert_eq!(read.alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
}

#[test]
fn hellos_without_a_name() {
    for bytes in [hello(&[]), hello(&[(10, vec![])]), records(&message(&start()), MAX_RECORD)] {
        let read = read(&bytes);
        assert_eq!((read.server_name, read.len), (None, bytes.len()));
    }
}

#[test]
fn encrypted_hellos_show_their_outer_name() {
    for (kind, data) in [(0xfe0d, encrypted()), (0xfe09, vec![1, 2]), (0xffce, vec![])] {
        let read = read(&hello(&[(kind, data), named(NAME.as_bytes())]));
        assert!(read.ech, "{kind:x}");
        assert_eq!(read.server_name.as_ref().map(HostName::as_str), Some(NAME));
    }
}

#[test]
fn every_size_of_record_and_every_cut() {
    let message = message(&body(&[named(NAME.as_bytes())]));
    for size in 1..=message.len() {
        let bytes = records(&message, size);
        let Outcome::Hello(whole) = once(&bytes) else { panic!("{size}") };
        assert_eq!(whole.len, bytes.len());
        for cut in 0..bytes.len() {
            assert_eq!(once(&bytes[..cut]), Outcome::More, "records of {size}, cut at {cut}");
        }
        assert_eq!(in_pieces(&bytes, 0..bytes.len()), Outcome::Hello(whole));
    }
}

#[test]
fn large_ones() {
    // With the largest ticket that fits, and one byte more.
    let fixed = hello(&[named(NAME.as_bytes()), (41, vec![])]).len();
    let records = 2 * RECORD_HEADER;
    let most = MAX_BYTES - (fixed - RECORD_HEADER) - records;
    let make = |len| hello(&[named(NAME.as_bytes()), (41, vec![0; len])]);
    assert_eq!(read(&make(most)).len, MAX_BYTES);
    assert_eq!(once(&make(most + 1)), Outcome::Refused(Refusal::TooLong));
}

/// No panic, the same outcome in pieces, and never more than is there.
fn holds(bytes: &[u8], cuts: &[prop::sample::Index]) -> Result<(), TestCaseError> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let outcome = once(bytes);
    prop_assert_eq!(&in_pieces(bytes, cuts), &outcome);
    prop_assert_eq!(&in_pieces(bytes, 0..bytes.len()), &outcome);
    if let Outcome::Hello(hello) = outcome {
        prop_assert!(hello.len <= bytes.len());
        prop_assert_eq!(once(&bytes[..hello.len]), Outcome::Hello(hello));
    }
    Ok(())
}

proptest! {
    #[test]
    fn random_bytes(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        tls in any::<bool>(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let bytes = if tls { records(&message(&bytes), 100) } else { bytes };
        holds(&bytes, &cuts)?;
    }

    #[test]
    fn changed_hellos(
        extensions in proptest::collection::vec(
            (0..60_u16, proptest::collection::vec(any::<u8>(), 0..20)), 0..6),
        name in "[a-zA-Z0-9.-]{0,20}",
        size in 1..400_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let all: Vec<_> = extensions.into_iter().chain([named(name.as_bytes())]).collect();
        let mut bytes = records(&message(&body(&all)), size);
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        holds(&bytes, &cuts)?;
    }
}
