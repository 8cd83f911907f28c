//! Ways out that must be refused, each tried.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use rustix::io::Errno;

use super::{Outcome, Row};
use crate::egress::resolv_conf::ResolvConf;
use crate::{client, paths};

const PATIENCE: Duration = Duration::from_secs(2);

/// TCP, UDP (QUIC's port) and DNS to addresses that nobody has, over both families, and DNS to the resolver.
pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        row("net.tcp4", "TCP to an address that is not allowed is refused", tcp("192.0.2.1:443")),
        row(
            "net.tcp6",
            "TCP over IPv6 to an address that is not allowed is refused",
            tcp("[2001:db8:ffff::1]:443"),
        ),
        row("net.udp4", "UDP (QUIC) is refused", udp("192.0.2.1:443")),
        row("net.udp6", "UDP (QUIC) over IPv6 is refused", udp("[2001:db8:ffff::1]:443")),
        row("net.dns4", "DNS to a server of one's choice is refused", udp("192.0.2.53:53")),
        row(
            "net.dns6",
            "DNS over IPv6 to a server of one's choice is refused",
            udp("[2001:db8:ffff::53]:53"),
        ),
    ];
    let text = fs::read_to_string(paths::RESOLV_CONF).unwrap_or_default();
    for server in ResolvConf::parse(&text).servers {
        rows.push(row(
            format!("net.resolver.{server}"),
            "nobody but the daemon can ask the container's resolver (no DNS tunnel)",
            question(server),
        ));
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
fn judge(error: &io::Error) -> Met {
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

fn refused_packets() -> Option<u64> {
    client::status().ok().map(|status| status.refused_packets)
}

pub(super) fn udp(target: &str) -> Met {
    let Ok(target) = target.parse::<SocketAddr>() else {
        return Met::NoRoute;
    };
    exchange(target, b"agent-sandbox verify")
}

/// A question for a name below a zone that RFC 2606 reserves; whether it exists does not matter.
fn question(server: IpAddr) -> Met {
    let mut packet = vec![0x5a, 0x5a, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["agent-sandbox-verify", "example"] {
        packet.push(u8::try_from(label.len()).unwrap_or_default());
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    exchange(SocketAddr::new(server, 53), &packet)
}

fn exchange(target: SocketAddr, payload: &[u8]) -> Met {
    let any: IpAddr = if target.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let attempt = || -> io::Result<usize> {
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(target)?;
        socket.send(payload)?;
        socket.recv(&mut [0; 512])
    };
    match attempt() {
        Ok(_) => Met::Open("an answer came".to_owned()),
        Err(error) => judge(&error),
    }
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
            let (len, from) = echo.recv_from(&mut [0; 64]).unwrap();
            echo.send_to(&vec![0; len], from).unwrap();
        });
        assert!(matches!(exchange(target, b"x"), Met::Open(_)));
    }
}
