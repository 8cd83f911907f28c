//! Telling of what was refused: in the container's log, and in a file for later.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags, fstat, mkdir, open, openat, renameat};
use rustix::io::Errno;

use super::state::now_ms;
use super::{log, who};
use crate::egress::refusals::{Refusal, Refusals};
use crate::log::lines;
use crate::paths;
use crate::policy::HostName;
use crate::status::{By, Denied};

/// Lines in the container's log; further refusals are in the file, and in the answer to `agent-sandbox log`.
const MAX_LINES: u32 = 200;
/// Looks at all connections in a second.
const MAX_LOOKS: u32 = 10;
const FILE: &str = "denied.jsonl";
const NEW_FILE: &str = "denied.jsonl.new";

/// What was refused, and what of that is still to be told.
#[derive(Debug, Default)]
pub(super) struct Refused(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    refusals: Refusals,
    lines: u32,
    changed: bool,
    /// How often it was looked whose connections are, and in which second.
    looks: (u64, u32),
}

impl Refused {
    /// A question was refused. The search list and what the policy lists say whether it is news to anybody.
    pub(super) fn question(&self, name: &HostName, search: &[HostName], listed: impl Fn(&HostName) -> bool) {
        let mut inner = self.lock();
        if inner.refusals.note_question(name, now_ms(), search, listed) {
            inner.tell(&Refusal::Question(name.clone()));
        }
        inner.changed = true;
    }

    /// A connection from `client` was refused, or let through in audit mode.
    pub(super) fn connection(&self, refusal: &Refusal, client: SocketAddr) {
        self.times(refusal, 1, || who::of_client(client));
    }

    /// The same, as often as that. Whose it was is asked for one that is new, as that takes a look at all connections.
    pub(super) fn times(&self, refusal: &Refusal, times: u64, who: impl FnOnce() -> Option<By>) {
        let mut inner = self.lock();
        let now = now_ms();
        inner.changed = true;
        if !inner.refusals.note_connection(refusal, times, now) {
            return;
        }
        inner.tell(refusal);
        if inner.may_look(now) {
            drop(inner);
            if let Some(by) = who() {
                self.lock().refusals.set_by(refusal, by);
            }
        }
    }

    /// What was refused, the latest first, and how much is not in that list.
    pub(super) fn list(&self) -> (Vec<Denied>, u64) {
        let inner = self.lock();
        (inner.refusals.list(), inner.refusals.others())
    }

    /// Writes the file if it is outdated, or whatever an earlier start left there. Where it cannot be written, as on a
    /// read-only root file system, the log and `agent-sandbox log` have it all.
    pub(super) fn write(&self, always: bool) {
        let mut inner = self.lock();
        if std::mem::take(&mut inner.changed) || always {
            let list = inner.refusals.list();
            drop(inner);
            let _ = replace_file(Path::new(paths::LOG), &list);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether whoever floods us leaves time for a look.
    const fn may_look(&mut self, now_ms: u64) -> bool {
        let second = now_ms / 1000;
        if self.looks.0 != second {
            self.looks = (second, 0);
        }
        self.looks.1 += 1;
        self.looks.1 <= MAX_LOOKS
    }

    /// Says something that is new, once, with what to do about it.
    fn tell(&mut self, refusal: &Refusal) {
        self.lines = self.lines.saturating_add(1);
        if self.lines <= MAX_LINES {
            log::line(refusal.sentence());
        } else if self.lines == MAX_LINES + 1 {
            log::line("more is refused; `agent-sandbox log` lists it");
        }
    }
}

fn replace_file(path: &Path, list: &[Denied]) -> io::Result<()> {
    match mkdir(path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let folder =
        open(path, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    // The folder above may be somebody else's to write, as a group of log writers has it.
    let found = fstat(&folder)?;
    if found.st_uid != 0 || found.st_mode & 0o022 != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(&folder, NEW_FILE, flags, Mode::from_raw_mode(0o644))?);
    file.write_all(lines(list).as_bytes())?;
    Ok(renameat(&folder, NEW_FILE, &folder, FILE)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    #[test]
    fn a_flood_is_not_looked_at_one_by_one() {
        let mut inner = Inner::default();
        let mut looks = |ms: u64| (0..50).filter(|_| inner.may_look(ms)).count();
        assert_eq!([looks(1000), looks(1999), looks(2000)], [10, 0, 10]);
    }

    #[test]
    fn who_is_asked_for_what_is_new() {
        let refused = Refused::default();
        let refusal = Refusal::Odd { port: 443, said: None, why: crate::egress::words::Why::NoName };
        let by = |user: &str| Some(By { user: user.to_owned(), process: None });
        refused.times(&refusal, 1, || by("first"));
        refused.times(&refusal, 1, || unreachable!("it is known"));
        let list = refused.list().0;
        assert_eq!((list.len(), list[0].count, list[0].by.clone()), (1, 2, by("first")));
    }

    #[test]
    fn the_file_is_written_into_a_folder_of_roots_alone() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: this test makes folders of root's: run it with sudo");
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
            return;
        }
        let above = tempfile::tempdir().unwrap();
        let denied = [Denied {
            what: "a.example".to_owned(),
            let_through: false,
            why: "x".to_owned(),
            entry: None,
            local_port: None,
            count: 1,
            first_ms: 0,
            last_ms: 0,
            by: None,
        }];
        let folder = above.path().join("agent-sandbox");
        for _ in 0..2 {
            replace_file(&folder, &denied).unwrap();
            assert_eq!(fs::read_to_string(folder.join(FILE)).unwrap(), lines(&denied));
        }
        // A link in its place, as whoever may write the folder above can make it; a folder of somebody else's.
        let link = above.path().join("link");
        symlink(&folder, &link).unwrap();
        replace_file(&link, &[]).unwrap_err();
        fs::set_permissions(&folder, Permissions::from_mode(0o775)).unwrap();
        replace_file(&folder, &[]).unwrap_err();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        chown(&folder, Some(1000), None).unwrap();
        replace_file(&folder, &[]).unwrap_err();
        assert_eq!(fs::read_to_string(folder.join(FILE)).unwrap(), lines(&denied));
        // A link in the new file's place is not followed.
        chown(&folder, Some(0), None).unwrap();
        symlink(above.path().join("victim"), folder.join(NEW_FILE)).unwrap();
        replace_file(&folder, &[]).unwrap_err();
        assert!(!above.path().join("victim").exists());
    }
}
