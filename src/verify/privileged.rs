//! Files that give rights to whoever runs them, as the user who runs this finds them.

use std::path::Path;

use super::{Outcome, Row};
use crate::paths;
use crate::privileged::{names, walk};

/// Names that are told.
const MOST_TOLD: usize = 8;

pub(super) fn row() -> Row {
    row_for(Path::new("/"), Path::new(paths::LAUNCHER))
}

fn row_for(root: &Path, launcher: &Path) -> Row {
    let row = |outcome, detail: String| {
        Row::new(
            "privilege.setuid",
            "no file but the sandbox's launcher gives rights to whoever runs it",
            outcome,
            detail,
        )
    };
    let own = rustix::process::geteuid().as_raw();
    let (mut found, mut others) = (Vec::new(), 0);
    let unseen = walk(root, launcher, |file| {
        if file.gives.is_only_of(own) {
            return;
        }
        if found.len() < MOST_TOLD {
            found.push(format!("{} ({})", file.path.display(), file.gives));
        } else {
            others += 1;
        }
    });
    match unseen {
        Err(error) => row(Outcome::Fail, error.to_string()),
        Ok(_) if found.is_empty() => row(Outcome::Pass, "none was found where this user can look".to_owned()),
        Ok(_) => {
            let why =
                "they give an agent nothing, which has no_new_privs, but other processes of this user: ";
            row(Outcome::Warn, format!("{why}{}", names(&found, others)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, chown};

    #[test]
    fn what_is_found_is_judged_by_what_it_gives() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: this test makes files of somebody else's: run it with sudo");
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        let outcome = || row_for(root.path(), Path::new("/absent")).outcome;
        assert_eq!(outcome(), Outcome::Pass);
        let set = |owner, mode| {
            chown(&file, Some(owner), Some(owner)).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        };
        set(1, 0o4755);
        assert_eq!(outcome(), Outcome::Warn);
        // One's own rights are no gain.
        set(0, 0o4755);
        assert_eq!(outcome(), Outcome::Pass);
        // Another's group may be one.
        set(0, 0o2755);
        assert_eq!(outcome(), Outcome::Warn);
        assert_eq!(row_for(root.path(), &file).outcome, Outcome::Pass, "the launcher");
        assert_eq!(row_for(&root.path().join("absent"), &file).outcome, Outcome::Fail);
    }
}
