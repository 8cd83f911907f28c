//! Files that give whoever runs them rights that the caller has not got: setuid, setgid, file capabilities.
//!
//! Nothing in the image needs them but the sandbox's one launcher, so they are taken away: from every file while the
//! image is built, and at each start from what came since. A setgid folder gives no right (who makes a file there
//! hands it to a group), and is left alone.

mod walk;

use std::fmt::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{
    AtFlags, CWD, Mode, StatxFlags, XattrFlags, chmodat, getxattr, removexattr, setxattr, statx,
};
use rustix::io::{self, Errno};

pub use walk::{Unseen, WalkError, walk};

/// Where the kernel looks for a file's capabilities (`capabilities(7)`).
const CAPABILITY: &str = "security.capability";
/// The longest that it takes there, and some.
const CAPABILITY_LENGTH: usize = 64;

const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;

/// What a file gives to whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gives {
    /// Its permission bits.
    mode: u32,
    owner: u32,
    /// The value of the attribute, where it has one.
    capability: Option<Vec<u8>>,
}

/// Such a file, held so that nobody can put another in its place.
#[derive(Debug)]
pub struct Found {
    /// Where it was found, for people.
    pub path: PathBuf,
    /// What it gives.
    pub gives: Gives,
    /// Opened with `O_PATH`.
    file: OwnedFd,
}

impl Gives {
    fn is_nothing(&self) -> bool {
        self.mode & (SETUID | SETGID) == 0 && self.capability.is_none()
    }

    /// Whether it gives nothing but the rights of this user, who owns the file.
    pub fn is_only_of(&self, user: u32) -> bool {
        self.owner == user && self.mode & SETGID == 0 && self.capability.is_none()
    }

    /// Whether root owns the file.
    pub fn is_roots(&self) -> bool {
        self.owner == 0
    }
}

impl fmt::Display for Gives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if self.mode & SETUID != 0 {
            words.push(if self.is_roots() {
                "setuid root".to_owned()
            } else {
                format!("setuid {}", self.owner)
            });
        }
        if self.mode & SETGID != 0 {
            words.push("setgid".to_owned());
        }
        if self.capability.is_some() {
            words.push("capabilities".to_owned());
        }
        f.write_str(&words.join(", "))
    }
}

impl Found {
    /// Takes all of it away, as far as the caller may, and looks whether it is gone.
    pub fn strip(&self) -> io::Result<()> {
        let link = through(&self.file);
        if self.gives.mode & (SETUID | SETGID) != 0 {
            chmodat(CWD, &link, Mode::from_raw_mode(self.gives.mode & 0o1777), AtFlags::empty())?;
        }
        if self.gives.capability.is_some() {
            removexattr(&link, CAPABILITY)?;
        }
        if of_open(&self.file)?.is_some_and(|left| !left.is_nothing()) { Err(Errno::PERM) } else { Ok(()) }
    }

    /// Gives it back.
    pub fn restore(&self) -> io::Result<()> {
        let link = through(&self.file);
        chmodat(CWD, &link, Mode::from_raw_mode(self.gives.mode), AtFlags::empty())?;
        match &self.gives.capability {
            Some(value) => setxattr(&link, CAPABILITY, value, XattrFlags::empty()),
            None => Ok(()),
        }
    }
}

/// A path that leads to an open file, whatever its name leads to by now.
fn through(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// What an open file gives; `None` for what is no regular file, or one that is a mount of its own.
fn of_open(file: &OwnedFd) -> io::Result<Option<Gives>> {
    let wanted = StatxFlags::TYPE | StatxFlags::MODE | StatxFlags::UID;
    let found = statx(file.as_fd(), "", AtFlags::EMPTY_PATH, wanted)?;
    if !walk::is_regular(found.stx_mode) || walk::is_mount_point(&found) == Some(true) {
        return Ok(None);
    }
    let capability = capability(&through(file))?;
    Ok(Some(Gives { mode: u32::from(found.stx_mode) & 0o7777, owner: found.stx_uid, capability }))
}

fn capability(link: &str) -> io::Result<Option<Vec<u8>>> {
    let mut value = [0; CAPABILITY_LENGTH];
    match getxattr(link, CAPABILITY, &mut value) {
        Ok(length) => Ok(Some(value[..length].to_vec())),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Paths for one line of text, the first ones where there are many.
pub fn names(paths: &[String], others: u64) -> String {
    let mut line = paths.join(", ");
    if others > 0 {
        let _ = write!(line, " and {others} more");
    }
    line
}

#[cfg(test)]
mod tests;
