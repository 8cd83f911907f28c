//! Having the sandbox started, by whoever asks: through the one setuid program.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::client::{self, AskError, NotReady};
use crate::paths;
use crate::status::Status;

/// Why the sandbox does not run after all.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// It said why itself.
    #[error("{0}")]
    Said(String),
    /// The launcher is not there, or did not run.
    #[error("{path}: {0}: rebuild the image", path = paths::LAUNCHER)]
    Launcher(std::io::Error),
    /// It runs, and is not ready.
    #[error(transparent)]
    NotReady(#[from] NotReady),
}

/// Waits until the sandbox is ready; one that does not run after `grace` is started.
///
/// The entrypoint starts it, normally. This is for containers whose entrypoint was not called or never came to it.
pub fn ready(grace: Duration, timeout: Duration) -> Result<Status, LaunchError> {
    if let Err(NotReady::Ask(AskError::NotRunning(_))) = client::wait(grace) {
        start()?;
    }
    Ok(client::wait(timeout)?)
}

/// Starts the sandbox if it does not run.
fn start() -> Result<(), LaunchError> {
    // Not with our own standard error: the daemon would keep it open, and with it whatever waits for its end.
    let mut child = Command::new(paths::LAUNCHER)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(LaunchError::Launcher)?;
    let status = match child.wait() {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => status,
        // Whoever called us ignores the end of children, which we inherit: whether it runs is asked next.
        Err(_) => return Ok(()),
    };
    let said = child.stderr.take().map(already_written).unwrap_or_default();
    let said = said.trim().trim_start_matches("sandboxd: ");
    Err(LaunchError::Said(if said.is_empty() {
        format!("the sandbox did not start ({status})")
    } else {
        said.to_owned()
    }))
}

/// What a pipe holds now, without waiting for whoever may still have its other end.
fn already_written(mut pipe: std::process::ChildStderr) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while text.len() < 64 * 1024 && readable(&pipe) {
        match pipe.read(&mut buffer) {
            Ok(length) if length > 0 => text.extend_from_slice(&buffer[..length]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn readable(pipe: &std::process::ChildStderr) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    loop {
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&now)) {
            Err(Errno::INTR) => {}
            result => return result.is_ok_and(|ready| ready > 0),
        }
    }
}
