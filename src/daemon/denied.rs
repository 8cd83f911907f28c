//! Telling of refused names: in the container's log, and in a file for later.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, fstat, mkdir, open, openat, renameat};
use rustix::io::Errno;

use super::log;
use crate::log::{WHY, lines, suggestion};
use crate::paths;
use crate::policy::HostName;
use crate::status::Denied;

/// Lines in the container's log; further names are in the file, and in the answer to `agent-sandbox log`.
const MAX_LINES: u32 = 200;
/// Time between two writes of the file.
const PAUSE: Duration = Duration::from_secs(3);
const FILE: &str = "denied.jsonl";
const NEW_FILE: &str = "denied.jsonl.new";

/// What has been told, and what is still to be.
#[derive(Debug, Default)]
pub(super) struct Teller {
    lines: u32,
    changed: bool,
    written: Option<Instant>,
}

impl Teller {
    /// A name was refused for the first time: says so, once, with what to do about it.
    pub(super) fn refused(&mut self, name: &HostName) {
        self.lines = self.lines.saturating_add(1);
        if self.lines <= MAX_LINES {
            log::line(sentence(name));
        } else if self.lines == MAX_LINES + 1 {
            log::line("more names are refused; `agent-sandbox log` lists them");
        }
    }

    /// A count has changed: the file is outdated.
    pub(super) fn counted(&mut self) {
        self.changed = true;
    }

    /// How long the file may still wait, if it is outdated.
    pub(super) fn due_in(&self) -> Option<Duration> {
        let since = self.written.map_or(PAUSE, |written| written.elapsed());
        self.changed.then(|| PAUSE.saturating_sub(since))
    }

    /// Writes the file, whether or not it is due. Where it cannot be written, as on a read-only root file system,
    /// the log and `agent-sandbox log` have it all.
    pub(super) fn write(&mut self, list: &[Denied]) {
        self.changed = false;
        self.written = Some(Instant::now());
        let _ = replace_file(Path::new(paths::LOG), list);
    }
}

fn sentence(name: &HostName) -> String {
    match suggestion(name.as_str()) {
        Some(option) => format!("refused {name}: {WHY}; to allow it, add to the Feature's options: {option}"),
        None => format!("refused {name}: {WHY}"),
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
    fn the_sentence_names_the_option() {
        let name = |text: &str| HostName::parse(text).unwrap();
        assert_eq!(
            sentence(&name("a.example")),
            "refused a.example: not in the policy; to allow it, add to the Feature's options: \"allow\": \"a.example\""
        );
        assert_eq!(sentence(&name("db")), "refused db: not in the policy");
    }

    #[test]
    fn the_file_is_written_into_a_folder_of_roots_alone() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: this test makes folders of root's: run it with sudo");
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
            return;
        }
        let above = tempfile::tempdir().unwrap();
        let denied = [Denied { name: "a.example".to_owned(), questions: 1, first_ms: 0, last_ms: 0 }];
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

    #[test]
    fn the_file_waits_between_two_writes() {
        let mut teller = Teller { lines: 0, changed: false, written: Some(Instant::now()) };
        assert_eq!(teller.due_in(), None);
        teller.counted();
        assert!(teller.due_in().is_some_and(|left| left > Duration::from_secs(1)));
        teller.written = None;
        assert_eq!(teller.due_in(), Some(Duration::ZERO));
    }
}
