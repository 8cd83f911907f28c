//! Files in the private home, which the agent writes: no link there is followed, no pipe waited for.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, open, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::MAX_FILE;

/// The private home.
pub(super) struct Store {
    home: OwnedFd,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Store {
    pub(super) fn open(home: &Path) -> io::Result<Self> {
        Ok(Self { home: open(home, FOLDER, Mode::empty())? })
    }

    /// A file, if there is one.
    pub(super) fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let found = self.folder_of(path, false).and_then(|(folder, name)| {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            Ok(File::from(openat(&folder, name, flags, Mode::empty())?))
        });
        let file = match found {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let mut content = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut content)?;
        Ok(Some(content))
    }

    /// Makes a file where there is nothing yet.
    pub(super) fn create(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let (folder, name) = self.folder_of(path, true)?;
        match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => replace(&folder, name, content),
            result => Ok(result.map(|_| ())?),
        }
    }

    /// Puts a file in the place of whatever has its name.
    pub(super) fn write(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let (folder, name) = self.folder_of(path, true)?;
        replace(&folder, name, content)
    }

    pub(super) fn remove(&self, path: &str) -> io::Result<()> {
        let (folder, name) = self.folder_of(path, false)?;
        Ok(unlinkat(&folder, name, AtFlags::empty())?)
    }

    fn folder_of<'a>(&self, path: &'a str, make: bool) -> io::Result<(OwnedFd, &'a str)> {
        let mut folder = self.home.try_clone()?;
        let mut rest = path;
        while let Some((first, more)) = rest.split_once('/') {
            if make {
                match mkdirat(&folder, first, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            folder = openat(&folder, first, FOLDER, Mode::empty())?;
            rest = more;
        }
        Ok((folder, rest))
    }
}

/// In one step, so that two starts at once do no harm.
fn replace(folder: impl AsFd, name: &str, content: &[u8]) -> io::Result<()> {
    let beside = format!("{name}.{}.new", std::process::id());
    let _ = unlinkat(&folder, &beside, AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(&folder, &beside, flags, Mode::RUSR | Mode::WUSR)?);
    let written = file.write_all(content).and_then(|()| Ok(renameat(&folder, &beside, &folder, name)?));
    if written.is_err() {
        let _ = unlinkat(&folder, &beside, AtFlags::empty());
    }
    written
}
