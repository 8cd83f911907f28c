//! Names to addresses without the C library, whose static form cannot do that.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher as _;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long one server gets for one answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often each server is asked before the next one is.
const ATTEMPTS: usize = 2;

/// As many servers as the C library takes from `resolv.conf`.
const MAX_SERVERS: usize = 3;

/// As many addresses as the HTTP client keeps.
const MAX_ADDRESSES: usize = 16;

/// Resolves with `/etc/hosts`, then with the servers in `/etc/resolv.conf`.
#[derive(Debug)]
pub(super) struct SystemFiles;

impl Resolver for SystemFiles {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let default = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        let port = uri.port_u16().unwrap_or(default);
        let found = addresses(host).map_err(ureq::Error::Io)?;
        let mut result = self.empty();
        for address in found.into_iter().take(MAX_ADDRESSES) {
            result.push(SocketAddr::new(address, port));
        }
        if result.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(result) }
    }
}

/// The addresses of `host`; none means that the name does not exist.
fn addresses(host: &str) -> io::Result<Vec<IpAddr>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    // Not left to a server, which could send "this machine" to another one over plain http.
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    // An image need not have either file; the C library goes on without, too.
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let listed = in_hosts_file(&hosts, host);
    if !listed.is_empty() {
        return Ok(listed);
    }
    let conf = ResolvConf::parse(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    let mut failure = None;
    for name in conf.candidates(host) {
        match ask_all(&conf.servers, &name) {
            Ok(found) if !found.is_empty() => return Ok(found),
            Ok(_) => {}
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(Vec::new()), Err)
}

/// What `/etc/hosts` says about `host`.
fn in_hosts_file(text: &str, host: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else {
            continue;
        };
        if words.any(|name| name.eq_ignore_ascii_case(host)) {
            found.push(address);
        }
    }
    found
}

/// The part of `/etc/resolv.conf` that matters here.
#[derive(Debug, PartialEq, Eq)]
struct ResolvConf {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: usize,
}

impl ResolvConf {
    fn parse(text: &str) -> Self {
        let mut conf = Self { servers: Vec::new(), search: Vec::new(), ndots: 1 };
        for line in text.lines() {
            let mut words = line.split(['#', ';']).next().unwrap_or_default().split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // A scope, as in fe80::1%eth0, has no place in a build container.
                    if let Some(Ok(address)) = words.next().map(str::parse) {
                        conf.servers.push(SocketAddr::new(address, 53));
                    }
                }
                // The last of these lines holds, as with the C library.
                Some("search" | "domain") => conf.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let mut ndots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    conf.ndots = ndots.next_back().unwrap_or(conf.ndots);
                }
                _ => {}
            }
        }
        conf.servers.truncate(MAX_SERVERS);
        if conf.servers.is_empty() {
            conf.servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
        }
        conf
    }

    /// The full names to try for `host`, in order.
    fn candidates(&self, host: &str) -> Vec<String> {
        let bare = host.trim_end_matches('.').to_owned();
        if host.ends_with('.') {
            return vec![bare];
        }
        let searched = self.search.iter().map(|domain| format!("{bare}.{}", domain.trim_end_matches('.')));
        let dots = bare.matches('.').count();
        if dots >= self.ndots {
            std::iter::once(bare.clone()).chain(searched).collect()
        } else {
            searched.chain([bare.clone()]).collect()
        }
    }
}

/// Asks the servers in turn for both families; the first that answers decides.
fn ask_all(servers: &[SocketAddr], name: &str) -> io::Result<Vec<IpAddr>> {
    let mut failure = io::Error::other("no name server is configured");
    for server in servers.iter().flat_map(|server| [*server; ATTEMPTS]) {
        let answers = ask(server, name, TYPE::A).map(|mut found| {
            // Without this family the other may still do, so its failure is not one of the name.
            found.extend(ask(server, name, TYPE::AAAA).unwrap_or_default());
            found
        });
        match answers {
            Ok(found) => return Ok(found),
            Err(error) => {
                let text = format!("the name server {} gave no answer for {name}: {error}", server.ip());
                failure = io::Error::new(error.kind(), text);
            }
        }
    }
    Err(failure)
}

fn ask(server: SocketAddr, name: &str, kind: TYPE) -> io::Result<Vec<IpAddr>> {
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

    #[test]
    fn hosts_file() {
        let text = "127.0.0.1 localhost\n# 10.0.0.9 r.example\n10.0.0.1\tother R.EXAMPLE # note\n::2 r.example\nbad r.example\n";
        let found = in_hosts_file(text, "r.example");
        assert_eq!(found, ["10.0.0.1".parse::<IpAddr>().unwrap(), "::2".parse().unwrap()]);
        assert!(in_hosts_file(text, "example").is_empty());
    }

    #[test]
    fn resolv_conf_and_the_names_it_makes() {
        let conf = ResolvConf::parse(
            "domain old\n; comment\nnameserver 10.0.0.2 # two\nnameserver fe80::1%eth0\nnameserver ::1\nsearch a.example b.example.\noptions rotate ndots:2\n",
        );
        assert_eq!(conf.servers, ["10.0.0.2:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
        for (host, want) in [
            ("r", vec!["r.a.example", "r.b.example", "r"]),
            ("r.x", vec!["r.x.a.example", "r.x.b.example", "r.x"]),
            ("r.x.y", vec!["r.x.y", "r.x.y.a.example", "r.x.y.b.example"]),
            ("r.", vec!["r"]),
        ] {
            assert_eq!(conf.candidates(host), want, "{host}");
        }
        let empty = ResolvConf::parse("");
        assert_eq!(empty.servers, ["127.0.0.1:53".parse().unwrap()]);
        assert_eq!(empty.candidates("r.x"), ["r.x"]);
    }

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

    #[test]
    fn literals_and_this_machine_ask_nobody() {
        assert_eq!(addresses("[::1]").unwrap(), [IpAddr::from(Ipv6Addr::LOCALHOST)]);
        assert_eq!(addresses("127.0.0.9").unwrap(), ["127.0.0.9".parse::<IpAddr>().unwrap()]);
        assert_eq!(addresses("localhost").unwrap().len(), 2);
    }
}
