//! The worker: reads what connections of anybody's are for, and holds nothing.
//!
//! It cannot open a file or a socket, has no capability and no way to any. What it is given are the listeners and a socket
//! to the daemon, and over that, connections that the daemon made. It stays uid 0 where the container cannot change uids.

mod connection;
mod flow;
mod slots;

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, acceptfrom_with, recvmsg,
    send,
};
use rustix::process::Resource;

use super::broker::PULSE_ID;
use crate::daemon::cell;
use crate::egress::words::{MAX_WORD, Verdict, Word};
use connection::{Connection, Kind, MOST_MEMORY, Step, Tools};
use flow::{CHUNK, Pipes};
use slots::{Key, Slots};

/// Most listeners that there are: two ports, two families.
pub(super) const LISTENERS: usize = 4;
/// Connections at the same time, where there are descriptors for so many.
const MAX_CONNECTIONS: usize = 4096;
/// Descriptors that one may need: two sockets, and two pipes where much is moved. Some are left over, so that there is
/// always one with which to turn somebody away.
const DESCRIPTORS_EACH: usize = 8;
/// Of these, such that have not said yet what they are for; of more, the oldest go.
const MAX_UNKNOWN: usize = 1024;
/// Connections taken in one go.
const TURN: usize = 64;
/// Offers after which the other worker has the next ones.
const OFFERS: u32 = 4;
const EVENTS: usize = 256;
/// How often time-outs are looked for.
const TICK: Duration = Duration::from_secs(1);
const MEMORY: u64 = 512 << 20;
/// All connections at their largest leave some for what else there is: an allocation that fails would end all of them.
const _: () = assert!((MAX_CONNECTIONS * MOST_MEMORY + (64 << 20)) as u64 <= MEMORY, "too many connections");

const CONTROL: u64 = u64::MAX;
/// Tokens of listeners end here.
const LISTENER: u64 = u64::MAX - 8;

/// Guards the gate until the daemon is gone.
pub(in crate::daemon) fn run() -> anyhow::Result<()> {
    rustix::thread::set_name(c"sandboxd-gate")?;
    let wanted = (DESCRIPTORS_EACH * MAX_CONNECTIONS) as u64;
    let descriptors = rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(wanted).min(wanted);
    cell::shut(&[(Resource::Nofile, descriptors), (Resource::As, MEMORY)], cell::Sends::WhereConnected)
        .context("shed rights")?;
    let control = std::io::stdin();
    let listeners = receive_listeners(control.as_fd()).context("is started by the daemon")?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (number, (_, listener)) in listeners.iter().enumerate() {
        let token = epoll::EventData::new_u64(LISTENER + number as u64);
        epoll::add(&epoll, listener, token, LISTENED)?;
    }
    epoll::add(&epoll, control.as_fd(), epoll::EventData::new_u64(CONTROL), epoll::EventFlags::IN)?;
    let mut worker = Worker {
        control: control.as_fd(),
        listeners,
        epoll,
        slots: Slots::default(),
        most: usize::try_from(descriptors)? / DESCRIPTORS_EACH,
        unknown: 0,
        buffer: vec![0; CHUNK],
        pipes: Pipes::default(),
        burst: 1,
        offers: 0,
        again: Vec::new(),
    };
    worker.say(&Word::Alive);
    let mut swept = Instant::now();
    loop {
        let wait = if worker.again.is_empty() { TICK } else { Duration::ZERO };
        let wait = Timespec { tv_sec: i64::try_from(wait.as_secs())?, tv_nsec: 0 };
        let mut events = Vec::with_capacity(EVENTS);
        match epoll::wait(&worker.epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("epoll"),
        }
        for key in std::mem::take(&mut worker.again) {
            worker.step(key);
        }
        for event in &events {
            match event.data.u64() {
                CONTROL => {
                    if !worker.listen()? {
                        return Ok(());
                    }
                }
                token if token >= LISTENER => worker.accept(usize::try_from(token - LISTENER)?)?,
                token => {
                    let key = Key::from(token);
                    if let Some(connection) = worker.slots.get(key) {
                        connection.stir(Key::is_upstream(token), event.flags);
                    }
                    worker.step(key);
                }
            }
        }
        let now = Instant::now();
        if now >= swept + TICK {
            swept = now;
            worker.sweep(now);
        }
    }
}

