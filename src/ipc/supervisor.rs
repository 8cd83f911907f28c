//! Answering the cell's calls, one after the other, without ever waiting for anybody.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::binder::Binder;
use super::caller::Caller;
use super::mechanism::Mechanism;
use super::notify::{AtExec, Call, Listener};
use super::peers::Peers;
use super::remembered::Remembered;
use super::rules::SocketRules;
use super::{bind, connect, socket};

/// Calls answered in one turn, so that whoever takes turns comes to other things, too.
const CALLS_A_TURN: usize = 64;
/// Callers that may wait for room in somebody's queue. The next one is told to come again.
const MAX_WAITING: usize = 512;
/// Names and placeholders that are remembered.
const MAX_REMEMBERED: usize = 4096;
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// What becomes of one call.
#[derive(Debug)]
pub(super) enum Answer {
    /// The kernel makes it.
    GoOn,
    /// The caller gets a descriptor, and its number is the call's value.
    Give(OwnedFd, AtExec),
    /// The caller gets a descriptor in place of this one, and the call succeeds.
    PutOver(OwnedFd, i32, AtExec),
    /// There is no room yet.
    Later,
}

/// What is known beyond the one call.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) rules: SocketRules,
    /// Where Landlock is to be had.
    pub(super) binder: Option<Binder>,
    pub(super) peers: Peers,
    /// Placeholders for sockets of the type `SOCK_SEQPACKET`, by inode.
    pub(super) packets: Remembered<u64>,
    /// Abstract names that the cell has bound.
    pub(super) names: Remembered<Vec<u8>>,
}

impl Desk {
    /// Of which type the Unix socket in this placeholder's place is to be.
    pub(super) fn kind_of(&self, caller: Caller, fd: i32) -> i32 {
        // Hardly ever is one of the other type, and then nobody has to be asked which this is.
        let inode = if self.packets.is_empty() { None } else { caller.inode(fd) };
        match inode {
            Some(inode) if self.packets.contains(&inode) => libc::SOCK_SEQPACKET,
            _ => libc::SOCK_STREAM,
        }
    }
}

/// A caller whose connect is tried again.
#[derive(Debug)]
struct Waiting {
    call: Call,
    due: Instant,
    wait: Duration,
}

/// Whether there is a cell left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Its processes may call again.
    Open,
    /// No process is left that could call.
    Ended,
}

/// Answers the calls that the filter notifies.
///
/// It belongs into the process that all of the cell descends from, and changes that process's working folder and umask.
/// There should be no other thread in it but the one that binds.
#[derive(Debug)]
pub struct Supervisor {
    listener: Listener,
    desk: Desk,
    waiting: Vec<Waiting>,
}

impl Supervisor {
    /// Takes over a listener that [`super::install`] gave.
    pub fn new(listener: OwnedFd, rules: SocketRules) -> io::Result<Self> {
        let rules = rules.by_real_paths();
        let binder = match rules.mechanism {
            Mechanism::Supervisor => match Binder::start(rules.writable.clone()) {
                Ok(binder) => Some(binder),
                Err(error) if rules.moves_are_shut => return Err(error),
                Err(_) => None,
            },
            _ => None,
        };
        let desk = Desk {
            rules,
            binder,
            peers: Peers::new(),
            packets: Remembered::new(MAX_REMEMBERED),
            names: Remembered::new(MAX_REMEMBERED),
        };
        Ok(Self { listener: Listener::new(listener)?, desk, waiting: Vec::new() })
    }

    /// Answers what can be answered now. Call it when the descriptor is readable or hung up, and when [`Self::next`] is
    /// due.
    pub fn turn(&mut self) -> io::Result<Turn> {
        self.try_again(Instant::now());
        for _ in 0..CALLS_A_TURN {
            match self.state()? {
                State::Call => {
                    if let Some(call) = self.listener.receive()? {
                        self.handle(call, SHORTEST_WAIT);
                    }
                }
                State::Nothing => return Ok(Turn::Open),
                State::Ended => return Ok(Turn::Ended),
            }
        }
        Ok(Turn::Open)
    }

    /// How long until something is to be tried again; `None` where nothing is.
    pub fn next(&self) -> Option<Duration> {
        let due = self.waiting.iter().map(|waiting| waiting.due).min()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    fn state(&self) -> Result<State, Errno> {
        let mut listener = [PollFd::new(&self.listener, PollFlags::IN)];
        match poll(&mut listener, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        let events = listener[0].revents();
        Ok(if events.contains(PollFlags::IN) {
            State::Call
        } else if events.intersects(PollFlags::HUP | PollFlags::ERR) {
            State::Ended
        } else {
            State::Nothing
        })
    }

    fn try_again(&mut self, now: Instant) {
        let (due, later) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiting| waiting.due <= now);
        self.waiting = later;
        let due: Vec<Waiting> = due;
        for Waiting { call, wait, .. } in due {
            if !self.listener.still_waits(&call) {
                continue;
            }
            // It cannot be woken while we have its call; so it gets what a signal would have given it.
            if Caller::new(call.tid).is_signalled() {
                self.listener.error(&call, Errno::INTR);
                continue;
            }
            self.handle(call, (wait * 2).min(LONGEST_WAIT));
        }
    }

    fn handle(&mut self, call: Call, wait: Duration) {
        let answer = if call.number == libc::SYS_socket {
            socket::answer(&mut self.desk, &call)
        } else if call.number == libc::SYS_connect {
            connect::answer(&mut self.desk, &self.listener, &call)
        } else if call.number == libc::SYS_bind {
            bind::answer(&mut self.desk, &self.listener, &call)
        } else {
            // The filter notifies nothing else.
            Err(Errno::NOSYS)
        };
        match answer {
            Ok(Answer::GoOn) => self.listener.go_on(&call),
            Ok(Answer::Give(file, at_exec)) => self.listener.give(&call, file.as_fd(), at_exec),
            Ok(Answer::PutOver(file, over, at_exec)) => {
                match self.listener.put_over(&call, file.as_fd(), over, at_exec) {
                    Ok(()) => self.listener.value(&call, 0),
                    Err(error) => self.listener.error(&call, error),
                }
            }
            Ok(Answer::Later) if self.waiting.len() < MAX_WAITING => {
                self.waiting.push(Waiting { call, due: Instant::now() + wait, wait });
            }
            Ok(Answer::Later) => self.listener.error(&call, Errno::AGAIN),
            Err(error) => self.listener.error(&call, error),
        }
    }
}

impl AsFd for Supervisor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

enum State {
    Call,
    Nothing,
    Ended,
}
