//! The daemon's words in the container's log, which is its standard error.
//!
//! That may be a pipe that nobody reads, and must not stop the daemon: a thread of its own writes, and what it
//! does not get rid of is dropped.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

/// Lines that wait at the same time.
const QUEUE: usize = 256;

static LOG: OnceLock<Log> = OnceLock::new();

/// Starts the thread. Without one, nothing is written.
pub(super) fn start() -> io::Result<()> {
    let _ = LOG.set(Log::to(io::stderr())?);
    Ok(())
}

/// Writes a line, sooner or later or not at all.
pub(super) fn line(text: impl Into<String>) {
    if let Some(log) = LOG.get() {
        log.line(text.into());
    }
}

struct Log {
    queue: SyncSender<String>,
}

impl Log {
    fn to(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, lines) = sync_channel::<String>(QUEUE);
        let write = move || {
            for line in lines {
                let _ = writeln!(out, "sandboxd: {line}");
            }
        };
        thread::Builder::new().name("log".to_owned()).spawn(write)?;
        Ok(Self { queue })
    }

    fn line(&self, text: String) {
        let _ = self.queue.try_send(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    #[test]
    fn a_reader_that_does_not_read_holds_nobody_up() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let log = Log::to(ours).unwrap();
        let start = Instant::now();
        for n in 0..20_000 {
            log.line(format!("line {n} {}", "x".repeat(100)));
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        // What was kept is in order, and what comes once there is room again is written.
        let mut lines = BufReader::new(theirs).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("sandboxd: line 0 "));
        let last = loop {
            log.line("last".to_owned());
            if lines.next().unwrap().unwrap().ends_with("last") {
                break Instant::now();
            }
        };
        assert!(last.duration_since(start) < Duration::from_secs(30));
    }

    #[test]
    fn a_reader_that_is_gone_is_no_end_either() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let log = Log::to(ours).unwrap();
        for _ in 0..10 * QUEUE {
            log.line("nobody hears".to_owned());
        }
    }
}
