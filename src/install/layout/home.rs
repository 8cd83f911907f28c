//! Folders in a user's home, made without being led astray by what the user put there.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, open, openat, unlinkat};
use rustix::io::Errno;

use super::{LayoutError, fail, runs_as_root};
use crate::install::users::User;

/// Opens a folder, and no link to one.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Makes `path` in the home of `user` below `root`, with every missing folder on the way; the last one has
/// `mode`. What was made is added to `new_folders`.
///
/// A home that is missing, foreign or behind a link is left alone, and so is anything in it that is in the way:
/// these folders are a convenience, and whoever put something else there wants it so.
pub(super) fn make(
    root: &Path,
    user: &User,
    path: &str,
    mode: u32,
    new_folders: &mut Vec<PathBuf>,
) -> Result<(), LayoutError> {
    let mut here = root.to_owned();
    let Ok(mut folder) = open(root, FOLDER.difference(OFlags::NOFOLLOW), Mode::empty()).map(File::from)
    else {
        return Ok(());
    };
    for part in Path::new(&user.home).components() {
        let part = match part {
            Component::Normal(part) => part,
            Component::RootDir | Component::CurDir => continue,
            Component::ParentDir | Component::Prefix(_) => return Ok(()),
        };
        here.push(part);
        let Ok(next) = openat(&folder, part, FOLDER, Mode::empty()) else { return Ok(()) };
        folder = next.into();
    }
    let owner = folder.metadata().map_err(fail("look at", &here))?.uid();
    if here == root || ![0, user.uid].contains(&owner) {
        return Ok(());
    }
    let parts: Vec<_> = Path::new(path).iter().collect();
    for (number, part) in parts.iter().enumerate() {
        here.push(part);
        let mode = if number + 1 == parts.len() { mode } else { 0o755 };
        match step(&folder, part, user, mode) {
            Ok(Some((next, new))) => {
                if new {
                    new_folders.push(here.clone());
                }
                folder = next;
            }
            Ok(None) => return Ok(()),
            Err(error) => return Err(fail("create", &here)(error)),
        }
    }
    Ok(())
}

/// The folder `name` in `folder` and whether it is new; `None` where something else is there.
fn step(folder: &File, name: &OsStr, user: &User, mode: u32) -> io::Result<Option<(File, bool)>> {
    let new = match mkdirat(folder, name, Mode::from_raw_mode(0o700)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error.into()),
    };
    let next: File = match openat(folder, name, FOLDER, Mode::empty()) {
        Ok(next) => next.into(),
        // A link is either of the two.
        Err(Errno::LOOP | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if new && let Err(error) = give(&next, user, mode) {
        let _ = unlinkat(folder, name, AtFlags::REMOVEDIR);
        return Err(error);
    }
    Ok(Some((next, new)))
}

fn give(folder: &File, user: &User, mode: u32) -> io::Result<()> {
    folder.set_permissions(Permissions::from_mode(mode))?;
    if runs_as_root() { fchown(folder, Some(user.uid), Some(user.gid)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn user(home: &str) -> User {
        User {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            home: home.into(),
        }
    }

    #[test]
    fn only_what_is_missing_and_in_the_home() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("home/me")).unwrap();
        fs::create_dir(path("elsewhere")).unwrap();
        let make = |home: &str, folder: &str| {
            let mut made = Vec::new();
            make(root.path(), &user(home), folder, 0o700, &mut made).unwrap();
            made.iter()
                .map(|path| path.strip_prefix(root.path()).unwrap().display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            make("/home/me", ".local/share/claude"),
            ["home/me/.local", "home/me/.local/share", "home/me/.local/share/claude"]
        );
        for (name, want) in [(".local/share", 0o755), (".local/share/claude", 0o700)] {
            let mode = fs::metadata(path("home/me").join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, want, "{name}");
        }
        assert!(make("/home/me", ".local/share/claude").is_empty());
        assert_eq!(make("/home/me/", ".claude"), ["home/me/.claude"]);

        // What is in the way stays; nothing is made behind a link.
        symlink("../../elsewhere", path("home/me/link")).unwrap();
        fs::write(path("home/me/file"), "").unwrap();
        symlink("me", path("home/linked")).unwrap();
        for (home, folder) in [
            ("/home/me", "link"),
            ("/home/me", "link/below"),
            ("/home/me", "file/below"),
            ("/home/linked", "x"),
            ("/home/nobody", "x"),
            ("/", "x"),
        ] {
            assert!(make(home, folder).is_empty(), "{home} {folder}");
        }
        assert_eq!(fs::read_dir(path("elsewhere")).unwrap().count(), 0);
        // Dots lead nowhere.
        assert!(make("/home/../elsewhere", "x").is_empty());
    }

    #[test]
    fn somebody_elses_home() {
        if !runs_as_root() {
            eprintln!("skipped: only root makes folders in other people's homes");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("home");
        fs::create_dir(&home).unwrap();
        for (owner, uid, makes) in [(0, 1000, true), (1000, 1000, true), (1000, 1001, false)] {
            std::os::unix::fs::chown(&home, Some(owner), Some(owner)).unwrap();
            let mut made = Vec::new();
            let user = User { uid, gid: 1005, home: "/home".to_owned() };
            make(root.path(), &user, ".claude", 0o700, &mut made).unwrap();
            assert_eq!(made.is_empty(), !makes, "{owner} {uid}");
            for path in made {
                let found = path.metadata().unwrap();
                assert_eq!((found.uid(), found.gid()), (uid, 1005));
                fs::remove_dir(path).unwrap();
            }
        }
    }
}
