//! One JSON line for each thing that happened, at once and never torn.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use serde_json::Value;

/// As much of a peer's bytes as goes into one line.
const EXCERPT: usize = 400;

/// Writes `event` as one line.
pub(crate) fn line(event: &Value) {
    let mut out = io::stdout().lock();
    // A reader that went away must not end the servers that others still talk to.
    let _ = writeln!(out, "{event}").and_then(|()| out.flush());
}

/// The address that a test knows a peer by, without its port.
pub(crate) fn ip(address: SocketAddr) -> String {
    address.ip().to_canonical().to_string()
}

/// The start of what a peer sent, as text.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(EXCERPT)]).into_owned()
}
