//! Making sockets: labelled ones for TCP, and placeholders for what becomes a Unix socket.

use std::os::fd::AsFd as _;

use rustix::io::Errno;

use super::label;
use super::notify::{AtExec, Call};
use super::raw;
use super::supervisor::{Answer, Desk};

/// `SOCK_TYPE_MASK` of linux/net.h.
const TYPE_MASK: i32 = 0xf;
const FLAGS: i32 = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;

pub(super) fn answer(desk: &mut Desk, call: &Call) -> Result<Answer, Errno> {
    let (domain, kind, protocol) = (call.int(0), call.int(1), call.int(2));
    if kind & !(TYPE_MASK | FLAGS) != 0 {
        return Err(Errno::INVAL);
    }
    let at_exec = if kind & libc::SOCK_CLOEXEC == 0 { AtExec::Keep } else { AtExec::Close };
    let nonblocking = kind & libc::SOCK_NONBLOCK;
    // The filter lets nothing else through to here; what it might is refused.
    let kind = kind & TYPE_MASK;
    let is_unix = domain == libc::AF_UNIX;
    let (family, allowed) = match domain {
        libc::AF_UNIX => (libc::AF_INET, [0, libc::AF_UNIX]),
        libc::AF_INET | libc::AF_INET6 => (domain, [0, libc::IPPROTO_TCP]),
        _ => return Err(Errno::AFNOSUPPORT),
    };
    if !allowed.contains(&protocol) {
        return Err(Errno::PROTONOSUPPORT);
    }
    if !(kind == libc::SOCK_STREAM || is_unix && kind == libc::SOCK_SEQPACKET) {
        return Err(Errno::SOCKTNOSUPPORT);
    }
    let socket = raw::socket(family, libc::SOCK_STREAM | nonblocking, 0)?;
    // A placeholder can be connected as the TCP socket that it is.
    label::put(socket.as_fd(), family).map_err(|_| Errno::ACCESS)?;
    if kind == libc::SOCK_SEQPACKET {
        desk.packets.insert(rustix::fs::fstat(&socket)?.st_ino);
    }
    Ok(Answer::Give(socket, at_exec))
}
