//! Claude Code's configuration folder: on a volume, so that a login outlives the container, and begun so that
//! nobody is asked to choose a theme before an agent can work.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, StatxAttributes, StatxFlags, access, statx};

use crate::{own_folder, paths};

/// The variable by which Claude Code is told its configuration folder.
pub const VARIABLE: &str = "CLAUDE_CONFIG_DIR";

/// What a first start would ask for.
const BEGUN: &str = "{\"hasCompletedOnboarding\":true}\n";

/// The folder for this user, made ready as far as possible; `None` leaves Claude Code its own default.
///
/// A value that somebody set to another folder holds. So does a volume that is mounted at `~/.claude`, as the
/// original Feature's users have it. Else it is the Feature's volume.
pub fn prepare(from_environment: Option<PathBuf>, home: Option<&Path>) -> Option<PathBuf> {
    let folder = choose(from_environment, home)?;
    begin(&folder);
    Some(folder)
}

fn choose(from_environment: Option<PathBuf>, home: Option<&Path>) -> Option<PathBuf> {
    let ours = Path::new(paths::CLAUDE_CONFIG);
    if let Some(set) = from_environment.filter(|set| !set.as_os_str().is_empty() && set != ours) {
        return Some(set);
    }
    let in_home = home.map(|home| home.join(".claude"));
    if let Some(folder) = in_home.filter(|folder| is_mount_point(folder) && is_writable(folder)) {
        return Some(folder);
    }
    // The folder of another user, such as the one that the project had before.
    let of_this_user = || {
        let folder = Path::new(paths::CLAUDE_VOLUME).join(rustix::process::getuid().as_raw().to_string());
        is_own(&folder).then_some(folder)
    };
    if is_own(ours) { Some(ours.to_owned()) } else { of_this_user() }
}

/// Anybody may make folders in the volume. What another user made, that user can fill with settings that start programs,
/// and read the login from.
fn is_own(folder: &Path) -> bool {
    own_folder::make(folder).is_ok() && is_writable(folder)
}

fn is_writable(folder: &Path) -> bool {
    let real = fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir());
    real && access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Whether something is mounted there (`statx(2)`, since Linux 5.8).
fn is_mount_point(folder: &Path) -> bool {
    let found = statx(CWD, folder, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE);
    found.is_ok_and(|found| {
        let root = StatxAttributes::MOUNT_ROOT;
        found.stx_attributes_mask.contains(root) && found.stx_attributes.contains(root)
    })
}

/// A new configuration starts behind the questions of a first start; an existing one is nobody's to change.
fn begin(folder: &Path) {
    let mut options = OpenOptions::new();
    if let Ok(mut file) = options.write(true).create_new(true).mode(0o600).open(folder.join(".claude.json")) {
        let _ = file.write_all(BEGUN.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_was_set_holds_and_is_begun_once() {
        let folder = tempfile::tempdir().unwrap();
        let set = Some(folder.path().to_owned());
        assert_eq!(prepare(set.clone(), None), set);
        let file = folder.path().join(".claude.json");
        assert_eq!(fs::read_to_string(&file).unwrap(), BEGUN);
        fs::write(&file, "mine").unwrap();
        prepare(set, None);
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn a_folder_of_somebody_elses_is_not_used_however_open_it_is() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_own(folder.path()));
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: this test gives a folder to somebody else: run it with sudo");
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
            return;
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        std::os::unix::fs::chown(folder.path(), Some(33), None).unwrap();
        assert!(is_writable(folder.path()) && !is_own(folder.path()));
    }

    #[test]
    fn mount_points() {
        assert!(is_mount_point(Path::new("/proc")));
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("x")).unwrap();
        assert!(!is_mount_point(&folder.path().join("x")));
        assert!(!is_mount_point(&folder.path().join("absent")));
    }
}
