//! Answering the DNS questions that the table redirects here, from the daemon's side.
//!
//! The daemon holds the sockets for the container's whole life, so that nobody takes their port while no worker
//! runs. It reads no question: the [`worker`] does, holds no rights, and hears from the daemon what to answer.
//! What it says in turn, the names it refused, may be anything and is checked.

mod lines;
mod wanted;
pub(super) mod worker;

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use super::gate::{both, send_with};
use super::log;
use super::lookup::Woken;
use super::state::Shared;
use crate::egress::answer::Names;
use crate::egress::resolv_conf::search_list;
use crate::firewall::plan::RESPONDER_PORT;
use crate::paths;
use crate::policy::{HostName, Mode};
use lines::Lines;
use wanted::Wanted;

/// Before a worker that ended is followed by another.
const RESTART: Duration = Duration::from_secs(2);
/// A worker that does not take its table is replaced after this.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at what the worker says, which bounds what a flood of questions costs here.
const BREATH: Duration = Duration::from_millis(20);
/// How often the worker is asked whether it is still at work, and after how long it counts as frozen.
const PULSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));
const CHUNK: usize = 16 * 1024;

/// What the responder and the daemon's other threads share.
#[derive(Debug)]
pub(super) struct Dns {
    table: Mutex<Table>,
    /// The policy's own names.
    names: Mutex<Names>,
    wanted: Mutex<Wanted>,
    /// Wakes the responder's thread when the table has changed.
    wake: OwnedFd,
    problem: Mutex<Option<String>>,
}

