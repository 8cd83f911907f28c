//! Signals as something to read: the two processes around the program wait for these and for words in one place.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd};

/// Every signal that can be, from now on readable and not acted upon.
#[derive(Debug)]
pub(super) struct Signals(OwnedFd);

/// Which signals a process takes later than they come.
#[derive(Clone, Copy)]
pub(super) struct Mask(libc::sigset_t);

impl Mask {
    /// This process's.
    #[expect(unsafe_code, reason = "neither rustix nor std has sigprocmask(2)")]
    pub(super) fn own() -> io::Result<Self> {
        // SAFETY: a set of signals may be all zeros, and the call writes it.
        unsafe {
            let mut mask: libc::sigset_t = std::mem::zeroed();
            match libc::sigprocmask(libc::SIG_SETMASK, std::ptr::null(), &raw mut mask) {
                0 => Ok(Self(mask)),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }

    /// Makes it this process's.
    #[expect(unsafe_code, reason = "neither rustix nor std has sigprocmask(2)")]
    pub(super) fn take_on(&self) -> io::Result<()> {
        // SAFETY: the set was filled by the kernel, and the call only reads it.
        match unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// One that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signal {
    /// Which.
    pub(super) number: i32,
    /// Whether a process sent it. The terminal's go to the whole process group, and to the program by themselves.
    pub(super) from_a_process: bool,
}

impl Signals {
    /// Takes them all. What is started later has to be given back the [`Mask`] of before.
    ///
    /// A caller may have had the ends of its children ignored, and then nobody would be told how one ended.
    #[expect(unsafe_code, reason = "neither rustix nor std has signalfd(2) or sigprocmask(2)")]
    pub(super) fn take() -> io::Result<Self> {
        // SAFETY: the default disposition needs no handler; the set is written by sigfillset before it is read, and both
        // calls only read it.
        let fd = unsafe {
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            if libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made it, and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next that has come, if one has.
    pub(super) fn next(&self) -> Option<Signal> {
        // `struct signalfd_siginfo`, signalfd(2): the number first, then errno, then the code.
        let mut bytes = [0_u8; 128];
        let length = rustix::io::read(&self.0, &mut bytes[..]).ok()?;
        let word = |at: usize| Some(i32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        if length != bytes.len() {
            return None;
        }
        // sigaction(2): SI_USER, SI_TKILL and SI_QUEUE are not above zero, the kernel's own codes are.
        Some(Signal { number: word(0)?, from_a_process: word(8)? <= 0 })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Ends this process by a signal, as whoever started it would have seen the program end. Comes back where the signal
/// does not end a process.
#[expect(unsafe_code, reason = "neither rustix nor std sets a signal's disposition or mask")]
pub(super) fn end_by(number: i32) {
    // SAFETY: the default disposition needs no handler, the set is emptied before it is read, and this process has one
    // thread.
    unsafe {
        libc::signal(number, libc::SIG_DFL);
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::raise(number);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Stops this process, until somebody has it go on.
#[expect(unsafe_code, reason = "rustix sends no SIGSTOP to itself alone under a name of its own")]
pub(super) fn stop() {
    // SAFETY: raise(3) takes a number and touches no memory.
    unsafe {
        libc::raise(libc::SIGSTOP);
    }
}
