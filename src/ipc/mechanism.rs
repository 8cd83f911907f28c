//! How Unix sockets can be mediated here: which of the ways the kernel, and the profile that the container runs under,
//! let us go. Found by going it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::raw::{self, UnixAddress};
use super::{SocketRules, Supervisor, filter, install};

/// The first version of Landlock that knows Unix sockets by path (`LANDLOCK_ACCESS_FS_RESOLVE_UNIX`, Linux 7.1).
const LANDLOCK_PATHS: i32 = 9;
/// How long the trial may take: on any machine it takes about a millisecond.
const PATIENCE: Duration = Duration::from_secs(5);

/// How Unix sockets of the cell are mediated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// By Landlock; the supervisor only makes the TCP sockets, for their label.
    Landlock,
    /// By Landlock, where nobody can be notified: TCP sockets have no label.
    LandlockUnlabelled,
    /// By the supervisor, which connects and binds in the caller's place.
    Supervisor,
    /// There are no Unix sockets, pairs excepted, and TCP sockets have no label.
    Closed,
}

impl Mechanism {
    /// Whether its filter notifies, and so needs a [`Supervisor`]. If so, TCP sockets carry the label.
    pub fn notifies(self) -> bool {
        matches!(self, Self::Landlock | Self::Supervisor)
    }

    /// The strongest one of what there is.
    fn strongest(landlock: bool, notifications: bool) -> Self {
        match (landlock, notifications) {
            (true, true) => Self::Landlock,
            (true, false) => Self::LandlockUnlabelled,
            (false, true) => Self::Supervisor,
            (false, false) => Self::Closed,
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The strongest mechanism that works.
    pub mechanism: Mechanism,
    /// Why Landlock is not it, if it is not.
    pub landlock: Result<(), WhyNot>,
    /// Why nobody can be notified, if so.
    pub notifications: Result<(), WhyNot>,
}

/// Why a mechanism is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    /// No Landlock at all.
    #[error("the kernel or the container's seccomp profile has no Landlock ({0})")]
    NoLandlock(Errno),
    /// A Landlock that knows nothing of Unix sockets by path.
    #[error(
        "Landlock of this kernel is version {0}; Unix sockets by path need version {LANDLOCK_PATHS}, of Linux 7.1"
    )]
    OldLandlock(i32),
    /// No process for the trial.
    #[error("no process could be started to try seccomp notifications ({0})")]
    NoProcess(Errno),
    /// Another listener is there already.
    #[error(
        "the container's own seccomp profile notifies already, and a process can have one such filter only"
    )]
    Taken,
    /// No filter that notifies.
    #[error("the kernel or the container's seccomp profile refuses a filter that notifies ({0})")]
    NoFilter(Errno),
    /// It notifies, and what a supervisor needs to answer does not work.
    #[error(
        "a process of the cell cannot be given a socket, or its memory cannot be read (step {0} of the trial)"
    )]
    NoAnswer(u8),
    /// The trial's process was ended from outside.
    #[error("the process that tries seccomp notifications was ended by somebody")]
    Ended,
    /// Of step 4: a setting of the host's, which no container can change.
    #[error(
        "the host's kernel.yama.ptrace_scope is {0}, with which no process's memory can be read: a supervisor needs 1 or 0"
    )]
    Yama(u8),
    /// The trial did not end.
    #[error("the trial of seccomp notifications did not end in {} seconds", PATIENCE.as_secs())]
    NoEnd,
}

impl WhyNot {
    /// Whether it says nothing of the kernel or the container. Whoever is in a cell already could bring it about, for the
    /// next one to be weaker.
    fn may_pass(&self) -> bool {
        matches!(self, Self::NoProcess(_) | Self::Ended | Self::NoEnd)
    }
}

/// Finds the strongest mechanism. Starts a process that tries out what the cell would do. An error says that it could
/// not be found out now.
///
/// The process it starts is a copy of this one: to be called where there is no other thread yet.
pub fn probe() -> Result<Found, WhyNot> {
    let landlock = landlock();
    let notifications = notifications();
    if let Err(why) = &notifications
        && why.may_pass()
    {
        return Err(why.clone());
    }
    // The label alone needs nobody's memory.
    let labels = matches!(notifications, Err(WhyNot::Yama(_))) && landlock.is_ok();
    let mechanism = Mechanism::strongest(landlock.is_ok(), notifications.is_ok() || labels);
    Ok(Found { mechanism, landlock, notifications })
}

