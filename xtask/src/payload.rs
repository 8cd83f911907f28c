//! Bytes that may be too many for memory: their length and digest are known, and they can be read
//! again, from any place.
//!
//! What lies on disk is read twice: once to learn the digest, and once to be written or sent. A file
//! that changed in between is an error, not another archive.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::disk_file::DiskFile;
use crate::oci::digest::Digest;

/// How much is read at once.
const CHUNK: usize = 128 << 10;
/// What is shorter is read and hashed by turns.
const WORTH_A_THREAD: u64 = 1 << 20;
/// How many chunks are read ahead.
const BUFFERS: usize = 4;

/// Bytes with a known length and digest. Cheap to clone.
#[derive(Clone)]
pub struct Payload {
    pieces: Arc<[Piece]>,
    len: u64,
    digest: Digest,
}

/// A piece of a payload and where it begins.
#[derive(Debug)]
struct Piece {
    start: u64,
    source: Source,
}

/// Where bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In memory.
    Memory(Bytes),
    /// On disk.
    Disk(DiskFile),
}

impl Source {
    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Disk(file) => file.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them in memory; fails where a file is not what it was.
    pub fn bytes(&self) -> io::Result<Bytes> {
        match self {
            Self::Memory(bytes) => Ok(bytes.clone()),
            Self::Disk(file) => {
                let mut all = Vec::new();
                let mut opened = file.open()?.take(file.len() + 1);
                opened.read_to_end(&mut all)?;
                file.check(opened.get_ref())?;
                if all.len() as u64 == file.len() { Ok(all.into()) } else { Err(file.changed()) }
            }
        }
    }
}

impl From<Bytes> for Source {
    fn from(bytes: Bytes) -> Self {
        Self::Memory(bytes)
    }
}

impl Payload {
    /// Joins sources, and reads them once for their digest.
    pub fn join(sources: Vec<Source>) -> io::Result<Self> {
        let mut start = 0;
        let mut pieces = Vec::with_capacity(sources.len());
        for source in sources.into_iter().filter(|source| !source.is_empty()) {
            let len = source.len();
            pieces.push(Piece { start, source });
            start += len;
        }
        // The digest is not known before everything is read, and nothing compares with it until then.
        let mut payload = Self { pieces: pieces.into(), len: start, digest: Digest::of(&[]) };
        payload.digest = payload.hash(&mut io::sink())?;
        Ok(payload)
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Their digest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Reads all of them.
    pub fn reader(&self) -> Reader {
        self.reader_from(0)
    }

    /// Reads them from a place on; from beyond the end, that is nothing.
    pub fn reader_from(&self, offset: u64) -> Reader {
        let next = self.pieces.partition_point(|piece| piece.start + piece.source.len() <= offset);
        Reader { payload: self.clone(), next, position: offset.min(self.len), open: None }
    }

    /// Reads them from a place on in pieces that fit into memory, which may be sent on as they are.
    pub fn chunks_from(&self, offset: u64) -> Chunks {
        Chunks { reader: self.reader_from(offset), failed: false }
    }

    /// Writes all of them, and fails where they are not what they were.
    pub fn copy_to(&self, writer: &mut impl io::Write) -> io::Result<()> {
        if self.hash(writer)? == self.digest {
            return Ok(());
        }
        // Something wrote to a file without its time telling.
        Err(io::Error::other("the files changed while they were read; run the command again"))
    }

    /// Copies everything, and says what it was.
    fn hash(&self, writer: &mut impl io::Write) -> io::Result<Digest> {
        let mut hasher = Sha256::new();
        self.each_piece(|bytes| {
            hasher.update(bytes);
            writer.write_all(bytes)
        })?;
        Ok(Digest::finish(hasher))
    }

    /// Hands everything on, piece by piece. What is large is read by a thread of its own.
    fn each_piece(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut reader = self.reader();
        if self.len < WORTH_A_THREAD {
            let mut buffer = vec![0; CHUNK];
            loop {
                match reader.read(&mut buffer)? {
                    0 => return Ok(()),
                    count => take(&buffer[..count])?,
                }
            }
        }
        std::thread::scope(|scope| {
            // The buffers go round.
            let (filled, next) = mpsc::sync_channel(BUFFERS);
            let (emptied, spare) = mpsc::sync_channel(BUFFERS);
            scope.spawn(move || {
                let mut fresh = std::iter::repeat_with(|| vec![0; CHUNK]).take(BUFFERS);
                while let Some(mut buffer) = fresh.next().or_else(|| spare.recv().ok()) {
                    let read = reader.read(&mut buffer).map(|count| (buffer, count));
                    let is_end = !matches!(read, Ok((_, 1..)));
                    // Nobody takes it where the taker failed.
                    if filled.send(read).is_err() || is_end {
                        return;
                    }
                }
            });
            for read in next {
                let (buffer, count) = read?;
                take(&buffer[..count])?;
                // At the end it is not wanted any more.
                let _ = emptied.send(buffer);
            }
            Ok(())
        })
    }

    /// The bytes, where they are in memory in one piece.
    pub fn in_memory(&self) -> Option<&Bytes> {
        match &*self.pieces {
            [Piece { source: Source::Memory(bytes), .. }] => Some(bytes),
            _ => None,
        }
    }

    /// All of them in memory: for what is known to be small, and for tests.
    pub fn bytes(&self) -> io::Result<Bytes> {
        if let Some(bytes) = self.in_memory() {
            return Ok(bytes.clone());
        }
        let mut all = Vec::new();
        self.copy_to(&mut all)?;
        Ok(all.into())
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        let (len, digest) = (bytes.len() as u64, Digest::of(&bytes));
        Self { pieces: Arc::new([Piece { start: 0, source: Source::Memory(bytes) }]), len, digest }
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.digest == other.digest
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes, {})", self.len, self.digest)
    }
}

