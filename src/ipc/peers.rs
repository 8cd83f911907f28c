//! Whether who listens on a socket is a process of the cell.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::io::Errno;

use super::raw;

/// How deep a process may be below the keeper. Deeper ones are taken for strangers.
const DEPTH: usize = 1024;

/// The keeper and its descendants. It is a subreaper: whoever is orphaned stays below it.
#[derive(Debug)]
pub(super) struct Peers {
    keeper: u32,
}

impl Peers {
    pub(super) fn new() -> Self {
        Self { keeper: std::process::id() }
    }

    /// Whether the connected socket's other end belongs to somebody who is in the cell: who has listened on it last, or
    /// we, when nobody has yet.
    pub(super) fn has_listener_of(&self, socket: &OwnedFd) -> bool {
        let Ok(Some(pid)) = raw::peer(socket.as_fd()) else { return false };
        // The number alone may have become another's since.
        let held = match raw::peer_held(socket.as_fd()) {
            Ok(held) => Some(held),
            Err(Errno::NOPROTOOPT) => None,
            Err(_) => return false,
        };
        self.has(pid) && held.is_none_or(|held| lives(&held, pid))
    }

    fn has(&self, pid: u32) -> bool {
        let mut process = pid;
        let mut youngest = u64::MAX;
        for _ in 0..DEPTH {
            if process == self.keeper {
                return true;
            }
            // A parent is older than its child; else its number has changed hands while we looked.
            match ancestry(process) {
                Some((parent, started)) if started <= youngest => (process, youngest) = (parent, started),
                _ => return false,
            }
        }
        false
    }
}

/// A process's parent, and when it started.
fn ancestry(pid: u32) -> Option<(u32, u64)> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `proc_pid_stat(5)`; the program's name, in parentheses, may hold anything.
fn parse(stat: &str) -> Option<(u32, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    Some((parent, fields.nth(17)?.parse().ok()?))
}

/// Whether a held process still is the one with this number.
fn lives(held: &OwnedFd, pid: u32) -> bool {
    let Ok(about) = fs::read_to_string(format!("/proc/self/fdinfo/{}", held.as_raw_fd())) else {
        return false;
    };
    about
        .lines()
        .find_map(|line| line.strip_prefix("Pid:"))
        .is_some_and(|field| field.trim().parse() == Ok(pid))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn stat_reads() {
        let tail = "S 41 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 0 0";
        for name in ["cat", "a) R 1 (", "x y"] {
            assert_eq!(parse(&format!("42 ({name}) {tail}")), Some((41, 777)), "{name}");
        }
        assert_eq!(parse("42 (cat"), None);
        assert_eq!(parse("42 (cat) S 41"), None);
    }

    #[test]
    fn descendants_belong_and_ancestors_do_not() {
        let peers = Peers::new();
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        assert!(peers.has(std::process::id()) && peers.has(child.id()));
        assert!(!peers.has(1) && !peers.has(std::os::unix::process::parent_id()) && !peers.has(0));
        let strangers = Peers { keeper: child.id() };
        assert!(!strangers.has(std::process::id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!peers.has(child.id()));
    }

    #[test]
    fn the_listener_is_who_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let _listener = UnixListener::bind(&path).unwrap();
        let socket = OwnedFd::from(UnixStream::connect(&path).unwrap());
        assert!(Peers::new().has_listener_of(&socket));
        assert!(!Peers { keeper: u32::MAX }.has_listener_of(&socket));
    }
}
