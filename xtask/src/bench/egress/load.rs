//! The clients: loops that are bounded in time and number.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::hello::{ANSWER, Purpose};
use super::lab::{HOST, RESOLVER};
use super::peers::{NAMES, name};
use super::server::{Counter, send_on_and_on, take_all};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before a flow is measured.
const RAMP: Duration = Duration::from_millis(150);
/// Who makes connections at the same time.
const MAKERS: usize = 8;
/// Who asks at the same time, and how many questions of each wait for their answers.
const ASKERS: (usize, usize) = (4, 16);
/// Bytes of a small request, and of its answer.
const SMALL: usize = 64;

/// Connects, says hello, and has it answered.
pub(super) fn open(hello: &[u8]) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&HOST, PATIENCE).context("connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(hello).context("say hello")?;
    let mut answer = [0; ANSWER.len()];
    stream.read_exact(&mut answer).context("the answer to a hello")?;
    ensure!(answer == ANSWER, "a hello was not answered by the host");
    Ok(stream)
}

/// Bytes per second over some connections.
pub(super) fn throughput(
    hello: &[u8],
    connections: usize,
    purpose: Purpose,
    servers: &Counter,
    time: Duration,
) -> anyhow::Result<f64> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        let mut stream = open(hello)?;
        stream.write_all(&purpose.record())?;
        streams.push(stream);
    }
    let taken = AtomicU64::new(0);
    let total = || taken.load(Ordering::Relaxed) + servers.load(Ordering::Relaxed);
    thread::scope(|scope| {
        for stream in &streams {
            if purpose != Purpose::Up {
                scope.spawn(|| take_all(stream, &taken));
            }
            if purpose != Purpose::Down {
                scope.spawn(|| send_on_and_on(stream));
            }
        }
        thread::sleep(RAMP);
        let (begun, before) = (Instant::now(), total());
        thread::sleep(time);
        let (elapsed, moved) = (begun.elapsed(), total() - before);
        for stream in &streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
        ensure!(moved > 0, "nothing came through");
        Ok(per_second(moved, elapsed))
    })
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Connections per second that are made, answered and closed.
pub(super) fn set_ups(hello: &[u8], time: Duration) -> anyhow::Result<f64> {
    let made = AtomicU64::new(0);
    let begun = Instant::now();
    thread::scope(|scope| {
        let makers: Vec<_> = (0..MAKERS)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    while begun.elapsed() < time {
                        open(hello)?;
                        made.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        for maker in makers {
            maker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(per_second(made.load(Ordering::Relaxed), begun.elapsed()))
    })
}

/// How long small requests take over a connection that is there.
pub(super) fn round_trips(hello: &[u8], count: usize) -> anyhow::Result<Vec<Duration>> {
    let mut stream = open(hello)?;
    stream.write_all(&Purpose::Echo.record())?;
    let mut answer = [0; SMALL];
    let mut times = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        stream.write_all(&[7; SMALL])?;
        stream.read_exact(&mut answer)?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// How long it takes from connecting to the first bytes of the answer.
pub(super) fn first_bytes(hello: &[u8], count: usize) -> anyhow::Result<Vec<Duration>> {
    let timed = |_| {
        let begun = Instant::now();
        open(hello).map(|_| begun.elapsed())
    };
    (0..count).map(timed).collect()
}

/// Connections that are there and say nothing.
pub(super) fn idle(hello: &[u8], count: usize) -> anyhow::Result<Vec<TcpStream>> {
    (0..count).map(|_| open(hello)).collect()
}

/// Answers per second to questions whose answers are known.
pub(super) fn questions(time: Duration) -> anyhow::Result<f64> {
    let questions: Vec<Vec<u8>> = (0..NAMES).map(|number| question(&name(number))).collect();
    let answered = AtomicU64::new(0);
    let begun = Instant::now();
    thread::scope(|scope| {
        let askers: Vec<_> =
            (0..ASKERS.0).map(|_| scope.spawn(|| ask(&questions, begun + time, &answered))).collect();
        for asker in askers {
            asker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(per_second(answered.load(Ordering::Relaxed), begun.elapsed()))
    })
}

fn ask(questions: &[Vec<u8>], end: Instant, answered: &AtomicU64) -> anyhow::Result<()> {
    let any: SocketAddr = ([0, 0, 0, 0], 0).into();
    let socket = UdpSocket::bind(any)?;
    socket.connect(RESOLVER)?;
    // Of a lost answer nothing is heard; then its place is filled again.
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut next = questions.iter().cycle();
    let mut send = || next.next().map_or(Ok(0), |question| socket.send(question));
    let mut answer = [0; 1500];
    let mut silent = 0;
    for _ in 0..ASKERS.1 {
        send()?;
    }
    while Instant::now() < end {
        match socket.recv(&mut answer) {
            Ok(len) => {
                let is_answer = len > 12 && answer[3] % 16 == 0 && answer[7] > 0;
                ensure!(is_answer, "a question for a name that is known was not answered");
                answered.fetch_add(1, Ordering::Relaxed);
                silent = 0;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                silent += 1;
                ensure!(silent < 20, "questions are not answered");
            }
            Err(error) => return Err(error).context("ask for a name"),
        }
        send()?;
    }
    Ok(())
}

/// Whether all names are known by now.
pub(super) fn names_are_known() -> bool {
    questions(Duration::from_millis(20)).is_ok_and(|answers| answers > 0.0)
}

/// A question for a name's IPv4 addresses.
fn question(name: &str) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or_default());
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}
