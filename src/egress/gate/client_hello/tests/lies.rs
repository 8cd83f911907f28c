//! What is refused, and what it would do otherwise.

use super::*;

type Extension = (u16, Vec<u8>);

fn refusal(bytes: &[u8]) -> Refusal {
    let Outcome::Refused(refusal) = once(bytes) else { panic!("{:?}", once(bytes)) };
    assert_eq!(in_pieces(bytes, 0..bytes.len()), Outcome::Refused(refusal), "in pieces");
    refusal
}

#[test]
fn what_is_no_tls() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"SSH-2.0-x\r\n",
        b"\0\0\0\x0d",
        // Types of records with a version that is none.
        &[22, 2, 0],
        &[23, 9],
        // A length as SSL 2.0 has it, with another message.
        &[0x80, 0x2e, 4],
        &[0xff, 0xff, 0xff],
    ] {
        assert_eq!(once(bytes), Outcome::NotTls, "{bytes:?}");
    }
    for bytes in [&b""[..], &[22], &[22, 3], &[21], &[0x80], &[0x80, 0x2e]] {
        assert_eq!(once(bytes), Outcome::More, "{bytes:?}");
    }
}

/// Around the message: a gate that skips or joins what the server does not, or the other way round, sees another hello.
#[test]
fn records_that_are_refused() {
    let whole = message(&body(&[named(NAME.as_bytes())]));
    let (first, rest) = whole.split_at(20);
    let part = record(22, first);
    let cases: [(&str, Vec<u8>, Refusal); 17] = [
        ("SSL 2.0 has no names", vec![0x80, 0x2e, 1, 3, 1], Refusal::Sslv2),
        ("a change of cipher first", record(20, &[1]), Refusal::FirstRecord(20)),
        ("an alert first", record(21, &[1, 0]), Refusal::FirstRecord(21)),
        ("data first", record(23, b"x"), Refusal::FirstRecord(23)),
        ("a heartbeat first", record(24, b"x"), Refusal::FirstRecord(24)),
        ("an alert between", [part.clone(), record(21, &[1, 90])].concat(), Refusal::Interleaved(21)),
        ("a change of cipher between", [part.clone(), record(20, &[1])].concat(), Refusal::Interleaved(20)),
        ("data between", [part.clone(), record(23, rest)].concat(), Refusal::Interleaved(23)),
        ("a record of nothing", record(22, &[]), Refusal::EmptyRecord),
        ("nothing between", [part.clone(), record(22, &[])].concat(), Refusal::EmptyRecord),
        ("a record that is too long", vec![22, 3, 1, 0x40, 1], Refusal::LongRecord),
        ("a version that is none", vec![22, 3, 5], Refusal::RecordVersion(5)),
        ("another one later", [part.clone(), vec![22, 2]].concat(), Refusal::Malformed("a record's version")),
        ("a server's hello", record(22, &[2, 0, 0, 0]), Refusal::FirstMessage(2)),
        ("a request for a hello", record(22, &[0, 0, 0, 0]), Refusal::FirstMessage(0)),
        ("endless", record(22, &[1, 1, 0, 0]), Refusal::TooLong),
        ("two hellos in one record", record(22, &[whole.clone(), whole.clone()].concat()), Refusal::Behind),
    ];
    for (what, bytes, expected) in cases {
        assert_eq!(refusal(&bytes), expected, "{what}");
        assert!(!expected.to_string().is_empty());
    }
    // Records of one byte each, for ever: five sixths of them are headers.
    let drip: Vec<u8> = message(&[0; 8000]).iter().flat_map(|byte| record(22, &[*byte])).collect();
    assert_eq!(refusal(&drip), Refusal::TooLong);
    // The last record holds one byte more than the message.
    let more = [record(22, first), record(22, &[rest, &[0]].concat())].concat();
    assert_eq!(refusal(&more), Refusal::Behind);
}

/// Names that a server may take for others than we do, or that say nothing of where it goes.
#[test]
fn names_that_are_refused() {
    let host: &[u8] = b"api.example.com";
    let cases: [(&str, Vec<u8>, Refusal); 22] = [
        ("two names", names(&[(0, host), (0, b"evil.example")]), Refusal::Names),
        ("another kind of name", names(&[(1, host)]), Refusal::Names),
        ("another kind behind", names(&[(0, host), (7, b"evil.example")]), Refusal::Names),
        ("no name", names(&[]), Refusal::Malformed("its list of names")),
        ("nothing at all", vec![], Refusal::Malformed("its list of names")),
        ("an empty name", names(&[(0, b"")]), Refusal::BadName),
        ("a dot", names(&[(0, b".")]), Refusal::BadName),
        ("a dot at its end", names(&[(0, b"api.example.com.")]), Refusal::TrailingDot),
        ("two dots", names(&[(0, b"api..example.com")]), Refusal::BadName),
        ("a zero byte", names(&[(0, b"api.example.com\0.evil.example")]), Refusal::BadName),
        ("a line's end", names(&[(0, b"api.example.com\n")]), Refusal::BadName),
        ("a space", names(&[(0, b"api.example.com ")]), Refusal::BadName),
        ("a port", names(&[(0, b"api.example.com:443")]), Refusal::BadName),
        ("a wildcard", names(&[(0, b"*.example.com")]), Refusal::BadName),
        ("an underscore", names(&[(0, b"a_b.example.com")]), Refusal::BadName),
        ("a hyphen at an end", names(&[(0, b"-a.example.com")]), Refusal::BadName),
        ("letters beyond ASCII", names(&[(0, "bücher.example".as_bytes())]), Refusal::BadName),
        ("no text", names(&[(0, b"\xff.example")]), Refusal::BadName),
        ("IPv4", names(&[(0, b"203.0.113.10")]), Refusal::Address),
        ("IPv4 as a number", names(&[(0, b"0xcb00710a")]), Refusal::Address),
        ("IPv6", names(&[(0, b"2001:db8::10")]), Refusal::Address),
        (
            "too long",
            names(&[(0, [b"a.".repeat(126).as_slice(), b"ab"].concat().as_slice())]),
            Refusal::BadName,
        ),
    ];
    for (what, data, expected) in cases {
        assert_eq!(refusal(&hello(&[(0, data)])), expected, "{what}");
    }
}

