//! The daemon's words in the container's log, which is its standard error.
//!
//! That may be a pipe that nobody reads, and must not stop the daemon: a thread of its own writes, and what it
//! does not get rid of is dropped.

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

/// Lines that wait at the same time.
const QUEUE: usize = 256;

static LINES: OnceLock<SyncSender<String>> = OnceLock::new();

/// Starts the thread. Without one, nothing is written.
pub(super) fn start() -> std::io::Result<()> {
    let (sender, lines) = sync_channel::<String>(QUEUE);
    let write = move || {
        for line in lines {
            let _ = writeln!(std::io::stderr(), "sandboxd: {line}");
        }
    };
    thread::Builder::new().name("log".to_owned()).spawn(write)?;
    let _ = LINES.set(sender);
    Ok(())
}

/// Writes a line, sooner or later or not at all.
pub(super) fn line(text: impl Into<String>) {
    if let Some(lines) = LINES.get() {
        let _ = lines.try_send(text.into());
    }
}
