//! Binding by the very path that the caller wrote, which the socket will tell of itself, and yet nowhere else than in the
//! cell's places: in a process of its own, which Landlock keeps to them. So it does not matter what becomes of the path
//! meanwhile.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use landlock::{AccessFs, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, path_beneath_rules};
use rustix::fs::Mode;
use rustix::io::Errno;

use super::raw::{self, UnixAddress};
use super::resolve::Start;

/// What makes sockets in the cell's places alone.
#[derive(Debug)]
pub(super) struct Makers {
    places: OwnedFd,
}

impl Makers {
    /// `None` where the kernel or the container's profile has no Landlock.
    pub(super) fn new(places: &[PathBuf]) -> Option<Self> {
        let access = AccessFs::MakeSock;
        let ruleset = Ruleset::default().handle_access(access).ok()?.create().ok()?;
        let ruleset = ruleset.add_rules(path_beneath_rules(places, access)).ok()?;
        Some(Self { places: Option::<OwnedFd>::from(ruleset)? })
    }

    /// Binds the socket to a path of the caller's.
    pub(super) fn bind(
        &self,
        start: &Start,
        path: &[u8],
        umask: Mode,
        socket: &OwnedFd,
    ) -> Result<(), Errno> {
        let address = UnixAddress::new(path)?;
        let attempt = || {
            rustix::thread::set_no_new_privs(true)?;
            raw::restrict_self(self.places.as_fd())?;
            start.enter()?;
            rustix::process::umask(umask);
            raw::bind(socket.as_fd(), &address)
        };
        #[expect(unsafe_code, reason = "the restriction must not hold for this process")]
        // SAFETY: the copy makes system calls on what it was given, allocates nothing, and ends without running anything
        // of ours that would run at an end. Nobody else waits for it by its number.
        unsafe {
            match libc::fork() {
                -1 => Err(raw::last()),
                0 => libc::_exit(attempt().map_or_else(Errno::raw_os_error, |()| 0)),
                pid => {
                    let mut status = 0;
                    while libc::waitpid(pid, &raw mut status, 0) == -1 {
                        if raw::last() != Errno::INTR {
                            return Err(Errno::ACCESS);
                        }
                    }
                    match libc::WEXITSTATUS(status) {
                        0 if libc::WIFEXITED(status) => Ok(()),
                        0 => Err(Errno::ACCESS),
                        errno => Err(Errno::from_raw_os_error(errno)),
                    }
                }
            }
        }
    }
}
