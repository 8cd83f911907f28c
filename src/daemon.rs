//! `sandboxd`: default-deny first, then everything else, for the container's whole life.
//!
//! `start` is the container's entrypoint. It returns only when the kernel has read default-deny back and the
//! daemon listens; otherwise it says one sentence, ends PID 1 and fails.

mod control;
mod hosts_file;
mod preflight;
mod resolve;
mod run;
mod state;

use std::fs::{self, DirBuilder};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Signal, getpid, getppid, kill_process};

use crate::egress::resolv_conf::ResolvConf;
use crate::firewall::plan::{Upstream, plan};
use crate::{client, firewall, paths};

pub use run::run;

/// What the daemon writes to its starter once it listens.
const LISTENING: &str = "listening";

/// Puts default-deny in force and starts the daemon.
pub fn start() -> anyhow::Result<()> {
    if let Err(unfit) = preflight::check(&preflight::Facts::gather()?) {
        // Where this network is the container's own, it is closed all the same: the container may fail to end.
        if unfit.leaves_the_network_ours() {
            let _ = firewall::apply(&plan(&Upstream::None));
        }
        return Err(unfit.into());
    }
    if run::is_running()? {
        let status = client::status().context("sandboxd runs already, and gives no answer")?;
        ensure!(status.in_force, "sandboxd runs already, and the table is not as planned");
        return Ok(());
    }
    let ruleset = plan(&resolv_conf()?.upstream);
    firewall::apply(&ruleset).context("default-deny is not in force")?;
    fresh_run_folder().context(paths::RUN)?;
    let mut child = Command::new(std::env::current_exe().context("/proc/self/exe")?)
        .arg("run")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("start the daemon")?;
    await_listening(&mut child)
}

/// After a failed start: ends the container, so that nothing of the user's runs in it.
///
/// The entrypoint property ends the joined shell by itself, with exit code 1; this is for tools that run it in
/// another way. Only the direct parent is ended, so a start by hand ends nothing.
pub fn end_container() {
    let parent = getppid();
    let Some(init) = parent.filter(|parent| parent.is_init() && *parent != getpid()) else { return };
    // A shell that is told to end by itself would take the signal first, and end with its handler's code.
    let ends_itself = fs::read("/proc/1/cmdline")
        .is_ok_and(|line| line.windows(ENDS_SHELL.len()).any(|window| window == ENDS_SHELL.as_bytes()));
    if ends_itself {
        return;
    }
    let _ = kill_process(init, Signal::TERM);
    // A shell runs its handler once we have returned. A first process without a handler is not reached by the
    // signal and would go on: as long as its entrypoint does not return, nothing of the user's follows.
    while !catches_term(&fs::read_to_string("/proc/1/status").unwrap_or_default()) {
        thread::sleep(Duration::from_secs(1));
    }
}

/// Whether a process has a handler for SIGTERM: bit 14 of `SigCgt` (`proc_pid_status(5)`).
fn catches_term(status: &str) -> bool {
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> 14 & 1 == 1)
}

/// How the Feature's entrypoint property is written.
const ENDS_SHELL: &str = "sandboxd start || exit 1";

fn resolv_conf() -> anyhow::Result<ResolvConf> {
    match fs::read_to_string(paths::RESOLV_CONF) {
        Ok(text) => Ok(ResolvConf::parse(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(ResolvConf::parse("")),
        Err(error) => Err(error).context(paths::RESOLV_CONF),
    }
}

/// State of an earlier start says nothing about this one.
fn fresh_run_folder() -> anyhow::Result<()> {
    match fs::symlink_metadata(paths::RUN) {
        Ok(found) => {
            ensure!(found.is_dir() && found.uid() == 0, "is not a folder of root's");
            fs::remove_dir_all(paths::RUN)?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    DirBuilder::new().mode(0o755).create(paths::RUN)?;
    Ok(())
}

fn await_listening(child: &mut Child) -> anyhow::Result<()> {
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    if line.trim() != LISTENING {
        let status = child.wait()?;
        match line.trim() {
            "" => bail!("the daemon ended while it started ({status})"),
            reason => bail!("{reason}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_for_sigterm_is_seen() {
        assert!(catches_term("Name:\tsh\nSigCgt:\t0000000000014002\n"));
        assert!(!catches_term("Name:\tsh\nSigCgt:\t0000000000010002\n"));
        assert!(!catches_term(""));
    }
}
