//! One connection through the gate: what it is for, whether that is allowed, and then its bytes.

mod ending;
mod late;
mod requests;
mod tls;

use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::flow::{CHUNK, Flow, Pipes, Progress, TURNS};
use crate::egress::gate::client_hello::{self, Watch};
use crate::egress::gate::http::{self, CONTINUE, ESTABLISHED};
use crate::egress::words::{Complaint, Verdict, Why, Wish, Word};
use crate::policy::HostName;
use ending::Ending;

/// Bytes of a client's that are held while nobody has said where they may go, before no more are read: the longest hello
/// and the longest head.
const MAX_HELD: usize = 32 * 1024;
/// What a connection takes at most: bytes of the client's, held or on their way to the server, of which what is read at a
/// time comes on top, and as much on the way back.
pub(super) const MOST_MEMORY: usize = MAX_HELD + 2 * CHUNK;
/// Bytes of a server's answer that are looked at.
const LOOKED_AT: usize = 64;

/// What is spoken at a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// TLS, for port 443.
    Tls,
    /// HTTP/1, for port 80 and of a proxy.
    Http,
}

impl Kind {
    const fn port(self) -> u16 {
        match self {
            Self::Tls => 443,
            Self::Http => 80,
        }
    }
}

/// What all connections share, and what this one has to say.
pub(super) struct Tools<'a> {
    pub(super) buffer: &'a mut [u8],
    pub(super) pipes: &'a mut Pipes,
    pub(super) said: Option<Word>,
    pub(super) id: u32,
}

/// How far a connection got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It waits for one of its sockets, or for the daemon.
    Waits,
    /// It could go on, after others.
    Again,
    /// It has come to its end.
    Over,
}

/// A host and a TCP port.
type Target = (HostName, u16);

#[derive(Debug)]
enum Phase {
    /// Its first bytes are to say which host it is for. Inside a tunnel that is said already.
    Hello(client_hello::Reader, Option<Target>),
    /// A request is to say that.
    Request(Box<http::Stream>),
    /// The daemon was asked for a connection.
    Asking(After),
    /// TLS, until it is certain that no other hello counts; with the server's first bytes.
    Watch(Watch, Vec<u8>),
    /// HTTP/1, each request of which is looked at; with the server's first bytes where it may change the protocol.
    Requests(Box<http::Stream>, Target, Vec<u8>),
    /// Nothing is looked at any more.
    Relay,
    /// It was refused, and reads why.
    Farewell,
}

/// What comes when the connection is made.
#[derive(Debug)]
enum After {
    Watch(Watch),
    /// A request, as the server gets it.
    Requests(Box<http::Stream>, Target, Vec<u8>, bool),
    /// A tunnel.
    Tunnel(Target),
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    kind: Kind,
    client: OwnedFd,
    /// Where the client's socket is.
    from: SocketAddr,
    upstream: Option<OwnedFd>,
    since: Instant,
    /// When the present phase began.
    phase_since: Instant,
    /// When something happened at one of its sockets.
    moved: Instant,
    /// Whether the kernel asks a silent server whether it is still there.
    is_guarded: bool,
    phase: Phase,
    /// The client's bytes that are not used up.
    input: Vec<u8>,
    /// Nothing more comes from the client.
    input_ended: bool,
    /// To the server.
    up: Flow,
    /// To the client.
    down: Flow,
}

/// Why a connection ends.
enum End {
    /// A socket says so.
    Gone,
    /// It is refused, and this is why.
    Refused(Why, Option<String>),
}

impl From<Errno> for End {
    fn from(_: Errno) -> Self {
        Self::Gone
    }
}

impl Connection {
    pub(super) fn new(kind: Kind, client: OwnedFd, from: SocketAddr, now: Instant) -> Self {
        let phase = match kind {
            Kind::Tls => Phase::Hello(client_hello::Reader::default(), None),
            Kind::Http => Phase::Request(Box::default()),
        };
        Self {
            kind,
            client,
            from,
            upstream: None,
            since: now,
            phase_since: now,
            moved: now,
            is_guarded: false,
            phase,
            input: Vec::new(),
            input_ended: false,
            up: Flow::over_new_socket(),
            down: Flow::default(),
        }
    }

