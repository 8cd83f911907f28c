//! What whoever starts a cell hands down to it, against a real kernel and under a policy of the test's own: sockets that
//! would lead out, and a way of life that hides how programs end. Each is seen to work without the cell.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{self, Read as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// No wait here ends later, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Gives a mount namespace a policy that asks for no network, and runs what follows as a user there.
const WORLD: &str = r#"
set -e
exec 9<"$1"
mount -t tmpfs -o mode=1777 tmpfs /tmp
cat <&9 >/tmp/agent-sandbox
exec 9<&-
chmod 755 /tmp/agent-sandbox
mkdir /tmp/upper /tmp/work /tmp/project
mount -t overlay -o lowerdir=/etc,upperdir=/tmp/upper,workdir=/tmp/work overlay /etc
mkdir -p /etc/agent-sandbox
echo '{"format":3,"mode":"enforce","rules":[],"cell":{"without":["network"]}}' >/etc/agent-sandbox/policy.json
chown 12345:12345 /tmp/project
cd /tmp/project
export PATH=/usr/bin:/bin HOME=/tmp/project
user="setpriv --reuid 12345 --regid 12345 --clear-groups --inh-caps=-all"
cell="$user /tmp/agent-sandbox exec"
eval "$2"
"#;

/// Runs a line of shell in which `$user` is in front of what a user runs, and `$cell` of what is in a cell.
fn world(line: &str, stdin: impl Into<Stdio>) -> Option<Command> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: this test makes namespaces: run it with sudo");
        assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", WORLD, "sh"]);
    command.args([env!("CARGO_BIN_EXE_agent-sandbox"), line]).stdin(stdin);
    Some(command)
}

fn run(line: &str, stdin: impl Into<Stdio>) -> Option<Output> {
    world(line, stdin).map(|mut command| command.output().unwrap())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_datagram_socket_leads_nowhere_although_it_is_connected() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("s");
    let outside = UnixDatagram::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    outside.set_nonblocking(true).unwrap();
    let send = format!(
        "perl -e 'open(S, \"+<&=0\"); exit(send(S, \"x\", 0, pack(\"Sa*\", 1, \"{}\")) ? 0 : 9)'",
        path.display()
    );
    for (who, through) in [("$user", true), ("$cell", false)] {
        let (ours, _other) = UnixDatagram::pair().unwrap();
        let Some(output) = run(&format!("{who} {send}"), OwnedFd::from(ours)) else { return };
        assert_eq!(output.status.code(), Some(if through { 0 } else { 9 }), "{who}: {}", said(&output));
        assert_eq!(outside.recv(&mut [0; 8]).is_ok(), through, "{who}");
    }
}

/// It could be disconnected, and connected to what on loopback is not the cell's.
#[test]
fn a_tcp_socket_is_the_cells_from_then_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (who, priority) in [("$user", "0 64"), ("$cell", "5 61")] {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ask = "perl -e 'print join(\" \", map { unpack(\"i\", getsockopt(STDIN, $$_[0], $$_[1])) } [1, 12], [0, 2])'";
        let Some(output) = run(&format!("{who} {ask}"), OwnedFd::from(stream)) else { return };
        assert_eq!(String::from_utf8_lossy(&output.stdout), priority, "{who}: {}", said(&output));
    }
}

#[test]
fn how_a_program_ends_is_told_to_who_ignores_its_children() {
    for who in ["", "env --ignore-signal=CHLD"] {
        let line = format!("$user {who} /tmp/agent-sandbox exec sh -c 'exit 7'");
        let Some(output) = run(&line, Stdio::null()) else { return };
        assert_eq!(output.status.code(), Some(7), "{who}: {}", said(&output));
    }
}

/// Whoever waits at the other end waits for the program, and not for what it has left behind.
#[test]
fn the_keeper_holds_no_socket_of_the_callers() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    // What is left behind ends when we do.
    let (read, hold) = io::pipe().unwrap();
    let line =
        "exec 3<&0 0</dev/null 4<&2 2>/dev/null\n$cell sh -c 'cat <&4 & exit 0'\nexec 3<&-\nexec cat <&4";
    let Some(mut command) = world(line, OwnedFd::from(theirs)) else { return };
    let mut child = command.stdout(Stdio::null()).stderr(read).spawn().unwrap();
    drop(command);
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    let end = ours.read(&mut [0; 8]);
    drop(hold);
    child.wait().unwrap();
    assert_eq!(end.unwrap(), 0);
}
