//! Folders that are this user's alone, where anybody may make some.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fchmod, fstat, mkdirat, openat};
use rustix::io::Errno;

/// Why a folder is not used.
#[derive(Debug, thiserror::Error)]
pub enum OwnFolderError {
    /// Who made it can replace what is put there.
    #[error("{path} belongs to uid {uid}, who could replace what is put there: remove it as root", path = path.display())]
    Foreign {
        /// Where.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// A file, or a symbolic link, wherever that leads.
    #[error("{path} is no folder: remove it", path = path.display())]
    NotAFolder {
        /// Where.
        path: PathBuf,
    },
    /// The kernel says no.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

/// Makes the folder where there is none, and opens it. It is this user's and nobody else may look into it.
pub fn make(path: &Path) -> Result<OwnedFd, OwnFolderError> {
    make_at(CWD, path.as_os_str(), path)
}

/// The same for a folder in one that is open already.
pub fn make_in(parent: impl AsFd, name: &OsStr, path: &Path) -> Result<OwnedFd, OwnFolderError> {
    make_at(parent, name, path)
}

fn make_at(parent: impl AsFd, name: &OsStr, path: &Path) -> Result<OwnedFd, OwnFolderError> {
    let failed = |error: Errno| OwnFolderError::Io { path: path.to_owned(), source: error.into() };
    match mkdirat(&parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(failed(error)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match openat(&parent, name, flags, Mode::empty()) {
        Ok(folder) => folder,
        Err(Errno::NOTDIR | Errno::LOOP) => {
            return Err(OwnFolderError::NotAFolder { path: path.to_owned() });
        }
        Err(error) => return Err(failed(error)),
    };
    let found = fstat(&folder).map_err(failed)?;
    if found.st_uid != rustix::process::geteuid().as_raw() {
        return Err(OwnFolderError::Foreign { path: path.to_owned(), uid: found.st_uid });
    }
    if found.st_mode & 0o777 != 0o700 {
        fchmod(&folder, Mode::RWXU).map_err(failed)?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn made_once_and_shut_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        make(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let open = make(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        make_in(&open, OsStr::new("y"), &path.join("y")).unwrap();
        assert!(path.join("y").is_dir());
    }

    #[test]
    fn a_link_is_not_followed_and_a_file_is_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        symlink(folder.path(), &path).unwrap();
        assert!(matches!(make(&path), Err(OwnFolderError::NotAFolder { .. })));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(matches!(make(&path), Err(OwnFolderError::NotAFolder { .. })));
        let error = make(&path.join("y")).unwrap_err().to_string();
        assert!(error.contains("x/y: "), "{error}");
    }

    #[test]
    fn a_folder_of_somebody_elses_is_refused() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: this test gives a folder to somebody else: run it with sudo");
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(folder.path(), Some(33), None).unwrap();
        let error = make(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("belongs to uid 33, who could replace what is put there: remove it as root"));
    }
}
