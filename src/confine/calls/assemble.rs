//! A filter's instructions, in pieces that each end in a verdict, so that no jump is counted by hand.

use seccompiler::sock_filter;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This filter has nothing against it.
    Allow,
    /// It is not made, and this is its error.
    Errno(i32),
}

/// Load 32 bits of what is known of the call.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_ABOVE: u16 = 0x25;
const JUMP_IF_ANY: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Where `struct seccomp_data` has them.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

fn step(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// How the caller entered the kernel.
pub(super) fn architecture() -> sock_filter {
    step(LOAD, ARCHITECTURE)
}

/// Which call.
pub(super) fn number() -> sock_filter {
    step(LOAD, NUMBER)
}

/// An argument's lower half; both architectures are little-endian.
pub(super) fn load(argument: u32) -> sock_filter {
    step(LOAD, ARGUMENTS + 8 * argument)
}

/// An argument's upper half.
pub(super) fn load_upper(argument: u32) -> sock_filter {
    step(LOAD, ARGUMENTS + 8 * argument + 4)
}

/// The end.
pub(super) fn ret(verdict: Verdict) -> sock_filter {
    let value = match verdict {
        Verdict::Allow => libc::SECCOMP_RET_ALLOW,
        Verdict::Errno(errno) => libc::SECCOMP_RET_ERRNO | errno.cast_unsigned(),
    };
    step(RETURN, value)
}

/// The body, which ends in a verdict, if what was loaded is this value.
pub(super) fn when(value: u32, body: Vec<sock_filter>) -> Vec<sock_filter> {
    guarded(JUMP_IF_EQUAL, value, body)
}

/// The verdict if what was loaded is anything else.
pub(super) fn unless(value: u32, end: sock_filter) -> Vec<sock_filter> {
    vec![sock_filter { code: JUMP_IF_EQUAL, jt: 1, jf: 0, k: value }, end]
}

/// The verdict if what was loaded is larger.
pub(super) fn above(value: u32, end: sock_filter) -> Vec<sock_filter> {
    guarded(JUMP_IF_ABOVE, value, vec![end])
}

/// The argument's lower half, and of it these bits.
pub(super) fn masked(argument: u32, bits: u32) -> Vec<sock_filter> {
    vec![load(argument), step(AND, bits)]
}

/// Allowed if the argument's lower half is one of these.
pub(super) fn only(argument: u32, values: &[u32], errno: i32) -> Vec<sock_filter> {
    listed(argument, values, Verdict::Allow, Verdict::Errno(errno))
}

/// Allowed unless the argument's lower half is one of these.
pub(super) fn none_of(argument: u32, values: &[u32], errno: i32) -> Vec<sock_filter> {
    listed(argument, values, Verdict::Errno(errno), Verdict::Allow)
}

/// Refused if the argument's lower half has any of these bits.
pub(super) fn refuse_where_any(argument: u32, bits: u32, errno: i32) -> Vec<sock_filter> {
    let mut body = vec![load(argument)];
    body.extend(guarded(JUMP_IF_ANY, bits, vec![ret(Verdict::Errno(errno))]));
    body.push(ret(Verdict::Allow));
    body
}

fn listed(argument: u32, values: &[u32], found: Verdict, other: Verdict) -> Vec<sock_filter> {
    let mut body = vec![load(argument)];
    body.extend(values.iter().flat_map(|value| when(*value, vec![ret(found)])));
    body.push(ret(other));
    body
}

fn guarded(code: u16, value: u32, body: Vec<sock_filter>) -> Vec<sock_filter> {
    // A jump reaches 255 instructions far; the longest body has some dozens, and the tests run every one of them.
    let past = u8::try_from(body.len()).unwrap_or(u8::MAX);
    let mut piece = vec![sock_filter { code, jt: 0, jf: past, k: value }];
    piece.extend(body);
    piece
}