/// Reads a payload from its beginning or from a place on.
#[derive(Debug)]
pub struct Reader {
    payload: Payload,
    /// The piece that is read, or that comes next.
    next: usize,
    /// How many bytes of the payload lie before what is read next.
    position: u64,
    /// The file of that piece, at its place.
    open: Option<File>,
}

impl Reader {
    /// How many bytes are left.
    pub fn remaining(&self) -> u64 {
        self.payload.len - self.position
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let pieces = Arc::clone(&self.payload.pieces);
        let Some(Piece { start, source }) = pieces.get(self.next).filter(|_| !buffer.is_empty()) else {
            return Ok(0);
        };
        let within = self.position - start;
        let left = source.len() - within;
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = match source {
            Source::Memory(bytes) => {
                let rest = usize::try_from(within).map_or(&[][..], |within| &bytes[within..]);
                buffer[..wanted].copy_from_slice(&rest[..wanted]);
                wanted
            }
            Source::Disk(file) => self.read_file(file, within, &mut buffer[..wanted])?,
        };
        self.position += count as u64;
        if count as u64 == left {
            self.next += 1;
            self.open = None;
        }
        Ok(count)
    }
}

impl Reader {
    fn read_file(&mut self, file: &DiskFile, within: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let opened = if let Some(opened) = &mut self.open {
            opened
        } else {
            let mut opened = file.open()?;
            opened.seek(SeekFrom::Start(within))?;
            self.open.insert(opened)
        };
        let count = opened.read(buffer)?;
        if count == 0 {
            return Err(file.changed());
        }
        if within + count as u64 == file.len() {
            file.check(opened)?;
        }
        Ok(count)
    }
}

/// A payload in pieces that fit into memory; ends after an error.
#[derive(Debug)]
pub struct Chunks {
    reader: Reader,
    failed: bool,
}

