//! What a waiting caller holds: its memory, its descriptors, its folder.
//!
//! All of it is found by the caller's number, which is its own only while it waits: whoever asks here checks with
//! [`super::notify::Listener::still_waits`] before acting on the answer.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::raw;

/// What a descriptor of the caller's stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A TCP socket over IPv4, as all placeholders are.
    Placeholder,
    /// Anything else, or nothing: the kernel knows what to say.
    Other,
}

/// A thread that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    tid: u32,
}

impl Caller {
    pub(super) fn new(tid: u32) -> Self {
        Self { tid }
    }

    /// Fills the buffer from the caller's memory. `FAULT` where it has none there, `ACCESS` where it cannot be read.
    pub(super) fn read(self, from: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        let read = match raw::read_memory(self.tid, from, buffer) {
            Ok(read) => read,
            Err(Errno::FAULT) => return Err(Errno::FAULT),
            // A container's profile may refuse the call, and not the file that does the same.
            Err(_) => self.read_file(from, buffer)?,
        };
        if read == buffer.len() { Ok(()) } else { Err(Errno::FAULT) }
    }

    fn read_file(self, from: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let memory = rustix::fs::open(self.path("mem"), flags, Mode::empty()).map_err(hidden)?;
        match rustix::io::pread(&memory, &mut *buffer, from) {
            Ok(read) => Ok(read),
            // What the file says of an address that is not mapped.
            Err(Errno::IO | Errno::INVAL | Errno::OVERFLOW) => Err(Errno::FAULT),
            Err(error) => Err(hidden(error)),
        }
    }

    /// What is behind a descriptor.
    pub(super) fn kind(self, fd: i32) -> Result<Kind, Errno> {
        let mut name = [0; 32];
        // Every socket says so of itself (sockfs), whoever asks.
        match rustix::fs::getxattr(self.descriptor(fd), "system.sockprotoname", &mut name[..]) {
            Ok(len) if name[..len].split(|byte| *byte == 0).next() == Some(b"TCP") => Ok(Kind::Placeholder),
            Err(Errno::ACCESS | Errno::PERM) => Err(Errno::ACCESS),
            // No socket, no descriptor, or a name that is longer than any of interest.
            Ok(_) | Err(_) => Ok(Kind::Other),
        }
    }

    /// The inode behind a descriptor.
    pub(super) fn inode(self, fd: i32) -> Option<u64> {
        Some(rustix::fs::stat(self.descriptor(fd)).ok()?.st_ino)
    }

    /// The flags of a descriptor, as `open` has them: `O_NONBLOCK`, `O_CLOEXEC`.
    pub(super) fn flags(self, fd: i32) -> Result<OFlags, Errno> {
        let mut text = [0; 128];
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::open(self.path(&format!("fdinfo/{fd}")), flags, Mode::empty());
        let file = file.map_err(|error| if error == Errno::NOENT { Errno::BADF } else { hidden(error) })?;
        let len = rustix::io::read(&file, &mut text[..]).map_err(hidden)?;
        let text = std::str::from_utf8(&text[..len]).unwrap_or_default();
        let field = text.lines().find_map(|line| line.strip_prefix("flags:"));
        let bits = field.and_then(|field| u32::from_str_radix(field.trim(), 8).ok()).ok_or(Errno::BADF)?;
        Ok(OFlags::from_bits_retain(bits))
    }

    /// The folder that its relative paths start from.
    pub(super) fn folder(self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, self.path("cwd"), flags, Mode::empty()).map_err(hidden)
    }

    /// Which rights its new files do not get.
    pub(super) fn umask(self) -> Result<u32, Errno> {
        let status = self.status()?;
        let field = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        field.and_then(|field| u32::from_str_radix(field.trim(), 8).ok()).ok_or(Errno::ACCESS)
    }

    /// Whether a signal waits for it that it does not block.
    pub(super) fn is_signalled(self) -> bool {
        let Ok(status) = self.status() else { return false };
        let mask = |name: &str| {
            let field = status.lines().find_map(|line| line.strip_prefix(name));
            field.and_then(|field| u64::from_str_radix(field.trim(), 16).ok()).unwrap_or_default()
        };
        (mask("SigPnd:") | mask("ShdPnd:")) & !(mask("SigBlk:") | mask("SigIgn:")) != 0
    }

    fn status(self) -> Result<String, Errno> {
        fs::read_to_string(self.path("status")).map_err(|_| Errno::ACCESS)
    }

    fn descriptor(self, fd: i32) -> String {
        self.path(&format!("fd/{fd}"))
    }

    fn path(self, file: &str) -> String {
        format!("/proc/{}/{file}", self.tid)
    }
}

/// A process that hides from us is refused; our own want of descriptors or memory is told as it is.
fn hidden(error: Errno) -> Errno {
    match error {
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => error,
        _ => Errno::ACCESS,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::net::UnixStream;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

    use super::*;

    fn me() -> Caller {
        Caller::new(rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned())
    }

    #[test]
    fn memory_is_read_in_both_ways() {
        let text = *b"what a caller has written";
        let from = (&raw const text) as u64;
        let mut buffer = [0; 25];
        me().read(from, &mut buffer).unwrap();
        assert_eq!(buffer, text);
        buffer.fill(0);
        assert_eq!(me().read_file(from, &mut buffer), Ok(25));
        assert_eq!(buffer, text);
        for nowhere in [0, 16, 0x7fff_ffff_ffff, u64::MAX - 64, u64::MAX] {
            assert_eq!(me().read(nowhere, &mut buffer), Err(Errno::FAULT), "{nowhere:#x}");
            assert_eq!(me().read_file(nowhere, &mut buffer).map(|read| read == 25), Err(Errno::FAULT));
        }
    }

    #[test]
    fn descriptors_are_told_apart() {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let tcp = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
        let tcp6 = socket_with(AddressFamily::INET6, SocketType::STREAM, flags, None);
        let udp = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None).unwrap();
        let (unix, _other) = UnixStream::pair().unwrap();
        let file = fs::File::open("/proc/self/status").unwrap();
        assert_eq!(me().kind(tcp.as_raw_fd()), Ok(Kind::Placeholder));
        let others = [udp.as_raw_fd(), unix.as_raw_fd(), file.as_raw_fd(), 9999, -1];
        for fd in others.into_iter().chain(tcp6.iter().map(std::os::fd::AsRawFd::as_raw_fd)) {
            assert_eq!(me().kind(fd), Ok(Kind::Other), "{fd}");
        }
        assert!(me().flags(tcp.as_raw_fd()).unwrap().contains(OFlags::NONBLOCK | OFlags::CLOEXEC));
        assert!(!me().flags(unix.as_raw_fd()).unwrap().contains(OFlags::NONBLOCK));
        assert_eq!(me().flags(9999), Err(Errno::BADF));
        assert_eq!(me().inode(tcp.as_raw_fd()), Some(rustix::fs::fstat(&tcp).unwrap().st_ino));
    }

    #[test]
    fn folder_and_mask() {
        let here = rustix::fs::fstat(me().folder().unwrap()).unwrap();
        assert_eq!(here.st_ino, rustix::fs::stat(".").unwrap().st_ino);
        assert!(me().umask().unwrap() <= 0o777);
        assert!(!me().is_signalled());
        assert_eq!(Caller::new(u32::MAX).umask(), Err(Errno::ACCESS));
    }
}
