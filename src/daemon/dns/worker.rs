//! The worker: reads questions of anybody's, and holds nothing.
//!
//! It has no capability and no way to any, and can open neither a file nor a socket. It stays uid 0 where the container
//! cannot change uids.

mod tcp;

use std::collections::VecDeque;
use std::io::{self, IoSliceMut, Stderr, Stdin, Stdout};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketAddrAny, getsockname, recvfrom,
    recvmsg, send, sendto,
};
use rustix::process::Resource;

use crate::daemon::cell;
use crate::egress::answer::{MAX_SIZE, Names, reply, reply_over_tcp};
use tcp::{MAX_CLIENTS, Tcp};

/// Questions from one socket before the other, and the daemon, are looked after.
const TURN: usize = 64;
/// The largest table: every name of a full policy with more addresses than answers hold.
const MAX_TABLE: usize = 8 << 20;
/// TCP listeners, one a family.
pub(super) const LISTENERS: usize = 2;
/// Descriptors: the three that it was given, and those for TCP, with one client who is about to be taken in.
const DESCRIPTORS: u64 = (3 + LISTENERS + MAX_CLIENTS + 1) as u64;
const MEMORY: u64 = 128 << 20;
/// Questions that wait for their name to become known, and how long they may.
const MAX_HELD: usize = 256;
const HELD: Duration = Duration::from_secs(4);

/// Answers questions until the daemon is gone.
pub(in crate::daemon) fn run() -> anyhow::Result<()> {
    rustix::thread::set_name(c"sandboxd-dns")?;
    cell::shut(&[(Resource::Nofile, DESCRIPTORS), (Resource::As, MEMORY)], cell::Sends::Anywhere)
        .context("shed rights")?;
    let (control, v4, v6): (Stdin, Stdout, Stderr) = (io::stdin(), io::stdout(), io::stderr());
    let mut sockets = vec![v4.as_fd()];
    ensure!(getsockname(sockets[0]).is_ok(), "is started by the daemon");
    // Without IPv6 there is nothing to listen on.
    sockets.extend(getsockname(v6.as_fd()).is_ok().then_some(v6.as_fd()));
    let mut worker = Worker {
        control: control.as_fd(),
        sockets,
        tcp: Tcp::default(),
        names: None,
        table: Vec::new(),
        held: VecDeque::new(),
    };
    worker.say(b"\n");
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    loop {
        let mut fds: Vec<PollFd<'_>> = std::iter::once(worker.control)
            .chain(worker.sockets.iter().copied().filter(|_| worker.names.is_some()))
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let udp = fds.len() - 1;
        if worker.names.is_some() {
            fds.extend(worker.tcp.sockets().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        }
        match poll(&mut fds, (!worker.held.is_empty()).then_some(&second)) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error).context("poll"),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if ready[0] && !worker.listen()? {
            return Ok(());
        }
        for (number, _) in ready[1..=udp].iter().enumerate().filter(|(_, ready)| **ready) {
            worker.answer_udp(number);
        }
        if ready[1 + udp..].contains(&true) {
            worker.answer_tcp();
        }
        worker.held.retain(|held| held.since.elapsed() < HELD);
    }
}

/// Whom an answer is for.
#[derive(Debug)]
enum Asker {
    /// Over UDP, at one of the sockets.
    Udp(usize, SocketAddrAny),
    /// A client over TCP.
    Tcp(u64),
}

/// A question that waits.
#[derive(Debug)]
struct Held {
    since: Instant,
    asker: Asker,
    message: Vec<u8>,
}

struct Worker<'a> {
    control: BorrowedFd<'a>,
    /// UDP, one a family.
    sockets: Vec<BorrowedFd<'a>>,
    tcp: Tcp,
    /// What to answer. Before it is known, questions wait: a listed name would be refused.
    names: Option<Names>,
    /// A table that is not yet whole.
    table: Vec<u8>,
    held: VecDeque<Held>,
}

impl Worker<'_> {
    /// Takes in the daemon's next words, and listeners that may come with them; `false` says that it is gone.
    fn listen(&mut self) -> anyhow::Result<bool> {
        let mut chunk = [0; 16 * 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LISTENERS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let len = match recvmsg(self.control, &mut [IoSliceMut::new(&mut chunk)], &mut ancillary, flags) {
            Ok(got) if got.bytes == 0 => return Ok(false),
            Ok(got) => got.bytes,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            Err(error) => return Err(error).context("hear the daemon"),
        };
        for item in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(listeners) = item {
                listeners.for_each(|listener| self.tcp.listen(listener));
            }
        }
        self.table.extend_from_slice(&chunk[..len]);
        while let Some(end) = self.table.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.table.drain(..=end).collect();
            if line.trim_ascii().is_empty() {
                // The daemon asks whether anybody is there.
                self.say(b"\n");
                continue;
            }
            let names = serde_json::from_slice(&line).context("the daemon's table does not read")?;
            self.names = Some(names);
            for held in std::mem::take(&mut self.held) {
                self.answer(held.asker, &held.message, Some(held.since));
            }
        }
        ensure!(self.table.len() <= MAX_TABLE, "the daemon's table is too large");
        Ok(true)
    }

    fn answer_udp(&mut self, number: usize) {
        let mut message = [0; MAX_SIZE + 1];
        for _ in 0..TURN {
            // The length is that of the whole datagram: a longer one is no question of a resolver's.
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            let (len, from) = match recvfrom(self.sockets[number], &mut message[..], flags) {
                Ok((_, len, Some(from))) => (len, from),
                Ok((_, _, None)) => continue,
                // Nothing is left, or an earlier reply could not be delivered.
                Err(_) => return,
            };
            if let Some(message) = message.get(..len) {
                self.answer(Asker::Udp(number, from), message, None);
            }
        }
    }

    fn answer_tcp(&mut self) {
        self.tcp.accept();
        for (client, message) in self.tcp.questions() {
            self.answer(Asker::Tcp(client), &message, None);
        }
    }

    /// Answers a question, or holds it until its name is known.
    fn answer(&mut self, asker: Asker, message: &[u8], since: Option<Instant>) {
        let reply = match asker {
            Asker::Udp(..) => reply,
            Asker::Tcp(_) => reply_over_tcp,
        };
        let Some(reply) = self.names.as_ref().and_then(|names| reply(message, names)) else { return };
        if let Some(name) = reply.wanted {
            if since.is_none() {
                self.say(format!("{name}\n").as_bytes());
            }
            if self.held.len() >= MAX_HELD {
                self.held.pop_front();
            }
            let since = since.unwrap_or_else(Instant::now);
            self.held.push_back(Held { since, asker, message: message.to_vec() });
            return;
        }
        match asker {
            Asker::Udp(number, to) => {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                let _ = sendto(self.sockets[number], &reply.bytes, flags, &to);
            }
            Asker::Tcp(client) => self.tcp.answer(client, &reply.bytes),
        }
        if let Some(name) = reply.refused {
            self.say(format!("{name}\n").as_bytes());
        }
    }

    /// To the daemon, if it takes it now: counts may be short in a flood, answers are not late.
    fn say(&self, line: &[u8]) {
        let _ = send(self.control, line, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }
}
