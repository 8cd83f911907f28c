//! A regular file that is read later, and more than once, and must stay what it was.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::feature::problem::shown;

/// A file on disk, with what tells whether it changed since it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFile {
    path: PathBuf,
    len: u64,
    executable: bool,
    identity: Identity,
}

/// Another file, or other content, has another one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refuses.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A link, a folder, a device, a pipe, a socket.
    #[error("not a regular file; put the file itself here")]
    NotAFile,
}

/// The file is not what it was when it was looked at.
#[derive(Debug, thiserror::Error)]
#[error("{} changed while it was read; run the command again when nothing writes there", shown(.0))]
struct Changed(PathBuf);

impl DiskFile {
    /// Looks at a file, and proves that it can be read.
    pub fn look(path: &Path) -> Result<Self, FileError> {
        // A device may act on being opened, so it is not opened to find out.
        if !path.symlink_metadata()?.is_file() {
            return Err(FileError::NotAFile);
        }
        let metadata = open(path)?.metadata()?;
        if !metadata.is_file() {
            return Err(FileError::NotAFile);
        }
        Ok(Self {
            path: path.to_owned(),
            len: metadata.len(),
            executable: metadata.mode() & 0o100 != 0,
            identity: Identity::of(&metadata),
        })
    }

    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether its owner may execute it.
    pub fn executable(&self) -> bool {
        self.executable
    }

    /// Opens it, unless it has changed.
    pub fn open(&self) -> io::Result<File> {
        let file = open(&self.path)?;
        self.check(&file)?;
        Ok(file)
    }

    /// Fails where an opened file is no longer what was looked at.
    pub fn check(&self, file: &File) -> io::Result<()> {
        let metadata = file.metadata()?;
        if Identity::of(&metadata) == self.identity && metadata.len() == self.len {
            return Ok(());
        }
        Err(self.changed())
    }

    /// The error for a file that ends too early or goes on.
    pub fn changed(&self) -> io::Error {
        io::Error::other(Changed(self.path.clone()))
    }
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Even if it is exchanged meanwhile, nothing waits for a pipe's writer or follows a link.
fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_what_it_was_is_not_read() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        std::fs::write(&path, "one").unwrap();
        let seen = DiskFile::look(&path).unwrap();
        assert_eq!((seen.len(), seen.executable()), (3, false));
        let opened = seen.open().unwrap();
        seen.check(&opened).unwrap();
        // Another file of the same size and time in its place.
        let other = temp.path().join("other");
        std::fs::write(&other, "two").unwrap();
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
        std::fs::rename(&other, &path).unwrap();
        let error = seen.open().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{} changed while", path.display())), "{error}");
        // Longer than it was.
        let seen = DiskFile::look(&path).unwrap();
        let opened = seen.open().unwrap();
        std::fs::write(&path, "three").unwrap();
        assert!(seen.check(&opened).is_err());
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let temp = tempfile::tempdir().unwrap();
        let link = temp.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [&link, temp.path(), Path::new("/dev/null")] {
            assert!(matches!(DiskFile::look(path), Err(FileError::NotAFile)), "{}", path.display());
        }
        assert!(matches!(DiskFile::look(&temp.path().join("none")), Err(FileError::Io(_))));
    }
}
