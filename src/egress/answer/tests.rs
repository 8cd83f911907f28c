//! Questions as another implementation writes them, replies as it reads them, and hostile bytes.

use super::*;
use proptest::prelude::*;
use simple_dns::rdata::{OPT, RData};
use simple_dns::{CLASS, Name, OPCODE as Opcode, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};

fn names() -> Names {
    let entry = |name: &str, list: &[&str]| {
        (HostName::parse(name).unwrap(), list.iter().map(|a| a.parse().unwrap()).collect())
    };
    let many: Vec<String> = (0..100).map(|n| format!("203.0.113.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    Names {
        zones: vec![HostName::parse("zone.example").unwrap()],
        all: false,
        names: BTreeMap::from([
            entry("both.example", &["203.0.113.1", "2001:db8::1"]),
            entry("four.example", &["203.0.113.4"]),
            entry("soon.example", &[]),
            entry("many.example", &many),
        ]),
    }
}

#[test]
fn a_name_below_a_listed_zone_is_wanted_before_it_is_answered() {
    let wanted = |name: &str| {
        let question = packet(name, QTYPE::TYPE(TYPE::A)).build_bytes_vec().unwrap();
        let reply = reply(&question, &names()).unwrap();
        (reply.wanted.map(|name| name.to_string()), reply.refused.map(|name| name.to_string()))
    };
    assert_eq!(wanted("A.b.zone.example"), (Some("a.b.zone.example".to_owned()), None));
    assert_eq!(wanted("zone.example"), (None, Some("zone.example".to_owned())));
    assert_eq!(wanted("four.example"), (None, None));
}

fn packet(name: &str, kind: QTYPE) -> Packet<'_> {
    let mut packet = Packet::new_query(0x1234);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(Name::new(name).unwrap(), kind, QCLASS::CLASS(CLASS::IN), false));
    packet
}

fn ask(name: &str, kind: TYPE) -> (RCODE, Vec<String>, Option<String>) {
    let question = packet(name, QTYPE::TYPE(kind)).build_bytes_vec().unwrap();
    let reply = reply(&question, &names()).unwrap();
    let read = Packet::parse(&reply.bytes).unwrap();
    assert_eq!(read.id(), 0x1234);
    assert!(read.has_flags(
        PacketFlag::RESPONSE
            | PacketFlag::RECURSION_DESIRED
            | PacketFlag::RECURSION_AVAILABLE
            | PacketFlag::AUTHORITATIVE_ANSWER
    ));
    assert!(!read.has_flags(PacketFlag::TRUNCATION));
    assert!(read.opt().is_none(), "an OPT record that nobody asked for");
    let [echoed] = &read.questions[..] else { panic!("one question in, one back") };
    let name = Name::new(name).unwrap().to_string();
    assert_eq!(echoed.qname.to_string(), name, "with its upper and lower case");
    let addresses = read.answers.iter().map(|record| {
        assert_eq!(record.name.to_string(), name);
        assert!(record.ttl <= 60);
        match &record.rdata {
            RData::A(a) => std::net::Ipv4Addr::from(a.address).to_string(),
            RData::AAAA(a) => std::net::Ipv6Addr::from(a.address).to_string(),
            other => panic!("{other:?}"),
        }
    });
    (read.rcode(), addresses.collect(), reply.refused.map(String::from))
}

