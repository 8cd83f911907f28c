//! The system calls that are closed to the cell: what could widen its rights or what no program of a working day needs.
//!
//! Only what is listed is refused, and whatever is newer than the list. Unix sockets have a filter of their own.

use seccompiler::{BpfProgram, sock_filter};

mod assemble;
mod table;

use assemble::{Verdict, load, masked, only, refuse_where_any, ret, when};

/// Whether programs of the cell may trace each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracing {
    /// Landlock keeps the tracer within the cell, so that a debugger works there.
    Inside,
    /// Nothing but this filter would keep it from the other processes of the same user.
    Closed,
}

/// The last system call that was looked at, `removexattrat`. What comes later has numbers above it on every
/// architecture, and is answered as by a kernel that does not have it.
const NEWEST: u32 = 466;

/// A tracer's word for "skip this call": the kernel runs nothing then, and the tracer's answer must stay.
const SKIPPED: u32 = u32::MAX;

/// `AUDIT_ARCH_*` of the one way to call the kernel that this program, too, uses.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Namespaces, as `clone` takes them. (A new time namespace cannot be asked for there.)
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;
/// `CLONE_NEWTIME`, which `unshare` alone takes.
const NEW_TIME: u32 = 0x80;

/// Requests that type into a terminal, or change what reads it. The kernel looks at 32 bits.
const TERMINAL: [u32; 4] = [
    0x5412, /* TIOCSTI */
    0x541c, /* TIOCLINUX */
    0x5423, /* TIOCSETD */
    0x541d, /* TIOCCONS */
];

/// What people and debuggers ask `personality` for: what it is, Linux, 32-bit, an old version's name, and addresses
/// that are the same on every run. Others make memory executable or map its first page.
const PERSONALITIES: [u32; 6] = [0, 0x0008, 0x2_0000, 0x2_0008, 0x4_0000, u32::MAX];

/// What `socket` holds beside the type: `SOCK_CLOEXEC`, `SOCK_NONBLOCK`.
const SOCKET_TYPE: u32 = 0xf;

/// The filter. It is installed with [`seccompiler::apply_filter`], and stays for whatever is started.
pub fn filter(tracing: Tracing) -> BpfProgram {
    let mut program = vec![assemble::architecture()];
    program.extend(assemble::unless(ARCHITECTURE, ret(Verdict::Errno(libc::ENOSYS))));
    program.push(assemble::number());
    program.extend(when(SKIPPED, vec![ret(Verdict::Allow)]));
    program.extend(assemble::above(NEWEST, ret(Verdict::Errno(libc::ENOSYS))));
    let closed: &[_] = if tracing == Tracing::Closed { table::TRACING } else { &[] };
    for (call, errno) in table::REFUSED.iter().chain(table::ARCHITECTURE).chain(closed) {
        program.extend(when(number(*call), vec![ret(Verdict::Errno(*errno))]));
    }
    for (call, body) in looked_into() {
        program.extend(when(number(call), body));
    }
    program.push(ret(Verdict::Allow));
    program
}

/// Calls whose arguments decide. Each body ends in a verdict.
fn looked_into() -> Vec<(libc::c_long, Vec<sock_filter>)> {
    let namespaces = NAMESPACES.cast_unsigned();
    vec![
        (libc::SYS_clone, refuse_where_any(0, namespaces, libc::EPERM)),
        (libc::SYS_unshare, refuse_where_any(0, namespaces | NEW_TIME, libc::EPERM)),
        (libc::SYS_ioctl, assemble::none_of(1, &TERMINAL, libc::EPERM)),
        (libc::SYS_personality, only(0, &PERSONALITIES, libc::EPERM)),
        (libc::SYS_prctl, assemble::none_of(0, &[libc::PR_SET_MM.cast_unsigned()], libc::EPERM)),
        (libc::SYS_prlimit64, limits()),
        (libc::SYS_socket, socket()),
        (libc::SYS_socketpair, only(0, &[family(libc::AF_UNIX)], libc::EOPNOTSUPP)),
    ]
}

/// Limits can be set on any process of the same user, and one of them ends it: only the caller's own, as 0. Reading
/// them stays.
fn limits() -> Vec<sock_filter> {
    let allow = || vec![ret(Verdict::Allow)];
    let mut body = vec![load(0)];
    body.extend(when(0, allow()));
    body.push(load(2));
    let mut upper = vec![assemble::load_upper(2)];
    upper.extend(when(0, allow()));
    upper.push(ret(Verdict::Errno(libc::EPERM)));
    body.extend(when(0, upper));
    body.push(ret(Verdict::Errno(libc::EPERM)));
    body
}

/// Unix (which the other filter looks at), TCP, UDP, echo requests as an unprivileged `ping` sends them, and the part of
/// netlink that lists addresses and routes.
fn socket() -> Vec<sock_filter> {
    let mut body = vec![load(0)];
    body.extend(when(family(libc::AF_UNIX), vec![ret(Verdict::Allow)]));
    body.extend(when(family(libc::AF_INET), internet()));
    body.extend(when(family(libc::AF_INET6), internet()));
    let route = family(libc::NETLINK_ROUTE);
    body.extend(when(family(libc::AF_NETLINK), only(2, &[route], libc::EPROTONOSUPPORT)));
    body.push(ret(Verdict::Errno(libc::EAFNOSUPPORT)));
    body
}

/// Multipath TCP and the like would go past what is decided for TCP; programs fall back on it.
fn internet() -> Vec<sock_filter> {
    let tcp = [0, family(libc::IPPROTO_TCP)];
    let udp = [0, libc::IPPROTO_UDP, libc::IPPROTO_ICMP, libc::IPPROTO_ICMPV6].map(family);
    let mut body = masked(1, SOCKET_TYPE);
    body.extend(when(family(libc::SOCK_STREAM), only(2, &tcp, libc::EPROTONOSUPPORT)));
    body.extend(when(family(libc::SOCK_DGRAM), only(2, &udp, libc::EPROTONOSUPPORT)));
    body.extend(when(family(libc::SOCK_RAW), vec![ret(Verdict::Errno(libc::EPERM))]));
    body.push(ret(Verdict::Errno(libc::ESOCKTNOSUPPORT)));
    body
}

/// A family, a type or a protocol, none of which is negative.
fn family(value: i32) -> u32 {
    value.cast_unsigned()
}

/// Numbers of system calls fit 32 bits, which is what the kernel hands to a filter.
fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).unwrap_or(SKIPPED - 1)
}

#[cfg(test)]
mod tests;
