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
    let mut late = Late::default();
    loop {
        let wanted = if late.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        let mut fds = [PollFd::new(channel, wanted), PollFd::new(signals, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let ready = fds[0].revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        late.say(channel);
        while let Some(signal) = signals.next() {
            if signal.from_a_process && signal.number != libc::SIGCHLD {
                late.add(signal.number);
                late.say(channel);
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

/// Signals that the keeper has not been told yet, by number. As with any process, those of one kind that come faster
/// than they are taken are one.
#[derive(Default)]
struct Late(u128);

impl Late {
    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    fn add(&mut self, number: i32) {
        self.0 |=
            u32::try_from(number).ok().and_then(|number| 1_u128.checked_shl(number)).unwrap_or_default();
    }

    /// Tells as many as there is room for.
    fn say(&mut self, channel: &OwnedFd) {
        while !self.is_empty() {
            let number = self.0.trailing_zeros();
            let word = Word::Signal(i32::try_from(number).unwrap_or_default());
            if !wire::try_say(channel, &word) {
                return;
            }
            self.0 &= !(1 << number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_kind_of_signal_is_lost_where_too_many_come() {
        let (here, there) = wire::pair().unwrap();
        let mut late = Late::default();
        for number in [10, 12, 64].into_iter().cycle().take(9_000).chain([15]) {
            late.add(number);
            late.say(&here);
        }
        let mut heard = Vec::new();
        while !late.is_empty() {
            heard.push(wire::hear(&there).unwrap());
            late.say(&here);
        }
        drop(here);
        heard.extend(std::iter::from_fn(|| wire::hear(&there).unwrap().map(Some)));
        for number in [10, 12, 15, 64] {
            assert!(heard.contains(&Some(Word::Signal(number))), "{number}");
        }
    }
}
