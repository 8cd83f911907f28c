//! What takes too long.

use std::time::{Duration, Instant};

use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle};

use super::ending::Ending;
use super::{Connection, Phase};
use crate::daemon::gate::worker::flow::Flow;
use crate::egress::words::{Why, Word};

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the daemon may take to connect, which it ends by itself before.
const CONNECTING: Duration = Duration::from_secs(30);
/// How long a server may be silent after the client has come to its end. Who has gone without a word is no longer there to
/// end it, and his server may never.
pub(super) const HALF_OPEN: Duration = Duration::from_secs(300);
/// How long a client that was refused may take to read why.
const FAREWELL: Duration = Duration::from_secs(3);
/// A connection that lasts so long is guarded: most are gone long before it would show.
const LASTS: Duration = Duration::from_secs(10);
/// When a silent server is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(60);

impl Connection {
    /// Has the kernel ask the server of a connection that lasts whether it is still there.
    pub(in crate::daemon::gate::worker) fn guard(&mut self, now: Instant) {
        if let Some(upstream) = &self.upstream
            && !self.is_guarded
            && now.duration_since(self.since) >= LASTS
        {
            self.is_guarded = true;
            // A server that has gone meanwhile is noticed by its socket.
            let _ = set_tcp_keepidle(upstream, KEEPALIVE);
            let _ = set_socket_keepalive(upstream, true);
        }
    }

    /// Whether its present phase has taken too long.
    pub(in crate::daemon::gate::worker) fn is_late(&self, now: Instant) -> bool {
        let (since, most) = match self.phase {
            Phase::Hello(..) | Phase::Request(_) => (self.phase_since, PATIENCE),
            Phase::Asking(_) => (self.phase_since, CONNECTING),
            Phase::Farewell => (self.phase_since, FAREWELL),
            Phase::Watch(..) | Phase::Requests(..) | Phase::Relay if self.up.has_ended() => {
                (self.moved, HALF_OPEN)
            }
            Phase::Watch(..) | Phase::Requests(..) | Phase::Relay => return false,
        };
        now.duration_since(since) >= most
    }

    /// Ends what is late; the next step sees to the rest.
    pub(in crate::daemon::gate::worker) fn give_up(&mut self) -> Option<Word> {
        match self.phase {
            Phase::Farewell => {
                self.down = Flow::default();
                self.down.end();
                self.input_ended = true;
                None
            }
            Phase::Asking(_) => {
                self.farewell(&Ending::Failed("the daemon does not answer".to_owned()));
                None
            }
            Phase::Watch(..) | Phase::Requests(..) | Phase::Relay => {
                self.farewell(&Ending::Odd(Why::Silent));
                self.down = Flow::default();
                self.down.end();
                self.input_ended = true;
                None
            }
            _ => {
                self.farewell(&Ending::Odd(Why::Silent));
                Some(self.complaint(Why::Silent, None))
            }
        }
    }
}
