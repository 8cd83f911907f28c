//! The gate, from the daemon's side: it holds the listeners, and makes the connections that a policy allows.
//!
//! It reads nothing of anybody's. The [`worker`] does, holds no rights, and asks for connections by name; here the name
//! is judged, looked up and connected to, and the worker gets the connection and no more.

mod batch;
mod broker;
mod dial;
pub(super) mod worker;

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::num::NonZero;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg,
    socketpair, sockopt,
};

use super::log;
use super::state::Shared;
use crate::firewall::plan::{GATE_HTTP_PORT, GATE_TLS_PORT};

/// Before a worker that ended is followed by another.
const RESTART: Duration = Duration::from_secs(1);
/// A worker that takes no answer for so long is replaced.
const PATIENCE: Duration = Duration::from_secs(2);
/// Connections that wait to be taken.
const BACKLOG: i32 = 1024;

/// Most workers that there are: one a processor up to these. Each has a thread of ours to make its connections.
pub(super) const WORKERS: usize = 2;

/// What the gate and the daemon's other threads share.
#[derive(Debug)]
pub(super) struct Gate {
    /// What is wrong with each worker that there is to be.
    problems: Mutex<Vec<Option<String>>>,
}

impl Default for Gate {
    fn default() -> Self {
        let workers = thread::available_parallelism().map_or(1, NonZero::get).min(WORKERS);
        Self { problems: Mutex::new(vec![Some("it has not started yet".to_owned()); workers]) }
    }
}

impl Gate {
    /// Why not all connections pass, where that is so.
    pub(super) fn problem(&self) -> Option<String> {
        self.problems().iter().flatten().next().cloned()
    }

    /// Notes a worker's problem, and says it once; `None` is its end.
    fn set_problem(&self, worker: usize, problem: Option<String>) {
        let mut problems = self.problems();
        let Some(held) = problems.get_mut(worker) else { return };
        if *held == problem {
            return;
        }
        held.clone_from(&problem);
        if let Some(problem) = problem {
            let passes = if problems.contains(&None) { "fewer" } else { "no" };
            log::line(format!("{passes} connections pass the gate: {problem}"));
        }
    }

    fn problems(&self) -> MutexGuard<'_, Vec<Option<String>>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sockets that connections are redirected to, held for the container's life so that nobody else takes their ports:
/// for TLS and for HTTP, over both families.
#[derive(Debug)]
pub(super) struct Listeners {
    tls: Vec<TcpListener>,
    http: Vec<TcpListener>,
}

impl Listeners {
    /// Binds all of them.
    pub(super) fn bind() -> io::Result<Self> {
        Ok(Self { tls: both(GATE_TLS_PORT)?, http: both(GATE_HTTP_PORT)? })
    }
}

/// On both loopback addresses; where the container has no IPv6, on one.
pub(super) fn both(port: u16) -> io::Result<Vec<TcpListener>> {
    let mut listeners = vec![listen((Ipv4Addr::LOCALHOST, port).into())?];
    match listen((Ipv6Addr::LOCALHOST, port).into()) {
        Ok(listener) => listeners.push(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
        Err(_) => {}
    }
    Ok(listeners)
}

/// Connections of an earlier listener may still be ending (`SO_REUSEADDR`); nobody can bind beside one that listens.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // What comes in has these from its listener. Nothing is held back until what went before it is acknowledged; and a
    // hello is not acknowledged before its answer is there to do so (`TCP_QUICKACK` in tcp(7)), or some milliseconds
    // have passed. A head may be followed by a body that waits for that.
    socket.set_tcp_nodelay(true)?;
    if address.port() == GATE_TLS_PORT {
        socket.set_tcp_quickack(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Keeps the workers running, for ever. Whatever goes wrong, nothing opens: connections wait, and are refused when there
/// are too many.
pub(super) fn serve(shared: &Shared, first: io::Result<Listeners>) -> ! {
    let workers = shared.gate.problems().len();
    let mut listeners = first;
    loop {
        match &listeners {
            Ok(listeners) => thread::scope(|scope| {
                for worker in 1..workers {
                    let keep = move || keep(shared, worker, listeners);
                    let spawned = thread::Builder::new().name("gate".to_owned()).spawn_scoped(scope, keep);
                    if let Err(error) = spawned {
                        shared.gate.set_problem(worker, Some(format!("a thread of the gate's: {error}")));
                    }
                }
                keep(shared, 0, listeners)
            }),
            Err(error) => {
                let problem = format!("ports {GATE_TLS_PORT} and {GATE_HTTP_PORT} on loopback: {error}");
                for worker in 0..workers {
                    shared.gate.set_problem(worker, Some(problem.clone()));
                }
                thread::sleep(RESTART);
                listeners = Listeners::bind();
            }
        }
    }
}

fn keep(shared: &Shared, worker: usize, listeners: &Listeners) -> ! {
    batch::take_turns();
    loop {
        shared.gate.set_problem(worker, Some(work(shared, worker, listeners)));
        thread::sleep(RESTART);
    }
}

/// One worker's life, and why it ended.
fn work(shared: &Shared, number: usize, listeners: &Listeners) -> String {
    let (mut worker, control) = match start_worker(listeners) {
        Ok(started) => started,
        Err(error) => return format!("the gate does not start: {error}"),
    };
    let end = broker::serve(shared, number, &control);
    let _ = worker.kill();
    match (end, worker.wait()) {
        (Err(error), _) => format!("the gate was ended: {error}"),
        (Ok(()), Ok(status)) => format!("the gate ended ({status})"),
        (Ok(()), Err(error)) => format!("the gate ended: {error}"),
    }
}

/// The worker is this program again. It gets a socket to talk to us by, and over that the listeners.
fn start_worker(listeners: &Listeners) -> io::Result<(Child, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let worker = Command::new("/proc/self/exe")
        .arg("gate")
        .env_clear()
        .current_dir("/")
        .stdin(theirs)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let tls = listeners.tls.iter().map(|listener| (listener.as_fd(), b't'));
    let http = listeners.http.iter().map(|listener| (listener.as_fd(), b'h'));
    // A worker that does not take its answers is replaced.
    sockopt::set_socket_timeout(&ours, sockopt::Timeout::Send, Some(PATIENCE))?;
    let (sockets, kinds): (Vec<_>, Vec<u8>) = tls.chain(http).unzip();
    send_with(ours.as_fd(), &kinds, &sockets)?;
    Ok((worker, ours))
}

/// Sends a message with descriptors.
pub(super) fn send_with(
    control: BorrowedFd<'_>,
    message: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(worker::LISTENERS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(control, &[IoSlice::new(message)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}
