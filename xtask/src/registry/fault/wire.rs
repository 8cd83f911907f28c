//! A connection that can be cut in the middle of an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// No cut.
const NEVER: u64 = u64::MAX;

/// How much of a connection is still to be written before it is cut.
#[derive(Debug)]
pub struct Scissors(AtomicU64);

impl Default for Scissors {
    fn default() -> Self {
        Self(AtomicU64::new(NEVER))
    }
}

impl Scissors {
    /// Cuts after so many bytes more.
    pub fn cut_after(&self, bytes: u64) {
        self.0.store(bytes, Ordering::SeqCst);
    }

    /// Whether a cut is near.
    pub fn are_closing(&self) -> bool {
        self.0.load(Ordering::SeqCst) != NEVER
    }
}

/// A stream with scissors.
#[derive(Debug)]
pub struct Cuttable<S> {
    stream: S,
    scissors: Arc<Scissors>,
}

impl<S> Cuttable<S> {
    /// A stream that these scissors cut.
    pub fn new(stream: S, scissors: Arc<Scissors>) -> Self {
        Self { stream, scissors }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Cuttable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cuttable<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let rest = self.scissors.0.load(Ordering::SeqCst);
        if rest == NEVER {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        if rest == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let most = usize::try_from(rest).unwrap_or(usize::MAX).min(bytes.len());
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[..most]))?;
        self.scissors.cut_after(rest - written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn a_cut_is_where_it_was_asked_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(64);
            let scissors = Arc::new(Scissors::default());
            let mut near = Cuttable::new(near, Arc::clone(&scissors));
            near.write_all(b"whole ").await.unwrap();
            scissors.cut_after(3);
            assert!(near.write_all(b"cut off").await.is_err());
            drop(near);
            let mut received = String::new();
            far.read_to_string(&mut received).await.unwrap();
            assert_eq!(received, "whole cut");
        });
    }
}
