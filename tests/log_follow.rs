//! `agent-sandbox log --follow` behind a running daemon, in a container of its own: what is refused comes as it happens,
//! with whose it was, through a restart of the daemon, and until nobody reads any more.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "internet/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod internet;
#[path = "lab/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod lab;

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};

use internet::{Internet, ResolverAsks, Signal, Who};
use serde_json::Value;

struct Follower {
    child: Child,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
}

impl Follower {
    /// It ends by itself after a long while, so that a test that waits in vain fails.
    fn start(internet: &Internet, options: &[&str]) -> Self {
        let mut command = internet.command(Who::User);
        command.args(["timeout", "120"]).arg(internet.folder().join("bin/agent-sandbox"));
        command.args(["log", "--follow"]).args(options).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let err = BufReader::new(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// The next refusal of a host.
    fn next(&mut self, host: &str) -> Value {
        loop {
            let denied: Value = serde_json::from_str(&line(&mut self.out)).unwrap();
            if denied["what"].as_str().unwrap().starts_with(host) {
                return denied;
            }
        }
    }

    /// Nobody reads what it prints any more, and there is nothing to print.
    fn ends(self) {
        let Self { mut child, out, err } = self;
        drop(out);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        drop(err);
    }
}

fn line(from: &mut BufReader<impl Read>) -> String {
    let mut line = String::new();
    assert_ne!(from.read_line(&mut line).unwrap(), 0, "it has ended");
    line
}

/// Asks the gate for a host that is not listed; returns when it is refused.
fn is_refused(internet: &Internet, who: Who, host: &str) {
    let mut command = internet.command(who);
    let at = format!("{host}:443:203.0.113.66");
    command.args(["curl", "--silent", "--insecure", "--resolve", &at, &format!("https://{host}/")]);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    // CURLE_SSL_CONNECT_ERROR: the gate's alert.
    assert_eq!(status.code(), Some(35), "{host}");
}

#[test]
fn refusals_come_as_they_happen() {
    let found = |program: &str| {
        ["/usr/bin", "/usr/sbin"].iter().any(|folder| std::path::Path::new(folder).join(program).exists())
    };
    let missing =
        ["ip", "nft", "nsenter", "unshare", "setpriv", "curl"].iter().any(|program| !found(program));
    if !rustix::process::geteuid().is_root() || missing {
        eprintln!(
            "SKIPPED: this test makes a container, and needs root, ip, nft, nsenter, unshare, setpriv and curl"
        );
        assert!(std::env::var_os("CI").is_none(), "CI must run it");
        return;
    }
    // Before there is a second thread: whatever this program connects to, it is not from the machine's network.
    let nowhere = lab::Nowhere::enter();
    let internet = Internet::new(ResolverAsks::FromTheContainer);
    internet.start_sandbox();
    is_refused(&internet, Who::User, "before.example");

    let mut follower = Follower::start(&internet, &["--json"]);
    let before = follower.next("before.example");
    assert_eq!((before["what"].as_str(), before["count"].as_u64()), (Some("before.example:443"), Some(1)));
    is_refused(&internet, Who::User, "user.example");
    let user = follower.next("user.example");
    assert_eq!(user["option"], "\"allow\": \"user.example\"");
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let named = passwd.lines().find(|line| line.split(':').nth(2) == Some("1000"));
    let name = named.map_or("1000", |line| line.split(':').next().unwrap());
    assert_eq!(user["user"], name, "{user}");
    assert_eq!(user.get("process"), None, "the daemon may not look at a user's processes");
    is_refused(&internet, Who::Root, "root.example");
    let root = follower.next("root.example");
    assert_eq!((root["user"].as_str(), root["process"]["name"].as_str()), (Some("root"), Some("curl")));
    is_refused(&internet, Who::User, "user.example");
    assert_eq!(follower.next("user.example")["count"], 2);

    // The daemon is gone, and then there is another.
    internet.signal_sandbox(Signal::KILL, false);
    let said = line(&mut follower.err);
    assert!(
        said.starts_with("agent-sandbox: sandboxd does not run") && said.ends_with("waiting for it\n"),
        "{said}"
    );
    internet.start_sandbox();
    let said = line(&mut follower.err);
    assert!(said.starts_with("agent-sandbox: sandboxd was started anew"), "{said}");
    is_refused(&internet, Who::User, "user.example");
    assert_eq!(follower.next("user.example")["count"], 1);

    let mut table = Follower::start(&internet, &[]);
    assert_eq!(line(&mut table.out), "last                       times  what\n");
    while !line(&mut table.out)
        .ends_with(&format!("  user.example:443: not in the policy (by user {name})\n"))
    {}
    table.ends();
    follower.ends();
    drop((internet, nowhere));
}
