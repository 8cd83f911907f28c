//! Unix sockets of the agent's cell, and the label that its TCP sockets carry.
//!
//! The rule that all of it stands on: **no process of the cell ever holds an `AF_UNIX` socket that is neither connected
//! nor listening.** What `socket` gives is a placeholder, a TCP socket; `connect` and `bind` of an `AF_UNIX` address are
//! done by the supervisor, which puts the finished socket in the placeholder's place. So whatever a caller writes into
//! its memory while the kernel goes on with any other `connect` or `bind`, there is no socket with which it would reach
//! a Unix socket.
//!
//! What differs from a system without a cell, by design: a placeholder says `AF_INET` and `SOCK_STREAM` of itself; a
//! copy of it (`dup`, `fork`) stays a placeholder when the other is connected; options that were set on it before
//! `connect` or `bind` are lost, and so is its place in an `epoll` set; a socket that was bound cannot connect any more;
//! a peer that asks who connected is told the supervisor; `AF_UNIX` datagram sockets, which can address others without
//! `connect`, do not exist (syslog, `sd_notify`); a path through `/proc/self/fd` is refused; where there is no
//! Landlock, a bound socket is told only the last name of its path; a process whose memory
//! cannot be read (a program file without read permission) has no Unix sockets.

mod address;
mod assembler;
mod bind;
mod binder;
mod caller;
mod connect;
pub mod filter;
mod label;
mod mechanism;
mod notify;
mod peers;
mod raw;
mod remembered;
mod resolve;
mod rules;
mod socket;
mod supervisor;

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

pub use label::{HOPS, LABEL};
pub use mechanism::{Found, Mechanism, WhyNot, probe};
pub use rules::{SocketRules, Verdict};
pub use supervisor::{Supervisor, Turn};

/// What a process asks `prctl` for to learn whether it is in a cell.
pub const INSIDE_PROBE: i32 = 0x4153_4258;
/// What the cell's filter answers to [`INSIDE_PROBE`]: no error of the kernel's has this number.
pub const INSIDE_ERRNO: i32 = 4001;

/// Whether this process is in a cell already.
///
/// Anybody can pretend to be in one; who does has only themselves without one.
pub fn is_inside() -> bool {
    raw::inside_probe(INSIDE_PROBE) == INSIDE_ERRNO
}

/// Labels a TCP socket that somebody hands into the cell, as those are that are made there.
pub fn label(socket: BorrowedFd<'_>, family: rustix::net::AddressFamily) -> io::Result<()> {
    label::put(socket, i32::from(family.as_raw()))
}

/// Takes on a filter that notifies, and gives the descriptor from which the notifications are read.
///
/// `no_new_privs` must have been set. A thread can have only one such filter, those of its ancestors included: `EBUSY`.
pub fn install(filter: &[libc::sock_filter]) -> io::Result<OwnedFd> {
    notify::install(filter)
}

/// Takes on a filter that notifies nobody.
pub fn install_plain(filter: &[libc::sock_filter]) -> io::Result<()> {
    notify::install_plain(filter)
}
