//! An authoritative DNS server for the zones, which knows nothing else.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;

use serde_json::json;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, OPCODE, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

use crate::log;
use crate::serve::{Peer, datagrams};
use crate::zone::Zones;

/// The largest answer over UDP; a client that wants more asks over TCP.
const MAX_UDP: usize = 512;

/// An answer, and what was asked.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The packet to send.
    pub(crate) bytes: Vec<u8>,
    /// The name asked for, as it was written.
    pub(crate) name: String,
    /// The record type asked for.
    pub(crate) kind: String,
}

/// Answers over UDP for ever.
pub(crate) fn serve_udp(socket: &UdpSocket, zones: &Zones) {
    datagrams(socket, |query, from| {
        let answer = answer(query, zones, MAX_UDP)?;
        note(&answer, from, "udp");
        if zones.delay.is_zero() {
            return Some(answer.bytes);
        }
        // Each question waits for itself, as with a server that is far away.
        let (socket, delay) = (socket.try_clone().ok()?, zones.delay);
        thread::spawn(move || {
            thread::sleep(delay);
            let _ = socket.send_to(&answer.bytes, from);
        });
        None
    });
}

/// Answers over one TCP connection until the client ends it.
pub(crate) fn serve_tcp(peer: &Peer, zones: &Zones) -> io::Result<()> {
    let mut stream = &peer.stream;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query)?;
        let Some(answer) = answer(&query, zones, usize::from(u16::MAX)) else {
            return Ok(());
        };
        note(&answer, peer.from, "tcp");
        let length = u16::try_from(answer.bytes.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), answer.bytes.as_slice()].concat())?;
    }
}

fn note(answer: &Answer, from: SocketAddr, over: &str) {
    log::line(&json!({
        "dns": answer.name, "type": answer.kind, "from": log::ip(from), "over": over,
    }));
}

/// Answers a query within `limit` bytes; nothing is said to what is none.
pub(crate) fn answer(query: &[u8], zones: &Zones, limit: usize) -> Option<Answer> {
    let query = Packet::parse(query).ok()?;
    // Answering an answer would let two servers talk for ever.
    if query.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    let question = query.questions.first()?.clone();
    let name = question.qname.to_string();
    let mut reply = Packet::new_reply(query.id());
    reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER | PacketFlag::RECURSION_AVAILABLE);
    if query.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    let found = zones.find(&name);
    if query.opcode() != OPCODE::StandardQuery {
        *reply.rcode_mut() = RCODE::NotImplemented;
    } else if found.is_none() {
        *reply.rcode_mut() = RCODE::NameError;
    } else {
        let wanted = found.unwrap_or_default().iter().copied();
        let wanted = wanted.map(record_data).filter(|data| asks_for(question.qtype, data));
        reply.answers = wanted
            .map(|data| ResourceRecord::new(question.qname.clone(), CLASS::IN, zones.ttl, data))
            .collect();
    }
    let kind = match question.qtype {
        QTYPE::TYPE(kind) => format!("{kind:?}"),
        other => format!("{other:?}"),
    };
    reply.questions.push(question);
    let mut bytes = reply.build_bytes_vec_compressed().ok()?;
    if bytes.len() > limit {
        reply.answers.clear();
        reply.set_flags(PacketFlag::TRUNCATION);
        bytes = reply.build_bytes_vec_compressed().ok()?;
    }
    Some(Answer { bytes, name, kind })
}

fn record_data(address: IpAddr) -> RData<'static> {
    match address {
        IpAddr::V4(address) => RData::A(address.into()),
        IpAddr::V6(address) => RData::AAAA(address.into()),
    }
}

