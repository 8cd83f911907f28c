//! Ways out that must be refused, each tried.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use rustix::io::Errno;

use super::{Outcome, Row};
use crate::egress::message::frame;
use crate::egress::resolv_conf::ResolvConf;
use crate::{client, paths};

/// Where nobody is (RFC 5737 and RFC 3849), and a port that nobody serves there.
const NOBODY4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const NOBODY6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
const PORT: u16 = 8443;
const QUIC_PORT: u16 = 443;

/// Whether a flow is for where [`rows`] tries to get to.
pub(super) fn is_probe(address: IpAddr, port: u16) -> bool {
    (address == NOBODY4 || address == NOBODY6) && [PORT, QUIC_PORT].contains(&port)
}

const PATIENCE: Duration = Duration::from_secs(2);

/// TCP, UDP (QUIC's port) and DNS to addresses that nobody has, over both families, and DNS to the resolver.
pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        row(
            "net.tcp4",
            "TCP to an address that is not allowed is refused",
            tcp(&format!("{NOBODY4}:{PORT}")),
        ),
        row(
            "net.tcp6",
            "TCP over IPv6 to an address that is not allowed is refused",
            tcp(&format!("[{NOBODY6}]:{PORT}")),
        ),
        row("net.udp4", "UDP (QUIC) is refused", udp(&format!("{NOBODY4}:{QUIC_PORT}"))),
        row("net.udp6", "UDP (QUIC) over IPv6 is refused", udp(&format!("[{NOBODY6}]:{QUIC_PORT}"))),
        dns("net.dns4", "192.0.2.53:53".parse().ok(), exchange),
        dns("net.dns6", "[2001:db8:ffff::53]:53".parse().ok(), exchange),
        dns("net.dns-tcp4", "192.0.2.53:53".parse().ok(), exchange_tcp),
        dns("net.dns-tcp6", "[2001:db8:ffff::53]:53".parse().ok(), exchange_tcp),
    ];
    let text = fs::read_to_string(paths::RESOLV_CONF).unwrap_or_default();
    for server in ResolvConf::parse(&text).servers {
        rows.push(dns(format!("net.resolver.{server}"), Some(SocketAddr::new(server, 53)), exchange));
    }
    rows
}

/// What a probe met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Met {
    /// The kernel refused at once.
    Refused(String),
    /// There is no route: the packet was not made.
    NoRoute,
    /// Anything else: it went out.
    Open(String),
}

pub(super) fn row(id: impl Into<String>, claim: &'static str, met: Met) -> Row {
    match met {
        Met::Refused(how) => Row::new(id, claim, Outcome::Pass, how),
        Met::NoRoute => Row::new(id, claim, Outcome::NotApplicable, "there is no route to try it on"),
        Met::Open(how) => Row::new(id, claim, Outcome::Fail, how),
    }
}

/// A datagram that the output hook refuses fails with EPERM, which nothing from afar can cause.
pub(super) fn judge(error: &io::Error) -> Met {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::PERM) => Met::Refused(error.to_string()),
        Some(Errno::NETUNREACH | Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT) => Met::NoRoute,
        _ => Met::Open(format!("it went out: {error}")),
    }
}

/// A refused connection looks the same from our kernel and from afar; what tells them apart is that the
/// firewall has counted a refusal meanwhile.
fn tcp(target: &str) -> Met {
    let Ok(target) = target.parse::<SocketAddr>() else { return Met::NoRoute };
    let before = refused_packets();
    let result = TcpStream::connect_timeout(&target, PATIENCE);
    let counted = matches!((before, refused_packets()), (Some(before), Some(after)) if after > before);
    match result {
        Ok(_) => Met::Open("connected".to_owned()),
        Err(error) => match judge_tcp(&error) {
            Met::Refused(how) if !counted => Met::Open(format!("{how}, but not by the firewall")),
            met => met,
        },
    }
}

fn judge_tcp(error: &io::Error) -> Met {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::CONNREFUSED) => Met::Refused(error.to_string()),
        _ => judge(error),
    }
}

pub(super) fn refused_packets() -> Option<u64> {
    client::status().ok().map(|status| status.refused_packets)
}

pub(super) fn udp(target: &str) -> Met {
    let Ok(target) = target.parse::<SocketAddr>() else {
        return Met::NoRoute;
    };
    match exchange(target, b"agent-sandbox verify") {
        Ok(_) => Met::Open("an answer came".to_owned()),
        Err(error) => judge(&error),
    }
}

