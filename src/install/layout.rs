//! Puts files in place all together or not at all.

mod home;
mod staged;

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

pub use staged::StagedFile;
use staged::{Placement, hidden};

use super::users::User;

/// What the file system refused, and where.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A call failed.
    #[error("cannot {action} {}: {source}{}", path.display(), hint(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A folder of ours that is something else.
    #[error("{} is in the way and not a folder; remove it from the image", .0.display())]
    NotAFolder(PathBuf),
    /// A file of ours that is a folder.
    #[error("{} is in the way and a folder; remove it from the image", .0.display())]
    IsAFolder(PathBuf),
    /// A file of somebody else's under a name of ours.
    #[error("{} is in the way and does not come from this Feature; remove it from the image", .0.display())]
    Foreign(PathBuf),
    /// A mode that the file system, or the kernel, does not give.
    #[error("{} has the mode {got:o} where {wanted:o} was set; build the image as root on a file system that keeps setuid programs", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// The mode that was set.
        wanted: u32,
        /// The mode that came of it.
        got: u32,
    },
    /// A file that gives rights, and keeps them.
    #[error("cannot take setuid, setgid and capabilities from {}: {source}; remove the file from the image, or build as root", path.display())]
    Rights {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A folder in which others than root could swap what root runs.
    #[error("{} can be changed by others than root (owner {uid}, mode {mode:o}), and what root starts would lie in it; give it to root with mode 755 in the image", path.display())]
    Unsafe {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Its permission bits.
        mode: u32,
    },
}

/// What is prepared below a root and not yet in place.
///
/// Dropping it without [`Stage::commit`] leaves the root as it was.
#[derive(Debug)]
pub struct Stage {
    root: PathBuf,
    /// Folders made here, outermost first.
    made: Vec<PathBuf>,
    /// Folders that are ours alone.
    own: Vec<OwnFolder>,
    /// Files that go nowhere.
    scratch: Vec<PathBuf>,
    /// Prepared files and links, by the place they go to.
    staged: Vec<Placement>,
}

/// A folder whose mode and owner are set in the end.
#[derive(Debug)]
struct OwnFolder {
    path: PathBuf,
    mode: u32,
    /// As it was before.
    before: Metadata,
}

