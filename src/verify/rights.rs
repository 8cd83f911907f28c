//! Rights that would get packets past the table, and sockets that it never sees.

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};
use socket2::SockRef;

use super::{Outcome, Row};
use crate::firewall::plan::MARK;

pub(super) fn rows() -> Vec<Row> {
    vec![mark(), packet(), vsock()]
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
    match socket(AddressFamily::VSOCK, SocketType::STREAM, None) {
        Ok(_) => Row::new(
            "net.vsock",
            claim,
            Outcome::Warn,
            "one was made: the container engine's seccomp profile does not refuse it",
        ),
        Err(Errno::AFNOSUPPORT) => Row::new("net.vsock", claim, Outcome::Pass, "the kernel has none"),
        Err(error) => Row::new("net.vsock", claim, Outcome::Pass, error.to_string()),
    }
}
