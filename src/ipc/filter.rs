//! Which system calls of the cell are notified, refused or answered on the spot.

use libc::sock_filter;

use super::assembler::{ARCHITECTURE, Assembler, NUMBER, argument};
use super::{INSIDE_ERRNO, INSIDE_PROBE, Mechanism};

/// What a system call interface calls what is looked at.
struct Interface {
    /// `AUDIT_ARCH_*` of linux/audit.h.
    architecture: u32,
    /// Whether the same architecture carries the numbers of a second interface.
    x32: bool,
    socket: u32,
    socketpair: u32,
    bind: u32,
    connect: u32,
    setsockopt: u32,
    prctl: u32,
}

#[cfg(any(target_arch = "x86_64", test))]
const X86_64: Interface = Interface {
    architecture: 0xC000_003E,
    x32: true,
    socket: 41,
    socketpair: 53,
    bind: 49,
    connect: 42,
    setsockopt: 54,
    prctl: 157,
};

#[cfg(any(target_arch = "aarch64", test))]
const AARCH64: Interface = Interface {
    architecture: 0xC000_00B7,
    x32: false,
    socket: 198,
    socketpair: 199,
    bind: 200,
    connect: 203,
    setsockopt: 208,
    prctl: 167,
};

#[cfg(target_arch = "x86_64")]
const NATIVE: Interface = X86_64;
#[cfg(target_arch = "aarch64")]
const NATIVE: Interface = AARCH64;

// Newer calls have the same number everywhere.
const IO_URING_SETUP: u32 = 425;
const IO_URING_ENTER: u32 = 426;
const IO_URING_REGISTER: u32 = 427;
const PIDFD_GETFD: u32 = 438;
/// `__X32_SYSCALL_BIT`.
const X32: u32 = 0x4000_0000;

/// `SOCK_TYPE_MASK` of linux/net.h: what is above are flags.
const TYPE_MASK: u32 = 0xf;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const NOTIFY: u32 = libc::SECCOMP_RET_USER_NOTIF;
/// The call is not made, and its caller is told that it was.
const PRETEND: u32 = libc::SECCOMP_RET_ERRNO;

const fn refuse(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | word(errno)
}

/// Constants of the kernel's that are `int` and never negative.
const fn word(value: i32) -> u32 {
    value.cast_unsigned()
}

/// The filter of a mechanism, for this architecture. One that notifies goes through [`super::install`], another through
/// [`super::install_plain`].
pub fn sockets(mechanism: Mechanism) -> Vec<sock_filter> {
    build(mechanism, &NATIVE)
}

fn build(mechanism: Mechanism, calls: &Interface) -> Vec<sock_filter> {
    let mut lines = Assembler::default();
    lines.load(ARCHITECTURE).unless_equal(calls.architecture, "absent").load(NUMBER);
    if calls.x32 {
        lines.if_at_least(X32, "absent");
    }
    lines.if_equal(calls.socket, "socket").if_equal(calls.socketpair, "socketpair");
    if mechanism == Mechanism::Supervisor {
        lines.if_equal(calls.connect, "notify").if_equal(calls.bind, "notify");
    }
    if mechanism.notifies() {
        lines.if_equal(calls.setsockopt, "setsockopt");
    }
    lines
        .if_equal(calls.prctl, "prctl")
        .if_equal(IO_URING_SETUP, "absent")
        .if_equal(IO_URING_ENTER, "absent")
        .if_equal(IO_URING_REGISTER, "absent")
        .if_equal(PIDFD_GETFD, "not permitted")
        .answer(ALLOW);
    socket(&mut lines, mechanism);
    socketpair(&mut lines, mechanism);
    if mechanism.notifies() {
        setsockopt(&mut lines);
    }
    prctl(&mut lines, mechanism);
    lines.name("allow").answer(ALLOW);
    if mechanism.notifies() {
        lines.name("notify").answer(NOTIFY).name("pretend").answer(PRETEND);
    }
    lines
        .name("absent")
        .answer(refuse(libc::ENOSYS))
        .name("not permitted")
        .answer(refuse(libc::EPERM))
        .name("refused")
        .answer(refuse(libc::EACCES))
        .name("no family")
        .answer(refuse(libc::EAFNOSUPPORT))
        .name("no protocol")
        .answer(refuse(libc::EPROTONOSUPPORT));
    lines.finish()
}