/// A question to any server must end here: nothing that is asked may leave (no DNS tunnel). That something
/// answers does not show it, as networks answer in servers' places, too; that the table has counted does.
fn dns(
    id: impl Into<String>,
    server: Option<SocketAddr>,
    exchange: fn(SocketAddr, &[u8]) -> io::Result<Vec<u8>>,
) -> Row {
    let claim = "a DNS question, whomever it is for, is answered here and does not leave";
    let Some(server) = server else { return row(id, claim, Met::NoRoute) };
    let before = refused_packets();
    let result = exchange(server, &question());
    let counted = matches!((before, refused_packets()), (Some(before), Some(after)) if after > before);
    match (result, counted) {
        (Ok(answer), true) if no_such_name(&answer) => {
            Row::new(id, claim, Outcome::Pass, "no such name, says the sandbox")
        }
        (Ok(_), true) => row(id, claim, Met::Open("an answer came that is not the sandbox's".to_owned())),
        (Ok(_), false) => row(id, claim, Met::Open("an answer came from elsewhere".to_owned())),
        (Err(error), true) if is_silence(&error) => Row::new(
            id,
            claim,
            Outcome::Warn,
            "it does not leave, and nothing answers: see agent-sandbox status",
        ),
        (Err(error), false) if is_silence(&error) => {
            row(id, claim, Met::Open(format!("{error}, and the firewall has counted nothing")))
        }
        (Err(error), _) => row(id, claim, judge(&error)),
    }
}

/// What a receive time-out, or a port that nobody listens on, looks like.
fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::ConnectionRefused
    )
}

/// For a name below a top level domain that RFC 2606 keeps from existing.
fn question() -> Vec<u8> {
    let mut packet = vec![0x5a, 0x5a, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["agent-sandbox-verify", "invalid"] {
        packet.push(u8::try_from(label.len()).unwrap_or_default());
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}

/// NXDOMAIN is 3 (RFC 1035 section 4.1.1), and no records.
fn no_such_name(answer: &[u8]) -> bool {
    answer.get(..2) == Some(&[0x5a, 0x5a])
        && answer.get(3).is_some_and(|byte| byte & 15 == 3)
        && answer.get(6..8) == Some(&[0, 0])
}

fn exchange(target: SocketAddr, payload: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = if target.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(target)?;
    socket.send(payload)?;
    let mut answer = vec![0; 512];
    let len = socket.recv(&mut answer)?;
    answer.truncate(len);
    Ok(answer)
}

/// The same over TCP, each message with its length before it (RFC 1035 section 4.2.2).
fn exchange_tcp(target: SocketAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&frame(message).unwrap_or_default())?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_by_the_kernel_passes() {
        let error = |errno: Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        assert!(matches!(judge(&error(Errno::PERM)), Met::Refused(_)));
        for errno in [Errno::CONNREFUSED, Errno::TIMEDOUT, Errno::AGAIN, Errno::CONNRESET, Errno::HOSTUNREACH]
        {
            assert!(matches!(judge(&error(errno)), Met::Open(_)), "{errno}");
        }
        assert!(matches!(judge_tcp(&error(Errno::CONNREFUSED)), Met::Refused(_)));
        assert!(matches!(judge_tcp(&error(Errno::TIMEDOUT)), Met::Open(_)));
        assert_eq!(judge(&error(Errno::NETUNREACH)), Met::NoRoute);
    }

    #[test]
    fn a_refusal_that_no_firewall_counted_fails_its_row() {
        // Nothing listens here and no daemon counts: the refusal is not the firewall's.
        assert!(matches!(tcp("127.0.0.1:1"), Met::Open(_)));
    }

    #[test]
    fn a_probe_that_gets_through_fails_its_row() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let row = row("x", "y", tcp(&listener.local_addr().unwrap().to_string()));
        assert_eq!(row.outcome, Outcome::Fail);
        let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = echo.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((len, from)) = echo.recv_from(&mut buffer) {
                echo.send_to(&buffer[..len], from).unwrap();
            }
        });
        assert!(matches!(udp(&target.to_string()), Met::Open(_)));
        // An answer that nobody here counted, as a network's own resolver would give it.
        assert_eq!(dns("x", Some(target), exchange).outcome, Outcome::Fail);
    }

    #[test]
    fn the_sandboxs_answer_to_the_question() {
        let names = crate::egress::answer::Names::default();
        let reply = crate::egress::answer::reply(&question(), &names).unwrap();
        assert!(no_such_name(&reply.bytes));
        assert_eq!(reply.refused, None, "a check is nothing to report");
        assert!(!no_such_name(&question()));
    }
}