impl Stage {
    /// Prepares below `root`, which exists.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            made: Vec::new(),
            own: Vec::new(),
            scratch: Vec::new(),
            staged: Vec::new(),
        }
    }

    /// Where the image starts.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file for `path`, below the root.
    pub fn file(&mut self, path: &str) -> Result<StagedFile, LayoutError> {
        let (from, to) = self.place(path)?;
        let file = StagedFile::create(from.clone())?;
        self.staged.push(Placement::new(from, to));
        Ok(file)
    }

    /// A file beside `path`, below the root, that is gone in the end.
    pub fn scratch(&mut self, path: &str) -> Result<StagedFile, LayoutError> {
        let (path, _) = self.place(path)?;
        let file = StagedFile::create(path.clone())?;
        self.scratch.push(path);
        Ok(file)
    }

    /// A whole file with these bytes and this mode for `path`, below the root.
    pub fn whole(&mut self, path: &str, bytes: &[u8], mode: u32) -> Result<(), LayoutError> {
        let mut file = self.file(path)?;
        file.write(bytes)?;
        let file = file.finish(mode & 0o777)?;
        if let Some(placement) = self.staged.last_mut().filter(|_| mode & !0o777 != 0) {
            placement.make_special(file, mode);
        }
        Ok(())
    }

    /// A symbolic link to `target` for `path`, below the root.
    pub fn link(&mut self, path: &str, target: &str) -> Result<(), LayoutError> {
        let (from, to) = self.place(path)?;
        symlink(target, &from).map_err(fail("create", &from))?;
        self.staged.push(Placement::new(from.clone(), to));
        if runs_as_root() {
            lchown(&from, Some(0), Some(0)).map_err(fail("give to root", &from))?;
        }
        Ok(())
    }

    /// The same link, where nothing else may be than a former one of ours.
    pub fn link_unless_foreign(&mut self, path: &str, target: &str) -> Result<(), LayoutError> {
        let there = self.root.join(path);
        let foreign = there.symlink_metadata().is_ok()
            && !fs::read_link(&there).is_ok_and(|found| found == Path::new(target));
        if foreign { Err(LayoutError::Foreign(there)) } else { self.link(path, target) }
    }

    /// Makes `path` in the home of `user` a folder of that user's, with this mode, where it is missing.
    pub fn folder_in_home(&mut self, user: &User, path: &str, mode: u32) -> Result<(), LayoutError> {
        home::make(&self.root, user, path, mode, &mut self.made)
    }

    /// Makes the folder `path` below the root one that belongs to this program alone, with this mode.
    pub fn own_folder(&mut self, path: &str, mode: u32) -> Result<(), LayoutError> {
        let path = Path::new(path);
        let parent = self.folder(path.parent().unwrap_or(Path::new("")))?;
        let path = parent.join(path.file_name().unwrap_or_default());
        match DirBuilder::new().mode(0o755).create(&path) {
            Ok(()) => self.made.push(path.clone()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(fail("create", &path)(error)),
        }
        // One of our own that is a link would lead what root runs to wherever it points.
        let found = path.symlink_metadata().map_err(fail("look at", &path))?;
        if !found.is_dir() {
            return Err(LayoutError::NotAFolder(path));
        }
        self.own.push(OwnFolder { path, mode, before: found });
        Ok(())
    }

    /// Puts everything in place, or nothing.
    pub fn commit(mut self) -> Result<(), LayoutError> {
        for OwnFolder { path, mode, .. } in &self.own {
            if runs_as_root() {
                lchown(path, Some(0), Some(0)).map_err(fail("give to root", path))?;
            }
            fs::set_permissions(path, Permissions::from_mode(*mode))
                .map_err(fail("set the mode of", path))?;
        }
        for placement in &mut self.staged {
            placement.keep_old()?;
        }
        for placement in &mut self.staged {
            placement.put()?;
        }
        self.staged.drain(..).for_each(Placement::forget_old);
        self.own.clear();
        self.made.clear();
        Ok(())
    }

    /// The temporary and the final path for `path`, whose folder exists afterwards.
    fn place(&mut self, path: &str) -> Result<(PathBuf, PathBuf), LayoutError> {
        let path = Path::new(path);
        let folder = self.folder(path.parent().unwrap_or(Path::new("")))?;
        let name = path.file_name().unwrap_or_default();
        let to = folder.join(name);
        if to.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Err(LayoutError::IsAFolder(to));
        }
        let number = self.staged.len() + self.scratch.len();
        Ok((folder.join(hidden(name, &format!("new-{number}"))), to))
    }

    /// Makes sure that the folder `path` below the root exists and is safe to put root's programs in.
    fn folder(&mut self, path: &Path) -> Result<PathBuf, LayoutError> {
        let mut here = self.root.clone();
        for part in path {
            here.push(part);
            match DirBuilder::new().mode(0o755).create(&here) {
                Ok(()) => {
                    self.made.push(here.clone());
                    // The umask may have taken from the mode.
                    fs::set_permissions(&here, Permissions::from_mode(0o755))
                        .map_err(fail("set the mode of", &here))?;
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_folder(&here)?,
                Err(error) => return Err(fail("create", &here)(error)),
            }
        }
        Ok(here)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Each step is best effort: the error that led here is the one to report.
        for placement in self.staged.drain(..).rev() {
            placement.undo();
        }
        for path in self.scratch.drain(..) {
            let _ = fs::remove_file(path);
        }
        for OwnFolder { path, before, .. } in self.own.drain(..).rev() {
            if runs_as_root() {
                let _ = lchown(&path, Some(before.uid()), Some(before.gid()));
            }
            let _ = fs::set_permissions(&path, before.permissions());
        }
        for path in self.made.drain(..).rev() {
            let _ = fs::remove_dir(path);
        }
    }
}

fn check_folder(path: &Path) -> Result<(), LayoutError> {
    let found = path.metadata().map_err(fail("look at", path))?;
    if !found.is_dir() {
        return Err(LayoutError::NotAFolder(path.to_owned()));
    }
    let (uid, mode) = (found.uid(), found.mode() & 0o7777);
    if runs_as_root() && (uid != 0 || mode & 0o002 != 0) {
        return Err(LayoutError::Unsafe { path: path.to_owned(), uid, mode });
    }
    Ok(())
}

