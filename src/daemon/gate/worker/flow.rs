//! Bytes that go on as they came, in one direction of a connection.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

/// Bytes read at a time.
pub(super) const CHUNK: usize = 32 * 1024;
/// Bytes moved at a time where they are not read: what a pipe holds.
const PIPE: usize = 64 * 1024;
/// A read of so many is a large one, and after so many of these in a row bytes are moved without being read.
const LARGE: usize = CHUNK / 2;
const BULK: u32 = 2;
/// Turns before others have theirs.
pub(super) const TURNS: u32 = 16;
/// Pipes that are kept for the next who needs one.
const SPARE: usize = 64;

/// What is known of the sender.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Source {
    /// There may be something to read.
    #[default]
    Open,
    /// There is nothing until the kernel says so.
    Drained,
    /// It has said that it has come to its end, or has failed: it is read until then.
    Ending,
}

/// One direction.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Flow {
    source: Source,
    /// Read, and not sent yet.
    pending: Vec<u8>,
    /// Bytes that wait in a pipe.
    piped: Option<(Pipe, usize)>,
    /// Large reads in a row.
    large: u32,
    /// Nothing more comes.
    ended: bool,
    /// And the other side knows.
    told: bool,
    /// Nothing goes the other way any more, so both sockets are closed at its end.
    last: bool,
    /// Whether something has ever had to wait.
    held_up: bool,
    nagle: Nagle,
}

/// Whether the kernel holds back what is sent after something that was not acknowledged yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Nagle {
    /// It does not.
    #[default]
    Off,
    /// It would, but there is nothing yet that could be acknowledged.
    Idle,
    /// It would.
    On,
}

type Pipe = (OwnedFd, OwnedFd);

/// Pipes that nobody uses at the moment.
#[derive(Debug, Default)]
pub(super) struct Pipes(Vec<Pipe>);

impl Pipes {
    fn take(&mut self) -> Result<Pipe, Errno> {
        match self.0.pop() {
            Some(pipe) => Ok(pipe),
            None => pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC),
        }
    }

    fn give(&mut self, pipe: Pipe) {
        if self.0.len() < SPARE {
            self.0.push(pipe);
        }
    }
}

/// How far a flow got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It waits for one of the sockets.
    Waits,
    /// It could go on, after others.
    Again,
    /// It has come to its end.
    Over,
}

impl Flow {
    /// Over a socket that is as the kernel made it.
    pub(super) fn over_new_socket() -> Self {
        Self { nagle: Nagle::Idle, ..Self::default() }
    }

    /// Has these bytes sent before all that comes.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The kernel says that there is something to read, or an end.
    pub(super) fn stir(&mut self, ending: bool) {
        if ending {
            self.source = Source::Ending;
        } else if self.source == Source::Drained {
            self.source = Source::Open;
        }
    }

    /// Whether there may be something to read: what is known not to be there need not be asked for.
    pub(super) fn may_have_more(&self) -> bool {
        self.source != Source::Drained
    }

    /// Nothing is left for now; the kernel says when that changes.
    pub(super) fn drained(&mut self) {
        if self.source == Source::Open {
            self.source = Source::Drained;
        }
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether nothing goes the other way any more.
    pub(super) fn set_last(&mut self, last: bool) {
        self.last = last;
    }

    /// Whether nothing more comes.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.piped.is_none()
    }

    /// Whether something waits to be sent, for the first time.
    pub(super) fn is_newly_held_up(&mut self) -> bool {
        let is_new = !self.held_up && !self.is_empty();
        self.held_up |= is_new;
        is_new
    }

