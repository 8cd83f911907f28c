//! One run of a program: how long, and how much memory.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// How often the kernel is asked for the memory. What a program takes in its last moment may be missed.
const OFTEN: Duration = Duration::from_micros(500);

/// What a run took, and what it printed.
#[derive(Debug)]
pub(super) struct Measured {
    /// From before the program was started to when it had ended.
    pub(super) time: Duration,
    /// The most bytes of memory, if they were looked at.
    pub(super) memory: u64,
    /// Its standard output.
    pub(super) stdout: String,
}

/// Runs a command. Looking at its memory disturbs it, so it is either timed or looked at.
pub(super) fn run(command: &mut Command, scratch: &Path, memory: bool) -> anyhow::Result<Measured> {
    let (out, err) = (scratch.join("stdout"), scratch.join("stderr"));
    command.stdin(Stdio::null()).stdout(fs::File::create(&out)?).stderr(fs::File::create(&err)?);
    let begun = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    let (status, memory) = if memory { watch(&mut child)? } else { (child.wait()?, 0) };
    let time = begun.elapsed();
    let said = fs::read_to_string(&err).unwrap_or_default();
    ensure!(status.success(), "{command:?} failed ({status}): {}", said.trim());
    Ok(Measured { time, memory, stdout: fs::read_to_string(&out)? })
}

fn watch(child: &mut Child) -> anyhow::Result<(ExitStatus, u64)> {
    let mut most = 0;
    loop {
        most = most.max(peak(child.id()));
        if let Some(status) = child.try_wait()? {
            return Ok((status, most));
        }
        thread::sleep(OFTEN);
    }
}

/// The most memory that a process had so far, in bytes; nothing once it has ended (`proc_pid_status(5)`).
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|number| number.parse().ok());
    kibibytes.unwrap_or(0) * 1024
}
