//! The process that the caller has started: for as long as the program runs, it stands for it. Signals that it gets,
//! the program gets; where that stops, it stops; and it ends as that ended.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::handed;
use super::signals::{self, Signals};
use super::wire::{self, Ending, Word};

/// Why the program does not run, or nobody knows any more how it ended.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// It was not started.
    #[error("{0}")]
    NotStarted(String),
    /// Its keeper is gone, without which it cannot do much; so it was ended.
    #[error("what keeps the cell has ended before its time, and so the program was ended as well")]
    Alone,
    /// The kernel.
    #[error("cannot wait for the program: {0}")]
    Io(#[from] io::Error),
}

/// Stands for the program until it has ended.
pub(super) fn run(channel: &OwnedFd, signals: &Signals) -> Result<Ending, MirrorError> {
    let mut program = None;
    loop {
        let mut fds = [PollFd::new(channel, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let ready = !fds[0].revents().is_empty();
        while let Some(signal) = signals.next() {
            if signal.from_a_process && signal.number != libc::SIGCHLD {
                wire::say(channel, &Word::Signal(signal.number));
            }
        }
        if !ready {
            continue;
        }
        match wire::hear(channel)? {
            Some(Word::Started(process)) => {
                program = Pid::from_raw(process).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
                // Standard error stays: should the keeper end, somebody has to say so.
                let _ = handed::let_go();
            }
            Some(Word::Failed(why)) => return Err(MirrorError::NotStarted(why)),
            Some(Word::Stopped(_)) => signals::stop(),
            Some(Word::Ended(ending)) => return Ok(ending),
            Some(Word::Signal(_)) => {}
            None => {
                if let Some(program) = program {
                    let _ = pidfd_send_signal(program, Signal::KILL);
                }
                return Err(MirrorError::Alone);
            }
        }
    }
}
