//! The control socket: whoever connects is told the live state. Nothing is read from anybody.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::state::Shared;
use crate::paths;

/// A client that does not take its answer is dropped after this.
const PATIENCE: Duration = Duration::from_secs(1);

/// Binds the socket in the folder that only root can write.
pub(super) fn bind() -> anyhow::Result<UnixListener> {
    let listener = UnixListener::bind(paths::CONTROL).context(paths::CONTROL)?;
    fs::set_permissions(paths::CONTROL, Permissions::from_mode(0o666)).context(paths::CONTROL)?;
    Ok(listener)
}

/// Answers clients one after the other, for ever.
pub(super) fn serve(listener: &UnixListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else {
            // Out of descriptors or memory: give whoever holds them time.
            std::thread::sleep(PATIENCE);
            continue;
        };
        if is_gone(&stream) {
            continue;
        }
        let _ = stream.set_write_timeout(Some(PATIENCE));
        if let Ok(mut line) = serde_json::to_vec(&shared.status()) {
            line.push(b'\n');
            let _ = stream.write_all(&line);
        }
    }
}

/// Whether the client has left again. An answer costs a look at the kernel's table, and anybody can fill the queue.
fn is_gone(stream: &UnixStream) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok()
        && fds[0].revents().contains(PollFlags::HUP)
}
