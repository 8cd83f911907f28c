//! The control socket: whoever connects is told the live state. Nothing is read from anybody.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::state::Shared;
use crate::paths;

/// A client that has not taken its answer by then is dropped.
const PATIENCE: Duration = Duration::from_secs(2);
/// Clients that are answered at the same time.
const MOST: usize = 16;

/// Binds the socket in the folder that only root can write.
pub(super) fn bind() -> anyhow::Result<UnixListener> {
    let listener = UnixListener::bind(paths::CONTROL).context(paths::CONTROL)?;
    fs::set_permissions(paths::CONTROL, Permissions::from_mode(0o666)).context(paths::CONTROL)?;
    Ok(listener)
}

/// Answers clients, some at the same time: one that is slow to take its answer holds up nobody.
pub(super) fn serve(listener: &UnixListener, shared: &Arc<Shared>) {
    let busy = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Out of descriptors or memory: give whoever holds them time.
            thread::sleep(PATIENCE);
            continue;
        };
        if is_gone(&stream) {
            continue;
        }
        let stream = Arc::new(stream);
        let slot = Slot::take(&busy);
        let (for_client, to_client) = (Arc::clone(shared), Arc::clone(&stream));
        let apart = move || {
            answer(&to_client, &for_client);
            drop(slot);
        };
        // Where there are many, or no thread can be had, the next wait until this one is done.
        let is_apart = busy.load(Ordering::Relaxed) <= MOST
            && thread::Builder::new().name("client".to_owned()).spawn(apart).is_ok();
        if !is_apart {
            answer(&stream, shared);
        }
    }
}

/// A client's place among those that are answered.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(busy: &Arc<AtomicUsize>) -> Self {
        busy.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(busy))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn answer(mut stream: &UnixStream, shared: &Shared) {
    let deadline = Instant::now() + PATIENCE;
    let Ok(mut line) = serde_json::to_vec(&shared.status()) else { return };
    line.push(b'\n');
    let mut rest = line.as_slice();
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_write_timeout(Some(left)).is_err() {
            return;
        }
        match stream.write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Whether the client has left again. An answer costs a look at the kernel's table, and anybody can fill the queue.
fn is_gone(stream: &UnixStream) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok()
        && fds[0].revents().contains(PollFlags::HUP)
}
