//! A web server that answers every request with the news that it was reached.

use std::io;

use serde_json::json;

use crate::http::{self, Response};
use crate::log;
use crate::serve::Peer;
use crate::tcp::GREETING;

/// Answers the requests of one connection.
pub(crate) fn serve(peer: &Peer) -> io::Result<()> {
    http::serve(peer, |request| {
        log::line(&json!({
            "http": request.path, "from": log::ip(peer.from), "at": peer.at.to_string(),
            "method": request.method, "host": request.host, "body": log::excerpt(&request.body),
        }));
        Response { kind: "text/plain", body: GREETING.into() }
    })
}
