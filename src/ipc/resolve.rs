//! From a caller's path to one file, held, and its real path.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::caller::Caller;
use super::rules::SocketRules;

/// A file that stays the same one whatever happens to its names.
#[derive(Debug)]
pub(super) struct Pinned {
    file: OwnedFd,
    /// How many names it had, and what it is.
    names: u64,
    kind: FileType,
    /// Where it was when it was pinned.
    pub(super) real: PathBuf,
}

impl Pinned {
    fn new(file: OwnedFd) -> Result<Self, Errno> {
        // In this order a second name shows unless it is being removed this very moment: the kernel counts names down
        // before it forgets the one that goes. So this is a second line only. The first is that the cell cannot give a
        // file of others a name in its places (Landlock), or else that who listens must be one of the cell.
        let about = rustix::fs::fstat(&file)?;
        let real = rustix::fs::readlink(own_path(file.as_fd()), Vec::new())?;
        let real = PathBuf::from(std::ffi::OsString::from_vec(real.into_bytes()));
        let kind = FileType::from_raw_mode(about.st_mode);
        #[allow(clippy::useless_conversion, reason = "it is shorter on some architectures")]
        Ok(Self { file, names: about.st_nlink.into(), kind, real })
    }

    /// Whether it is a socket whose real path is its only one.
    pub(super) fn is_only_name(&self) -> bool {
        self.names == 1
    }

    pub(super) fn is_socket(&self) -> bool {
        self.kind == FileType::Socket
    }

    /// By this path we get at the very file.
    pub(super) fn own_path(&self) -> String {
        own_path(self.file.as_fd())
    }
}

impl AsFd for Pinned {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn own_path(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Where a caller's paths start.
#[derive(Debug)]
pub(super) struct Start(Option<OwnedFd>);

impl Start {
    /// For this path. The root is the same for all of us: changing it takes a right that nobody here has.
    pub(super) fn of(caller: Caller, path: &[u8]) -> Result<Self, Errno> {
        Ok(Self(if path.starts_with(b"/") { None } else { Some(caller.folder()?) }))
    }

    /// The folder that a relative path starts from.
    pub(super) fn into_folder(self) -> Option<OwnedFd> {
        self.0
    }

    /// Pins what is at a path.
    pub(super) fn pin(&self, path: &[u8]) -> Result<Pinned, Errno> {
        Pinned::new(self.open(path, OFlags::PATH | OFlags::CLOEXEC)?)
    }

    /// Pins a folder.
    pub(super) fn pin_folder(&self, path: &[u8]) -> Result<Pinned, Errno> {
        Pinned::new(self.open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC)?)
    }

    fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let from = self.0.as_ref().map_or(CWD, |folder| folder.as_fd());
        // What `/proc/self` and the like lead to is ours, not the caller's.
        let resolve = ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(from, path, flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM) if is_in_proc(path) => Err(Errno::ACCESS),
            // A profile of containers that does not know the call. Links into /proc are followed then; what is decided
            // on is the real path of what they lead to.
            Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(from, path, flags, Mode::empty()),
            Err(Errno::LOOP) => Err(Errno::ACCESS),
            result => result,
        }
    }

    /// What to tell of a path that could not be opened: what the kernel says if it would be in a folder whose content
    /// the cell may know, and no more than that it is closed elsewhere.
    pub(super) fn tell(&self, path: &[u8], error: Errno, rules: &SocketRules) -> Errno {
        if matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOMEM) {
            return error;
        }
        if rules.may_know(Path::new(OsStr::from_bytes(path))) && !has_dots(path) && error == Errno::NOENT {
            // A listed socket that is not there yet, or something in a folder that does not exist yet.
            return error;
        }
        let mut ancestor = path;
        while let Some((folder, _)) = split(ancestor) {
            if let Ok(pinned) = self.pin_folder(folder) {
                return if rules.may_know(&pinned.real) { error } else { Errno::ACCESS };
            }
            if folder == ancestor || folder == b"/" || folder == b"." {
                break;
            }
            ancestor = folder.trim_ascii_end_of(b'/');
        }
        Errno::ACCESS
    }
}

trait TrimEnd {
    fn trim_ascii_end_of(&self, sign: u8) -> &Self;
}

impl TrimEnd for [u8] {
    fn trim_ascii_end_of(&self, sign: u8) -> &Self {
        let end =
            self.iter().rposition(|byte| *byte != sign).map_or(usize::from(!self.is_empty()), |at| at + 1);
        &self[..end]
    }
}

/// A path's folder and last name; `None` where it does not end in a name.
pub(super) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let (folder, name) = match path.iter().rposition(|byte| *byte == b'/') {
        None => (&b"."[..], path),
        Some(0) => (&b"/"[..], &path[1..]),
        Some(at) => (&path[..at], &path[at + 1..]),
    };
    if name.is_empty() { None } else { Some((folder, name)) }
}

fn is_in_proc(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|part| part == b"proc") || path.starts_with(b"/dev/fd")
}

fn has_dots(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|part| matches!(part, b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_split() {
        type Split<'a> = Option<(&'a [u8], &'a [u8])>;
        let table: [(&[u8], Split<'_>); 8] = [
            (b"/a/b", Some((b"/a", b"b"))),
            (b"/a", Some((b"/", b"a"))),
            (b"a", Some((b".", b"a"))),
            (b"a/b", Some((b"a", b"b"))),
            (b"//a", Some((b"/", b"a"))),
            (b"a/", None),
            (b"/", None),
            (b"a/..", Some((b"a", b".."))),
        ];
        for (path, expected) in table {
            assert_eq!(split(path), expected, "{path:?}");
        }
        assert_eq!(b"/a//".trim_ascii_end_of(b'/'), b"/a");
        assert_eq!(b"//".trim_ascii_end_of(b'/'), b"/");
        assert_eq!(b"".trim_ascii_end_of(b'/'), b"");
    }

    #[test]
    fn proc_is_seen_by_whole_components() {
        for path in [&b"/proc/self/fd/3"[..], b"../../proc/1/root/x", b"/dev/fd/3/x", b"//proc//self"] {
            assert!(is_in_proc(path), "{path:?}");
        }
        for path in [&b"/work/process/x"[..], b"procs", b"/work/devfd"] {
            assert!(!is_in_proc(path), "{path:?}");
        }
    }

    #[test]
    fn pinned_files_know_their_real_path_and_names() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        let socket = real.join("a");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::os::unix::fs::symlink("a", real.join("link")).unwrap();
        let pin = |name: &str| Start(None).pin(real.join(name).as_os_str().as_bytes());
        let pinned = pin("link").unwrap();
        assert_eq!((&pinned.real, pinned.is_socket(), pinned.is_only_name()), (&socket, true, true));
        std::fs::hard_link(&socket, real.join("second")).unwrap();
        assert!(!pin("second").unwrap().is_only_name());
        std::fs::remove_file(real.join("second")).unwrap();
        std::fs::remove_file(&socket).unwrap();
        let gone = Pinned::new(pinned.file).unwrap();
        assert!(!gone.is_only_name() && gone.real.to_string_lossy().ends_with("/a (deleted)"));
        assert_eq!(pin("link").unwrap_err(), Errno::NOENT);
        for magic in [&b"/proc/self/root/etc"[..], b"/proc/self/fd/0", b"/proc/thread-self/cwd/x"] {
            assert_eq!(Start(None).pin(magic).unwrap_err(), Errno::ACCESS, "{magic:?}");
        }
    }
}
