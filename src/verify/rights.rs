//! Rights that would get packets past the table, and sockets that it never sees.

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};
use socket2::SockRef;

use super::{Outcome, Row};
use crate::firewall::plan::MARK;

pub(super) fn rows() -> Vec<Row> {
    vec![mark(), packet(), vsock(), pppoe()]
}

fn mark() -> Row {
    let attempt =
        std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| SockRef::from(&socket).set_mark(MARK));
    let claim = "nobody but the daemon can mark a socket as the daemon's";
    match attempt {
        Ok(()) => Row::new("net.mark", claim, Outcome::Fail, "the mark was taken"),
        Err(error) => Row::new("net.mark", claim, Outcome::Pass, error.to_string()),
    }
}

fn packet() -> Row {
    let claim = "no packet socket can be made, which would pass the firewall by";
    match socket(AddressFamily::PACKET, SocketType::RAW, None) {
        Ok(_) => Row::new("net.packet", claim, Outcome::Fail, "a packet socket was made"),
        Err(error) => Row::new("net.packet", claim, Outcome::Pass, error.to_string()),
    }
}

/// vsock(7) leads from a virtual machine to its host and knows no network namespaces. Whether it is refused
/// is up to the container engine's seccomp profile, not to this version, so it is told and not judged.
fn vsock() -> Row {
    let claim = "no vsock socket can be made, which leads from a virtual machine to its host";
    past_the_table("net.vsock", claim, AddressFamily::VSOCK)
}

/// PPP over Ethernet (`drivers/net/ppp/pppoe.c`) needs no right, and hands its frames to the interface: nf_tables sees
/// none of them. They get as far as the container's own network.
fn pppoe() -> Row {
    let claim = "no PPPoE socket can be made, whose frames reach neighbours past the firewall";
    past_the_table("net.pppoe", claim, AddressFamily::PPPOX)
}

fn past_the_table(id: &str, claim: &'static str, family: AddressFamily) -> Row {
    told(id, claim, socket(family, SocketType::STREAM, None).map(drop))
}

fn told(id: &str, claim: &'static str, made: rustix::io::Result<()>) -> Row {
    match made {
        Ok(()) => Row::new(
            id,
            claim,
            Outcome::Warn,
            "one was made: the container engine's seccomp profile does not refuse it",
        ),
        Err(Errno::AFNOSUPPORT) => Row::new(id, claim, Outcome::Pass, "the kernel has none"),
        Err(error) => Row::new(id, claim, Outcome::Pass, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_past_the_table_is_told() {
        for (made, outcome) in [
            (Ok(()), Outcome::Warn),
            (Err(Errno::AFNOSUPPORT), Outcome::Pass),
            (Err(Errno::PERM), Outcome::Pass),
        ] {
            assert_eq!(told("x", "y", made).outcome, outcome, "{made:?}");
        }
        // Every kernel has these, so what can be made is told.
        assert_eq!(past_the_table("x", "y", AddressFamily::INET).outcome, Outcome::Warn);
    }
}
