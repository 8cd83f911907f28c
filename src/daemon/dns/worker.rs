//! The worker: reads questions of anybody's, and holds nothing.
//!
//! Three descriptors, no capability, no way to any, and no room in its descriptor table to open a file or a socket
//! with. It stays uid 0 where the container cannot change uids.

use std::io::{self, Stderr, Stdin, Stdout};
use std::os::fd::{AsFd as _, BorrowedFd};

use anyhow::{Context as _, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketAddrAny, getsockname, recv, recvfrom, send, sendto};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::egress::answer::{MAX_SIZE, Names, reply};

/// Questions from one socket before the other, and the daemon, are looked after.
const TURN: usize = 64;
/// The largest table: every name of a full policy with more addresses than answers hold.
const MAX_TABLE: usize = 8 << 20;
/// Descriptors: the three that it was given.
const DESCRIPTORS: u64 = 3;
const MEMORY: u64 = 128 << 20;

/// Answers questions until the daemon is gone.
pub(in crate::daemon) fn run() -> anyhow::Result<()> {
    confine().context("shed rights")?;
    let (control, v4, v6): (Stdin, Stdout, Stderr) = (io::stdin(), io::stdout(), io::stderr());
    let mut sockets = vec![v4.as_fd()];
    ensure!(getsockname(sockets[0]).is_ok(), "is started by the daemon");
    // Without IPv6 there is nothing to listen on.
    sockets.extend(getsockname(v6.as_fd()).is_ok().then_some(v6.as_fd()));
    let mut worker = Worker { control: control.as_fd(), names: None, table: Vec::new() };
    worker.say(b"\n");
    loop {
        let mut fds: Vec<PollFd<'_>> = std::iter::once(&worker.control)
            .chain(sockets.iter().filter(|_| worker.names.is_some()))
            .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error).context("poll"),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready[0] && !worker.listen()? {
            return Ok(());
        }
        for (socket, _) in sockets.iter().zip(&ready[1..]).filter(|(_, ready)| **ready) {
            worker.answer(*socket);
        }
    }
}

/// Before the first byte of anybody's is read.
fn confine() -> rustix::io::Result<()> {
    rustix::thread::set_name(c"sandboxd-dns")?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?;
    rustix::thread::set_no_new_privs(true)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    for (resource, most) in
        [(Resource::Nofile, DESCRIPTORS), (Resource::Fsize, 0), (Resource::Core, 0), (Resource::As, MEMORY)]
    {
        rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

struct Worker<'a> {
    control: BorrowedFd<'a>,
    /// What to answer. Before it is known, questions wait: a listed name would be refused.
    names: Option<Names>,
    /// A table that is not yet whole.
    table: Vec<u8>,
}

impl Worker<'_> {
    /// Takes in the daemon's next words; `false` says that it is gone.
    fn listen(&mut self) -> anyhow::Result<bool> {
        let mut chunk = [0; 16 * 1024];
        let len = match recv(self.control, &mut chunk[..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return Ok(false),
            Ok((_, len)) => len,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            Err(error) => return Err(error).context("hear the daemon"),
        };
        self.table.extend_from_slice(&chunk[..len]);
        while let Some(end) = self.table.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.table.drain(..=end).collect();
            let names = serde_json::from_slice(&line).context("the daemon's table does not read")?;
            self.names = Some(names);
        }
        ensure!(self.table.len() <= MAX_TABLE, "the daemon's table is too large");
        Ok(true)
    }

    fn answer(&self, socket: BorrowedFd<'_>) {
        let Some(names) = &self.names else { return };
        let mut message = [0; MAX_SIZE + 1];
        for _ in 0..TURN {
            // The length is that of the whole datagram: a longer one is no question of a resolver's.
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            let (len, from) = match recvfrom(socket, &mut message[..], flags) {
                Ok((_, len, Some(from))) => (len, from),
                Ok((_, _, None)) => continue,
                // Nothing is left, or an earlier reply could not be delivered.
                Err(_) => return,
            };
            let Some(reply) = message.get(..len).and_then(|message| reply(message, names)) else {
                continue;
            };
            send_reply(socket, &reply.bytes, &from);
            if let Some(name) = reply.refused {
                self.say(format!("{name}\n").as_bytes());
            }
        }
    }

    /// To the daemon, if it takes it now: counts may be short in a flood, answers are not late.
    fn say(&self, line: &[u8]) {
        let _ = send(self.control, line, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }
}

fn send_reply(socket: BorrowedFd<'_>, reply: &[u8], to: &SocketAddrAny) {
    let _ = sendto(socket, reply, SendFlags::DONTWAIT | SendFlags::NOSIGNAL, to);
}