/// Families beyond these few reach others around the label (SMC falls back to TCP by itself) or the host (VSOCK).
fn socket(lines: &mut Assembler, mechanism: Mechanism) {
    lines
        .name("socket")
        .load(argument(0))
        .if_equal(word(libc::AF_UNIX), "unix")
        .if_equal(word(libc::AF_INET), "internet")
        .if_equal(word(libc::AF_INET6), "internet")
        .if_equal(word(libc::AF_NETLINK), "allow")
        .answer(refuse(libc::EAFNOSUPPORT));
    lines.name("unix");
    match mechanism {
        Mechanism::Landlock | Mechanism::LandlockUnlabelled => lines.answer(ALLOW),
        Mechanism::Closed => lines.answer(refuse(libc::EACCES)),
        Mechanism::Supervisor => lines
            .load(argument(1))
            .and(TYPE_MASK)
            .if_equal(word(libc::SOCK_STREAM), "notify")
            .if_equal(word(libc::SOCK_SEQPACKET), "notify")
            .answer(refuse(libc::EACCES)),
    };
    // MPTCP and SCTP carry no label. Those who try them fall back.
    let stream = if mechanism.notifies() { "notify" } else { "allow" };
    lines
        .name("internet")
        .load(argument(1))
        .and(TYPE_MASK)
        .if_equal(word(libc::SOCK_DGRAM), "allow")
        .if_equal(word(libc::SOCK_RAW), "allow")
        .unless_equal(word(libc::SOCK_STREAM), "no protocol")
        .load(argument(2))
        .if_equal(0, stream)
        .if_equal(word(libc::IPPROTO_TCP), stream)
        .answer(refuse(libc::EPROTONOSUPPORT));
}

/// A pair is connected from the start; but a datagram socket can address others all the same.
fn socketpair(lines: &mut Assembler, mechanism: Mechanism) {
    lines.name("socketpair").load(argument(0)).unless_equal(word(libc::AF_UNIX), "no family");
    if matches!(mechanism, Mechanism::Supervisor | Mechanism::Closed) {
        lines
            .load(argument(1))
            .and(TYPE_MASK)
            .if_equal(word(libc::SOCK_STREAM), "allow")
            .if_equal(word(libc::SOCK_SEQPACKET), "allow")
            .answer(refuse(libc::EACCES));
    } else {
        lines.answer(ALLOW);
    }
}

/// What would change the label: see `label`. Programs set the service type as a matter of course (ssh), so they are told
/// that it worked.
fn setsockopt(lines: &mut Assembler) {
    lines
        .name("setsockopt")
        .load(argument(1))
        .if_equal(word(libc::SOL_SOCKET), "of sockets")
        .if_equal(word(libc::IPPROTO_IP), "of IPv4")
        .if_equal(word(libc::IPPROTO_IPV6), "of IPv6")
        .answer(ALLOW)
        .name("of sockets")
        .load(argument(2))
        .if_equal(word(libc::SO_PRIORITY), "not permitted")
        .answer(ALLOW)
        .name("of IPv4")
        .load(argument(2))
        .if_equal(word(libc::IP_TOS), "pretend")
        .if_equal(word(libc::IP_TTL), "pretend")
        .if_equal(word(libc::IP_OPTIONS), "not permitted")
        .answer(ALLOW)
        .name("of IPv6")
        .load(argument(2))
        .if_equal(word(libc::IPV6_TCLASS), "pretend")
        .if_equal(word(libc::IPV6_UNICAST_HOPS), "pretend")
        .answer(ALLOW);
}

/// The supervisor reads its callers' memory. One that hides it (`ssh-agent`) would have no Unix sockets; it is told that
/// it hides.
fn prctl(lines: &mut Assembler, mechanism: Mechanism) {
    lines.name("prctl").load(argument(0)).if_equal(word(INSIDE_PROBE), "inside");
    if mechanism == Mechanism::Supervisor {
        lines
            .unless_equal(word(libc::PR_SET_DUMPABLE), "allow")
            .load(argument(1))
            .if_equal(0, "pretend")
            .answer(ALLOW);
    } else {
        lines.answer(ALLOW);
    }
    lines.name("inside").answer(refuse(INSIDE_ERRNO));
}

#[cfg(test)]
mod tests;
