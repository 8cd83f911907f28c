//! What the worker wishes for, judged and made.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::dial::{Dial, Next};
use super::{WORKERS, send_with};
use crate::daemon::lookup::{Answer, Woken};
use crate::daemon::state::Shared;
use crate::egress::refusals::Refusal;
use crate::egress::words::{Complaint, MAX_WORD, Verdict, Wish, Word};
use crate::policy::Decision;

/// Connections of a worker's on their way at the same time. Each costs it one of its own, which waits.
const MAX_DIALS: usize = 512 / WORKERS;
/// How often the worker is asked whether it is still at work, and after how long it counts as frozen.
const PULSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));
/// Messages taken in one go before connections are looked after.
const TURN: usize = 64;
/// The id that no wish has: a question whether the worker is there.
pub(super) const PULSE_ID: u32 = u32::MAX;

const CONTROL: u64 = 0;
const WAKE: u64 = 1;
/// Tokens of tries: the dial's number and, in the lowest bits, the try's.
const TRIES: u64 = 1 << 8;

struct Broker<'a> {
    shared: &'a Shared,
    /// Which of the workers it serves.
    worker: usize,
    control: &'a OwnedFd,
    epoll: OwnedFd,
    dials: BTreeMap<u64, Dial>,
    /// The next dial's number.
    number: u64,
    heard: Instant,
    asked: Instant,
    /// When to look again.
    due: Instant,
}

/// Serves a worker until it is gone.
pub(super) fn serve(shared: &Shared, worker: usize, control: &OwnedFd) -> anyhow::Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("epoll")?;
    let watch = |fd, token| {
        epoll::add(&epoll, fd, epoll::EventData::new_u64(token), epoll::EventFlags::IN).context("epoll")
    };
    watch(control.as_fd(), CONTROL)?;
    watch(shared.lookup.wake(Woken::Gate(worker)), WAKE)?;
    let now = Instant::now();
    let mut broker = Broker {
        shared,
        worker,
        control,
        epoll,
        dials: BTreeMap::new(),
        number: 1,
        heard: now,
        asked: now,
        due: now,
    };
    loop {
        let now = Instant::now();
        let mut events = Vec::with_capacity(TURN);
        let left = broker.due.saturating_duration_since(now);
        let wait = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match epoll::wait(&broker.epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("epoll"),
        }
        let mut woken = false;
        for event in &events {
            match event.data.u64() {
                CONTROL => {
                    if !broker.listen()? {
                        return Ok(());
                    }
                }
                WAKE => {
                    broker.shared.lookup.woken(Woken::Gate(worker));
                    woken = true;
                }
                token => {
                    let failed = epoll::EventFlags::ERR | epoll::EventFlags::HUP;
                    let said = event.flags;
                    broker.settle(token, said.intersects(failed))?;
                }
            }
        }
        let now = Instant::now();
        if woken || now >= broker.due {
            broker.look_after_all(now)?;
        }
        broker.feel_pulse(now)?;
    }
}

