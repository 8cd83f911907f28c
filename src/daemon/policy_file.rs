//! Reading the policy, which root wrote while the image was built.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};

use crate::policy::{Policy, PolicyError};

/// Bytes that a policy file may have; the largest policy has a third of this.
const MAX: u64 = 256 * 1024;

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub(super) enum PolicyFileError {
    #[error("{0}; rebuild the image")]
    Read(std::io::Error),
    #[error("is not a regular file; rebuild the image")]
    NotAFile,
    #[error("belongs to uid {0}, not to root, so anybody may have written it; rebuild the image")]
    Owner(u32),
    #[error("may be written by others than root (mode {0:o}); rebuild the image")]
    Writable(u32),
    #[error("has {0} bytes, which no policy has; rebuild the image")]
    TooLarge(u64),
    #[error("{0}; rebuild the image")]
    Policy(PolicyError),
}

/// The policy in the file at `path`, if nobody but root can have written it.
pub(super) fn read(path: &Path) -> Result<Policy, PolicyFileError> {
    let read = |error: std::io::Error| PolicyFileError::Read(error);
    // Without waiting for whoever writes into a pipe, and not where a link leads.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).map_err(|error| read(error.into()))?);
    let found = file.metadata().map_err(read)?;
    if !found.is_file() {
        return Err(PolicyFileError::NotAFile);
    }
    if found.uid() != 0 {
        return Err(PolicyFileError::Owner(found.uid()));
    }
    if found.mode() & 0o022 != 0 {
        return Err(PolicyFileError::Writable(found.mode() & 0o7777));
    }
    if found.len() > MAX {
        return Err(PolicyFileError::TooLarge(found.len()));
    }
    let mut text = String::new();
    file.take(MAX).read_to_string(&mut text).map_err(read)?;
    Policy::from_json(&text).map_err(PolicyFileError::Policy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn refusal(path: &Path) -> String {
        read(path).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_policy_of_roots_is_refused() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED what_is_no_policy_of_roots_is_refused: needs root");
            assert!(std::env::var_os("CI").is_none(), "needs root");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.json");
        assert!(refusal(&path).contains("No such file"));
        fs::write(&path, serde_json::to_string(&Policy::from_options("").unwrap()).unwrap()).unwrap();
        assert_eq!(read(&path).unwrap(), Policy::from_options("").unwrap());

        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(refusal(&link).contains("rebuild the image"), "{}", refusal(&link));
        assert!(refusal(folder.path()).contains("not a regular file"));
        assert!(refusal(Path::new("/dev/zero")).contains("not a regular file"));
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(refusal(&pipe).contains("not a regular file"));

        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert!(refusal(&path).contains("(mode 666)"));
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::chown(&path, Some(1000), None).unwrap();
        assert!(refusal(&path).contains("uid 1000"));
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        fs::write(&path, "[".repeat(100_000)).unwrap();
        assert!(refusal(&path).contains("does not read"));
        fs::write(&path, b"\xff").unwrap();
        assert!(refusal(&path).contains("UTF-8"));
        fs::File::options().write(true).open(&path).unwrap().set_len(MAX + 1).unwrap();
        assert!(refusal(&path).contains("which no policy has"));
    }
}
