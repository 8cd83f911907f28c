//! One question to one name server.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};

/// How long one server gets for one answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks one server for one kind of address, over TCP where UDP is too short.
pub(super) fn ask(server: SocketAddr, name: &str, kind: TYPE) -> io::Result<Vec<IpAddr>> {
    // Seeded by the kernel, which is what an identifier has to be.
    let id = (RandomState::new().hash_one(name) & 0xffff) as u16;
    let query = query(id, name, kind)?;
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(server)?;
    socket.send(&query)?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer)?;
    match read_reply(&buffer[..length], id, name)? {
        Reply::Addresses(found) => Ok(found),
        Reply::Truncated => match read_reply(&ask_tcp(server, &query)?, id, name)? {
            Reply::Addresses(found) => Ok(found),
            Reply::Truncated => Err(io::Error::other("the answer is cut off over TCP, too")),
        },
    }
}

fn ask_tcp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

fn query(id: u16, name: &str, kind: TYPE) -> io::Result<Vec<u8>> {
    let name = Name::new(name).map_err(io::Error::other)?;
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().map_err(io::Error::other)
}

#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Addresses(Vec<IpAddr>),
    Truncated,
}

/// Reads a server's reply; a name that does not exist has no addresses.
fn read_reply(bytes: &[u8], id: u16, name: &str) -> io::Result<Reply> {
    let packet = Packet::parse(bytes).map_err(io::Error::other)?;
    let asked = Name::new(name).map_err(io::Error::other)?;
    let ours = packet.id() == id
        && packet.has_flags(PacketFlag::RESPONSE)
        && packet.questions.first().is_some_and(|question| question.qname == asked);
    if !ours {
        return Err(io::Error::other("the reply belongs to another question"));
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Ok(Reply::Truncated);
    }
    match packet.rcode() {
        // Aliases are followed by the server, so every address in the answer is one of the name.
        RCODE::NoError => Ok(Reply::Addresses(
            packet
                .answers
                .iter()
                .filter_map(|record| match &record.rdata {
                    RData::A(a) => Some(IpAddr::from(Ipv4Addr::from(a.address))),
                    RData::AAAA(aaaa) => Some(IpAddr::from(Ipv6Addr::from(aaaa.address))),
                    _ => None,
                })
                .collect(),
        )),
        RCODE::NameError => Ok(Reply::Addresses(Vec::new())),
        other => Err(io::Error::other(format!("the server answered {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::ResourceRecord;

    fn reply(id: u16, flags: PacketFlag, rcode: RCODE, address: Option<Ipv4Addr>) -> Vec<u8> {
        let name = Name::new("r.example").unwrap();
        let mut packet = Packet::new_reply(id);
        packet.set_flags(flags);
        *packet.rcode_mut() = rcode;
        packet.questions.push(Question::new(
            name.clone(),
            QTYPE::TYPE(TYPE::A),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        packet.answers.extend(address.map(|a| ResourceRecord::new(name, CLASS::IN, 1, RData::A(a.into()))));
        packet.build_bytes_vec().unwrap()
    }

    #[test]
    fn replies() {
        let address = Ipv4Addr::new(10, 1, 2, 3);
        let none = PacketFlag::empty();
        let good = reply(7, none, RCODE::NoError, Some(address));
        assert_eq!(read_reply(&good, 7, "R.example").unwrap(), Reply::Addresses(vec![address.into()]));
        let gone = reply(7, none, RCODE::NameError, None);
        assert_eq!(read_reply(&gone, 7, "r.example").unwrap(), Reply::Addresses(vec![]));
        let cut = reply(7, PacketFlag::TRUNCATION, RCODE::NoError, None);
        assert_eq!(read_reply(&cut, 7, "r.example").unwrap(), Reply::Truncated);
        for (bytes, id, name) in [
            (&good[..], 8, "r.example"),
            (&good[..], 7, "other.example"),
            (&good[..20], 7, "r.example"),
            (b"".as_slice(), 7, "r.example"),
            (&reply(7, none, RCODE::ServerFailure, None)[..], 7, "r.example"),
            (&query(7, "r.example", TYPE::A).unwrap()[..], 7, "r.example"),
        ] {
            assert!(read_reply(bytes, id, name).is_err(), "{bytes:?} {id} {name}");
        }
    }
}