impl Broker<'_> {
    /// Takes in the worker's words; `false` says that it is gone.
    fn listen(&mut self) -> anyhow::Result<bool> {
        for _ in 0..TURN {
            let mut message = [0; MAX_WORD];
            let len = match recv(self.control, &mut message[..], RecvFlags::DONTWAIT) {
                Ok((_, 0)) | Err(Errno::CONNRESET) => return Ok(false),
                Ok((_, len)) => len,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
                Err(error) => return Err(error).context("hear the worker"),
            };
            self.heard = Instant::now();
            match Word::decode(&message[..len]) {
                Some(Word::Alive) => self.shared.gate.set_problem(self.worker, None),
                Some(Word::Wish(wish)) => self.judge(wish)?,
                Some(Word::Complaint(Complaint { port, said, why, client })) => {
                    self.shared.refused.connection(&Refusal::Odd { port, said, why }, client);
                }
                None => bail!("it said what cannot be understood"),
            }
        }
        Ok(true)
    }

    fn judge(&mut self, wish: Wish) -> anyhow::Result<()> {
        match self.shared.policy.decide(&wish.name, wish.port) {
            Decision::Refused(reason) => {
                let refusal = Refusal::connection(&wish.name, wish.port, reason, self.shared.policy.mode);
                // A name that never is anybody's (RFC 6761 section 6.4) is nothing to tell: checks ask for it.
                if !wish.name.as_str().ends_with(".invalid") {
                    self.shared.refused.connection(&refusal, wish.client);
                }
                if refusal.is_let_through() {
                    self.connect(wish)
                } else {
                    self.answer(wish.id, &Verdict::Refused(refusal.sentence()), None)
                }
            }
            Decision::Allowed(_) => self.connect(wish),
        }
    }

    /// Begins a connection that may be.
    fn connect(&mut self, wish: Wish) -> anyhow::Result<()> {
        if self.dials.len() >= MAX_DIALS {
            let busy = "too many connections are on their way; try again".to_owned();
            return self.answer(wish.id, &Verdict::Failed(busy), None);
        }
        let number = self.number;
        self.number += 1;
        self.dials.insert(number, Dial::new(wish));
        self.look_after(number, Instant::now())
    }

    /// Does what is to be done next for all.
    fn look_after_all(&mut self, now: Instant) -> anyhow::Result<()> {
        self.due = now + PULSE.0;
        for number in self.dials.keys().copied().collect::<Vec<_>>() {
            self.look_after(number, now)?;
        }
        Ok(())
    }

    fn look_after(&mut self, number: u64, now: Instant) -> anyhow::Result<()> {
        loop {
            let Some(dial) = self.dials.get_mut(&number) else { return Ok(()) };
            match dial.next(now) {
                Next::Ask => match self.shared.lookup.get(&dial.wish.name, dial.after) {
                    Answer::Addresses(addresses) => dial.learn(addresses),
                    Answer::Problem(problem) => {
                        let why = format!("{} cannot be reached: {problem}", dial.wish.name);
                        self.end(number, &Verdict::Failed(why), None)?;
                    }
                    // The wake descriptor brings us back.
                    Answer::Pending => return Ok(()),
                },
                Next::Watch(tried) => {
                    let Some(socket) = dial.socket(tried) else { continue };
                    let token = epoll::EventData::new_u64(number * TRIES + u64::from(tried));
                    let flags = epoll::EventFlags::OUT | epoll::EventFlags::ONESHOT;
                    epoll::add(&self.epoll, socket, token, flags).context("epoll")?;
                }
                Next::Wait(until) => {
                    self.due = self.due.min(until);
                    return Ok(());
                }
                Next::Failed(why) => self.end(number, &Verdict::Failed(why), None)?,
            }
        }
    }

    /// A try has come to an end.
    fn settle(&mut self, token: u64, may_have_failed: bool) -> anyhow::Result<()> {
        let (number, tried) = (token / TRIES, u32::try_from(token % TRIES)?);
        let Some(dial) = self.dials.get_mut(&number) else { return Ok(()) };
        match dial.settled(tried, may_have_failed) {
            Some(socket) => self.end(number, &Verdict::Connected, Some(&socket)),
            None => self.look_after(number, Instant::now()),
        }
    }

    fn end(&mut self, number: u64, verdict: &Verdict, socket: Option<&OwnedFd>) -> anyhow::Result<()> {
        let Some(dial) = self.dials.remove(&number) else { return Ok(()) };
        self.answer(dial.wish.id, verdict, socket)
    }

    fn answer(&self, id: u32, verdict: &Verdict, socket: Option<&OwnedFd>) -> anyhow::Result<()> {
        let sockets: Vec<_> = socket.into_iter().map(|socket| socket.as_fd()).collect();
        send_with(self.control.as_fd(), &verdict.encode(id), &sockets).context("answer the worker")
    }

    /// A worker that stands still is replaced: what waits for it would wait for ever.
    fn feel_pulse(&mut self, now: Instant) -> anyhow::Result<()> {
        ensure!(now < self.heard + PULSE.1 || self.asked <= self.heard, "it does not answer");
        if now >= self.asked + PULSE.0 {
            match send_with(self.control.as_fd(), &Verdict::Connected.encode(PULSE_ID), &[]) {
                Ok(()) => {}
                // It has much to read already.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("ask the worker"),
            }
            self.asked = now;
        }
        Ok(())
    }
}
