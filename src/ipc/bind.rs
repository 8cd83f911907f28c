//! Binding a Unix socket in the caller's place, and listening on it at once: see `ipc`.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::address::Address;
use super::caller::{Caller, Kind};
use super::connect::{put, wanted};
use super::notify::{Call, Listener};
use super::raw::{self, UnixAddress};
use super::resolve::{Pinned, Start, split};
use super::supervisor::{Answer, Desk};

pub(super) fn answer(desk: &mut Desk, listener: &Listener, call: &Call) -> Result<Answer, Errno> {
    let caller = Caller::new(call.tid);
    let Some(address) = wanted(caller, call)? else { return Ok(Answer::GoOn) };
    let fd = call.int(0);
    if caller.kind(fd)? == Kind::Other {
        return Ok(Answer::GoOn);
    }
    let flags = caller.flags(fd)?;
    let kind = desk.kind_of(caller, fd) | libc::SOCK_NONBLOCK;
    match address {
        Address::Path(path) => {
            let (folder, name) = split(&path).ok_or(Errno::NOENT)?;
            let start = Start::of(caller, &path)?;
            let folder = start.pin_folder(folder).map_err(|error| start.tell(&path, error, &desk.rules))?;
            if !desk.rules.bind_in(&folder.real) {
                return Err(Errno::ACCESS);
            }
            if matches!(name, b"." | b"..") {
                return Err(Errno::ADDRINUSE);
            }
            let umask = Mode::from_raw_mode(caller.umask()?);
            if !listener.still_waits(call) {
                return Err(Errno::INTR);
            }
            let socket = raw::socket(libc::AF_UNIX, kind, 0)?;
            match &desk.makers {
                Some(makers) => makers.bind(&start, &path, umask, &socket)?,
                None => bind_in(&folder, name, umask, &socket)?,
            }
            listen(&socket).inspect_err(|_| {
                let _ = rustix::fs::unlinkat(&folder, name, AtFlags::empty());
            })?;
            put(socket, flags, fd)
        }
        Address::Abstract(name) => abstractly(desk, &[b"\0", name.as_slice()].concat(), kind, flags, fd),
        Address::Unnamed => abstractly(desk, b"", kind, flags, fd),
        Address::TooLong => Err(Errno::INVAL),
        Address::Other => Ok(Answer::GoOn),
    }
}

/// In the folder itself, whatever its path has become. Who asks the socket for its address is told the last name only.
fn bind_in(folder: &Pinned, name: &[u8], umask: Mode, socket: &OwnedFd) -> Result<(), Errno> {
    let address = UnixAddress::new(name)?;
    rustix::process::fchdir(folder)?;
    let before = rustix::process::umask(umask);
    let result = raw::bind(socket.as_fd(), &address);
    rustix::process::umask(before);
    // Not to keep anything of the cell's from being unmounted; the root is always there.
    let _ = rustix::process::chdir("/");
    result
}

fn abstractly(desk: &mut Desk, address: &[u8], kind: i32, flags: OFlags, fd: i32) -> Result<Answer, Errno> {
    let socket = raw::socket(libc::AF_UNIX, kind, 0)?;
    raw::bind(socket.as_fd(), &UnixAddress::new(address)?)?;
    listen(&socket)?;
    let bound = raw::bound_to(socket.as_fd())?;
    let name = bound.split_first().map(|(_, name)| name.to_vec()).ok_or(Errno::INVAL)?;
    desk.names.insert(name);
    put(socket, flags, fd)
}

/// The caller's own `listen` sets how many may wait.
fn listen(socket: &OwnedFd) -> Result<(), Errno> {
    rustix::net::listen(socket, 0)
}
