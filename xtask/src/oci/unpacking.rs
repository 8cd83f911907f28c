//! Reading an archive while it arrives: it is never in memory as a whole, nor on disk.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::digest::Digest;
use crate::contents::{self, Contents, ContentsError, Wanted};

/// How many pieces wait to be read.
const WAITING: usize = 4;

/// What was found, and the digest of the bytes that were read for it.
pub type Unpacked = (Digest, Result<Contents, ContentsError>);

/// An archive that is read in a thread of its own.
#[derive(Debug)]
pub(super) struct Unpacking {
    sender: mpsc::Sender<Bytes>,
    task: JoinHandle<Unpacked>,
}

impl Unpacking {
    pub(super) fn new(wanted: Wanted) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let task = tokio::task::spawn_blocking(move || {
            let mut pieces = Pieces { receiver, piece: Bytes::new(), hasher: Sha256::new() };
            let contents = contents::read(&mut pieces, &wanted);
            (Digest::finish(pieces.hasher), contents)
        });
        Self { sender, task }
    }

    /// Takes the next piece, and says whether there is any use in more.
    pub(super) async fn update(&mut self, piece: Bytes) -> bool {
        self.sender.send(piece).await.is_ok()
    }

    /// What it held.
    pub(super) async fn finish(self) -> Unpacked {
        drop(self.sender);
        match self.task.await {
            Ok(unpacked) => unpacked,
            Err(error) => std::panic::resume_unwind(Box::new(error)),
        }
    }
}

/// What arrives, as something to read; all that is read is hashed.
struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
    hasher: Sha256,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
