//! Bodies: of requests, read within bounds; of answers, from memory or from a file.

use std::fmt::Display;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::StatusCode;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};

use super::error::Refusal;
use super::fault::answer::Dripping;

const CHUNK: usize = 64 << 10;
/// How long a client may send nothing in the middle of a body.
const PATIENCE: Duration = Duration::from_secs(30);

/// The body of a request.
pub type RequestBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// The body of an answer.
#[derive(Debug)]
pub enum Answer {
    /// Bytes; `None` when they were sent.
    Memory(Option<Bytes>),
    /// A file, and how much of it is still to be sent.
    File(tokio::fs::File, u64),
    /// Bytes that come one at a time.
    Dripping(Dripping),
}

impl Answer {
    /// No body.
    pub fn empty() -> Self {
        Self::Memory(None)
    }

    /// These bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::Memory(Some(bytes.into()))
    }

    /// How many bytes are still to come.
    fn left(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Self::File(_, rest) => *rest,
            Self::Dripping(dripping) => dripping.left() as u64,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Memory(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Dripping(dripping) => {
                dripping.poll(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::File(_, 0) => Poll::Ready(None),
            Self::File(file, rest) => {
                let mut buffer = vec![0; CHUNK.min(usize::try_from(*rest).unwrap_or(CHUNK))];
                let mut read = ReadBuf::new(&mut buffer);
                ready!(Pin::new(file).poll_read(context, &mut read))?;
                let length = read.filled().len();
                if length == 0 {
                    return Poll::Ready(Some(Err(std::io::ErrorKind::UnexpectedEof.into())));
                }
                *rest -= length as u64;
                buffer.truncate(length);
                Poll::Ready(Some(Ok(Frame::data(buffer.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

/// Reads a request's body into memory.
pub async fn collect(mut body: RequestBody, limit: usize) -> Result<Bytes, Refusal> {
    let mut bytes = BytesMut::new();
    while let Some(data) = next(&mut body, PATIENCE).await? {
        if bytes.len() + data.len() > limit {
            return Err(Refusal::too_large(format!("more than {limit} bytes")));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Appends a request's body to a file, up to a size of the file; after an error the file is as before.
pub async fn append(mut body: RequestBody, path: &Path, limit: u64) -> Result<u64, Refusal> {
    let mut file = tokio::fs::OpenOptions::new().append(true).open(path).await?;
    let before = file.metadata().await?.len();
    let copied = async {
        let mut size = before;
        while let Some(data) = next(&mut body, PATIENCE).await? {
            size += data.len() as u64;
            if size > limit {
                return Err(Refusal::too_large(format!("a blob of more than {limit} bytes")));
            }
            file.write_all(&data).await?;
        }
        file.flush().await?;
        Ok(size)
    };
    match copied.await {
        Ok(size) => Ok(size),
        Err(refusal) => {
            file.set_len(before).await?;
            Err(refusal)
        }
    }
}

async fn next<B>(body: &mut B, patience: Duration) -> Result<Option<Bytes>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let broken = |status, why: String| Refusal::new(status, "BLOB_UPLOAD_INVALID", why);
    loop {
        let frame = tokio::time::timeout(patience, body.frame()).await.map_err(|_| {
            broken(
                StatusCode::REQUEST_TIMEOUT,
                format!("nothing more of the body came for {} s", patience.as_secs()),
            )
        })?;
        let Some(frame) = frame else {
            return Ok(None);
        };
        let frame =
            frame.map_err(|error| broken(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body of which nothing ever comes.
    struct Silent;

    impl Body for Silent {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
            Poll::Pending
        }
    }

    #[test]
    fn a_body_that_stops_coming_is_given_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let refusal = next(&mut Silent, Duration::from_millis(10)).await.unwrap_err();
            assert_eq!(refusal.status, StatusCode::REQUEST_TIMEOUT);
            let whole = &mut http_body_util::Full::new(Bytes::from_static(b"x"));
            assert_eq!(next(whole, PATIENCE).await.unwrap().unwrap(), "x");
            assert!(next(whole, PATIENCE).await.unwrap().is_none());
        });
    }
}