/// The listeners, each with what is spoken there.
fn receive_listeners(control: BorrowedFd<'_>) -> anyhow::Result<Vec<(Kind, TcpListener)>> {
    let (kinds, descriptors) = receive(control, RecvFlags::CMSG_CLOEXEC)?.context("nobody is there")?;
    let kinds = kinds.iter().map(|kind| match kind {
        b't' => Ok(Kind::Tls),
        b'h' => Ok(Kind::Http),
        _ => bail!("an unknown kind of listener"),
    });
    let kinds = kinds.collect::<anyhow::Result<Vec<_>>>()?;
    if kinds.is_empty() || kinds.len() != descriptors.len() {
        bail!("no listeners came");
    }
    Ok(kinds.into_iter().zip(descriptors.into_iter().map(TcpListener::from)).collect())
}

/// A message, and the descriptors that came with it; `None` where the other side is gone.
fn receive(control: BorrowedFd<'_>, flags: RecvFlags) -> rustix::io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut message = [0; MAX_WORD];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LISTENERS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(control, &mut [IoSliceMut::new(&mut message)], &mut ancillary, flags)?;
    let mut descriptors = Vec::new();
    for item in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = item {
            descriptors.extend(rights);
        }
    }
    Ok((got.bytes > 0).then(|| (message[..got.bytes].to_vec(), descriptors)))
}

struct Worker<'a> {
    control: BorrowedFd<'a>,
    listeners: Vec<(Kind, TcpListener)>,
    epoll: OwnedFd,
    slots: Slots<Connection>,
    /// How many there may be.
    most: usize,
    /// How many have not said yet what they are for.
    unknown: usize,
    buffer: Vec<u8>,
    pipes: Pipes,
    /// How many are taken in at once next time.
    burst: usize,
    /// How often there was somebody new.
    offers: u32,
    /// Those that could go on.
    again: Vec<Key>,
}

