//! Binding by the caller's own words.
//!
//! A socket says where it is bound in the words that it was bound with, and programs hand these words on: Python's
//! managers tell their clients that way. But whoever uses a caller's path follows what the cell may swap meanwhile. So a
//! thread does it that Landlock keeps from making a socket anywhere but in the cell's places, whatever the path becomes.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use landlock::{
    AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    path_beneath_rules,
};
use rustix::fs::Mode;
use rustix::io::Errno;

use super::raw::{self, UnixAddress};

/// One socket to be bound.
pub(super) struct Task {
    /// To be bound, and given back.
    pub(super) socket: OwnedFd,
    /// The folder that a relative path starts from.
    pub(super) folder: Option<OwnedFd>,
    /// The caller's words.
    pub(super) address: UnixAddress,
    /// The caller's mask for new files.
    pub(super) umask: Mode,
}

/// The thread that binds.
#[derive(Debug)]
pub(super) struct Binder {
    tasks: SyncSender<Task>,
    /// First whether the rules hold, and then each task's socket.
    done: Receiver<Result<Option<OwnedFd>, Errno>>,
}

impl Binder {
    /// Starts the thread, and waits until its rules hold.
    pub(super) fn start(places: Vec<PathBuf>) -> io::Result<Self> {
        let (tasks, to_do) = sync_channel::<Task>(0);
        let (finished, done) = sync_channel(0);
        thread::Builder::new().stack_size(128 * 1024).spawn(move || {
            let restricted = restrict(&places);
            let holds = restricted.is_ok();
            if finished.send(restricted.map(|()| None)).is_err() || !holds {
                return;
            }
            while let Ok(task) = to_do.recv() {
                if finished.send(bind(task).map(Some)).is_err() {
                    return;
                }
            }
        })?;
        let binder = Self { tasks, done };
        match binder.done.recv() {
            Ok(Ok(_)) => Ok(binder),
            Ok(Err(errno)) => Err(errno.into()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Binds, and gives the socket back. Nobody else uses the process's current folder and mask.
    pub(super) fn bind(&self, task: Task) -> Result<OwnedFd, Errno> {
        self.tasks.send(task).map_err(|_| Errno::IO)?;
        self.done.recv().map_err(|_| Errno::IO)??.ok_or(Errno::IO)
    }
}

fn bind(task: Task) -> Result<OwnedFd, Errno> {
    if let Some(folder) = &task.folder {
        rustix::process::fchdir(folder)?;
    }
    let before = rustix::process::umask(task.umask);
    let result = raw::bind(task.socket.as_fd(), &task.address);
    rustix::process::umask(before);
    // Not to keep anything of the cell's from being unmounted; the root is always there.
    let _ = rustix::process::chdir("/");
    result.map(|()| task.socket)
}

fn restrict(places: &[PathBuf]) -> Result<(), Errno> {
    let make = || -> Result<_, RulesetError> {
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::MakeSock)?
            .create()?
            .add_rules(path_beneath_rules(places, AccessFs::MakeSock))?
            .restrict_self()
    };
    make().map(drop).map_err(|_| Errno::PERM)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the very same task: what keeps it is the thread, and no look at the path.
    #[test]
    fn nothing_is_bound_elsewhere() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let Ok(binder) = Binder::start(vec![inside.path().canonicalize().unwrap()]) else {
            eprintln!("SKIPPED nothing_is_bound_elsewhere: this kernel has no Landlock");
            assert!(std::env::var_os("CI").is_none(), "CI must run this on a kernel with Landlock");
            return;
        };
        let task = |path: &std::path::Path| Task {
            socket: raw::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0).unwrap(),
            folder: None,
            address: UnixAddress::new(path.as_os_str().as_encoded_bytes()).unwrap(),
            umask: Mode::empty(),
        };
        let (here, there) = (inside.path().join("s"), outside.path().join("s"));
        let socket = binder.bind(task(&here)).unwrap();
        let bound = raw::bound_to(socket.as_fd()).unwrap();
        assert_eq!(bound.strip_suffix(b"\0"), Some(here.as_os_str().as_encoded_bytes()));
        assert_eq!(binder.bind(task(&there)).unwrap_err(), Errno::ACCESS);
        assert!(bind(task(&there)).is_ok(), "without the thread's rules it works");
    }
}
