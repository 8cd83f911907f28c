//! `bench start`: sizes of the binaries, and how long a container is on its way to default-deny and to ready.
//!
//! Time zero is what the container's shell reads from the clock right before it starts the sandbox: nothing of the
//! container's own has run until then. The daemon notes the other two.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::arch::Arch;
use crate::build;
use crate::scenarios::lab::{self, Lab};
use crate::sh;

const PATIENCE: Duration = Duration::from_secs(60);

/// Whom the container runs as: root starts the daemon itself, others through the setuid launcher.
const USERS: [&str; 2] = ["root", "vscode"];

/// Milliseconds from the container's first command.
struct Times {
    default_deny: u64,
    ready: u64,
}

/// Runs it.
pub(super) fn run(runs: u32) -> anyhow::Result<()> {
    println!("binary sizes in bytes");
    for built in build::build(&Arch::ALL, None)? {
        println!("  {:<6} {:<16} {:>9}", built.arch.docker(), built.name, fs::metadata(&built.path)?.len());
    }
    let prepared = lab::prepare()?;
    let lab = Lab::open(&prepared)?;
    let image = lab.build_image("web.test.example:80")?;
    let mut times: [Vec<Times>; USERS.len()] = Default::default();
    // In turn, so that whatever else the machine does meanwhile falls on all of them.
    for _ in 0..runs {
        for (user, times) in USERS.iter().zip(&mut times) {
            times.push(measure(&lab, &image, user)?);
        }
    }
    println!("from the container's first command, in milliseconds, {runs} runs of each in turn");
    println!("  {:<38} {:>7} {:>7} {:>7} {:>7}", "", "fastest", "median", "95 %", "slowest");
    for (user, times) in USERS.iter().zip(&times) {
        let of = |which: fn(&Times) -> u64| times.iter().map(which).collect();
        print(&format!("default-deny read back, user {user}"), of(|times| times.default_deny));
        print(&format!("ready, names asked for, user {user}"), of(|times| times.ready));
    }
    Ok(())
}

fn print(what: &str, mut times: Vec<u64>) {
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    let [fastest, median, most, slowest] = [0, 50, 95, 100].map(|percent| at(percent).unwrap_or_default());
    println!("  {what:<38} {fastest:>7} {median:>7} {most:>7} {slowest:>7}");
}

fn measure(lab: &Lab<'_>, image: &str, user: &str) -> anyhow::Result<Times> {
    let network = format!("--network={}", lab.internet.network);
    let dns = format!("--dns={}", crate::scenarios::internet::DNS);
    let mut run = lab.docker.command();
    run.args(["run", "--detach", "--user", user, "--cap-drop=ALL", "--cap-add=NET_ADMIN"]);
    run.args([&network, &dns, "--entrypoint", "/bin/sh", image, "-c"]);
    run.arg(
        "date +%s%3N >/tmp/zero; /usr/local/libexec/agent-sandbox/sandboxd start || exit 1; exec sleep 600",
    );
    let id = sh::output(&mut run)?.trim().to_owned();
    let times = times(lab, &id);
    sh::output(lab.docker.command().args(["rm", "--force", &id]))?;
    times
}

fn times(lab: &Lab<'_>, id: &str) -> anyhow::Result<Times> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let status = sh::output(lab.docker.command().args(["exec", id, "agent-sandbox", "status", "--json"]));
        let status: Option<serde_json::Value> = status.ok().and_then(|text| serde_json::from_str(&text).ok());
        let noted = |name: &str| status.as_ref().and_then(|status| status[name].as_u64());
        if let (Some(deny), Some(ready)) = (noted("default_deny_at_ms"), noted("ready_at_ms")) {
            let zero = sh::output(lab.docker.command().args(["exec", id, "cat", "/tmp/zero"]))?;
            let started: u64 = zero.trim().parse().context("the container's clock")?;
            return Ok(Times {
                default_deny: deny.saturating_sub(started),
                ready: ready.saturating_sub(started),
            });
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("the container {id} did not become ready")
}
