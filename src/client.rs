//! Asking the daemon, as any user.

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::paths;
use crate::status::Status;

const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
/// A longer answer is not the daemon's. What was refused is a part of it, and anybody makes that as long as can be.
const MAX_ANSWER: u64 = 8 << 20;

/// Why the daemon's word is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error(
        "sandboxd does not run, so nothing says that the network is closed ({path}: {0}); `agent-sandbox start` starts it",
        path = paths::CONTROL
    )]
    NotRunning(io::Error),
    /// The queue of those who ask is full.
    #[error("sandboxd is kept busy by others, so nothing says now that the network is closed")]
    Busy,
    /// Somebody else than root listens.
    #[error("{path} is served by uid {0} instead of root", path = paths::CONTROL)]
    Impostor(u32),
    /// It takes the connection and says nothing.
    #[error(
        "sandboxd does not answer, so nothing says now that the network is closed; restart the container"
    )]
    Silent,
    /// The answer was cut off or is no answer.
    #[error("sandboxd gave no answer that reads: {0}")]
    Garbled(String),
}

/// The live state.
pub fn status() -> Result<Status, AskError> {
    let stream = connect().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => AskError::Busy,
        _ => AskError::NotRunning(error),
    })?;
    let peer = socket_peercred(&stream).map_err(|error| AskError::NotRunning(error.into()))?;
    if !peer.uid.is_root() {
        return Err(AskError::Impostor(peer.uid.as_raw()));
    }
    stream.set_read_timeout(Some(PATIENCE)).map_err(AskError::NotRunning)?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => AskError::Silent,
        _ => AskError::Garbled(error.to_string()),
    })?;
    serde_json::from_slice(&answer).map_err(|error| AskError::Garbled(error.to_string()))
}

/// Connects without waiting: where others fill the daemon's queue, the answer is an error and no hang.
fn connect() -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(paths::CONTROL)?)?;
    socket.set_nonblocking(false)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}

/// Why the sandbox is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// The daemon's word is not to be had.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The table is not what it should be.
    #[error("the firewall is not in force: {0}")]
    NotInForce(String),
    /// The names are still being asked for.
    #[error("the allowed names are still being resolved")]
    Resolving,
}

/// The live state, if the sandbox is in force and ready.
pub fn ready() -> Result<Status, NotReady> {
    let status = status()?;
    if !status.in_force {
        return Err(NotReady::NotInForce(status.problem.unwrap_or_default()));
    }
    if status.ready { Ok(status) } else { Err(NotReady::Resolving) }
}

/// Waits until the sandbox is ready, or says what was missing when the time was over.
pub fn wait(timeout: Duration) -> Result<Status, NotReady> {
    // A time beyond the clock's end is for ever.
    let deadline = Instant::now().checked_add(timeout);
    loop {
        match ready() {
            Ok(status) => return Ok(status),
            Err(error) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => return Err(error),
            Err(_) => thread::sleep(POLL),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::egress::refusals::MAX_KEPT;
    use crate::policy::{MAX_NAMES, Mode};
    use crate::status::{By, Denied, Giver, NameStatus, Privileged, Process};

    /// What a program can do to it lasts until the container is started again.
    #[test]
    fn the_longest_answer_is_read() {
        let name = "x".repeat(253);
        let denied = Denied {
            what: format!("{name}:65535 (2001:db8:1111:2222:3333:4444:5555:6666)"),
            let_through: true,
            why: "x".repeat(100),
            entry: Some(format!("{name}:65535")),
            local_port: None,
            count: u64::MAX,
            first_ms: u64::MAX,
            last_ms: u64::MAX,
            by: Some(By {
                user: "x".repeat(32),
                process: Some(Process { pid: u32::MAX, name: "x".repeat(15) }),
            }),
        };
        let addresses: BTreeSet<std::net::IpAddr> = (0..64_u16)
            .map(|n| [0x2001, 0xdb8, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xff00 + n].into())
            .collect();
        let one = NameStatus {
            name: name.clone(),
            ports: BTreeSet::from([65535]),
            addresses,
            problem: Some("x".repeat(300)),
            from: vec!["x".repeat(100); 4],
        };
        let giver = Giver { path: "\u{10ffff}".repeat(201), gives: "x".repeat(40), why: "x".repeat(60) };
        let status = Status {
            version: String::new(),
            mode: Mode::Audit,
            in_force: true,
            problem: None,
            ready: true,
            refused_packets: u64::MAX,
            default_deny_at_ms: u64::MAX,
            ready_at_ms: None,
            names: vec![one; MAX_NAMES],
            zones: Vec::new(),
            allow: vec![format!("{name}:65535"); MAX_NAMES],
            local_ports: (1..=64).map(|n| u16::MAX - n).collect(),
            dns_problem: None,
            gate_problem: None,
            privileged: Some(Privileged {
                stripped: vec!["\u{10ffff}".repeat(201); 32],
                stripped_others: u64::MAX,
                left: vec![giver; 32],
                left_others: u64::MAX,
                unseen: u64::MAX,
                problem: Some("x".repeat(300)),
            }),
            denied: vec![denied; 2 * MAX_KEPT],
            denied_others: u64::MAX,
        };
        let length = serde_json::to_vec(&status).unwrap().len();
        // Once more may be added to it before anybody has to look here.
        assert!(2 * length as u64 <= MAX_ANSWER, "{length}");
    }
}