#[test]
fn names_of_the_policy_and_others() {
    let (a, aaaa) = (TYPE::A, TYPE::AAAA);
    let ok = RCODE::NoError;
    let none = RCODE::NameError;
    for (name, kind, code, addresses, refused) in [
        ("both.example", a, ok, &["203.0.113.1"][..], None),
        ("both.example", aaaa, ok, &["2001:db8::1"], None),
        ("BoTh.ExAmple", aaaa, ok, &["2001:db8::1"], None),
        ("four.example", a, ok, &["203.0.113.4"], None),
        ("four.example", aaaa, ok, &[], None),
        ("four.example", TYPE::MX, ok, &[], None),
        ("four.example", TYPE::HTTPS, ok, &[], None),
        ("soon.example", a, RCODE::ServerFailure, &[], None),
        ("soon.example", TYPE::TXT, RCODE::ServerFailure, &[], None),
        ("evil.example", a, none, &[], Some("evil.example")),
        ("EVIL.example", TYPE::TXT, none, &[], Some("evil.example")),
        ("x.both.example", a, none, &[], Some("x.both.example")),
        ("example", a, none, &[], Some("example")),
        ("db", a, none, &[], Some("db")),
        ("_https._tcp.evil.example", TYPE::SRV, none, &[], Some("evil.example")),
        ("_https._tcp.four.example", TYPE::SRV, none, &[], None),
        ("under_score.example", a, none, &[], None),
        ("sp ace.example", a, none, &[], None),
        ("four\\.example", a, none, &[], None),
        ("nul\\000.example", a, none, &[], None),
        ("4.3.2.1", a, none, &[], None),
        ("localhost", a, ok, &["127.0.0.1"], None),
        ("x.localhost", aaaa, ok, &["::1"], None),
        ("localhost", TYPE::MX, ok, &[], None),
        ("1.113.0.203.in-addr.arpa", TYPE::PTR, none, &[], None),
        ("a.b.ip6.arpa", TYPE::PTR, none, &[], None),
        ("check.invalid", a, none, &[], None),
        (".", TYPE::NS, none, &[], None),
    ] {
        let name = name.trim_start_matches('.');
        let wanted = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(ask(name, kind), (code, wanted, refused.map(str::to_owned)), "{name} {kind:?}");
    }
}

#[test]
fn a_type_that_nobody_knows_is_answered_too() {
    let mut question = packet("four.example", QTYPE::TYPE(TYPE::A)).build_bytes_vec().unwrap();
    let at = question.len() - 4;
    question[at..at + 2].copy_from_slice(&65_400_u16.to_be_bytes());
    let answer = reply(&question, &names()).unwrap();
    assert_eq!((answer.bytes[3] & 15, &answer.bytes[6..8], answer.refused), (0, &[0, 0][..], None));
    // A transfer of a zone.
    question[at..at + 2].copy_from_slice(&252_u16.to_be_bytes());
    let answer = reply(&question, &names()).unwrap();
    assert_eq!((answer.bytes[3] & 15, answer.refused), (Code::Refused as u8, None));
}

#[test]
fn as_many_addresses_as_fit_and_no_sign_of_the_rest() {
    let question = packet("many.example", QTYPE::TYPE(TYPE::A)).build_bytes_vec().unwrap();
    let small = reply(&question, &names()).unwrap().bytes;
    assert!(small.len() <= 3 * question.len());
    assert_eq!(Packet::parse(&small).unwrap().answers.len(), (3 * question.len() - question.len()) / 16);
    // Padding (RFC 7830) makes a question large enough for every answer but the limit's.
    let mut packet = packet("many.example", QTYPE::TYPE(TYPE::A));
    let padding = simple_dns::rdata::OPTCode { code: 12, data: vec![0; 600].into() };
    for (size, limit) in [(100, 512), (600, 600), (65_000, MAX_SIZE)] {
        *packet.opt_mut() = Some(OPT { opt_codes: vec![padding.clone()], udp_packet_size: size, version: 0 });
        let bytes = reply(&packet.build_bytes_vec().unwrap(), &names()).unwrap().bytes;
        assert!(bytes.len() <= limit && bytes.len() > limit - 16, "{} of {limit}", bytes.len());
        let read = Packet::parse(&bytes).unwrap();
        let opt = read.opt().unwrap();
        assert_eq!((usize::from(opt.udp_packet_size), opt.version, opt.opt_codes.len()), (MAX_SIZE, 0, 0));
        assert!(!read.has_flags(PacketFlag::TRUNCATION));
    }
}