fn runs_as_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn fail(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LayoutError {
    let path = path.to_owned();
    move |source| LayoutError::Io { action, path, source }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; Claude Code needs up to 600 MB while it is installed: free space for the build"
        }
        io::ErrorKind::PermissionDenied => "; run the installer as root",
        io::ErrorKind::ReadOnlyFilesystem => "; the image must be writable while it is built",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(root: &Path) -> Vec<String> {
        let mut names = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                }
                names.push(entry.path().strip_prefix(root).unwrap().display().to_string());
            }
        }
        names.sort();
        names
    }

    #[test]
    fn all_or_nothing() {
        let root = tempfile::tempdir().unwrap();
        let prepare = || {
            let mut stage = Stage::new(root.path());
            stage.own_folder("etc/ours", 0o755).unwrap();
            stage.own_folder("open", 0o1777).unwrap();
            stage.whole("etc/ours/special", b"new", 0o6755).unwrap();
            stage.whole("etc/ours/file", b"new", 0o640).unwrap();
            stage.scratch("etc/ours/file").unwrap().write(b"scratch").unwrap();
            stage.link("bin/link", "../etc/ours/file").unwrap();
            stage
        };
        drop(prepare());
        assert!(listing(root.path()).is_empty());
        prepare().commit().unwrap();
        let want = ["bin", "bin/link", "etc", "etc/ours", "etc/ours/file", "etc/ours/special", "open"];
        assert_eq!(listing(root.path()), want);
        assert_eq!(fs::read(root.path().join("bin/link")).unwrap(), b"new");
        for (path, want) in [("etc/ours/file", 0o640), ("etc/ours/special", 0o6755), ("open", 0o1777)] {
            let mode = root.path().join(path).metadata().unwrap().mode();
            assert_eq!(mode & 0o7777, want, "{path}");
        }
        // What is special is so in its place and nowhere else.
        let stage = prepare();
        let prepared = fs::read_dir(root.path().join("etc/ours")).unwrap().map(|entry| entry.unwrap().path());
        let special: Vec<_> =
            prepared.filter(|path| path.symlink_metadata().unwrap().mode() & 0o6000 != 0).collect();
        assert_eq!(special, [root.path().join("etc/ours/special")]);
        drop(stage);
        assert_eq!(listing(root.path()), want);
        prepare().commit().unwrap();
        assert_eq!(listing(root.path()), want);
    }

    #[test]
    fn a_failed_commit_brings_the_old_files_back() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir(path("bin")).unwrap();
        fs::write(path("bin/first"), b"old").unwrap();
        symlink("somewhere", path("bin/second")).unwrap();
        let mut stage = Stage::new(root.path());
        stage.whole("bin/first", b"new", 0o755).unwrap();
        stage.link("bin/second", "first").unwrap();
        stage.whole("bin/third", b"new", 0o755).unwrap();
        stage.whole("bin/fourth", b"new", 0o755).unwrap();
        fs::create_dir(path("own")).unwrap();
        fs::set_permissions(path("own"), Permissions::from_mode(0o701)).unwrap();
        stage.own_folder("own", 0o1777).unwrap();
        // Renaming a file onto a folder fails, after the others were placed.
        fs::create_dir(path("bin/fourth")).unwrap();
        assert!(stage.commit().is_err());
        assert_eq!(path("own").metadata().unwrap().mode() & 0o7777, 0o701);
        assert_eq!(fs::read(path("bin/first")).unwrap(), b"old");
        assert_eq!(fs::read_link(path("bin/second")).unwrap(), Path::new("somewhere"));
        assert_eq!(listing(root.path()), ["bin", "bin/first", "bin/fourth", "bin/second", "own"]);
    }

    #[test]
    fn what_is_in_the_way() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("bin/claude")).unwrap();
        fs::write(path("etc"), b"").unwrap();
        fs::create_dir(path("elsewhere")).unwrap();
        symlink("elsewhere", path("ours")).unwrap();
        fs::write(path("bin/sudo"), b"theirs").unwrap();
        symlink("theirs", path("bin/sudo2")).unwrap();
        symlink("x", path("bin/sudo3")).unwrap();
        let before = listing(root.path());
        let mut stage = Stage::new(root.path());
        for (got, part) in [
            (stage.link("bin/claude", "x"), "and a folder"),
            (stage.whole("etc/file", b"", 0o644), "not a folder"),
            (stage.own_folder("ours", 0o755), "not a folder"),
            (stage.own_folder("bin/sudo", 0o755), "not a folder"),
            (stage.link_unless_foreign("bin/sudo", "x"), "does not come from this Feature"),
            (stage.link_unless_foreign("bin/sudo2", "x"), "does not come from this Feature"),
            (stage.link_unless_foreign("bin/claude", "x"), "does not come from this Feature"),
        ] {
            let error = got.unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        stage.link_unless_foreign("bin/sudo3", "x").unwrap();
        stage.link_unless_foreign("bin/sudo4", "x").unwrap();
        drop(stage);
        assert_eq!(listing(root.path()), before);
    }

    #[test]
    fn a_folder_that_others_can_change() {
        if !runs_as_root() {
            eprintln!("skipped: only root refuses other people's folders");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        for (name, uid, mode) in [("open", 0, 0o1777), ("theirs", 1000, 0o755)] {
            let path = root.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            lchown(&path, Some(uid), Some(uid)).unwrap();
            let error = Stage::new(root.path()).file(&format!("{name}/x")).unwrap_err();
            assert!(matches!(error, LayoutError::Unsafe { .. }), "{error}");
        }
    }
}