    pub(super) fn client(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }

    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Whether it has not said yet what it is for.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.phase, Phase::Hello(..) | Phase::Request(_)) && self.upstream.is_none()
    }

    /// Takes in what the kernel says of one of its sockets.
    pub(super) fn stir(&mut self, is_upstream: bool, said: epoll::EventFlags) {
        let ending = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        if said.intersects(ending | epoll::EventFlags::IN) {
            let flow = if is_upstream { &mut self.down } else { &mut self.up };
            flow.stir(said.intersects(ending));
        }
    }

    /// Which of its sockets, the client's and the server's, has something waiting for it and never had before.
    pub(super) fn newly_held_up(&mut self) -> [bool; 2] {
        let upstream = self.upstream.is_some() && self.up.is_newly_held_up();
        [self.down.is_newly_held_up(), upstream]
    }

    /// The server's socket.
    pub(super) fn upstream(&self) -> Option<BorrowedFd<'_>> {
        self.upstream.as_ref().map(OwnedFd::as_fd)
    }

    /// Takes in the daemon's answer.
    pub(super) fn answered(&mut self, verdict: Verdict, upstream: Option<OwnedFd>) {
        let Phase::Asking(after) = std::mem::replace(&mut self.phase, Phase::Farewell) else { return };
        match (verdict, upstream) {
            (Verdict::Connected, Some(upstream)) => {
                self.upstream = Some(upstream);
                // The kernel has been told to say what comes, from the beginning.
                self.down.drained();
                let phase = self.connected(after);
                self.enter(phase);
            }
            (Verdict::Connected, None) => {
                self.farewell(&Ending::Failed("no connection came".to_owned()));
            }
            (Verdict::Refused(sentence), _) => self.farewell(&Ending::Refused(sentence)),
            (Verdict::Failed(sentence), _) => self.farewell(&Ending::Failed(sentence)),
        }
    }

    fn connected(&mut self, after: After) -> Phase {
        match after {
            After::Watch(watch) => Phase::Watch(watch, Vec::new()),
            After::Requests(mut stream, target, head, expects) => {
                self.up.put(&head);
                if expects {
                    self.down.put(CONTINUE);
                }
                stream.allow();
                Phase::Requests(stream, target, Vec::new())
            }
            After::Tunnel(target) => {
                self.down.put(ESTABLISHED);
                match target.1 {
                    443 => Phase::Hello(client_hello::Reader::default(), Some(target)),
                    80 => Phase::Requests(Box::default(), target, Vec::new()),
                    _ => Phase::Relay,
                }
            }
        }
    }

    /// Goes on as far as it gets.
    pub(super) fn step(&mut self, tools: &mut Tools<'_>) -> Step {
        self.moved = Instant::now();
        match self.advance(tools) {
            Ok(step) => step,
            Err(End::Gone) => Step::Over,
            Err(End::Refused(why, said)) => {
                tools.said = Some(self.complaint(why, said));
                self.farewell(&Ending::Odd(why));
                self.advance(tools).unwrap_or(Step::Over)
            }
        }
    }

    fn advance(&mut self, tools: &mut Tools<'_>) -> Result<Step, End> {
        loop {
            let goes_on = match &self.phase {
                Phase::Hello(..) => self.hello(tools)?,
                Phase::Request(_) => self.request(tools)?,
                Phase::Asking(_) => false,
                Phase::Watch(..) => match self.watch(tools)? {
                    Step::Over => true,
                    other => return Ok(other),
                },
                Phase::Requests(..) => match self.requests(tools)? {
                    Step::Waits => false,
                    other => return Ok(other),
                },
                Phase::Relay => return self.relay(tools),
                Phase::Farewell => return self.leave(tools),
            };
            if !goes_on {
                return Ok(Step::Waits);
            }
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.phase_since = Instant::now();
    }

    fn complaint(&self, why: Why, said: Option<String>) -> Word {
        Word::Complaint(Complaint { port: self.kind.port(), said, why, client: self.from })
    }

    /// Reads more of what the client sends; `false` where nothing has come. Its end is noted.
    fn read_client(&mut self, tools: &mut Tools<'_>) -> Result<bool, End> {
        if self.input_ended || self.input.len() >= MAX_HELD {
            return Ok(false);
        }
        match receive(self.client.as_fd(), tools.buffer, &mut self.up)? {
            None => Ok(false),
            Some([]) => {
                self.input_ended = true;
                Ok(true)
            }
            Some(bytes) => {
                let whole = self.input.len() + bytes.len();
                if whole > self.input.capacity() {
                    // Growing as a vector does, but not beyond what can ever be needed.
                    let room = (2 * self.input.capacity()).min(MAX_HELD + CHUNK).max(whole);
                    self.input.reserve_exact(room - self.input.len());
                }
                self.input.extend_from_slice(bytes);
                Ok(true)
            }
        }
    }

    /// Has so many of the client's bytes sent on, as soon as there is somebody to send them to.
    fn send_up(&mut self, len: usize) {
        self.up.put(&self.input[..len]);
        self.use_up(len);
    }

    /// Forgets so many of the client's bytes, and the room that they took.
    fn use_up(&mut self, len: usize) {
        self.input = self.input[len..].to_vec();
    }

    fn ask(&mut self, tools: &mut Tools<'_>, name: HostName, port: u16, after: After) {
        tools.said = Some(Word::Wish(Wish { id: tools.id, name, port, client: self.from }));
        self.enter(Phase::Asking(after));
    }

    /// Reads more of what the client sends, and lets the server know of its end.
    fn read_client_end_up(&mut self, tools: &mut Tools<'_>) -> Result<bool, End> {
        let had_ended = self.input_ended;
        let more = self.read_client(tools)?;
        if self.input_ended && !had_ended {
            self.up.end();
        }
        Ok(more)
    }

    fn relay(&mut self, tools: &mut Tools<'_>) -> Result<Step, End> {
        let Some(upstream) = &self.upstream else { return Err(End::Gone) };
        let (client, upstream) = (self.client.as_fd(), upstream.as_fd());
        self.up.set_last(self.down.is_over());
        let up = self.up.pump(client, upstream, tools.buffer, tools.pipes)?;
        self.down.set_last(self.up.is_over());
        let down = self.down.pump(upstream, client, tools.buffer, tools.pipes)?;
        Ok(match (up, down) {
            (Progress::Over, Progress::Over) => Step::Over,
            (Progress::Again, _) | (_, Progress::Again) => Step::Again,
            _ => Step::Waits,
        })
    }

    /// Tells the client why, and lets go of it when it has read that.
    fn leave(&mut self, tools: &mut Tools<'_>) -> Result<Step, End> {
        for _ in 0..TURNS {
            let told = self.down.flush(self.client.as_fd())? == Progress::Over;
            if told && self.input_ended {
                return Ok(Step::Over);
            }
            self.input.clear();
            if !self.read_client(tools)? {
                return Ok(if told && self.input_ended { Step::Over } else { Step::Waits });
            }
        }
        Ok(Step::Again)
    }

    fn farewell(&mut self, ending: &Ending) {
        self.upstream = None;
        self.up = Flow::default();
        let words = match &self.phase {
            // In the middle of something nobody could read it.
            Phase::Watch(..) | Phase::Requests(..) | Phase::Relay => Vec::new(),
            _ => ending.words(self.kind, &self.input),
        };
        self.down.put(&words);
        self.down.end();
        self.enter(Phase::Farewell);
    }
}

/// What has come to a flow's source; nothing at its end.
fn receive<'a>(
    from: BorrowedFd<'_>,
    buffer: &'a mut [u8],
    flow: &mut Flow,
) -> Result<Option<&'a [u8]>, Errno> {
    while flow.may_have_more() {
        match recv(from, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((_, len)) => {
                // What comes after it is told anew.
                if len < buffer.len() {
                    flow.drained();
                }
                return Ok(Some(&buffer[..len]));
            }
            Err(Errno::AGAIN) => flow.drained(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
