//! The body of a request that may not fit into memory.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::meter::Meter;
use crate::payload::Payload;

/// How many pieces wait: one is read while another is sent.
const WAITING: usize = 1;

/// What is to be sent is not any more what it was, or cannot be read again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct ReadAgainError(String);

/// A part of a payload as a body. Its length is known, so it is sent with a Content-Length.
pub(super) fn of(payload: &Payload, range: Range<u64>, meter: &Arc<Meter>) -> reqwest::Body {
    let range = range.start.min(payload.len())..range.end.min(payload.len());
    match payload.in_memory() {
        Some(bytes) => {
            // What is in memory has a length that fits.
            let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            reqwest::Body::from(bytes.slice(place(range.start)..place(range.end)))
        }
        None => reqwest::Body::wrap(pieces(payload, range, Arc::clone(meter))),
    }
}

/// The error behind a failed request, if its body could not be read.
pub(super) fn read_again_error(error: &reqwest::Error) -> Option<&ReadAgainError> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// Reads a part of a payload in a thread of its own, as fast as the pieces are taken.
fn pieces(payload: &Payload, range: Range<u64>, meter: Arc<Meter>) -> Pieces {
    let left = range.end.saturating_sub(range.start);
    let (sender, receiver) = mpsc::channel(WAITING);
    if left > 0 {
        let chunks = payload.chunks_from(range.start);
        tokio::task::spawn_blocking(move || {
            let mut left = left;
            for chunk in chunks {
                let chunk = chunk.map(|chunk| {
                    let length = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
                    left -= length as u64;
                    chunk.slice(..length)
                });
                // Nobody takes it where the request has ended.
                if sender.blocking_send(chunk).is_err() || left == 0 {
                    return;
                }
            }
        });
    }
    Pieces { receiver, left, sent: 0, meter }
}

struct Pieces {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
    sent: u64,
    meter: Arc<Meter>,
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.meter.land(self.sent);
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = ReadAgainError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReadAgainError>>> {
        self.receiver.poll_recv(context).map(|piece| {
            piece.map(|piece| {
                let piece = piece.map_err(|error| ReadAgainError(error.to_string()))?;
                let length = piece.len() as u64;
                self.left = self.left.saturating_sub(length);
                self.sent += length;
                self.meter.send(length);
                Ok(Frame::data(piece))
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
