//! Files that nobody but root can have written, nor led anywhere else. The image may have had other users at work
//! in it before this.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};

/// Links on the way to a file, as many as Linux follows (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Why a file is not read, or a program not run; the path goes before it.
#[derive(Debug, thiserror::Error)]
pub enum Distrust {
    /// There is none, or it does not read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Not an absolute path, or one with `..` in it.
    #[error("is no absolute path without '..'; write it from / on, as in /etc/agent-sandbox/allow.jsonc")]
    Path,
    /// A link where none is followed.
    #[error("has the link {} on the way; name the file that it leads to", .0.display())]
    Link(PathBuf),
    /// Links without an end.
    #[error("has too many links on the way")]
    Links,
    /// Somebody else's, or open to others.
    #[error(
        "may have been written by others than root, as {} belongs to uid {uid} with mode {mode:o}; give it to root with mode {} in the image",
        path.display(), if *folder { "755" } else { "644" }
    )]
    Others {
        /// The file, or a folder on the way.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Its permission bits.
        mode: u32,
        /// Whether it is a folder.
        folder: bool,
    },
    /// A folder, pipe or device.
    #[error("is not a regular file")]
    NotAFile,
    /// More bytes than it may have.
    #[error("has more than {0} bytes")]
    TooLarge(u64),
}

impl Distrust {
    /// Whether there is no such file at all.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    }
}

/// Whether links are followed, which lie in folders of root's like all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// As far as they stay below the root.
    Follow,
    /// Not one.
    Refuse,
}

/// The bytes of the file at `path` in the image at `root`, `max` of them at most.
pub fn read(root: &Path, path: &Path, links: Links, max: u64) -> Result<Vec<u8>, Distrust> {
    let found = find(root, path, links)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open(&found, flags, Mode::empty()).map_err(io::Error::from)?);
    if !file.metadata()?.is_file() {
        return Err(Distrust::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max { Err(Distrust::TooLarge(max)) } else { Ok(bytes) }
}

/// Where `path` in the image at `root` leads. All on the way, and what is there, is root's alone to change, so it is
/// still the same when it is opened.
pub fn find(root: &Path, path: &Path, links: Links) -> Result<PathBuf, Distrust> {
    let mut ahead = components(path)?;
    let mut way = root.to_owned();
    let mut followed = 0;
    check(&way)?;
    while let Some(next) = ahead.pop() {
        if next == ".." {
            if way != root {
                way.pop();
            }
            continue;
        }
        let here = way.join(&next);
        let found = fs::symlink_metadata(&here)?;
        if !found.is_symlink() {
            check(&here)?;
            way = here;
            continue;
        }
        followed += 1;
        match links {
            Links::Refuse => return Err(Distrust::Link(below(root, &here))),
            Links::Follow if followed > MAX_LINKS => return Err(Distrust::Links),
            Links::Follow => {}
        }
        let target = fs::read_link(&here)?;
        if target.is_absolute() {
            root.clone_into(&mut way);
        }
        let names = target.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        });
        let mut names: Vec<OsString> = names.collect();
        names.reverse();
        ahead.append(&mut names);
    }
    Ok(way)
}

/// The names in an absolute path, the first one last.
fn components(path: &Path) -> Result<Vec<OsString>, Distrust> {
    let mut components = path.components();
    if components.next() != Some(Component::RootDir) {
        return Err(Distrust::Path);
    }
    let mut names = Vec::new();
    for component in components {
        let Component::Normal(name) = component else { return Err(Distrust::Path) };
        names.push(name.to_owned());
    }
    if names.is_empty() {
        return Err(Distrust::NotAFile);
    }
    names.reverse();
    Ok(names)
}

/// Whoever installs is root, and what is his is as good.
fn check(path: &Path) -> Result<(), Distrust> {
    let found = fs::symlink_metadata(path)?;
    let own = rustix::process::geteuid().as_raw();
    let (uid, mode) = (found.uid(), found.mode() & 0o7777);
    if (uid != 0 && uid != own) || mode & 0o022 != 0 {
        return Err(Distrust::Others { path: path.to_owned(), uid, mode, folder: found.is_dir() });
    }
    Ok(())
}

fn below(root: &Path, path: &Path) -> PathBuf {
    Path::new("/").join(path.strip_prefix(root).unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn text(root: &Path, path: &str, links: Links) -> Result<String, String> {
        let bytes = read(root, Path::new(path), links, 10).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    fn refusal(root: &Path, path: &str) -> String {
        text(root, path, Links::Follow).unwrap_err()
    }

    #[test]
    fn only_what_is_roots_alone_is_read() {
        let image = tempfile::tempdir().unwrap();
        let root = image.path();
        fs::create_dir_all(root.join("etc/x")).unwrap();
        fs::write(root.join("etc/x/file"), "good").unwrap();
        assert_eq!(text(root, "/etc/x/file", Links::Refuse), Ok("good".to_owned()));
        for (path, part) in [
            ("etc/x/file", "absolute"),
            ("/etc/../etc/x/file", "absolute"),
            ("/", "regular file"),
            ("/etc/x", "regular file"),
            ("/etc/y", "No such file"),
        ] {
            assert!(refusal(root, path).contains(part), "{path}: {}", refusal(root, path));
        }
        let mode =
            |path: &str, mode| fs::set_permissions(root.join(path), Permissions::from_mode(mode)).unwrap();
        for (path, bad, good) in
            [("etc/x/file", 0o666, 0o644), ("etc/x", 0o1777, 0o755), ("etc", 0o775, 0o755)]
        {
            mode(path, bad);
            let refusal = refusal(root, "/etc/x/file");
            assert!(
                refusal.contains("by others than root") && refusal.contains(&format!("{bad:o}")),
                "{refusal}"
            );
            mode(path, good);
        }
        fs::write(root.join("etc/x/large"), "eleven char").unwrap();
        assert!(refusal(root, "/etc/x/large").contains("more than 10 bytes"));
        let pipe = root.join("etc/x/pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(refusal(root, "/etc/x/pipe").contains("regular file"));
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: the rest gives a file to somebody else: run it with sudo");
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
            return;
        }
        std::os::unix::fs::chown(root.join("etc/x/file"), Some(1000), None).unwrap();
        assert!(refusal(root, "/etc/x/file").contains("uid 1000"));
    }

    #[test]
    fn links_stay_in_the_image_and_in_roots_folders() {
        let image = tempfile::tempdir().unwrap();
        let root = image.path();
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::create_dir_all(root.join("open")).unwrap();
        fs::write(root.join("etc/file"), "good").unwrap();
        for (link, target) in [
            ("absolute", "/etc/file"),
            ("relative", "../../../etc/file"),
            ("chain", "absolute"),
            ("loop", "loop"),
            ("out", "/etc/passwd"),
            ("open", "/open/file"),
        ] {
            symlink(target, root.join("etc").join(link)).unwrap();
        }
        fs::write(root.join("open/file"), "bad").unwrap();
        fs::set_permissions(root.join("open"), Permissions::from_mode(0o777)).unwrap();
        for link in ["/etc/absolute", "/etc/relative", "/etc/chain"] {
            assert_eq!(text(root, link, Links::Follow), Ok("good".to_owned()), "{link}");
            let refusal = text(root, link, Links::Refuse).unwrap_err();
            assert!(refusal.contains(&format!("the link {link} on the way")), "{refusal}");
        }
        assert!(refusal(root, "/etc/loop").contains("too many links"));
        assert!(refusal(root, "/etc/out").contains("No such file"));
        assert!(refusal(root, "/etc/open").contains("by others than root"));
    }
}
