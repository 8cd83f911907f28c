//! One DNS question (RFC 1035): UDP first, TCP where the answer is truncated.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use socket2::{Domain, Protocol, Socket, Type};

use crate::policy::HostName;

/// Waiting for one server's answer.
const TIMEOUT: Duration = Duration::from_secs(2);
const PORT: u16 = 53;
/// Source ports that are tried.
const ATTEMPTS: usize = 8;
/// Longest chain of CNAMEs that is followed.
const MAX_CHAIN: usize = 8;
/// Addresses taken from one answer.
const MAX_ADDRESSES: usize = 32;

/// An address record, with the seconds it may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The address.
    pub address: IpAddr,
    /// Smallest TTL on the way from the name to it.
    pub ttl: u32,
}

/// Record types that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

/// Why a name has no addresses.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// No answer came in time.
    #[error("resolver {server} does not answer within {} seconds", TIMEOUT.as_secs())]
    Silent {
        /// Who was asked.
        server: IpAddr,
    },
    /// It could not be asked.
    #[error("resolver {server} cannot be asked: {source}")]
    Io {
        /// Who was asked.
        server: IpAddr,
        /// What happened.
        source: io::Error,
    },
    /// An answer came that is none.
    #[error("resolver {server} sent no usable answer: {reason}")]
    Answer {
        /// Who was asked.
        server: IpAddr,
        /// What is wrong with it.
        reason: String,
    },
}

/// Asks one server. The socket carries `mark`, without which nothing gets out.
pub fn ask(server: IpAddr, name: &HostName, kind: Kind, mark: u32) -> Result<Vec<Record>, QueryError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => QueryError::Silent { server },
        _ => QueryError::Io { server, source },
    };
    let id = random_id().map_err(io)?;
    let question = question(id, name, kind).map_err(|reason| QueryError::Answer { server, reason })?;
    let answer = udp_from_free_port(server, &question, id, mark).map_err(io)?;
    let truncated = Packet::parse(&answer).is_ok_and(|packet| packet.has_flags(PacketFlag::TRUNCATION));
    let answer = if truncated { tcp(server, &question, mark).map_err(io)? } else { answer };
    read_answer(&answer, id, name, kind).map_err(|reason| QueryError::Answer { server, reason })
}

fn random_id() -> io::Result<u16> {
    let mut bytes = [0; 2];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u16::from_ne_bytes(bytes))
}

fn question(id: u16, name: &HostName, kind: Kind) -> Result<Vec<u8>, String> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let qname = Name::new(name.as_str()).map_err(|error| error.to_string())?;
    packet.questions.push(Question::new(qname, QTYPE::TYPE(kind.into()), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().map_err(|error| error.to_string())
}

impl From<Kind> for TYPE {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::A => Self::A,
            Kind::Aaaa => Self::AAAA,
        }
    }
}

fn connect(server: IpAddr, kind: Type, protocol: Protocol, mark: u32) -> io::Result<Socket> {
    let address = SocketAddr::new(server, PORT);
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_mark(mark)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    // A connected socket takes answers from this server's port only; the source port is the kernel's choice.
    socket.connect_timeout(&address.into(), TIMEOUT)?;
    Ok(socket)
}

/// From another port where the firewall refuses the first ones: what users asked from there is still being
/// redirected, and the daemon's questions must not be.
fn udp_from_free_port(server: IpAddr, question: &[u8], id: u16, mark: u32) -> io::Result<Vec<u8>> {
    for _ in 1..ATTEMPTS {
        match udp(server, question, id, mark) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            result => return result,
        }
    }
    udp(server, question, id, mark)
}