impl Worker<'_> {
    /// Takes in the daemon's answers; `false` says that it is gone.
    fn listen(&mut self) -> anyhow::Result<bool> {
        loop {
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let (message, descriptors) = match receive(self.control, flags) {
                Ok(Some(received)) => received,
                Ok(None) | Err(Errno::CONNRESET) => return Ok(false),
                Err(Errno::AGAIN) => return Ok(true),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error).context("hear the daemon"),
            };
            let (id, verdict) = Verdict::decode(&message).context("the daemon's answer does not read")?;
            if id == PULSE_ID {
                self.say(&Word::Alive);
                continue;
            }
            // Who asked may have gone; then what was made for it goes, too.
            let Some((key, connection)) = self.slots.with_id(id) else { continue };
            let upstream = descriptors.into_iter().next();
            if let Some(upstream) = &upstream {
                let token = epoll::EventData::new_u64(key.token(true));
                epoll::add(&self.epoll, upstream, token, WATCHED)?;
            }
            connection.answered(verdict, upstream);
            self.step(key);
        }
    }

    /// Takes in who is new. Now and then it goes to the end of the line of workers that the next one is offered to.
    fn accept(&mut self, number: usize) -> anyhow::Result<()> {
        // Who leaves somebody waiting is told of it again, so no more are looked for than there probably are.
        let came = (0..self.burst).take_while(|_| self.take_in(number)).count();
        self.burst = if came == self.burst { TURN.min(2 * self.burst) } else { 1 };
        self.offers = self.offers.wrapping_add(1);
        let Some((_, listener)) = self.listeners.get(number).filter(|_| self.offers.is_multiple_of(OFFERS))
        else {
            return Ok(());
        };
        epoll::delete(&self.epoll, listener)?;
        let token = epoll::EventData::new_u64(LISTENER + number as u64);
        epoll::add(&self.epoll, listener, token, LISTENED).context("listen")
    }

    /// Takes in one; `false` where nobody is left, or there is no descriptor for one more.
    fn take_in(&mut self, number: usize) -> bool {
        let Some((kind, listener)) = self.listeners.get(number) else { return false };
        let kind = *kind;
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let Ok((client, from)) = acceptfrom_with(listener, flags) else { return false };
        // Who has no address any more has gone.
        let Some(from) = from.and_then(|from| SocketAddr::try_from(from).ok()) else { return true };
        if self.slots.len() >= self.most {
            return true;
        }
        if self.unknown >= MAX_UNKNOWN.min(self.most / 2) {
            self.drop_oldest_unknown();
        }
        let key = self.slots.insert(Connection::new(kind, client, from, Instant::now()));
        self.unknown += 1;
        let Some(connection) = self.slots.get(key) else { return true };
        let token = epoll::EventData::new_u64(key.token(false));
        if epoll::add(&self.epoll, connection.client(), token, WATCHED).is_err() {
            self.remove(key);
        } else {
            self.step(key);
        }
        true
    }

    /// Does something with a connection, and keeps count of those that have not said what they are for.
    fn with<T>(&mut self, key: Key, work: impl FnOnce(&mut Connection, &mut Tools<'_>) -> T) -> Option<T> {
        let connection = self.slots.get(key)?;
        let was_unknown = connection.is_unknown();
        let mut tools = Tools { buffer: &mut self.buffer, pipes: &mut self.pipes, said: None, id: key.id() };
        let done = work(connection, &mut tools);
        if was_unknown && !connection.is_unknown() {
            self.unknown -= 1;
        }
        Some(done)
    }

    /// Goes on with a connection as far as it gets.
    fn step(&mut self, key: Key) {
        let done = self.with(key, |connection, tools| (connection.step(tools), tools.said.take()));
        let Some((step, said)) = done else { return };
        match step {
            Step::Waits => self.watch_for_room(key),
            Step::Again => self.again.push(key),
            Step::Over => self.remove(key),
        }
        if let Some(word) = said
            && !self.say(&word)
            && matches!(word, Word::Wish(_))
        {
            // The daemon has more wishes than it can take: who tries again has a chance.
            self.remove(key);
        }
    }

    /// Has the kernel say when a socket that takes nothing does so again. Most never come to that; of those that do it is
    /// told for good.
    fn watch_for_room(&mut self, key: Key) {
        let Some(connection) = self.slots.get(key) else { return };
        let held_up = connection.newly_held_up();
        let tell = |is_held_up: bool, socket: Option<BorrowedFd<'_>>, is_upstream: bool| match socket {
            Some(socket) if is_held_up => {
                let token = epoll::EventData::new_u64(key.token(is_upstream));
                epoll::modify(&self.epoll, socket, token, WATCHED | epoll::EventFlags::OUT)
            }
            _ => Ok(()),
        };
        let told = tell(held_up[0], Some(connection.client()), false)
            .and_then(|()| tell(held_up[1], connection.upstream(), true));
        if told.is_err() {
            // It would wait for ever.
            self.remove(key);
        }
    }

    fn remove(&mut self, key: Key) {
        if let Some(connection) = self.slots.remove(key)
            && connection.is_unknown()
        {
            self.unknown -= 1;
        }
    }

    fn drop_oldest_unknown(&mut self) {
        let unknown = self.slots.iter().filter(|(_, connection)| connection.is_unknown());
        if let Some(key) = unknown.min_by_key(|(_, connection)| connection.since()).map(|(key, _)| key) {
            self.remove(key);
        }
    }

    /// Ends what has taken too long.
    fn sweep(&mut self, now: Instant) {
        self.slots.iter_mut().for_each(|connection| connection.guard(now));
        let late: Vec<Key> =
            self.slots.iter().filter(|(_, connection)| connection.is_late(now)).map(|(key, _)| key).collect();
        for key in late {
            if let Some(word) = self.with(key, |connection, _| connection.give_up()).flatten() {
                self.say(&word);
            }
            self.step(key);
        }
    }

    /// To the daemon, if it takes it now.
    fn say(&self, word: &Word) -> bool {
        send(self.control, &word.encode(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL).is_ok()
    }
}

/// Somebody new is told to one of the workers, the one that waits longest.
const LISTENED: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::EXCLUSIVE);

/// Told once for each change: a step always goes as far as it gets. A socket is watched for room once there was none: one
/// that is new has some, which would be told of each.
const WATCHED: epoll::EventFlags =
    epoll::EventFlags::IN.union(epoll::EventFlags::RDHUP).union(epoll::EventFlags::ET);
