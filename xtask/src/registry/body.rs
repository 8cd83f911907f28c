//! Bodies: of requests, read within bounds; of answers, from memory or from a file.

use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};

use super::error::Refusal;

const CHUNK: usize = 64 << 10;

/// The body of an answer.
#[derive(Debug)]
pub enum Answer {
    /// Bytes; `None` when they were sent.
    Memory(Option<Bytes>),
    /// A file, and how much of it is still to be sent.
    File(tokio::fs::File, u64),
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
        matches!(self, Self::Memory(None) | Self::File(_, 0))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Memory(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Self::File(_, rest) => *rest,
        })
    }
}

/// Reads a request's body into memory.
pub async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, Refusal> {
    let mut bytes = BytesMut::new();
    while let Some(data) = next(&mut body).await? {
        if bytes.len() + data.len() > limit {
            return Err(Refusal::too_large(format!("more than {limit} bytes")));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Appends a request's body to a file, up to a size of the file; after an error the file is as before.
pub async fn append(mut body: Incoming, path: &Path, limit: u64) -> Result<u64, Refusal> {
    let mut file = tokio::fs::OpenOptions::new().append(true).open(path).await?;
    let before = file.metadata().await?.len();
    let copied = async {
        let mut size = before;
        while let Some(data) = next(&mut body).await? {
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

async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Refusal> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Refusal::new(
                hyper::StatusCode::BAD_REQUEST,
                "BLOB_UPLOAD_INVALID",
                format!("the body broke off: {error}"),
            )
        })?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