#[test]
fn extensions_that_are_refused() {
    let good = named(NAME.as_bytes());
    let many: Vec<_> = (100..200).map(|kind| (kind, vec![])).collect();
    let protocols: Vec<u8> = (0..17).flat_map(|_| short(b"h2")).collect();
    let malformed = Refusal::Malformed;
    let cases: Vec<(&str, Vec<Extension>, Refusal)> = vec![
        ("two names", vec![good.clone(), named(b"evil.example")], Refusal::Twice(0)),
        ("the same twice", vec![good.clone(), (43, vec![]), (43, vec![])], Refusal::Twice(43)),
        ("very many", many, Refusal::ManyExtensions),
        ("many protocols", vec![(16, long(&protocols))], Refusal::ManyProtocols),
        ("a protocol without a name", vec![(16, vec![0, 1, 0])], malformed("a protocol without a name")),
        ("no protocol", vec![(16, vec![0, 0])], malformed("its list of protocols")),
        ("data in early data", vec![(42, vec![0])], malformed("its early data")),
        ("an inner hello", vec![good.clone(), (0xfe0d, vec![1])], Refusal::InnerHello),
        ("another kind of it", vec![(0xfe0d, vec![2])], malformed("its encrypted hello")),
        ("an empty one", vec![(0xfe0d, vec![])], malformed("its encrypted hello")),
        (
            "one that goes on",
            vec![(0xfe0d, [encrypted(), vec![0]].concat())],
            malformed("its encrypted hello"),
        ),
        ("one without bytes", vec![(0xfe0d, vec![0; 10])], malformed("its encrypted hello")),
    ];
    for (what, extensions, expected) in cases {
        assert_eq!(refusal(&hello(&extensions)), expected, "{what}");
    }
}

/// Each byte that is a length or a count, one up and one down.
#[test]
fn lengths_that_lie() {
    let alpn = long(&short(b"h2"));
    let good = message(&body(&[(0xfe0d, encrypted()), named(NAME.as_bytes()), (16, alpn)]));
    assert!(matches!(once(&records(&good, MAX_RECORD)), Outcome::Hello(_)));
    let find = |part: &[u8]| good.windows(part.len()).position(|window| window == part).unwrap();
    let extensions = MESSAGE_HEADER + start().len();
    let name = find(NAME.as_bytes());
    let protocol = find(b"h2");
    let key = find(&[5; 32]);
    let payload = find(&[9; 200]);
    let lengths = [
        ("message", 3),
        ("session", MESSAGE_HEADER + 34),
        ("ciphers", MESSAGE_HEADER + 34 + 33 + 1),
        ("compressions", extensions - 2),
        ("extensions", extensions + 1),
        ("encrypted extension", extensions + 5),
        ("encrypted key", key - 1),
        ("encrypted payload", payload - 1),
        ("name", name - 1),
        ("list of names", name - 4),
        ("name's extension", name - 6),
        ("protocol", protocol - 1),
        ("protocols", protocol - 2),
        ("protocols' extension", protocol - 4),
    ];
    for (what, at) in lengths {
        for change in [1, u8::MAX] {
            let mut bytes = good.clone();
            bytes[at] = bytes[at].wrapping_add(change);
            let outcome = once(&records(&bytes, MAX_RECORD));
            // A message that says it is longer waits for the rest of it.
            let waits = at == 3 && change == 1 && outcome == Outcome::More;
            // Where lengths are cut inside the list they end elsewhere; where they do not, something is left over.
            assert!(waits || matches!(outcome, Outcome::Refused(_)), "{what} {change}: {outcome:?}");
        }
    }
    // Cut at every place, with the message's own length put right.
    let whole = body(&[named(NAME.as_bytes())]);
    for cut in (0..whole.len()).filter(|cut| *cut != start().len()) {
        refusal(&records(&message(&whole[..cut]), MAX_RECORD));
    }
    // Bytes behind the extensions, an odd number of ciphers, no cipher, no compression, a session that is too long.
    let random = [&[3, 3][..], &[7; 32]].concat();
    for odd in [
        [whole.clone(), vec![0]].concat(),
        [random.clone(), short(&[]), long(&[1; 3]), short(&[0])].concat(),
        [random.clone(), short(&[]), long(&[]), short(&[0])].concat(),
        [random.clone(), short(&[]), long(&[1; 2]), short(&[])].concat(),
        [random.clone(), short(&[0; 33]), long(&[1; 2]), short(&[0])].concat(),
        [&[2, 0][..], &whole[2..]].concat(),
        [&[3, 4][..], &whole[2..]].concat(),
    ] {
        assert!(matches!(refusal(&records(&message(&odd), MAX_RECORD)), Refusal::Malformed(_)));
    }
}
