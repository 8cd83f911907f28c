//! The ways to start: as the container's entrypoint, and on the launcher's behalf.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{LISTENING, preflight, resolv_conf, run};
use crate::firewall::plan::{Upstream, plan};
use crate::status::Status;
use crate::{client, firewall, paths};

/// Many times what a start takes.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// For so long a daemon may be ending.
const ENDING: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);

/// Why a start failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nobody has said why yet.
    #[error("{0:#}")]
    Untold(anyhow::Error),
    /// The launcher has said why.
    #[error("the launcher failed")]
    Told,
}

impl From<anyhow::Error> for StartError {
    fn from(error: anyhow::Error) -> Self {
        Self::Untold(error)
    }
}

/// The container's entrypoint: returns only when the kernel has read default-deny back and the daemon listens.
///
/// A container user that is not root has the launcher do it.
pub fn start() -> Result<(), StartError> {
    if rustix::process::geteuid().is_root() {
        return Ok(ensure_running()?);
    }
    let status = Command::new(paths::LAUNCHER)
        .stdin(Stdio::null())
        .status()
        .with_context(|| preflight::Unfit::NotRoot(rustix::process::getuid().as_raw()).to_string())?;
    if status.success() { Ok(()) } else { Err(StartError::Told) }
}

/// Starts the sandbox, if none runs.
pub fn ensure_running() -> anyhow::Result<()> {
    if let Err(unfit) = preflight::check(&preflight::Facts::gather()?) {
        // Where this network is the container's own, it is closed all the same: the container may fail to end.
        if unfit.leaves_the_network_ours() {
            let _ = firewall::apply(&plan(&Upstream::None));
        }
        return Err(unfit.into());
    }
    let start = start_lock();
    if let Some(status) = running()? {
        ensure!(status.in_force, "sandboxd runs already, and the table is not as planned");
        return Ok(());
    }
    let resolvers = resolv_conf();
    // Whatever fails from here on, fails behind a closed network.
    let upstream = resolvers.as_ref().map_or(&Upstream::None, |resolvers| &resolvers.upstream);
    firewall::apply(&plan(upstream)).context("default-deny is not in force")?;
    resolvers?;
    let _start = start?;
    fresh_run_folder().with_context(|| cannot_be_written(paths::RUN))?;
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

/// The answer of the daemon that runs, if one does. One that is just ending has its lock a little longer than its word.
fn running() -> anyhow::Result<Option<Status>> {
    let deadline = Instant::now() + ENDING;
    while run::is_running()? {
        match client::status() {
            Ok(status) => return Ok(Some(status)),
            Err(_) if Instant::now() < deadline => thread::sleep(POLL),
            Err(error) => return Err(error).context("sandboxd runs already, and gives no answer"),
        }
    }
    Ok(None)
}

fn cannot_be_written(path: &str) -> String {
    format!(
        "{path} cannot be written; if \"runArgs\" in devcontainer.json have --read-only, add \"--tmpfs=/run\" to them"
    )
}

/// Two starts at once, as two users may ask for, come one after the other. One that stands still holds up nobody for
/// ever: whoever does not get the lock still closes the network.
fn start_lock() -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(paths::START_LOCK).with_context(|| cannot_be_written(paths::START_LOCK))?;
    // A user can stop a start of theirs from its terminal: root's process then, and never to be gone on with.
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => thread::sleep(POLL),
            Err(Errno::WOULDBLOCK) => bail!("another start does not come to its end; restart the container"),
            Err(error) => return Err(error).context(paths::START_LOCK),
        }
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
