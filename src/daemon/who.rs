//! Who was refused, as far as the kernel tells a daemon that may look at nobody else's processes.
//!
//! Whose a socket is stands in a list that anybody may read. Which process holds it the kernel shows of processes with
//! the daemon's user alone: for others it would take a right that opens their memory, too.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::egress::sockets::{Owner, owner};
use crate::firewall::plan::{GATE_HTTP_PORT, GATE_TLS_PORT};
use crate::policy::NAMED_PORTS;
use crate::status::{By, Process};

const TCP: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
const PASSWD: &str = "/etc/passwd";
/// More of a list is not read: thousands of sockets, or users.
const MAX_LIST: u64 = 4 << 20;
/// A look at all processes takes no longer than this.
const PATIENCE: Duration = Duration::from_millis(50);

/// Whose connection it is that comes to the gate from here.
pub(super) fn of_client(client: SocketAddr) -> Option<By> {
    within(PATIENCE, client)
}

fn within(patience: Duration, client: SocketAddr) -> Option<By> {
    // Where it was made for, be it another address or the gate as a proxy.
    let ports = [NAMED_PORTS.as_slice(), &[GATE_TLS_PORT, GATE_HTTP_PORT]].concat();
    let Owner { uid, inode } = TCP.iter().find_map(|list| {
        let lines = BufReader::new(File::open(list).ok()?.take(MAX_LIST)).lines();
        lines.map_while(Result::ok).find_map(|line| owner(&line, client, &ports))
    })?;
    let is_ours = uid == rustix::process::geteuid().as_raw();
    let process = is_ours.then(|| holder_of(inode, Instant::now() + patience)).flatten();
    Some(By { process, ..of_uid(uid) })
}

/// A user by its number.
pub(super) fn of_uid(uid: u32) -> By {
    let mut text = String::new();
    let read = File::open(PASSWD).and_then(|file| file.take(MAX_LIST).read_to_string(&mut text));
    let name = read.ok().and_then(|_| name_of(&text, uid));
    By { user: name.map_or_else(|| uid.to_string(), str::to_owned), process: None }
}

/// The name in a passwd file (passwd(5)), if it is one that can be shown.
fn name_of(passwd: &str, uid: u32) -> Option<&str> {
    let names = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then_some(name)
    });
    let plain = |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    names.into_iter().next().filter(plain)
}

/// The process that holds a socket, if it is one that the kernel shows.
fn holder_of(inode: u64, deadline: Instant) -> Option<Process> {
    let socket = format!("socket:[{inode}]");
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        if Instant::now() >= deadline {
            return None;
        }
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(descriptors) = fs::read_dir(entry.path().join("fd")) else { continue };
        let mut links = descriptors.flatten().map_while(|descriptor| {
            (Instant::now() < deadline).then(|| fs::read_link(descriptor.path()).unwrap_or_default())
        });
        if links.any(|link| link == Path::new(&socket)) {
            let name = fs::read(entry.path().join("comm")).unwrap_or_default();
            return Some(Process { pid, name: shown(&name) });
        }
    }
    None
}

/// A process calls itself what it likes: what a terminal or a reader could take for something else goes.
fn shown(name: &[u8]) -> String {
    let name = name.strip_suffix(b"\n").unwrap_or(name);
    let plain = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '?' };
    name.iter().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::net::TcpStream;

    #[test]
    fn names_are_plain() {
        let passwd = "root:x:0:0::/:\nvscode:x:1000:1000::/:\nesc\u{1b}[2J:x:7:7::/:\n:x:8:8::/:\nbroken\n";
        for (uid, name) in [(0, Some("root")), (1000, Some("vscode")), (7, None), (8, None), (9, None)] {
            assert_eq!(name_of(passwd, uid), name);
        }
        assert_eq!(shown(b"curl\n"), "curl");
        assert_eq!(shown(b"a\x1b[2J\n\xe2\x80\xae) x\n"), "a?[2J????) x");
    }

    #[test]
    fn our_own_connection_is_ours() {
        // A port that counts as the gate's: any address of loopback has one of its own.
        let listener = TcpListener::bind(("127.77.0.1", GATE_HTTP_PORT)).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // Where much runs, the usual time may not do.
        let by = within(Duration::from_secs(60), stream.local_addr().unwrap()).unwrap();
        let uid = rustix::process::geteuid().as_raw();
        assert_eq!(by.user, of_uid(uid).user);
        assert_eq!(by.process.map(|process| process.pid), Some(std::process::id()));
        // The other end is at no port that connections are made to from there, and one that is closed is nobody's.
        let accepted = listener.accept().unwrap().1;
        assert_eq!(of_client(listener.local_addr().unwrap()), None);
        drop((stream, listener));
        assert_eq!(of_client(accepted), None);
    }
}
