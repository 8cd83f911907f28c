//! A UDP server that sends every datagram back.

use std::net::{SocketAddr, UdpSocket};

use serde_json::json;

use crate::log;
use crate::serve::datagrams;

/// Echoes for ever on the socket bound to `at`.
pub(crate) fn serve(socket: &UdpSocket, at: SocketAddr) {
    datagrams(socket, |bytes, from| {
        log::line(&json!({
            "udp": log::excerpt(bytes), "bytes": bytes.len(), "from": log::ip(from), "at": at.to_string(),
        }));
        // Another echo server would send it back for ever.
        (from.port() != at.port()).then(|| bytes.to_vec())
    });
}