fn udp(server: IpAddr, question: &[u8], id: u16, mark: u32) -> io::Result<Vec<u8>> {
    let socket = connect(server, Type::DGRAM, Protocol::UDP, mark)?;
    socket.send(question)?;
    let deadline = Instant::now() + TIMEOUT;
    while Instant::now() < deadline {
        let mut buffer = vec![0; 4096];
        let len = (&socket).read(&mut buffer)?;
        buffer.truncate(len);
        // Somebody else's answer, or a forged one: the right one may still come.
        if buffer.get(..2) == Some(&id.to_be_bytes()[..]) {
            return Ok(buffer);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn tcp(server: IpAddr, question: &[u8], mark: u32) -> io::Result<Vec<u8>> {
    let mut socket = connect(server, Type::STREAM, Protocol::TCP, mark)?;
    let deadline = Instant::now() + TIMEOUT;
    let len = u16::try_from(question.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    socket.write_all(&[&len.to_be_bytes()[..], question].concat())?;
    let mut len = [0; 2];
    read_before(deadline, &socket, &mut len)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
    read_before(deadline, &socket, &mut answer)?;
    Ok(answer)
}

/// Fills the buffer, or gives up at the deadline: a server that drips must not hold up the names after it.
fn read_before(deadline: Instant, mut socket: &Socket, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        match socket.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => buffer = &mut buffer[length..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The addresses for `name` in an answer, along its CNAMEs; other records in it are passed over.
fn read_answer(bytes: &[u8], id: u16, name: &HostName, kind: Kind) -> Result<Vec<Record>, String> {
    let packet = Packet::parse(bytes).map_err(|error| error.to_string())?;
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) {
        return Err("it answers another question".to_owned());
    }
    let same = |question: &Question<'_>| {
        question.qname.to_string().eq_ignore_ascii_case(name.as_str())
            && question.qtype == QTYPE::TYPE(kind.into())
    };
    if packet.questions.len() != 1 || !packet.questions.iter().all(same) {
        return Err("it answers another question".to_owned());
    }
    match packet.rcode() {
        RCODE::NoError => {}
        RCODE::NameError => return Err("the name does not exist".to_owned()),
        code => return Err(format!("{code:?}")),
    }
    let mut owner = name.as_str().to_owned();
    let mut ttl = u32::MAX;
    for _ in 0..=MAX_CHAIN {
        let here = || packet.answers.iter().filter(|r| r.name.to_string().eq_ignore_ascii_case(&owner));
        let addresses: Vec<Record> = here()
            .filter_map(|record| {
                let address = match (&record.rdata, kind) {
                    (RData::A(a), Kind::A) => IpAddr::V4(Ipv4Addr::from(a.address)),
                    (RData::AAAA(aaaa), Kind::Aaaa) => IpAddr::V6(Ipv6Addr::from(aaaa.address)),
                    _ => return None,
                };
                Some(Record { address, ttl: ttl.min(record.ttl) })
            })
            .take(MAX_ADDRESSES)
            .collect();
        if !addresses.is_empty() {
            return Ok(addresses);
        }
        let Some((target, cname_ttl)) = here().find_map(|record| match &record.rdata {
            RData::CNAME(cname) => Some((cname.0.to_string(), record.ttl)),
            _ => None,
        }) else {
            return Ok(Vec::new());
        };
        owner = target;
        ttl = ttl.min(cname_ttl);
    }
    Err("its chain of aliases is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::{A, CNAME};

    fn name() -> HostName {
        HostName::parse("api.example").unwrap()
    }

    /// Owner, TTL, and an address or the target of an alias.
    type TestRecord<'a> = (&'a str, u32, Result<[u8; 4], &'a str>);

    fn answer(id: u16, qname: &str, rcode: RCODE, records: &[TestRecord<'_>]) -> Vec<u8> {
        let mut packet = Packet::new_reply(id);
        *packet.rcode_mut() = rcode;
        packet.questions.push(Question::new(
            Name::new(qname).unwrap(),
            QTYPE::TYPE(TYPE::A),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        for (owner, ttl, data) in records {
            let rdata = match data {
                Ok(octets) => RData::A(A { address: u32::from_be_bytes(*octets) }),
                Err(target) => RData::CNAME(CNAME(Name::new(target).unwrap())),
            };
            packet.answers.push(ResourceRecord::new(Name::new(owner).unwrap(), CLASS::IN, *ttl, rdata));
        }
        packet.build_bytes_vec().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<(String, u32)>, String> {
        let records = read_answer(bytes, 7, &name(), Kind::A)?;
        Ok(records.iter().map(|r| (r.address.to_string(), r.ttl)).collect())
    }

    #[test]
    fn addresses_along_aliases_with_the_smallest_ttl() {
        let ok = RCODE::NoError;
        let plain = answer(7, "api.example", ok, &[("API.example", 60, Ok([203, 0, 113, 1]))]);
        assert_eq!(read(&plain), Ok(vec![("203.0.113.1".to_owned(), 60)]));
        let alias = answer(
            7,
            "api.example",
            ok,
            &[("x.example", 90, Ok([203, 0, 113, 2])), ("api.example", 30, Err("x.example"))],
        );
        assert_eq!(read(&alias), Ok(vec![("203.0.113.2".to_owned(), 30)]));
        let stray = answer(7, "api.example", ok, &[("other.example", 90, Ok([203, 0, 113, 3]))]);
        assert_eq!(read(&stray), Ok(vec![]));
    }

    #[test]
    fn answers_that_are_refused() {
        let ok = RCODE::NoError;
        let record = [("api.example", 60, Ok([203, 0, 113, 1]))];
        for (bytes, reason) in [
            (answer(8, "api.example", ok, &record), "another question"),
            (answer(7, "evil.example", ok, &record), "another question"),
            (answer(7, "api.example", RCODE::NameError, &[]), "does not exist"),
            (answer(7, "api.example", RCODE::Refused, &[]), "Refused"),
            (
                answer(
                    7,
                    "api.example",
                    ok,
                    &[("api.example", 1, Err("b.example")), ("b.example", 1, Err("api.example"))],
                ),
                "too long",
            ),
            (question(7, &name(), Kind::A).unwrap(), "another question"),
            (vec![7, 7], ""),
        ] {
            let error = read(&bytes).unwrap_err();
            assert!(error.contains(reason), "{error} should say {reason}");
        }
    }
}
