//! One file that is prepared beside its place, and goes there or vanishes.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::PathBuf;

use super::{LayoutError, fail, runs_as_root};

/// A prepared file or link, and the place it goes to.
#[derive(Debug)]
pub(super) struct Placement {
    from: PathBuf,
    to: PathBuf,
    /// A second name for what was at `to`, so that it can come back.
    backup: Option<PathBuf>,
    placed: bool,
    /// The file and its mode, where that gives rights which no other name than the final one must give.
    special: Option<(File, u32)>,
}

/// A file of a [`Stage`](super::Stage) that is being written.
#[derive(Debug)]
pub struct StagedFile {
    file: File,
    path: PathBuf,
}

impl Placement {
    /// What lies ready at `from` is to go to `to`.
    pub(super) fn new(from: PathBuf, to: PathBuf) -> Self {
        Self { from, to, backup: None, placed: false, special: None }
    }

    /// The same for a complete `file`, which is to get a mode such as setuid in its place.
    pub(super) fn make_special(&mut self, file: File, mode: u32) {
        self.special = Some((file, mode));
    }

    /// Keeps what is there now.
    pub(super) fn keep_old(&mut self) -> Result<(), LayoutError> {
        let name = self.to.file_name().unwrap_or_default();
        let backup = self.to.with_file_name(hidden(name, "old"));
        match fs::hard_link(&self.to, &backup) {
            Ok(()) => {
                self.backup = Some(backup);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(fail("keep a copy of", &self.to)(error)),
        }
    }

    /// Replaces what is there now.
    pub(super) fn put(&mut self) -> Result<(), LayoutError> {
        fs::rename(&self.from, &self.to).map_err(fail("put in place", &self.to))?;
        self.placed = true;
        let Some((file, mode)) = &self.special else { return Ok(()) };
        file.set_permissions(Permissions::from_mode(*mode)).map_err(fail("set the mode of", &self.to))?;
        // The kernel leaves such bits out without a word where the caller may not set them.
        let got = file.metadata().map_err(fail("look at", &self.to))?.permissions().mode() & 0o7777;
        if got == *mode {
            Ok(())
        } else {
            Err(LayoutError::Mode { path: self.to.clone(), wanted: *mode, got })
        }
    }

    /// Removes the second name; all is in place, so one that stays behind harms nobody.
    pub(super) fn forget_old(self) {
        if let Some(path) = self.backup {
            let _ = fs::remove_file(path);
        }
    }

    /// Everything as it was before.
    pub(super) fn undo(&self) {
        let _ = match (&self.backup, self.placed) {
            (Some(backup), true) => fs::rename(backup, &self.to),
            (Some(backup), false) => fs::remove_file(backup),
            (None, true) => fs::remove_file(&self.to),
            (None, false) => Ok(()),
        };
        let _ = fs::remove_file(&self.from);
    }
}

impl StagedFile {
    /// Creates `path`, where nothing may be.
    pub(super) fn create(path: PathBuf) -> Result<Self, LayoutError> {
        let mut options = OpenOptions::new();
        // Exclusive creation follows no link, and nobody else opens the file before it is complete.
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(&path).map_err(fail("create", &path))?;
        Ok(Self { file, path })
    }

    /// Appends.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), LayoutError> {
        self.file.write_all(bytes).map_err(fail("write", &self.path))
    }

    /// From the start again, to be read.
    pub fn reread(&mut self) -> Result<&mut File, LayoutError> {
        self.file.rewind().map_err(fail("read", &self.path))?;
        Ok(&mut self.file)
    }

    /// What it starts with, `length` bytes where it has as many.
    pub fn head(&mut self, length: u64) -> Result<Vec<u8>, LayoutError> {
        let mut head = Vec::new();
        self.reread()?.take(length).read_to_end(&mut head).map_err(fail("read", &self.path))?;
        Ok(head)
    }

    /// On the disk, root's, with exactly this mode.
    pub fn finish(self, mode: u32) -> Result<File, LayoutError> {
        if runs_as_root() {
            fchown(&self.file, Some(0), Some(0)).map_err(fail("give to root", &self.path))?;
        }
        self.file
            .set_permissions(Permissions::from_mode(mode))
            .map_err(fail("set the mode of", &self.path))?;
        self.file.sync_all().map_err(fail("write", &self.path))?;
        Ok(self.file)
    }
}

/// The name beside `name` under which something is prepared or kept.
pub(super) fn hidden(name: &OsStr, suffix: &str) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}-{suffix}", std::process::id()));
    hidden
}
