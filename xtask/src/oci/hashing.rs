//! Hashing an answer while it arrives.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::digest::Digest;

/// What is shorter is hashed between one piece and the next.
const WORTH_A_THREAD: u64 = 1 << 20;
/// How many pieces wait to be hashed.
const WAITING: usize = 4;

/// A digest in the making. What is long is hashed in a thread of its own, so that hashing and receiving take turns no
/// more.
#[derive(Debug)]
pub(super) enum Hashing {
    /// Here, so many bytes so far.
    Here(Sha256, u64),
    /// In a thread.
    Beside(mpsc::Sender<Bytes>, JoinHandle<Sha256>),
}

impl Hashing {
    pub(super) fn new() -> Self {
        Self::Here(Sha256::new(), 0)
    }

    /// Takes the next piece.
    pub(super) async fn update(&mut self, piece: Bytes) {
        match self {
            Self::Here(hasher, length) => {
                hasher.update(&piece);
                *length += piece.len() as u64;
                if *length >= WORTH_A_THREAD {
                    let mut hasher = std::mem::take(hasher);
                    let (sender, mut receiver) = mpsc::channel::<Bytes>(WAITING);
                    let task = tokio::task::spawn_blocking(move || {
                        while let Some(piece) = receiver.blocking_recv() {
                            hasher.update(&piece);
                        }
                        hasher
                    });
                    *self = Self::Beside(sender, task);
                }
            }
            // It fails where the thread has ended, which `finish` finds out.
            Self::Beside(sender, _) => drop(sender.send(piece).await),
        }
    }

    /// The digest of all of it.
    pub(super) async fn finish(self) -> Digest {
        let hasher = match self {
            Self::Here(hasher, _) => hasher,
            Self::Beside(sender, task) => {
                drop(sender);
                match task.await {
                    Ok(hasher) => hasher,
                    Err(error) => std::panic::resume_unwind(Box::new(error)),
                }
            }
        };
        Digest::finish(hasher)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_pieces_the_digest_is_that_of_the_whole() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for length in [0, 1, 1 << 20, (1 << 20) + 1, 3_000_001_usize] {
            let whole: Vec<u8> = (0..length).map(|number| u8::try_from(number % 251).unwrap()).collect();
            for size in [1000, 400_000] {
                let digest = runtime.block_on(async {
                    let mut hashing = Hashing::new();
                    for piece in whole.chunks(size) {
                        hashing.update(Bytes::copy_from_slice(piece)).await;
                    }
                    hashing.finish().await
                });
                assert_eq!(digest, Digest::of(&whole), "{length} in pieces of {size}");
            }
        }
    }
}
