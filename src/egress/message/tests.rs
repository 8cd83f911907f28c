//! Questions as another implementation writes them, hostile ones, and frames.

use super::*;
use proptest::prelude::*;
use simple_dns::rdata::{OPT, OPTCode};
use simple_dns::{CLASS, Name, Packet, QCLASS, QTYPE, TYPE};

fn packet(name: &str) -> Packet<'_> {
    let mut packet = Packet::new_query(7);
    let (kind, class) = (QTYPE::TYPE(TYPE::A), QCLASS::CLASS(CLASS::IN));
    packet.questions.push(simple_dns::Question::new(Name::new(name).unwrap(), kind, class, false));
    packet
}

fn bytes(name: &str) -> Vec<u8> {
    packet(name).build_bytes_vec().unwrap()
}

fn with_edns(name: &str, options: &[usize]) -> Vec<u8> {
    let mut packet = packet(name);
    let opt_codes = options.iter().map(|len| OPTCode { code: 12, data: vec![0; *len].into() }).collect();
    *packet.opt_mut() = Some(OPT { opt_codes, udp_packet_size: 4096, version: 0 });
    packet.build_bytes_vec().unwrap()
}

fn question(message: &[u8]) -> Question<'_> {
    match read(message) {
        Message::Question(question) => question,
        other => panic!("{other:?}"),
    }
}

#[test]
fn questions() {
    let plain = bytes("API.example");
    let read = question(&plain);
    assert_eq!((read.name().as_deref(), read.kind, read.edns), (Some("api.example"), Kind::A, None));
    assert_eq!(read.raw, &plain[HEADER..]);
    for options in [&[][..], &[0], &[8, 0, 400]] {
        let message = with_edns("api.example", options);
        assert_eq!(question(&message).edns, Some(Edns { size: 4096, version: 0 }));
    }
    for (name, expected) in [
        (".", Some("")),
        ("_dns.resolver.arpa", Some("_dns.resolver.arpa")),
        ("sp ace.example", None),
        ("b\u{fc}cher.example", None),
    ] {
        let message = bytes(name.trim_start_matches('.'));
        assert_eq!(question(&message).name().as_deref(), expected, "{name}");
    }
    // A dot and a zero byte inside of a label, which a name with dots between would hide.
    for odd in [b'.', 0, b'*', b'/', b'\n', 0xff] {
        let mut message = bytes("apixexample");
        message[HEADER + 4] = odd;
        assert_eq!(question(&message).name(), None, "{odd}");
    }
}

#[test]
fn kinds() {
    for (number, expected) in [
        (1, Kind::A),
        (28, Kind::Aaaa),
        // What an answer would help with: data, other hosts, ports and keys, aliases, everything.
        (16, Kind::Other(16)),
        (10, Kind::Other(10)),
        (65, Kind::Other(65)),
        (64, Kind::Other(64)),
        (5, Kind::Other(5)),
        (33, Kind::Other(33)),
        (255, Kind::Other(255)),
        (256, Kind::Other(256)),
        (65_535, Kind::Other(65_535)),
        // What is no record.
        (0, Kind::Meta(0)),
        (41, Kind::Meta(41)),
        (249, Kind::Meta(249)),
        (250, Kind::Meta(250)),
        (251, Kind::Meta(251)),
        (252, Kind::Meta(252)),
    ] {
        let mut message = bytes("api.example");
        let at = message.len() - 4;
        message[at..at + 2].copy_from_slice(&u16::to_be_bytes(number));
        assert_eq!(question(&message).kind, expected);
    }
}

/// With these bytes in the place of those from there on.
fn changed(message: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    message[at..at + bytes.len()].copy_from_slice(bytes);
    message
}

