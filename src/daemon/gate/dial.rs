//! One connection to a host by its name: its addresses one after the other, each begun before the last has given up.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use socket2::SockRef;

use crate::egress::words::Wish;
use crate::firewall::plan::MARK;

/// Before the next address is tried beside the last (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses that are tried at the same time; of more, those that have been tried longest are given up.
const AT_ONCE: usize = 3;
/// How long it may take in all, asking for the name included.
const LONGEST: Duration = Duration::from_secs(15);
/// Ports whose clients speak first.
const CLIENT_FIRST: [u16; 2] = [80, 443];

/// A connection on its way.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) wish: Wish,
    begun: Instant,
    /// Since when an answer must be known; earlier ones have failed.
    pub(super) after: Option<Instant>,
    left: Option<VecDeque<IpAddr>>,
    /// Those that are being tried, by their number.
    tries: Vec<(u32, OwnedFd)>,
    tried: u32,
    last: Option<Instant>,
    failure: String,
}

/// What there is to do next.
#[derive(Debug)]
pub(super) enum Next {
    /// The name is to be asked for.
    Ask,
    /// A socket was begun that becomes writable when it is connected, or has failed.
    Watch(u32),
    /// Wait, until then at most.
    Wait(Instant),
    /// It cannot be made, and why.
    Failed(String),
}

impl Dial {
    pub(super) fn new(wish: Wish) -> Self {
        Self {
            wish,
            begun: Instant::now(),
            after: None,
            left: None,
            tries: Vec::new(),
            tried: 0,
            last: None,
            failure: String::new(),
        }
    }

    /// Takes in the name's addresses.
    pub(super) fn learn(&mut self, addresses: Vec<IpAddr>) {
        self.left = Some(addresses.into());
    }

    /// What to do now.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        if now.duration_since(self.begun) >= LONGEST {
            let name = &self.wish.name;
            let why = if self.failure.is_empty() { "no answer came in time" } else { &self.failure };
            return Next::Failed(format!("{name} cannot be reached: {why}"));
        }
        let end = self.begun + LONGEST;
        let Some(left) = &mut self.left else {
            return Next::Ask;
        };
        if !self.tries.is_empty()
            && let Some(last) = self.last
            && now < last + STAGGER
        {
            return Next::Wait(if left.is_empty() { end } else { last + STAGGER });
        }
        while let Some(address) = left.pop_front() {
            match begin(SocketAddr::new(address, self.wish.port)) {
                Ok(socket) => {
                    self.tried += 1;
                    if self.tries.len() >= AT_ONCE {
                        self.tries.remove(0);
                    }
                    self.tries.push((self.tried, socket));
                    self.last = Some(now);
                    return Next::Watch(self.tried);
                }
                Err(error) => self.failure = format!("{address}: {error}"),
            }
        }
        if !self.tries.is_empty() {
            return Next::Wait(end);
        }
        // Its addresses may have changed since they were asked for: once more.
        if self.after.is_none() {
            self.after = Some(self.begun);
            self.left = None;
            self.last = None;
            return Next::Ask;
        }
        Next::Failed(format!("{} cannot be reached: {}", self.wish.name, self.failure))
    }

    /// The socket of a try.
    pub(super) fn socket(&self, number: u32) -> Option<&OwnedFd> {
        self.tries.iter().find(|(tried, _)| *tried == number).map(|(_, socket)| socket)
    }

    /// A try's socket is writable: it is connected, and is the one, or it may have failed.
    pub(super) fn settled(&mut self, number: u32, may_have_failed: bool) -> Option<OwnedFd> {
        let place = self.tries.iter().position(|(tried, _)| *tried == number)?;
        let (_, socket) = self.tries.swap_remove(place);
        let state = if may_have_failed { sockopt::socket_error(&socket) } else { Ok(Ok(())) };
        let failure = match state {
            Ok(Ok(())) => match hand_over(&socket) {
                Ok(()) => return Some(socket),
                Err(error) => error,
            },
            Ok(Err(error)) | Err(error) => error.into(),
        };
        let at = SockRef::from(&socket).peer_addr().ok().and_then(|address| address.as_socket());
        self.failure = match at {
            Some(at) => format!("{at}: {failure}"),
            None => failure.to_string(),
        };
        None
    }
}

/// A socket on its way to an address. It carries the mark, without which nothing gets out.
fn begin(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    let set = SockRef::from(&socket);
    set.set_mark(MARK)?;
    // What the client has said is there already, and goes with the handshake's end instead of behind it.
    if CLIENT_FIRST.contains(&address.port()) {
        set.set_tcp_quickack(false)?;
    }
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// Makes a connection fit to be given away: it goes on by its connection tracking entry and is not marked any more, so
/// whoever has it cannot connect it anew to another place.
fn hand_over(socket: &OwnedFd) -> io::Result<()> {
    SockRef::from(socket).set_mark(0)
}
