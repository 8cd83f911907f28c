//! Connecting a Unix socket in the caller's place.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::address::{self, Address};
use super::caller::{Caller, Kind};
use super::notify::{AtExec, Call, Listener};
use super::raw::{self, UnixAddress};
use super::resolve::Start;
use super::rules::Verdict;
use super::supervisor::{Answer, Desk};

pub(super) fn answer(desk: &mut Desk, listener: &Listener, call: &Call) -> Result<Answer, Errno> {
    let caller = Caller::new(call.tid);
    let Some(address) = wanted(caller, call)? else { return Ok(Answer::GoOn) };
    let fd = call.int(0);
    if caller.kind(fd)? == Kind::Other {
        return Ok(Answer::GoOn);
    }
    let flags = caller.flags(fd)?;
    let kind = desk.kind_of(caller, fd);
    let (target, verdict) = match address {
        Address::Path(path) => {
            let start = Start::of(caller, &path)?;
            let pinned = start.pin(&path).map_err(|error| start.tell(&path, error, &desk.rules))?;
            let verdict = desk.rules.connect(&pinned.real);
            if verdict == Verdict::Closed || !pinned.is_socket() || !pinned.is_only_name() {
                let known = desk.rules.may_know(&pinned.real) && !pinned.is_socket();
                return Err(if known { Errno::CONNREFUSED } else { Errno::ACCESS });
            }
            (Target::Pinned(pinned), verdict)
        }
        // That a name is one of ours does not make whoever has it now one of us.
        Address::Abstract(name) if desk.names.contains(&name) => (Target::Name(name), Verdict::OpenAmongUs),
        Address::Abstract(_) => return Err(Errno::ACCESS),
        Address::Unnamed | Address::TooLong => return Err(Errno::INVAL),
        Address::Other => return Ok(Answer::GoOn),
    };
    if !listener.still_waits(call) {
        return Err(Errno::INTR);
    }
    let socket = raw::socket(libc::AF_UNIX, kind | libc::SOCK_NONBLOCK, 0)?;
    match raw::connect(socket.as_fd(), &target.address()?) {
        Ok(()) => {}
        Err(Errno::AGAIN) if !flags.contains(OFlags::NONBLOCK) => return Ok(Answer::Later),
        Err(error) => return Err(error),
    }
    if verdict == Verdict::OpenAmongUs && !desk.peers.has_listener_of(&socket) {
        return Err(Errno::ACCESS);
    }
    put(socket, flags, fd)
}

/// The address that is meant, if it is there and of the Unix family.
pub(super) fn wanted(caller: Caller, call: &Call) -> Result<Option<Address>, Errno> {
    let Some(len) = address::readable(call.int(2)) else { return Ok(None) };
    let mut bytes = [0; address::MAX];
    caller.read(call.arguments[1], &mut bytes[..len])?;
    Ok(match address::parse(&bytes[..len]) {
        Address::Other => None,
        address => Some(address),
    })
}

/// A finished socket, with what the caller had set on its own.
pub(super) fn put(socket: OwnedFd, flags: OFlags, over: i32) -> Result<Answer, Errno> {
    // It was made so that nobody here waits.
    if !flags.contains(OFlags::NONBLOCK) {
        raw::set_nonblocking(&socket, false)?;
    }
    let at_exec = if flags.contains(OFlags::CLOEXEC) { AtExec::Close } else { AtExec::Keep };
    Ok(Answer::PutOver(socket, over, at_exec))
}

enum Target {
    Pinned(super::resolve::Pinned),
    Name(Vec<u8>),
}

impl Target {
    fn address(&self) -> Result<UnixAddress, Errno> {
        match self {
            Self::Pinned(pinned) => UnixAddress::new(pinned.own_path().as_bytes()),
            Self::Name(name) => UnixAddress::new(&[b"\0", name.as_slice()].concat()),
        }
    }
}