fn landlock() -> Result<(), WhyNot> {
    #[expect(unsafe_code, reason = "the library tells the version only by what it makes of a ruleset")]
    // SAFETY: asks for the version (LANDLOCK_CREATE_RULESET_VERSION), for which the pointer must be null.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0usize, 1u32)
    };
    match i32::try_from(version) {
        Ok(version) if version >= LANDLOCK_PATHS => Ok(()),
        Ok(version) if version >= 0 => Err(WhyNot::OldLandlock(version)),
        _ => Err(WhyNot::NoLandlock(raw::last())),
    }
}

fn notifications() -> Result<(), WhyNot> {
    // All that needs memory is done before the copy is made.
    let program = filter::sockets(Mechanism::Supervisor);
    let empty = UnixAddress::new(b"").map_err(WhyNot::NoProcess)?;
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(WhyNot::NoProcess)?;
    #[expect(unsafe_code, reason = "the trial must not change this process")]
    // SAFETY: the copy makes system calls on what it was given, allocates nothing, and ends without running anything
    // of ours that would run at an end.
    let pid = unsafe {
        match libc::fork() {
            -1 => return Err(WhyNot::NoProcess(raw::last())),
            0 => {
                let outcome = attempt(&program, &empty, theirs.as_fd());
                let _ = rustix::net::send(&theirs, &[outcome], SendFlags::NOSIGNAL);
                libc::_exit(0)
            }
            pid => pid,
        }
    };
    drop(theirs);
    let outcome = observe(&ours);
    let mut status = 0;
    #[expect(unsafe_code, reason = "the pid is not in any structure of a library")]
    // SAFETY: the process is our child, which nobody else waits for; the pointer is to a local.
    unsafe {
        if outcome == Err(WhyNot::NoEnd) {
            libc::kill(pid, libc::SIGKILL);
        }
        while libc::waitpid(pid, &raw mut status, 0) == -1 && raw::last() == Errno::INTR {}
    }
    match outcome {
        // A profile may end who calls what it does not know.
        Err(WhyNot::Ended) if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSYS => {
            Err(WhyNot::NoAnswer(0))
        }
        outcome => outcome,
    }
}

/// In the copy: what the cell's processes will do. The step that failed, or 0.
fn attempt(program: &[libc::sock_filter], empty: &UnixAddress, control: BorrowedFd<'_>) -> u8 {
    if rustix::thread::set_no_new_privs(true).is_err() {
        return 1;
    }
    let told = match install(program) {
        Ok(listener) => hand_over(control, 0, Some(listener.as_fd())),
        Err(error) => hand_over(control, error.raw_os_error().unwrap_or(libc::EINVAL), None),
    };
    if told.is_err() {
        return 2;
    }
    let Ok(socket) = raw::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) else { return 3 };
    // Only who has read the address says so.
    if raw::connect(socket.as_fd(), empty) != Err(Errno::INVAL) {
        return 4;
    }
    // And only who can put a socket in place of another gets this one bound.
    if raw::bind(socket.as_fd(), empty).is_err() {
        return 5;
    }
    0
}