/// What the worker is to answer, as it is sent.
#[derive(Debug, Clone, Default)]
struct Table {
    version: u64,
    line: Vec<u8>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Dns {
    /// Nothing is answered yet.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            table: Mutex::default(),
            names: Mutex::default(),
            wanted: Mutex::default(),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            problem: Mutex::new(Some("it has not started yet".to_owned())),
        })
    }

    /// Has these names answered from now on.
    pub(super) fn publish(&self, names: Names) {
        *lock(&self.names) = names;
        self.renew();
    }

    /// Makes the table anew, of the policy's own names and of those that somebody wanted.
    fn renew(&self) {
        let mut names = lock(&self.names).clone();
        lock(&self.wanted).add_to(&mut names);
        let Ok(mut line) = serde_json::to_vec(&names) else { return };
        line.push(b'\n');
        let mut table = lock(&self.table);
        if table.line != line {
            *table = Table { version: table.version + 1, line };
            // The counter can only be full, and then it wakes as well.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }

    /// Why no questions are answered, where they are not.
    pub(super) fn problem(&self) -> Option<String> {
        lock(&self.problem).clone()
    }

    /// Notes a problem, and says it once; `None` is its end.
    fn set_problem(&self, problem: Option<String>) {
        let mut held = lock(&self.problem);
        if *held != problem {
            if let Some(problem) = &problem {
                log::line(format!("DNS questions are not answered: {problem}"));
            }
            *held = problem;
        }
    }
}

/// The sockets that questions are redirected to. For UDP without `SO_REUSEADDR` and `SO_REUSEPORT`: nobody else can
/// bind there, on any address that covers them.
#[derive(Debug)]
pub(super) struct Sockets {
    v4: UdpSocket,
    /// Absent where the container has no IPv6.
    v6: Option<UdpSocket>,
    /// For TCP, one or two.
    tcp: Vec<TcpListener>,
}

impl Sockets {
    /// Binds both.
    pub(super) fn bind() -> io::Result<Self> {
        let v4 = UdpSocket::bind((Ipv4Addr::LOCALHOST, RESPONDER_PORT))?;
        let v6 = match UdpSocket::bind((Ipv6Addr::LOCALHOST, RESPONDER_PORT)) {
            Ok(socket) => Some(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(_) => None,
        };
        Ok(Self { v4, v6, tcp: both(RESPONDER_PORT)? })
    }
}

/// Keeps a worker running, for ever. Whatever goes wrong, nothing opens: questions stay unanswered.
pub(super) fn serve(shared: &Shared, first: io::Result<Sockets>) -> ! {
    let mut sockets = first;
    loop {
        let problem = match &sockets {
            Ok(sockets) => work(shared, sockets),
            Err(error) => format!("port {RESPONDER_PORT} on loopback: {error}"),
        };
        shared.dns.set_problem(Some(problem));
        thread::sleep(RESTART);
        if sockets.is_err() {
            sockets = Sockets::bind();
        }
    }
}

/// One worker's life, and why it ended.
fn work(shared: &Shared, sockets: &Sockets) -> String {
    let (mut worker, stream) = match start_worker(sockets) {
        Ok(started) => started,
        Err(error) => return format!("the responder does not start: {error}"),
    };
    let end = talk(shared, &stream);
    let _ = worker.kill();
    match (end, worker.wait()) {
        (Err(error), _) => format!("the responder was ended: {error}"),
        (Ok(()), Ok(status)) => format!("the responder ended ({status})"),
        (Ok(()), Err(error)) => format!("the responder ended: {error}"),
    }
}

/// The worker is this program again. It gets its three standard descriptors, and the listeners over the first.
fn start_worker(sockets: &Sockets) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_write_timeout(Some(PATIENCE))?;
    let v6 = match &sockets.v6 {
        Some(socket) => Stdio::from(OwnedFd::from(socket.try_clone()?)),
        None => Stdio::null(),
    };
    let worker = Command::new("/proc/self/exe")
        .arg("dns")
        .env_clear()
        .current_dir("/")
        .stdin(OwnedFd::from(theirs))
        .stdout(OwnedFd::from(sockets.v4.try_clone()?))
        .stderr(v6)
        .spawn()?;
    let tcp: Vec<_> = sockets.tcp.iter().map(|listener| listener.as_fd()).collect();
    // Space before the first table.
    send_with(ours.as_fd(), b" ", &tcp)?;
    Ok((worker, ours))
}

/// Sends the table whenever it has changed and takes in what was refused, until the worker is gone.
fn talk(shared: &Shared, mut stream: &UnixStream) -> io::Result<()> {
    let mut sent = 0;
    let mut lines = Lines::default();
    let mut chunk = vec![0; CHUNK];
    let (mut asked, mut heard) = (Instant::now(), Instant::now());
    loop {
        let table = lock(&shared.dns.table).clone();
        if table.version != sent {
            stream.write_all(&table.line)?;
            sent = table.version;
        }
        let (words, known) = wait(stream, &shared.dns.wake, shared)?;
        if known && lock(&shared.dns.wanted).learn(&shared.lookup) {
            shared.dns.renew();
        }
        if words {
            heard = Instant::now();
        }
        let now = Instant::now();
        if asked > heard && now > heard + PULSE.1 {
            return Err(io::Error::other("it does not answer"));
        }
        if now >= asked + PULSE.0 {
            stream.write_all(b"\n")?;
            asked = now;
        }
        if !words {
            continue;
        }
        let len = match stream.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let said = lines.take(&chunk[..len]);
        if said.alive {
            shared.dns.set_problem(None);
        }
        if !said.names.is_empty() {
            note(shared, &said.names);
        }
        thread::sleep(BREATH);
    }
}

/// Waits for the worker's words, the table's change or something that has become known, or until it is time to ask how
/// the worker is; says whether there are words, and whether there is something to know.
fn wait(stream: &UnixStream, wake: &OwnedFd, shared: &Shared) -> io::Result<(bool, bool)> {
    let known = shared.lookup.wake(Woken::Dns);
    let mut fds = [
        PollFd::new(stream, PollFlags::IN),
        PollFd::new(wake, PollFlags::IN),
        PollFd::new(&known, PollFlags::IN),
    ];
    let pulse = Timespec { tv_sec: PULSE.0.as_secs().cast_signed(), tv_nsec: 0 };
    match poll(&mut fds, Some(&pulse)) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok((false, false)),
        Err(error) => return Err(error.into()),
    }
    let [words, woken, known] = fds.map(|fd| !fd.revents().is_empty());
    if woken {
        let _ = rustix::io::read(wake, &mut [0; 8]);
    }
    if known {
        shared.lookup.woken(Woken::Dns);
    }
    Ok((words, known))
}

fn note(shared: &Shared, names: &[HostName]) {
    let search = search_list(&std::fs::read_to_string(paths::RESOLV_CONF).unwrap_or_default());
    let listed = |name: &HostName| shared.policy.lists(name);
    let mut is_news = false;
    for name in names {
        if listed(name) || shared.policy.mode == Mode::Audit {
            is_news |= lock(&shared.dns.wanted).want(name, &shared.lookup);
        } else {
            shared.refused.question(name, &search, listed);
        }
    }
    if is_news {
        shared.dns.renew();
    }
}
