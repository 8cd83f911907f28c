//! Descriptors that the caller has handed down: what of them the program may have.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use rustix::fs::{FileType, OFlags, fstat, open};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::sockopt::{socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType, getpeername};

use crate::ipc;

/// Keeps from the program, beyond the standard three, whatever is no pipe and no plain file: a folder leads around
/// rules about paths, and a socket to whoever is at its other end. And one of the standard three that is a socket which
/// could still be given another end.
pub(super) fn restrict() -> io::Result<()> {
    for fd in numbers()? {
        let at = borrowed(fd);
        let kept = fstat(at).is_ok_and(|found| {
            matches!(FileType::from_raw_mode(found.st_mode), FileType::Fifo | FileType::RegularFile)
        });
        // Closed and not only marked: the keeper may be there for longer than the program, and whoever waits at the
        // other end waits for neither. All of our own are marked.
        if !kept && fcntl_getfd(at).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC)) {
            close(fd);
        }
    }
    let nothing = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
    if loose(rustix::stdio::stdin()) {
        rustix::stdio::dup2_stdin(&nothing)?;
    }
    if loose(rustix::stdio::stdout()) {
        rustix::stdio::dup2_stdout(&nothing)?;
    }
    if loose(rustix::stdio::stderr()) {
        rustix::stdio::dup2_stderr(&nothing)?;
    }
    Ok(())
}

/// Closes what [`restrict`] has left to the program, in a process that only stands by: whoever waits for the end of a pipe
/// waits for the program. Standard input and output go nowhere then.
pub(super) fn let_go() -> io::Result<()> {
    for fd in numbers()? {
        // All of our own are closed where another program takes over.
        if fcntl_getfd(borrowed(fd)).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC)) {
            close(fd);
        }
    }
    let nothing = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    Ok(())
}

#[expect(unsafe_code, reason = "descriptors that nobody in this program opened have no owner to drop them")]
fn close(fd: RawFd) {
    // SAFETY: nothing in this program has opened it, so nothing uses it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

/// Whether it is a socket by which more can be reached than its other end. A datagram socket of the Unix family can
/// address others although it is connected. A TCP socket can be disconnected and connected anew, so it is labelled as the
/// cell's own are; what lives already goes on.
fn loose(fd: impl AsFd) -> bool {
    let Ok(family) = socket_domain(&fd) else { return false };
    let Ok(kind) = socket_type(&fd) else { return true };
    match family {
        AddressFamily::UNIX => {
            !matches!(kind, SocketType::STREAM | SocketType::SEQPACKET) || getpeername(&fd).is_err()
        }
        AddressFamily::INET | AddressFamily::INET6 => match kind {
            SocketType::STREAM => ipc::label(fd.as_fd(), family).is_err(),
            kind => kind != SocketType::DGRAM,
        },
        _ => true,
    }
}

fn numbers() -> io::Result<Vec<RawFd>> {
    let entries = fs::read_dir("/proc/self/fd")?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(numbers.filter(|fd| *fd > 2).collect())
}

#[expect(unsafe_code, reason = "descriptors that nobody in this program opened have no owner to ask")]
fn borrowed<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: it is asked and marked, and neither closed nor kept. On a number that is not open any more (the folder's
    // own) the kernel answers EBADF.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