fn asks_for(wanted: QTYPE, data: &RData<'_>) -> bool {
    matches!(
        (wanted, data),
        (QTYPE::ANY, _) | (QTYPE::TYPE(TYPE::A), RData::A(_)) | (QTYPE::TYPE(TYPE::AAAA), RData::AAAA(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::{Name, QCLASS, Question};
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn zones() -> Zones {
        let mut zones = Zones::default();
        zones.ttl = 7;
        zones.add("A.example=10.0.0.1,10.0.0.2,fd00::1").unwrap();
        zones.add("six.example.=fd00::6").unwrap();
        for n in 0..60 {
            zones.add(&format!("many.example=10.0.1.{n}")).unwrap();
        }
        zones
    }

    fn query(name: &str, kind: QTYPE) -> Vec<u8> {
        let mut packet = Packet::new_query(77);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let name = Name::new(name).unwrap();
        packet.questions.push(Question::new(name, kind, QCLASS::CLASS(CLASS::IN), false));
        packet.build_bytes_vec().unwrap()
    }

    fn asked(name: &str, kind: QTYPE, limit: usize) -> (RCODE, Vec<String>, bool) {
        let answer = answer(&query(name, kind), &zones(), limit).unwrap();
        assert_eq!(answer.name, name);
        let packet = Packet::parse(&answer.bytes).unwrap();
        assert_eq!(packet.id(), 77);
        assert!(packet.has_flags(PacketFlag::RESPONSE | PacketFlag::RECURSION_DESIRED));
        assert_eq!(packet.questions.len(), 1);
        let found = packet.answers.iter().map(|record| {
            assert_eq!(record.ttl, 7);
            match &record.rdata {
                RData::A(a) => Ipv4Addr::from(a.address).to_string(),
                RData::AAAA(a) => Ipv6Addr::from(a.address).to_string(),
                other => panic!("{other:?}"),
            }
        });
        (packet.rcode(), found.collect(), packet.has_flags(PacketFlag::TRUNCATION))
    }

    #[test]
    fn names_in_and_out_of_the_zones() {
        let (a, aaaa) = (QTYPE::TYPE(TYPE::A), QTYPE::TYPE(TYPE::AAAA));
        let cases: [(&str, QTYPE, RCODE, &[&str]); 9] = [
            ("a.example", a, RCODE::NoError, &["10.0.0.1", "10.0.0.2"]),
            ("A.EXAMPLE", a, RCODE::NoError, &["10.0.0.1", "10.0.0.2"]),
            ("a.example", aaaa, RCODE::NoError, &["fd00::1"]),
            ("a.example", QTYPE::ANY, RCODE::NoError, &["10.0.0.1", "10.0.0.2", "fd00::1"]),
            ("six.example", a, RCODE::NoError, &[]),
            ("six.example", aaaa, RCODE::NoError, &["fd00::6"]),
            ("a.example", QTYPE::TYPE(TYPE::TXT), RCODE::NoError, &[]),
            ("b.a.example", a, RCODE::NameError, &[]),
            ("example", a, RCODE::NameError, &[]),
        ];
        for (name, kind, rcode, addresses) in cases {
            let want: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            assert_eq!(asked(name, kind, MAX_UDP), (rcode, want, false), "{name} {kind:?}");
        }
    }

    #[test]
    fn a_long_answer_goes_over_tcp() {
        let a = QTYPE::TYPE(TYPE::A);
        assert_eq!(asked("many.example", a, MAX_UDP), (RCODE::NoError, vec![], true));
        let (_, found, truncated) = asked("many.example", a, 65_535);
        assert_eq!((found.len(), truncated), (60, false));
    }

    #[test]
    fn garbage_gets_no_answer() {
        let good = query("a.example", QTYPE::TYPE(TYPE::A));
        let reply = answer(&good, &zones(), MAX_UDP).unwrap().bytes;
        let none = Packet::new_query(1).build_bytes_vec().unwrap();
        for bytes in [&b""[..], b"x", &[0xff; 600], &good[..good.len() - 3], &reply, &none] {
            assert!(answer(bytes, &zones(), MAX_UDP).is_none(), "{bytes:?}");
        }
    }
}
