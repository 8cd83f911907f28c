//! Once at each start, when the sandbox is ready: files that give rights, which later Features may have brought.
//!
//! The daemon is root without its capabilities, so it can change files that root owns and nobody else's, and cannot take
//! file capabilities away. What it cannot do it tells.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::{io, thread};

use rustix::process::setpriority_process;

use super::log;
use super::state::Shared;
use crate::paths;
use crate::privileged::{Found, names, walk};
use crate::status::{Giver, Privileged};

/// Files that are listed; any user can make some that give their own rights.
const MOST_LISTED: usize = 32;
/// Behind everything else that this machine has to do.
const LAST: i32 = 19;

/// Begins to look, in a thread of its own.
pub(super) fn check(shared: &Arc<Shared>) -> io::Result<()> {
    let shared = Arc::clone(shared);
    let look = move || {
        // On Linux this is the thread's alone.
        let _ = setpriority_process(None, LAST);
        let (report, lines) = strip(Path::new("/"), Path::new(paths::LAUNCHER));
        lines.into_iter().for_each(log::line);
        *shared.privileged.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    };
    thread::Builder::new().name("rights".to_owned()).spawn(look).map(drop)
}

/// Takes rights from the files below `root` as far as possible; what there is to say of it, for the status and the log.
fn strip(root: &Path, launcher: &Path) -> (Privileged, Vec<String>) {
    let mut report = Privileged::default();
    // Those with another user's rights come last: a user can make any number of their own.
    let (mut grave, mut lent) = (Listed::default(), Listed::default());
    let unseen = walk(root, launcher, |file| {
        let why = if file.gives.is_roots() { file.strip().err() } else { Some(rustix::io::Errno::PERM) };
        match why {
            None if report.stripped.len() < MOST_LISTED => report.stripped.push(shown(&file)),
            None => report.stripped_others += 1,
            Some(why) if file.gives.is_roots() => grave.add(&file, &io::Error::from(why).to_string()),
            Some(_) => lent.add(&file, "not root's"),
        }
    });
    report.left_others = grave.others + lent.others;
    report.left = grave.files;
    let space = MOST_LISTED - report.left.len();
    report.left_others += lent.files.len().saturating_sub(space) as u64;
    report.left.extend(lent.files.into_iter().take(space));
    match unseen {
        Ok(unseen) => report.unseen = unseen.folders.len() as u64 + unseen.other_folders,
        Err(error) => report.problem = Some(error.to_string()),
    }
    let lines = report.lines();
    (report, lines)
}

#[derive(Default)]
struct Listed {
    files: Vec<Giver>,
    others: u64,
}

impl Listed {
    fn add(&mut self, file: &Found, why: &str) {
        if self.files.len() < MOST_LISTED {
            self.files.push(Giver { path: shown(file), gives: file.gives.to_string(), why: why.to_owned() });
        } else {
            self.others += 1;
        }
    }
}

/// A path may be long, and hold anything; it is shown to people in a log.
fn shown(file: &Found) -> String {
    let text: String = file.path.display().to_string().chars().filter(|c| !c.is_control()).collect();
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl Privileged {
    /// What the container's log is told.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.stripped.is_empty() {
            let count = self.stripped.len() as u64 + self.stripped_others;
            let told = names(&self.stripped, self.stripped_others);
            lines.push(format!("took setuid, setgid and capabilities from {count} files: {told}"));
        }
        if !self.left.is_empty() {
            let told: Vec<String> = self
                .left
                .iter()
                .map(|file| format!("{} ({}: {})", file.path, file.gives, file.why))
                .collect();
            let told = names(&told, self.left_others);
            lines.push(format!(
                "files give rights to whoever runs them and cannot be changed from here; rebuild with this Feature last: {told}"
            ));
        }
        if let Some(problem) = &self.problem {
            lines.push(format!("files that give rights were not looked for: {problem}"));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

    use rustix::thread::{CapabilitySet, CapabilitySets};

    /// `cap_net_raw+ep`, as the kernel keeps it.
    const NET_RAW: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn roots_files_are_stripped_and_others_are_told() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: this test makes files of root's and of others: run it with sudo");
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let make = |name: &str, owner: u32, mode: u32| {
            let path = root.path().join(name);
            fs::write(&path, "x").unwrap();
            chown(&path, Some(owner), Some(owner)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let launcher = make("launch", 0, 0o6755);
        let su = make("su", 0, 0o4755);
        let theirs = make("theirs", 1000, 0o4755);
        for n in 0..2 * MOST_LISTED {
            make(&format!("many{n}"), 1000, 0o2755);
        }
        let ping = make("ping", 0, 0o755);
        let capabilities = rustix::fs::XattrFlags::empty();
        let capabilities = rustix::fs::setxattr(&ping, "security.capability", &NET_RAW, capabilities).is_ok();
        assert!(capabilities || std::env::var_os("CI").is_none(), "CI must have file capabilities");
        let private = root.path().join("private");
        fs::create_dir(&private).unwrap();
        chown(&private, Some(1000), Some(1000)).unwrap();
        fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();

        let (root, for_thread) = (root.path(), launcher.clone());
        let (report, lines) = thread::scope(|scope| {
            // Rights are a thread's own on Linux: as the daemon has them.
            let as_daemon = scope.spawn(move || {
                let kept = CapabilitySet::NET_ADMIN;
                let none = CapabilitySet::empty();
                let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: none };
                rustix::thread::set_capabilities(None, sets).unwrap();
                strip(root, &for_thread)
            });
            as_daemon.join().unwrap()
        });
        assert_eq!(report.stripped, [su.display().to_string()]);
        assert_eq!(report.left.len(), MOST_LISTED);
        assert_eq!(report.left_others, MOST_LISTED as u64 + 1 + u64::from(capabilities));
        let (first, rest) = report.left.split_at(usize::from(capabilities));
        assert!(rest.iter().all(|file| file.why == "not root's"), "{report:?}");
        for file in first {
            assert_eq!((file.path.as_str(), file.gives.as_str()), (ping.to_str().unwrap(), "capabilities"));
            assert!(file.why.contains("not permitted"), "{}", file.why);
        }
        assert_eq!((report.unseen, &report.problem), (1, &None));
        assert_eq!(lines.len(), 2, "{lines:?}");
        let mode = |path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!((mode(&launcher), mode(&su), mode(&theirs)), (0o6755, 0o755, 0o4755));
    }
}
