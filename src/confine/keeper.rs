//! The process that keeps the cell: it starts the program, answers for it what the cell's filter asks, and is the
//! ancestor of everything in the cell for as long as something is there.
//!
//! It runs outside the cell as the same user, because whose memory a process may read is a matter of its user, and with
//! Yama (`ptrace_scope` 1) of being an ancestor. Nothing in the cell can read, trace or (where Landlock scopes signals)
//! signal it; and where it is gone, what it would have answered fails.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, setsid, wait};

use super::handed;
use super::signals::Signals;
use super::wire::{self, Ending, Word};
use crate::ipc::{Supervisor, Turn};

/// What the keeper does and knows.
struct Keeper {
    channel: OwnedFd,
    signals: Signals,
    supervisor: Option<Supervisor>,
    program: Pid,
    /// The program has ended, or nobody stands for it any more.
    over: bool,
}

/// Starts the program with `command`, which shuts the cell behind itself, and keeps the cell until it is empty.
///
/// Where the program cannot take on its shell, it says so to `told`. `supervisor` makes one from what the program has handed over before it was executed.
pub(super) fn run(
    channel: OwnedFd,
    mut command: Command,
    told: &OwnedFd,
    supervisor: impl FnOnce() -> io::Result<Option<Supervisor>>,
) -> io::Result<()> {
    let signals = Signals::take()?;
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let why = match wire::left(told) {
                Some(Word::Failed(why)) => {
                    format!("the agent is not started, as its cell cannot be shut: {why}")
                }
                _ => format!("{}: {error}", command.get_program().to_string_lossy()),
            };
            wire::say(&channel, &Word::Failed(why));
            return Ok(());
        }
    };
    let program = process_of(&child)?;
    drop(command);
    let supervisor = match supervisor() {
        Ok(supervisor) => supervisor,
        Err(error) => {
            let _ = kill_process(program, Signal::KILL);
            wire::say(&channel, &Word::Failed(format!("the cell cannot be supervised: {error}")));
            return Ok(());
        }
    };
    // The terminal's signals and its end are the program's.
    let _ = setsid();
    let_go_of_the_callers()?;
    wire::say(&channel, &Word::Started(program.as_raw_nonzero().get()));
    Keeper { channel, signals, supervisor, program, over: false }.keep()
}

fn process_of(child: &Child) -> io::Result<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Nor does it say anything any more: the caller's terminal or pipe is the program's.
fn let_go_of_the_callers() -> io::Result<()> {
    handed::let_go()?;
    Ok(rustix::stdio::dup2_stderr(rustix::stdio::stdout())?)
}

impl Keeper {
    /// Until the last process of the cell has ended.
    fn keep(mut self) -> io::Result<()> {
        loop {
            if self.reap()? {
                return Ok(());
            }
            self.listen()?;
        }
    }

    /// Takes in who has ended or stopped, and says whether nobody is left.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some((process, status))) if process == self.program && !self.over => {
                    if let Some(code) = status.exit_status() {
                        self.end(Ending::Exited(code));
                    } else if let Some(signal) = status.terminating_signal() {
                        self.end(Ending::Killed(signal));
                    } else if let Some(signal) = status.stopping_signal() {
                        // Who has not heard of so many before has stopped as well.
                        wire::try_say(&self.channel, &Word::Stopped(signal));
                    }
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return Ok(false),
                Err(Errno::CHILD) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn end(&mut self, ending: Ending) {
        self.over = true;
        wire::say(&self.channel, &Word::Ended(ending));
    }

    /// Waits for whatever comes first, and deals with it.
    fn listen(&mut self) -> io::Result<()> {
        let pause = self.supervisor.as_ref().and_then(Supervisor::next).map(timespec);
        let from_mirror;
        {
            let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
            if !self.over {
                fds.push(PollFd::new(&self.channel, PollFlags::IN));
            }
            if let Some(supervisor) = &self.supervisor {
                fds.push(PollFd::from_borrowed_fd(supervisor.as_fd(), PollFlags::IN));
            }
            match poll(&mut fds, pause.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            from_mirror = !self.over && !fds[1].revents().is_empty();
        }
        while self.signals.next().is_some() {}
        if from_mirror {
            self.hear();
        }
        // Nobody is left who could ask, or what is asked cannot be read any more: then all of it fails.
        if self.supervisor.as_mut().is_some_and(|supervisor| !matches!(supervisor.turn(), Ok(Turn::Open))) {
            self.supervisor = None;
        }
        Ok(())
    }

    fn hear(&mut self) {
        match wire::hear(&self.channel) {
            Ok(Some(Word::Signal(number))) => self.pass_on(number),
            Ok(Some(_)) => {}
            // Whoever stood for the program was killed, and means it.
            Ok(None) | Err(_) => {
                self.over = true;
                let _ = kill_process(self.program, Signal::KILL);
            }
        }
    }

    /// The program is our child and not waited for yet, so its number is nobody else's.
    #[expect(unsafe_code, reason = "rustix sends only signals that it has a name for")]
    fn pass_on(&self, number: i32) {
        // SAFETY: kill(2) takes two numbers and touches no memory.
        unsafe {
            libc::kill(self.program.as_raw_nonzero().get(), number);
        }
    }
}

fn timespec(pause: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: pause.subsec_nanos().into(),
    }
}