#[test]
fn what_is_not_one_plain_question() {
    let good = packet("evil.example", QTYPE::TYPE(TYPE::A));
    let bytes = good.build_bytes_vec().unwrap();
    let code = |bytes: &[u8]| {
        reply(bytes, &names()).map(|reply| {
            assert_eq!(reply.refused, None);
            Packet::parse(&reply.bytes).unwrap().rcode()
        })
    };
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        bytes
    };
    // Not a question at all: silence.
    assert_eq!(code(&changed(2, 0x81)), None);
    for len in 0..HEADER {
        assert_eq!(code(&bytes[..len]), None, "{len}");
    }
    // Cut short, two questions, none, answers in it, a pointer, a label of an unknown kind.
    for len in HEADER..bytes.len() {
        assert_eq!(code(&bytes[..len]), Some(RCODE::FormatError), "{len}");
    }
    for (at, byte) in [(5, 2), (5, 0), (7, 1), (9, 1), (HEADER, 0xc0), (HEADER, 0x41)] {
        assert_eq!(code(&changed(at, byte)), Some(RCODE::FormatError), "{at} {byte}");
    }
    // An additional record is promised and not there, or cut.
    assert_eq!(code(&changed(11, 1)), Some(RCODE::FormatError));
    let mut long = vec![0; HEADER];
    long[5] = 1;
    for _ in 0..5 {
        long.push(63);
        long.extend([b'a'; 63]);
    }
    long.extend([0, 0, 1, 0, 1]);
    assert_eq!(code(&long), Some(RCODE::FormatError), "a name of more than 255 bytes");
    // Another operation, another class, another version of EDNS.
    let mut other = good.clone();
    *other.opcode_mut() = Opcode::Update;
    assert_eq!(code(&other.build_bytes_vec().unwrap()), Some(RCODE::NotImplemented));
    for class in [3, 255] {
        assert_eq!(code(&changed(bytes.len() - 1, class)), Some(RCODE::Refused));
    }
    let mut other = good;
    *other.opt_mut() = Some(OPT { opt_codes: Vec::new(), udp_packet_size: 1232, version: 0 });
    let mut newer = other.build_bytes_vec().unwrap();
    // The version is the second byte of the OPT record's TTL (RFC 6891 section 6.1.3), four before its end.
    let at = newer.len() - 5;
    newer[at] = 1;
    let bytes = reply(&newer, &names()).unwrap().bytes;
    let opt = &bytes[bytes.len() - 11..];
    assert_eq!(
        (bytes[3] & 15, opt[5], opt[6]),
        (0, 1, 0),
        "BADVERS is 16: its upper bits lie in the OPT record"
    );
}

/// Whatever comes in: no panic, no large reply, no address for a name outside the policy.
fn holds(message: &[u8]) -> Result<(), TestCaseError> {
    let names = names();
    let Some(reply) = reply(message, &names) else { return Ok(()) };
    prop_assert!(reply.bytes.len() <= MAX_SIZE.min(3 * message.len()));
    prop_assert_eq!(&reply.bytes[..2], &message[..2]);
    prop_assert!(reply.bytes[2] & 0x80 != 0);
    if let Some(name) = &reply.refused {
        prop_assert!(!names.names.contains_key(name));
        prop_assert_eq!(reply.bytes[3] & 15, Code::NoSuchName as u8);
    }
    if reply.bytes[6..8] != [0, 0] {
        let read = Packet::parse(&reply.bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let asked = read.questions[0].qname.to_string().to_ascii_lowercase();
        let known = HostName::parse(&asked).is_ok_and(|name| names.names.contains_key(&name));
        let local = asked.rsplit('.').next() == Some("localhost");
        prop_assert!(known || local, "an address for {asked}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn random_bytes(message in proptest::collection::vec(any::<u8>(), 0..600)) {
        holds(&message)?;
    }

    #[test]
    fn almost_questions(
        name in "[a-zA-Z0-9_.-]{0,40}|(both|four|soon|many|BOTH)\\.example|localhost",
        kind in prop_oneof![Just(TYPE_A), Just(TYPE_AAAA), any::<u16>()],
        edns in any::<bool>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<proptest::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let Ok(name) = Name::new(&name) else { return Ok(()) };
        let mut packet = Packet::new_query(7);
        packet.questions.push(Question::new(name, QTYPE::TYPE(TYPE::A), QCLASS::CLASS(CLASS::IN), false));
        let len = packet.build_bytes_vec().unwrap().len();
        if edns {
            *packet.opt_mut() = Some(OPT { opt_codes: Vec::new(), udp_packet_size: 4096, version: 0 });
        }
        let mut message = packet.build_bytes_vec().unwrap();
        message[len - 4..len - 2].copy_from_slice(&kind.to_be_bytes());
        for (index, byte) in changes {
            let at = index.index(message.len());
            message[at] = byte;
        }
        if !whole {
            message.truncate(cut.index(message.len() + 1));
        }
        holds(&message)?;
    }
}
