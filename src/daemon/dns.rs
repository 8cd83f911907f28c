//! Answering the DNS questions that the table redirects here, from the daemon's side.
//!
//! The daemon holds the sockets for the container's whole life, so that nobody takes their port while no worker
//! runs. It reads no question: the [`worker`] does, holds no rights, and hears from the daemon what to answer.
//! What it says in turn, the names it refused, may be anything and is checked.

mod lines;
pub(super) mod worker;

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use super::denied::Teller;
use super::log;
use super::state::{Shared, now_ms};
use crate::egress::answer::Names;
use crate::egress::refusals::Refusals;
use crate::egress::resolv_conf::search_list;
use crate::firewall::plan::RESPONDER_PORT;
use crate::paths;
use crate::policy::HostName;
use lines::Lines;

/// Before a worker that ended is followed by another.
const RESTART: Duration = Duration::from_secs(2);
/// A worker that does not take its table is replaced after this.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at what the worker says, which bounds what a flood of questions costs here.
const BREATH: Duration = Duration::from_millis(20);
const CHUNK: usize = 16 * 1024;

/// What the responder and the daemon's other threads share.
#[derive(Debug)]
pub(super) struct Dns {
    table: Mutex<Table>,
    /// Wakes the responder's thread when the table has changed.
    wake: OwnedFd,
    problem: Mutex<Option<String>>,
    refusals: Mutex<Refusals>,
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
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            problem: Mutex::new(Some("it has not started yet".to_owned())),
            refusals: Mutex::default(),
        })
    }

    /// Has these names answered from now on.
    pub(super) fn publish(&self, names: &Names) {
        let Ok(mut line) = serde_json::to_vec(names) else { return };
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

    /// The names that were refused.
    pub(super) fn refusals(&self) -> MutexGuard<'_, Refusals> {
        lock(&self.refusals)
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

/// The sockets that questions are redirected to. Without `SO_REUSEADDR` and `SO_REUSEPORT`: nobody else can bind
/// there, on any address that covers them.
#[derive(Debug)]
pub(super) struct Sockets {
    v4: UdpSocket,
    /// Absent where the container has no IPv6.
    v6: Option<UdpSocket>,
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
        Ok(Self { v4, v6 })
    }
}

/// Keeps a worker running, for ever. Whatever goes wrong, nothing opens: questions stay unanswered.
pub(super) fn serve(shared: &Shared, first: io::Result<Sockets>) -> ! {
    let mut sockets = first;
    let mut teller = Teller::default();
    // What an earlier start left is not this one's.
    teller.write(&[]);
    loop {
        let problem = match &sockets {
            Ok(sockets) => work(shared, sockets, &mut teller),
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
fn work(shared: &Shared, sockets: &Sockets, teller: &mut Teller) -> String {
    let (mut worker, stream) = match start_worker(sockets) {
        Ok(started) => started,
        Err(error) => return format!("the responder does not start: {error}"),
    };
    let end = talk(shared, &stream, teller);
    let _ = worker.kill();
    match (end, worker.wait()) {
        (Err(error), _) => format!("the responder was ended: {error}"),
        (Ok(()), Ok(status)) => format!("the responder ended ({status})"),
        (Ok(()), Err(error)) => format!("the responder ended: {error}"),
    }
}

/// The worker is this program again. Its three standard descriptors are all it gets.
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
    Ok((worker, ours))
}

/// Sends the table whenever it has changed and takes in what was refused, until the worker is gone.
fn talk(shared: &Shared, mut stream: &UnixStream, teller: &mut Teller) -> io::Result<()> {
    let mut sent = 0;
    let mut lines = Lines::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        let table = lock(&shared.dns.table).clone();
        if table.version != sent {
            stream.write_all(&table.line)?;
            sent = table.version;
        }
        if teller.due_in().is_some_and(|left| left.is_zero()) {
            let list = shared.dns.refusals().list();
            teller.write(&list);
        }
        if !wait(stream, &shared.dns.wake, teller.due_in())? {
            continue;
        }
        let len = match stream.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let heard = lines.take(&chunk[..len]);
        if heard.alive {
            shared.dns.set_problem(None);
        }
        if !heard.names.is_empty() {
            note(shared, &heard.names, teller);
        }
        thread::sleep(BREATH);
    }
}

/// Waits for the worker's words, the table's change or the end of a time; says whether there are words.
fn wait(stream: &UnixStream, wake: &OwnedFd, left: Option<Duration>) -> io::Result<bool> {
    let timeout = left.map(|left| Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    });
    let mut fds = [PollFd::new(stream, PollFlags::IN), PollFd::new(wake, PollFlags::IN)];
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let (words, woken) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
    if woken {
        let _ = rustix::io::read(wake, &mut [0; 8]);
    }
    Ok(words)
}

fn note(shared: &Shared, names: &[HostName], teller: &mut Teller) {
    let search = search_list(&std::fs::read_to_string(paths::RESOLV_CONF).unwrap_or_default());
    let listed = |name: &HostName| shared.policy.allow.contains_key(name);
    let mut refusals = shared.dns.refusals();
    for name in names {
        if refusals.note(name, now_ms(), &search, listed) {
            teller.refused(name);
        }
    }
    teller.counted();
}
