//! Ending the container after a failed start.

use std::fs;
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, getppid, kill_process};

/// How the Feature's entrypoint property is written.
const ENDS_SHELL: &str = "sandboxd start || exit 1";

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
