//! Walks over a file system, one mount of it, without ever following what somebody put in the way.
//!
//! Root walks here through folders that users own, while they move things about. So a folder is opened from the
//! folder above it and never by its path, no link is followed, and a file is judged once it is held open.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Statx, StatxAttributes, StatxFlags, lgetxattr, openat, statx,
};
use rustix::io::{self, Errno};

use super::{CAPABILITY, CAPABILITY_LENGTH, Found, SETGID, SETUID, of_open};

/// Opens a folder, and no link to one.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Folders inside each other that are looked into. Each is held open meanwhile, and users can nest thousands; an image
/// comes nowhere near it.
const DEEPEST: usize = 64;
/// Paths that are kept to be told.
const MOST_TOLD: usize = 64;

/// The walk could not begin.
#[derive(Debug, thiserror::Error)]
#[error("cannot look into {}: {source}", path.display())]
pub struct WalkError {
    /// Where.
    pub path: PathBuf,
    /// What the kernel said.
    pub source: std::io::Error,
}

/// What was not looked at.
#[derive(Debug, Default)]
pub struct Unseen {
    /// Folders that could not be read, the first ones, and why.
    pub folders: Vec<WalkError>,
    /// As many more.
    pub other_folders: u64,
    /// Other mounts, the first ones.
    pub mounts: Vec<PathBuf>,
}

/// Hands `visit` every regular file below `root` that gives rights, but for the file at `launcher`, under whatever
/// name that is found.
pub fn walk(root: &Path, launcher: &Path, visit: impl FnMut(Found)) -> Result<Unseen, WalkError> {
    let fail = |source: Errno| WalkError { path: root.to_owned(), source: source.into() };
    let top = openat(CWD, root, FOLDER.difference(OFlags::NOFOLLOW), Mode::empty()).map_err(fail)?;
    let device = device_of(&look_at(&top).map_err(fail)?);
    let launcher = statx(CWD, launcher, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::INO);
    let launcher = launcher.ok().map(|found| identity(&found));
    let mut walker = Walker { device, launcher, visit, unseen: Unseen::default() };
    walker.folder(top, root, 1);
    Ok(walker.unseen)
}

struct Walker<V> {
    device: (u32, u32),
    launcher: Option<((u32, u32), u64)>,
    visit: V,
    unseen: Unseen,
}

impl<V: FnMut(Found)> Walker<V> {
    fn folder(&mut self, folder: OwnedFd, path: &Path, depth: usize) {
        let mut entries = match Dir::new(folder) {
            Ok(entries) => entries,
            Err(error) => return self.cannot(path.to_owned(), error),
        };
        while let Some(entry) = entries.read() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.cannot(path.to_owned(), error),
            };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Ok(folder) = entries.fd() else { return };
            let kind = match entry.file_type() {
                FileType::Unknown => kind_of(folder, name),
                kind => kind,
            };
            let path = || path.join(OsStr::from_bytes(name.to_bytes()));
            let seen = match kind {
                FileType::Directory => self.enter(folder, name, path(), depth),
                FileType::RegularFile => self.file(folder, name, path),
                _ => Ok(()),
            };
            match seen {
                // Gone, or something else by now.
                Ok(()) | Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => {}
                Err(error) => self.cannot(path(), error),
            }
        }
    }

    fn enter(&mut self, parent: BorrowedFd<'_>, name: &CStr, path: PathBuf, depth: usize) -> io::Result<()> {
        if depth == DEEPEST {
            return Err(Errno::NAMETOOLONG);
        }
        let folder = openat(parent, name, FOLDER, Mode::empty())?;
        let found = look_at(&folder)?;
        // Kernels before 5.8 do not say; there only a mount of the same device is taken for a part of this one.
        if is_mount_point(&found).unwrap_or_else(|| device_of(&found) != self.device) {
            if self.unseen.mounts.len() < MOST_TOLD {
                self.unseen.mounts.push(path);
            }
            return Ok(());
        }
        self.folder(folder, &path, depth + 1);
        Ok(())
    }

    fn file(&mut self, folder: BorrowedFd<'_>, name: &CStr, path: impl Fn() -> PathBuf) -> io::Result<()> {
        // Most files give nothing: two questions by name sort them out, and the rest is asked of the open file.
        let wanted = StatxFlags::MODE | StatxFlags::UID | StatxFlags::INO;
        let found = statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, wanted)?;
        let mode = u32::from(found.stx_mode);
        if mode & (SETUID | SETGID) == 0 {
            // What nobody may run, and root alone could change that: half a million files are not asked.
            let never_runs = mode & 0o111 == 0 && found.stx_uid == 0;
            if never_runs || !has_capability(folder, name) {
                return Ok(());
            }
        }
        if Some(identity(&found)) == self.launcher {
            return Ok(());
        }
        let file = openat(folder, name, FILE, Mode::empty())?;
        if let Some(gives) = of_open(&file)?.filter(|gives| !gives.is_nothing()) {
            (self.visit)(Found { path: path(), gives, file });
        }
        Ok(())
    }

    fn cannot(&mut self, path: PathBuf, error: Errno) {
        if self.unseen.folders.len() < MOST_TOLD {
            self.unseen.folders.push(WalkError { path, source: error.into() });
        } else {
            self.unseen.other_folders += 1;
        }
    }
}

/// Asked by name, since the kernel does not answer for a file that is open with `O_PATH`.
fn has_capability(folder: BorrowedFd<'_>, name: &CStr) -> bool {
    let mut path = format!("/proc/self/fd/{}/", folder.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    let mut value = [0; CAPABILITY_LENGTH];
    matches!(lgetxattr(path, CAPABILITY, &mut value), Ok(_) | Err(Errno::RANGE))
}

fn kind_of(folder: BorrowedFd<'_>, name: &CStr) -> FileType {
    let found = statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE);
    found.map_or(FileType::Unknown, |found| FileType::from_raw_mode(found.stx_mode.into()))
}

fn look_at(file: &OwnedFd) -> io::Result<Statx> {
    statx(file.as_fd(), "", AtFlags::EMPTY_PATH, StatxFlags::TYPE | StatxFlags::INO)
}

/// Whether something is mounted there; kernels before 5.8 do not say.
pub(super) fn is_mount_point(found: &Statx) -> Option<bool> {
    let root = StatxAttributes::MOUNT_ROOT;
    found.stx_attributes_mask.contains(root).then(|| found.stx_attributes.contains(root))
}

pub(super) fn is_regular(mode: u16) -> bool {
    FileType::from_raw_mode(mode.into()) == FileType::RegularFile
}

fn device_of(found: &Statx) -> (u32, u32) {
    (found.stx_dev_major, found.stx_dev_minor)
}

fn identity(found: &Statx) -> ((u32, u32), u64) {
    (device_of(found), found.stx_ino)
}
