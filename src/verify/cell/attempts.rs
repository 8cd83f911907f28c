//! What an agent would try, tried.

use std::env;
use std::fs::{File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr as Internet, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};

use super::{Aims, Attempt, Report};
use crate::confine::Facts;

const PATIENCE: Duration = Duration::from_secs(5);

/// Makes every attempt, one after the other, and says how each came out.
pub fn run(aims: &Aims) -> Report {
    let attempts = vec![
        tried("cell.unix-socket", UnixStream::connect(&aims.socket)),
        tried("cell.abstract-socket", to_abstract(&aims.abstract_name)),
        tried(
            "cell.datagram-socket",
            UnixDatagram::unbound().and_then(|socket| socket.send_to(b"x", &aims.datagram)),
        ),
        tried(
            "cell.local-port",
            TcpStream::connect_timeout(&Internet::from((Ipv4Addr::LOCALHOST, aims.port)), PATIENCE),
        ),
        environment(aims),
        tried("cell.reading", reading(aims.process)),
        tried("cell.signals", signal(aims.process)),
        tried("cell.home", OpenOptions::new().write(true).create_new(true).open(&aims.file)),
        own_sockets(),
        no_new_privileges(),
        capabilities(),
    ];
    Report { attempts, facts: Facts::of_this_process() }
}

fn tried<T>(id: &str, result: io::Result<T>) -> Attempt {
    let (through, detail) = match result {
        Ok(_) => (true, "it worked".to_owned()),
        Err(error) => (false, error.to_string()),
    };
    Attempt { id: id.to_owned(), through, detail }
}

fn to_abstract(name: &str) -> io::Result<UnixStream> {
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)
}

/// One of the two is enough.
fn reading(process: i32) -> io::Result<()> {
    let memory = File::open(format!("/proc/{process}/mem"));
    File::open(format!("/proc/{process}/environ")).or(memory).map(drop)
}

fn signal(process: i32) -> io::Result<()> {
    let process = Pid::from_raw(process).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(test_kill_process(process)?)
}

fn environment(aims: &Aims) -> Attempt {
    let arrived: Vec<&str> =
        aims.variables.iter().map(String::as_str).filter(|name| env::var_os(name).is_some()).collect();
    let detail = if arrived.is_empty() {
        "none arrived".to_owned()
    } else {
        format!("{} arrived", arrived.join(", "))
    };
    Attempt { id: "cell.environment".to_owned(), through: !arrived.is_empty(), detail }
}

/// Whoever refuses all would pass the rest: in the cell a server must be found by its client.
fn own_sockets() -> Attempt {
    let path = env::temp_dir().join(format!("agent-sandbox-attempt-{}.sock", std::process::id()));
    let met = UnixListener::bind(&path).and_then(|listener| {
        let client = UnixStream::connect(&path)?;
        listener.accept().map(|_| drop(client))
    });
    let _ = std::fs::remove_file(&path);
    let detail = met.as_ref().map_or_else(ToString::to_string, |()| "they do".to_owned());
    Attempt { id: super::OWN_SOCKETS.to_owned(), through: met.is_ok(), detail }
}

fn no_new_privileges() -> Attempt {
    let set = rustix::thread::no_new_privs().unwrap_or(false);
    let detail = if set { "no_new_privs is set" } else { "no_new_privs is not set" };
    Attempt { id: "cell.no-new-privileges".to_owned(), through: !set, detail: detail.to_owned() }
}

/// What it holds, and what it could be given.
fn capabilities() -> Attempt {
    let (through, detail) = match rustix::thread::capabilities(None) {
        Ok(sets) => {
            let held = sets.effective | sets.permitted | sets.inheritable;
            (!held.is_empty(), if held.is_empty() { "none".to_owned() } else { format!("{held:?}") })
        }
        Err(error) => (true, error.to_string()),
    };
    Attempt { id: "cell.capabilities".to_owned(), through, detail }
}