impl Iterator for Chunks {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let room = usize::try_from(self.reader.remaining()).unwrap_or(usize::MAX).min(CHUNK);
        if self.failed || room == 0 {
            return None;
        }
        let mut chunk = vec![0; room];
        let mut filled = 0;
        // Whole chunks, since the pieces of an archive of small files are small.
        while filled < room {
            match self.reader.read(&mut chunk[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        chunk.truncate(filled);
        Some(Ok(chunk.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn disk(path: &Path, data: &[u8]) -> Source {
        std::fs::write(path, data).unwrap();
        Source::Disk(DiskFile::look(path).unwrap())
    }

    fn mixed(folder: &Path) -> (Payload, Vec<u8>) {
        let large: Vec<u8> = (0..300_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let payload = Payload::join(vec![
            Bytes::from_static(b"head").into(),
            disk(&folder.join("empty"), b""),
            disk(&folder.join("large"), &large),
            Bytes::new().into(),
            disk(&folder.join("small"), b"s"),
            Bytes::from_static(b"tail").into(),
        ])
        .unwrap();
        (payload, [&b"head"[..], &large, b"s", b"tail"].concat())
    }

    #[test]
    fn it_is_the_same_from_memory_and_from_disk_and_from_any_place_on() {
        let temp = tempfile::tempdir().unwrap();
        let (payload, expected) = mixed(temp.path());
        assert_eq!(payload.bytes().unwrap(), expected);
        assert_eq!(payload, Payload::from(expected.clone()));
        assert_eq!(payload.digest(), &Digest::of(&expected));
        let len = expected.len();
        for offset in [0, 1, 3, 4, 5, 131_072, len - 6, len - 5, len - 4, len - 1, len, len + 1] {
            let rest = &expected[offset.min(len)..];
            let mut read = Vec::new();
            let mut reader = payload.reader_from(offset as u64);
            assert_eq!(reader.remaining(), rest.len() as u64, "{offset}");
            reader.read_to_end(&mut read).unwrap();
            assert!(read == rest, "{offset}");
            let chunks: Vec<Bytes> = payload.chunks_from(offset as u64).map(Result::unwrap).collect();
            assert!(chunks.concat() == rest, "{offset}");
            assert!(chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK));
            assert_eq!(chunks.len(), rest.len().div_ceil(CHUNK), "{offset}");
        }
    }

    #[test]
    fn nothing_is_a_payload_too() {
        for nothing in [Payload::join(Vec::new()).unwrap(), Payload::from(Vec::new())] {
            assert!(nothing.is_empty() && nothing.bytes().unwrap().is_empty());
            assert_eq!(nothing.chunks_from(0).count(), 0);
            assert_eq!(nothing.digest(), &Digest::of(b""));
        }
    }

    #[test]
    fn a_file_that_changed_between_two_reads_is_an_error() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        for (what, change) in [
            ("shorter", &(|path: &Path| std::fs::write(path, "x").unwrap()) as &dyn Fn(&Path)),
            ("longer", &|path| std::fs::write(path, vec![1; 400_000]).unwrap()),
            ("gone", &|path| std::fs::remove_file(path).unwrap()),
            ("a link", &|path| {
                std::fs::rename(path, path.with_extension("real")).unwrap();
                std::os::unix::fs::symlink("f.real", path).unwrap();
            }),
        ] {
            let source = disk(&path, &vec![0; 300_000]);
            let payload = Payload::join(vec![source]).unwrap();
            // A reader that is under way finds out at the latest at the end.
            let mut under_way = payload.chunks_from(0);
            assert!(under_way.next().unwrap().is_ok());
            change(&path);
            if !matches!(what, "gone" | "a link") {
                assert!(under_way.any(|chunk| chunk.is_err()), "{what}");
                assert!(under_way.next().is_none(), "{what}");
            }
            let error = payload.bytes();
            assert!(error.is_err(), "{what}");
            assert!(payload.chunks_from(100).next().unwrap().is_err(), "{what}");
            std::fs::remove_file(&path).or_else(|_| std::fs::write(&path, "")).unwrap();
        }
    }
}