#[test]
fn what_is_refused() {
    let (plain, edns) = (bytes("api.example"), with_edns("api.example", &[4]));
    let opt = plain.len();
    let twice = changed(&[&edns[..], &edns[opt..]].concat(), 10, &[0, 2]);
    let long = [&plain[..HEADER], &[&[63][..], &[b'a'; 63]].concat().repeat(4), &[0, 0, 1, 0, 1]].concat();
    for (what, message, code) in [
        ("an update", changed(&plain, 2, &[0x28]), Code::NotImplemented),
        ("a notification", changed(&plain, 2, &[0x20]), Code::NotImplemented),
        ("no question", changed(&plain, 4, &[0, 0]), Code::Malformed),
        ("two questions, one of them unseen", changed(&plain, 4, &[0, 2]), Code::Malformed),
        ("answers", changed(&plain, 6, &[0, 1]), Code::Malformed),
        ("authorities", changed(&plain, 8, &[0, 1]), Code::Malformed),
        ("an additional record that is not there", changed(&plain, 10, &[0, 1]), Code::Malformed),
        ("one that was not announced", changed(&edns, 10, &[0, 0]), Code::Malformed),
        ("bytes behind the question", [&plain[..], b"x"].concat(), Code::Malformed),
        ("bytes behind the record", [&edns[..], b"x"].concat(), Code::Malformed),
        ("OPT twice", twice, Code::Malformed),
        ("OPT with a name", changed(&edns, opt, &[1]), Code::Malformed),
        ("a signature", changed(&edns, opt + 1, &[0, 250]), Code::Malformed),
        ("an option that is too long", changed(&edns, opt + 13, &[0, 5]), Code::Malformed),
        ("an option that is cut short", changed(&edns, opt + 13, &[0, 1]), Code::Malformed),
        ("options that are too long", changed(&edns, opt + 9, &[0, 9]), Code::Malformed),
        ("a pointer", changed(&plain, HEADER, &[0xc0, 12]), Code::Malformed),
        ("a pointer behind a label", changed(&plain, HEADER + 4, &[0xc0, 12]), Code::Malformed),
        ("other kinds of labels", changed(&plain, HEADER, &[0x41]), Code::Malformed),
        ("the other one", changed(&plain, HEADER, &[0x80]), Code::Malformed),
        ("a name that is too long", long, Code::Malformed),
        ("a later version", changed(&edns, opt + 6, &[1]), Code::BadVersion),
        ("any class", changed(&plain, opt - 1, &[255]), Code::Refused),
        ("chaos, which tells versions", changed(&plain, opt - 1, &[3]), Code::Refused),
    ] {
        let Message::Refused(refused, question) = read(&message) else {
            panic!("{what}: {:?}", read(&message))
        };
        let shown = matches!(code, Code::BadVersion | Code::Refused);
        assert_eq!((refused, question.is_some()), (code, shown), "{what}");
    }
    for silent in [&plain[..11], &[], &changed(&plain, 2, &[0x81])] {
        assert_eq!(read(silent), Message::Silence);
    }
}

#[test]
fn names_of_every_length() {
    for len in 1..300_usize {
        // Labels of up to nine characters, and their lengths.
        let mut name = Vec::new();
        while name.len() + 1 < len {
            let label = (len - name.len() - 2).min(9);
            if label == 0 {
                break;
            }
            name.push(u8::try_from(label).unwrap());
            name.resize(name.len() + label, b'a');
        }
        name.push(0);
        let message = [&bytes("x")[..HEADER], &name, &[0, 1, 0, 1]].concat();
        assert_eq!(matches!(read(&message), Message::Question(_)), name.len() <= MAX_NAME, "{}", name.len());
    }
}

#[test]
fn frames() {
    let messages = [bytes("a.example"), with_edns("b.example", &[100]), bytes("c.example")];
    let stream: Vec<u8> = messages.iter().flat_map(|message| frame(message).unwrap()).collect();
    let (mut rest, mut found) = (&stream[..], Vec::new());
    while let Framed::Message(message, used) = framed(rest) {
        found.push(message.to_vec());
        rest = &rest[used..];
    }
    assert_eq!((found.as_slice(), rest.len()), (&messages[..], 0));
    let first = 2 + messages[0].len();
    for cut in 0..first {
        assert_eq!(framed(&stream[..cut]), Framed::More, "{cut}");
    }
    for len in [0, 1, 11, 1233, 65_535] {
        assert_eq!(framed(&[&u16::to_be_bytes(len)[..], &[0; 20]].concat()), Framed::Bad(len));
        assert_eq!(framed(&u16::to_be_bytes(len)), Framed::Bad(len), "at once");
    }
    assert_eq!(frame(&vec![0; 65_536]), None);
    assert_eq!(frame(&vec![7; 65_535]).map(|framed| framed.len()), Some(65_537));
}

proptest! {
    /// No panic, and what is read is there.
    #[test]
    fn anything(
        message in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..100),
            "[a-zA-Z0-9_.-]{0,60}".prop_filter_map("a name", |name| {
                Name::new(&name).is_ok().then(|| with_edns(&name, &[3]))
            }),
        ],
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut message = message;
        for (index, byte) in changes {
            if !message.is_empty() {
                let at = index.index(message.len());
                message[at] = byte;
            }
        }
        match read(&message) {
            Message::Silence => prop_assert!(message.len() < HEADER || message[2] & 0x80 != 0),
            Message::Refused(code, question) => {
                prop_assert_ne!(code, Code::Ok);
                prop_assert!(question.is_none_or(|question| message[HEADER..].starts_with(question.raw)));
            }
            Message::Question(question) => {
                prop_assert!(message[HEADER..].starts_with(question.raw));
                prop_assert!(question.raw.len() <= MAX_NAME + 4);
                prop_assert!(question.name().is_none_or(|name| name.len() <= 253 && name.is_ascii()));
                // Another reader sees the same name, where it reads the message at all.
                if let Ok(other) = Packet::parse(&message) && let Some(name) = question.name() {
                    prop_assert_eq!(other.questions[0].qname.to_string().to_ascii_lowercase(), name);
                }
            }
        }
    }
}
