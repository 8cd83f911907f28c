//! What is uploaded: bytes in memory, or bytes that are read again from where they are whenever they are sent.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::digest::Digest;
use crate::payload::Payload;

/// How much of a source is in memory at a time, for each upload: one piece that is read, one that waits, one that is sent.
const PIECE: usize = 256 << 10;
const WAITING: usize = 1;

/// Something that can be read more than once, from any place.
pub trait Source: Send + Sync {
    /// A reader that starts so many bytes after the beginning. It fails where the bytes are not any more what they were.
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>>;
}

/// A content by its name, and the way to its bytes.
#[derive(Clone)]
pub struct Content {
    digest: Digest,
    size: u64,
    bytes: Place,
}

impl Source for Payload {
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.reader_from(offset)))
    }
}

impl From<Payload> for Content {
    fn from(payload: Payload) -> Self {
        let (digest, size) = (payload.digest().clone(), payload.len());
        Self::source(Arc::new(payload), digest, size)
    }
}

#[derive(Clone)]
enum Place {
    Memory(Bytes),
    Source(Arc<dyn Source>),
}

/// The bytes could not be read again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct ReadAgainError(pub String);

impl Content {
    /// Bytes in memory.
    pub fn memory(bytes: Bytes) -> Self {
        Self { digest: Digest::of(&bytes), size: bytes.len() as u64, bytes: Place::Memory(bytes) }
    }

    /// Bytes elsewhere, whose digest and length are known.
    pub fn source(source: Arc<dyn Source>, digest: Digest, size: u64) -> Self {
        Self { digest, size, bytes: Place::Source(source) }
    }

    /// The digest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// All of it.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match &self.bytes {
            Place::Memory(bytes) => Ok(bytes.to_vec()),
            Place::Source(source) => {
                let mut all = Vec::new();
                source.open(0)?.take(self.size).read_to_end(&mut all)?;
                Ok(all)
            }
        }
    }

    /// A part of it as the body of a request; its length is known, so it is sent with a Content-Length.
    pub fn body(&self, range: Range<u64>) -> reqwest::Body {
        let range = range.start.min(self.size)..range.end.min(self.size);
        match &self.bytes {
            Place::Memory(bytes) => {
                // What is in memory has a length that fits.
                let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                reqwest::Body::from(bytes.slice(place(range.start)..place(range.end)))
            }
            Place::Source(source) => reqwest::Body::wrap(pieces(Arc::clone(source), range)),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({}, {} bytes)", self.digest, self.size)
    }
}

/// Reads a part of a source in a thread of its own, as fast as the pieces are taken.
fn pieces(source: Arc<dyn Source>, range: Range<u64>) -> Pieces {
    let left = range.end.saturating_sub(range.start);
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut left = left;
        if left == 0 {
            return;
        }
        let mut reader = match source.open(range.start) {
            Ok(reader) => reader,
            Err(error) => return drop(sender.blocking_send(Err(ReadAgainError(error.to_string())))),
        };
        while left > 0 {
            let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            let mut piece = vec![0; length];
            let read = reader.read_exact(&mut piece).map_err(|error| ReadAgainError(error.to_string()));
            left -= length as u64;
            let failed = read.is_err();
            // Nobody takes it where the request has ended.
            if sender.blocking_send(read.map(|()| Bytes::from(piece))).is_err() || failed {
                return;
            }
        }
    });
    Pieces { receiver, left }
}

struct Pieces {
    receiver: mpsc::Receiver<Result<Bytes, ReadAgainError>>,
    left: u64,
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
                piece.map(|piece| {
                    self.left = self.left.saturating_sub(piece.len() as u64);
                    Frame::data(piece)
                })
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