    /// How much memory is taken by what waits to be sent.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.pending.capacity()
    }

    /// Whether its end has come and been told.
    pub(super) fn is_over(&self) -> bool {
        self.told
    }

    /// Sends what waits. `Waits` where not all of it is taken.
    pub(super) fn flush(&mut self, to: BorrowedFd<'_>) -> Result<Progress, Errno> {
        let mut sent = 0;
        while sent < self.pending.len() {
            match self.nagle.send(to, &self.pending[sent..]) {
                Ok(len) => sent += len,
                Err(Errno::AGAIN) => {
                    self.pending.drain(..sent);
                    return Ok(Progress::Waits);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        // What was large once need not stay so.
        self.pending = Vec::new();
        if self.ended && !self.told && self.piped.is_none() {
            self.told = true;
            // Who has gone already need not be told, and who is closed next is told by that.
            if !self.last {
                let _ = shutdown(to, Shutdown::Write);
            }
        }
        Ok(if self.told { Progress::Over } else { Progress::Again })
    }

    /// Moves what there is, as far as both sockets go.
    pub(super) fn pump(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        buffer: &mut [u8],
        pipes: &mut Pipes,
    ) -> Result<Progress, Errno> {
        for _ in 0..TURNS {
            let drained = self.source == Source::Drained && !self.ended;
            if drained && self.pending.is_empty() && self.piped.is_none() {
                return Ok(Progress::Waits);
            }
            if self.piped.is_some() {
                // More gathers while others have their turn, and is moved at once.
                return Ok(if self.drain(to, pipes)? { Progress::Again } else { Progress::Waits });
            }
            match self.flush(to)? {
                Progress::Again => {}
                other => return Ok(other),
            }
            let more =
                if self.large >= BULK { self.fill(from, pipes)? } else { self.read(from, to, buffer)? };
            if !more {
                return Ok(Progress::Waits);
            }
        }
        Ok(Progress::Again)
    }

    /// Reads and sends; `false` where nothing has come.
    fn read(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<bool, Errno> {
        let len = match recv(from, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => {
                self.ended = true;
                return Ok(true);
            }
            Ok((_, len)) => len,
            Err(Errno::AGAIN) => {
                self.drained();
                return Ok(false);
            }
            Err(Errno::INTR) => return Ok(true),
            Err(error) => return Err(error),
        };
        self.large = if len >= LARGE { self.large + 1 } else { 0 };
        // What comes after it is told anew (epoll(7), "Do I need to continuously read"); an end may have been already.
        if len < buffer.len() {
            self.drained();
        }
        let sent = match self.nagle.send(to, &buffer[..len]) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(error) => return Err(error),
        };
        self.pending.extend_from_slice(&buffer[sent..len]);
        Ok(true)
    }

    /// Moves bytes into a pipe; `false` where nothing has come.
    fn fill(&mut self, from: BorrowedFd<'_>, pipes: &mut Pipes) -> Result<bool, Errno> {
        let pipe = pipes.take()?;
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let moved = splice(from, None, &pipe.1, None, PIPE, flags);
        if let Ok(len @ 1..) = moved {
            self.piped = Some((pipe, len));
            // A trickle is read: that needs no pipe.
            self.large = if len < CHUNK / 4 { self.large - 1 } else { BULK + BULK };
            return Ok(true);
        }
        pipes.give(pipe);
        match moved {
            Ok(_) => {
                self.ended = true;
                Ok(true)
            }
            Err(Errno::AGAIN) => {
                self.drained();
                Ok(false)
            }
            Err(Errno::INTR) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Moves bytes out of the pipe; `false` where not all of them are taken.
    fn drain(&mut self, to: BorrowedFd<'_>, pipes: &mut Pipes) -> Result<bool, Errno> {
        let Some((pipe, held)) = &mut self.piped else { return Ok(true) };
        while *held > 0 {
            let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
            match splice(pipe.0.as_fd(), None, to, None, *held, flags) {
                Ok(0) => return Err(Errno::PIPE),
                Ok(len) => *held -= len,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        if let Some((pipe, _)) = self.piped.take() {
            pipes.give(pipe);
        }
        Ok(true)
    }
}

impl Nagle {
    /// Sends, and has nothing held back. That takes a call, which a connection that says one thing is spared.
    fn send(&mut self, to: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
        match self {
            Self::Off => {}
            Self::Idle => *self = Self::On,
            Self::On => {
                *self = Self::Off;
                let _ = set_tcp_nodelay(to, true);
            }
        }
        send(to, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd as _;

    use super::*;

    /// Two ends of a connection.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (one, listener.accept().unwrap().0)
    }

    #[test]
    fn everything_arrives_in_order_and_the_end_with_it() {
        let ((mut source, from), (to, mut sink)) = (pair(), pair());
        let sent: Vec<u8> = (0..8_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let expected = [b"first".as_slice(), &sent].concat();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                source.write_all(&sent).unwrap();
                source.shutdown(std::net::Shutdown::Write).unwrap();
            });
            let reader = scope.spawn(|| {
                let mut all = Vec::new();
                sink.read_to_end(&mut all).unwrap();
                all
            });
            let (mut flow, mut pipes, mut buffer) = (Flow::default(), Pipes::default(), vec![0; CHUNK]);
            flow.put(b"first");
            let mut spliced = false;
            while flow.pump(from.as_fd(), to.as_fd(), &mut buffer, &mut pipes).unwrap() != Progress::Over {
                spliced |= flow.piped.is_some();
                flow.stir(false);
                std::thread::yield_now();
            }
            assert!(spliced || !pipes.0.is_empty(), "much is moved without being read");
            assert!(flow.is_over());
            assert_eq!(reader.join().unwrap(), expected);
        });
    }

    #[test]
    fn only_what_follows_something_is_kept_from_being_held_back() {
        let (_client, to) = pair();
        let mut flow = Flow::over_new_socket();
        for (words, prompt) in [(&b"hello"[..], false), (b"more", true)] {
            flow.put(words);
            assert_eq!(flow.flush(to.as_fd()), Ok(Progress::Again));
            assert_eq!(rustix::net::sockopt::tcp_nodelay(&to), Ok(prompt));
        }
    }
}
