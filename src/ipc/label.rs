//! The label of the cell's TCP sockets: by it the firewall tells them from others' on loopback.
//!
//! The table goes by the hop limit, in the packet's own header. The priority is there for who looks at sockets; the kernel
//! clears it on one that `accept` gives, and such a socket can be disconnected and connected elsewhere. The filter keeps
//! the cell from changing either.

use std::io;
use std::os::fd::BorrowedFd;

use super::raw;

/// `SO_PRIORITY` of the cell's TCP sockets: a value that no `IP_TOS` leads to.
pub const LABEL: i32 = 5;
/// The time to live and hop limit of the cell's TCP sockets, accepted and reconnected ones included.
pub const HOPS: i32 = 61;

/// Labels a TCP socket that has not been given away yet.
pub(super) fn put(socket: BorrowedFd<'_>, domain: i32) -> io::Result<()> {
    raw::set_option(socket, libc::SOL_SOCKET, libc::SO_PRIORITY, LABEL)?;
    raw::set_option(socket, libc::IPPROTO_IP, libc::IP_TTL, HOPS)?;
    if domain == libc::AF_INET6 {
        raw::set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, HOPS)?;
    }
    Ok(())
}
