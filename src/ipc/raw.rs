//! Calls of the kernel's that no safe interface has in the form that is needed here.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::io::Errno;

/// `SO_PEERPIDFD` of asm-generic/socket.h, from Linux 6.5.
const SO_PEERPIDFD: i32 = 77;

/// An address of the Unix family as the kernel takes it.
pub(super) struct UnixAddress {
    raw: libc::sockaddr_un,
    len: libc::socklen_t,
}

impl UnixAddress {
    /// From the bytes of `sun_path`: none for an address that the kernel chooses, a NUL first for an abstract name.
    pub(super) fn new(path: &[u8]) -> Result<Self, Errno> {
        let mut raw = libc::sockaddr_un { sun_family: 1, sun_path: [0; 108] };
        if path.len() > raw.sun_path.len() {
            return Err(Errno::NAMETOOLONG);
        }
        for (to, from) in raw.sun_path.iter_mut().zip(path) {
            *to = libc::c_char::from_ne_bytes([*from]);
        }
        let len = libc::socklen_t::try_from(2 + path.len()).map_err(|_| Errno::NAMETOOLONG)?;
        Ok(Self { raw, len })
    }
}

/// The size of one of the structures here, all of which are small.
#[expect(clippy::cast_possible_truncation, reason = "they are small")]
const fn size<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

/// `socket`, without anything between the caller and the kernel.
pub(super) fn socket(domain: i32, kind: i32, protocol: i32) -> Result<OwnedFd, Errno> {
    #[expect(unsafe_code, reason = "the domain, type and protocol are a caller's, as they are")]
    // SAFETY: takes no pointer. What it gives is a new descriptor, which nobody else owns.
    let socket = unsafe {
        match libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) {
            -1 => return Err(last()),
            socket => OwnedFd::from_raw_fd(socket),
        }
    };
    Ok(socket)
}

pub(super) fn connect(socket: BorrowedFd<'_>, address: &UnixAddress) -> Result<(), Errno> {
    #[expect(unsafe_code, reason = "libraries take paths that are UTF-8 or end in NUL")]
    // SAFETY: the address is alive and of at least the length given, as its constructor saw to.
    let result = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address.raw).cast(), address.len) };
    if result == 0 { Ok(()) } else { Err(last()) }
}

pub(super) fn bind(socket: BorrowedFd<'_>, address: &UnixAddress) -> Result<(), Errno> {
    #[expect(unsafe_code, reason = "libraries take paths that are UTF-8 or end in NUL")]
    // SAFETY: the address is alive and of at least the length given, as its constructor saw to.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address.raw).cast(), address.len) };
    if result == 0 { Ok(()) } else { Err(last()) }
}

/// Puts this thread, and what it starts, under a Landlock ruleset.
pub(super) fn restrict_self(ruleset: BorrowedFd<'_>) -> Result<(), Errno> {
    #[expect(
        unsafe_code,
        reason = "the library's own allocates, and so cannot be used in a copy of a process"
    )]
    // SAFETY: takes no pointer.
    let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0u32) };
    if result == 0 { Ok(()) } else { Err(last()) }
}

/// The bytes of `sun_path` that a Unix socket is bound to.
pub(super) fn bound_to(socket: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let mut raw = libc::sockaddr_un { sun_family: 0, sun_path: [0; 108] };
    let mut len = size::<libc::sockaddr_un>();
    #[expect(unsafe_code, reason = "libraries take paths that are UTF-8 or end in NUL")]
    // SAFETY: both point to locals, and the length is the address's own.
    let result = unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut raw).cast(), &raw mut len) };
    if result != 0 {
        return Err(last());
    }
    let len = (len as usize).saturating_sub(2);
    Ok(raw.sun_path.iter().take(len).flat_map(|byte| byte.to_ne_bytes()).collect())
}

pub(super) fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    #[expect(unsafe_code, reason = "no library has all of these options")]
    // SAFETY: points to a local of the length given.
    let result = unsafe {
        let len = size::<i32>();
        libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The process that listened on, or connected, the other end; `None` where it is in no process namespace of ours.
pub(super) fn peer(socket: BorrowedFd<'_>) -> Result<Option<u32>, Errno> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = size::<libc::ucred>();
    #[expect(unsafe_code, reason = "the library takes it for granted that there is a process")]
    // SAFETY: both point to locals, and the length is the structure's own, of which any content is a value.
    let result = unsafe {
        let peer = (&raw mut peer).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, peer, &raw mut len)
    };
    if result != 0 {
        return Err(last());
    }
    Ok(u32::try_from(peer.pid).ok().filter(|pid| *pid != 0))
}

/// The same process held, where the kernel can (6.5). An error says that it has ended, or that the kernel cannot.
pub(super) fn peer_held(socket: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let mut held: i32 = -1;
    let mut len = size::<i32>();
    #[expect(unsafe_code, reason = "no library has this option")]
    // SAFETY: both point to locals of the length given; on success the kernel has put a new descriptor there, which
    // nobody else owns.
    unsafe {
        let to = (&raw mut held).cast();
        if libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PEERPIDFD, to, &raw mut len) != 0
            || held < 0
        {
            return Err(last());
        }
        Ok(OwnedFd::from_raw_fd(held))
    }
}

/// Copies from another process's memory; fewer bytes than asked for where the rest is not mapped.
pub(super) fn read_memory(tid: u32, from: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let Ok(pid) = libc::pid_t::try_from(tid) else { return Err(Errno::SRCH) };
    let Ok(start) = usize::try_from(from) else { return Err(Errno::FAULT) };
    let here = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let there = libc::iovec { iov_base: std::ptr::without_provenance_mut(start), iov_len: buffer.len() };
    #[expect(unsafe_code, reason = "no library has this call")]
    // SAFETY: what is written to is the buffer, exclusively borrowed. The other address is another process's, and is
    // never used in this one.
    let read = unsafe { libc::process_vm_readv(pid, &raw const here, 1, &raw const there, 1, 0) };
    usize::try_from(read).map_err(|_| last())
}

/// What `prctl` says to an option that the kernel does not have: an error's number.
pub(super) fn inside_probe(option: i32) -> i32 {
    #[expect(unsafe_code, reason = "libraries know only options that exist")]
    // SAFETY: no option of the kernel's has this number, and no argument is a pointer.
    let answer = unsafe { libc::prctl(option, 0, 0, 0, 0) };
    if answer == -1 { last().raw_os_error() } else { 0 }
}

/// The number of the system call's last error in this thread.
pub(super) fn last() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

/// Blocking or not, for a socket that is about to be given away.
pub(super) fn set_nonblocking(socket: &OwnedFd, nonblocking: bool) -> Result<(), Errno> {
    rustix::io::ioctl_fionbio(socket.as_fd(), nonblocking)
}