fn hand_over(control: BorrowedFd<'_>, errno: i32, listener: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let listeners = listener.as_slice();
    if !listeners.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(listeners));
    }
    sendmsg(control, &[IoSlice::new(&errno.to_ne_bytes())], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// In this process: what the supervisor will do.
fn observe(control: &OwnedFd) -> Result<(), WhyNot> {
    let deadline = Instant::now() + PATIENCE;
    wait_for(&[control.as_fd()], deadline)?;
    let mut errno = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut errno)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(control, &mut parts, &mut ancillary, flags).map_err(WhyNot::NoProcess)?.bytes;
    let listener = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let listener = match (received, listener) {
        (4, Some(listener)) => listener,
        // It was sent, and there was no room for one descriptor more.
        (4, None) if errno == [0; 4] => return Err(WhyNot::NoProcess(Errno::MFILE)),
        (4, None) => return Err(refusal(i32::from_ne_bytes(errno))),
        // The copy ended before it came so far.
        _ => return Err(WhyNot::Ended),
    };
    let rules = SocketRules {
        shared: Vec::new(),
        writable: Vec::new(),
        listed: Vec::new(),
        moves_are_shut: false,
        mechanism: Mechanism::Supervisor,
    };
    let no_filter = |error: io::Error| WhyNot::NoFilter(Errno::from_io_error(&error).unwrap_or(Errno::INVAL));
    let mut supervisor = Supervisor::new(listener, rules).map_err(no_filter)?;
    loop {
        wait_for(&[supervisor.as_fd(), control.as_fd()], deadline)?;
        supervisor.turn().map_err(no_filter)?;
        let mut outcome = [0];
        match rustix::net::recv(control, &mut outcome[..], RecvFlags::DONTWAIT) {
            Ok((1, _)) if outcome == [0] => return Ok(()),
            Ok((1, _)) => return Err(no_answer(outcome[0], yama())),
            Ok(_) => return Err(WhyNot::Ended),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(WhyNot::NoProcess(error)),
        }
    }
}

/// What Yama lets a process do with others of its user; none where the kernel has no Yama.
fn yama() -> Option<u8> {
    std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok()?.trim().parse().ok()
}

/// With 1 an ancestor may look, and a supervisor is one; with 2 nobody without a capability may, with 3 nobody.
fn no_answer(step: u8, yama: Option<u8>) -> WhyNot {
    match yama {
        Some(scope @ 2..) if step == 4 => WhyNot::Yama(scope),
        _ => WhyNot::NoAnswer(step),
    }
}

fn refusal(errno: i32) -> WhyNot {
    match Errno::from_raw_os_error(errno) {
        Errno::BUSY => WhyNot::Taken,
        other => WhyNot::NoFilter(other),
    }
}

fn wait_for(files: &[BorrowedFd<'_>], deadline: Instant) -> Result<(), WhyNot> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(WhyNot::NoEnd);
        }
        let mut files: Vec<PollFd<'_>> =
            files.iter().map(|file| PollFd::from_borrowed_fd(*file, PollFlags::IN)).collect();
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut files, timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(WhyNot::NoProcess(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_is_taken() {
        use Mechanism::{Closed, Landlock, LandlockUnlabelled, Supervisor};
        for (landlock, notifications, expected) in [
            (true, true, Landlock),
            (true, false, LandlockUnlabelled),
            (false, true, Supervisor),
            (false, false, Closed),
        ] {
            assert_eq!(Mechanism::strongest(landlock, notifications), expected);
            assert_eq!(expected.notifies(), notifications);
        }
    }

    #[test]
    fn who_ends_the_trial_does_not_weaken_the_next_cell() {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        drop(theirs);
        assert_eq!(observe(&ours), Err(WhyNot::Ended));
        for passing in [WhyNot::Ended, WhyNot::NoEnd, WhyNot::NoProcess(Errno::AGAIN)] {
            assert!(passing.may_pass(), "{passing}");
        }
        for lasting in [WhyNot::Taken, WhyNot::NoFilter(Errno::PERM), WhyNot::NoAnswer(3)] {
            assert!(!lasting.may_pass(), "{lasting}");
        }
    }

    #[test]
    fn reasons_are_told_apart() {
        assert_eq!(no_answer(4, Some(2)), WhyNot::Yama(2));
        for (step, yama) in [(4, Some(1)), (4, None), (5, Some(3))] {
            assert_eq!(no_answer(step, yama), WhyNot::NoAnswer(step));
        }
        assert_eq!(refusal(libc::EBUSY), WhyNot::Taken);
        assert_eq!(refusal(libc::EPERM), WhyNot::NoFilter(Errno::PERM));
        assert!(
            WhyNot::OldLandlock(7).to_string().contains("is version 7; Unix sockets by path need version 9")
        );
    }
}
