//! The gate, from the daemon's side: it holds the listeners, and makes the connections that a policy allows.
//!
//! It reads nothing of anybody's. The [`worker`] does, holds no rights, and asks for connections by name; here the name
//! is judged, looked up and connected to, and the worker gets the connection and no more.

mod broker;
mod dial;
pub(super) mod worker;

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
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

/// What the gate and the daemon's other threads share.
#[derive(Debug)]
pub(super) struct Gate {
    problem: Mutex<Option<String>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { problem: Mutex::new(Some("it has not started yet".to_owned())) }
    }
}

impl Gate {
    /// Why no connections pass, where none do.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes a problem, and says it once; `None` is its end.
    fn set_problem(&self, problem: Option<String>) {
        let mut held = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if *held != problem {
            if let Some(problem) = &problem {
                log::line(format!("no connections pass the gate: {problem}"));
            }
            *held = problem;
        }
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
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Keeps a worker running, for ever. Whatever goes wrong, nothing opens: connections wait, and are refused when there
/// are too many.
pub(super) fn serve(shared: &Shared, first: io::Result<Listeners>) -> ! {
    let mut listeners = first;
    loop {
        let problem = match &listeners {
            Ok(listeners) => work(shared, listeners),
            Err(error) => format!("ports {GATE_TLS_PORT} and {GATE_HTTP_PORT} on loopback: {error}"),
        };
        shared.gate.set_problem(Some(problem));
        thread::sleep(RESTART);
        if listeners.is_err() {
            listeners = Listeners::bind();
        }
    }
}

/// One worker's life, and why it ended.
fn work(shared: &Shared, listeners: &Listeners) -> String {
    let (mut worker, control) = match start_worker(listeners) {
        Ok(started) => started,
        Err(error) => return format!("the gate does not start: {error}"),
    };
    let end = broker::serve(shared, &control);
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
