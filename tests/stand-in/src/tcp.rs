//! A TCP server that tells everybody who connects that it was reached.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;

use serde_json::json;

use crate::log;
use crate::serve::Peer;

/// What a test looks for at the far end.
pub(crate) const GREETING: &str = "stand-in reached\n";

/// As much as a peer may send before it is hung up on.
const MAX_HEARD: u64 = 1 << 20;

/// Greets one peer.
pub(crate) fn serve(peer: &Peer) -> io::Result<()> {
    let event = json!({"tcp": peer.at.to_string(), "from": log::ip(peer.from)});
    log::line(&event);
    let mut stream = &peer.stream;
    stream.write_all(GREETING.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    // Closing with unread bytes resets the connection, and the greeting would be lost.
    io::copy(&mut stream.take(MAX_HEARD), &mut io::sink())?;
    Ok(())
}
