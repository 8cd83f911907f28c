//! The names that users of the original Feature call: `sudo /usr/local/bin/init-firewall.sh`.
//!
//! Neither needs a right here, and neither gives one.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::launch::{self, LaunchError};
use crate::paths;
use crate::policy::Mode;
use crate::status::AUDIT;

/// Where systems have the `sudo` that ours stands before.
const REAL_SUDO: [&str; 2] = ["/usr/bin/sudo", "/bin/sudo"];

/// For names that do not resolve, this is the time the daemon needs to say so.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why `sudo` did not run a command.
#[derive(Debug, thiserror::Error)]
pub enum SudoError {
    /// Anything but the one command.
    #[error(
        "'{0}' is not run as root: in this sandbox sudo starts nothing but {path}; install packages in the \
         image, or from the host with `docker exec --user root`",
        path = paths::INIT_FIREWALL
    )]
    Refused(String),
    /// Root has no sudo to use.
    #[error("{0}: {1}")]
    Exec(String, io::Error),
    /// The one command failed.
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

/// What `init-firewall.sh` does: sees to it that the sandbox is in force, and says so.
pub fn init_firewall() -> Result<String, LaunchError> {
    let status = launch::ready(Duration::ZERO, PATIENCE)?;
    if status.mode == Mode::Audit {
        return Ok(AUDIT.to_owned());
    }
    Ok("the firewall is in force; `agent-sandbox status` says what may be reached".to_owned())
}

/// What `sudo` does.
pub fn sudo(arguments: &[OsString]) -> Result<String, SudoError> {
    // Whoever is root already, such as the script of another Feature, loses nothing here.
    if rustix::process::geteuid().is_root() && !is_init_firewall(arguments) {
        return Err(as_root(arguments));
    }
    if is_init_firewall(arguments) {
        return Ok(init_firewall()?);
    }
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    Err(SudoError::Refused(words.join(" ").escape_debug().to_string()))
}

/// Replaces this process by the real sudo, or without one by the command. Returns only on failure.
fn as_root(arguments: &[OsString]) -> SudoError {
    let real = REAL_SUDO.iter().find(|path| Path::new(path).is_file());
    let plain = arguments.first().filter(|first| !first.as_encoded_bytes().starts_with(b"-"));
    let (program, rest): (&OsStr, &[OsString]) = match (real, plain) {
        (Some(real), _) => (OsStr::new(real), arguments),
        (None, Some(program)) => (program, &arguments[1..]),
        (None, None) => return SudoError::Exec("sudo".to_owned(), io::ErrorKind::NotFound.into()),
    };
    let error = Command::new(program).args(rest).exec();
    SudoError::Exec(program.to_string_lossy().into_owned(), error)
}

/// Whether this is the one command, with no option but those that change nothing about it.
fn is_init_firewall(arguments: &[OsString]) -> bool {
    let harmless = ["-n", "-E", "-H", "--", "--non-interactive", "--preserve-env", "--set-home"];
    let mut words = arguments.iter().skip_while(|word| harmless.iter().any(|option| word == option));
    let command = words.next().is_some_and(|word| word == paths::INIT_FIREWALL || word == "init-firewall.sh");
    command && words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_command_alone() {
        let is = |line: &str| {
            is_init_firewall(
                &line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect::<Vec<_>>(),
            )
        };
        for line in ["/usr/local/bin/init-firewall.sh", "init-firewall.sh", "-n -E -- init-firewall.sh"] {
            assert!(is(line), "{line}");
        }
        for line in
            ["", "-n", "sh", "init-firewall.sh x", "-u root init-firewall.sh", "/tmp/init-firewall.sh", "-i"]
        {
            assert!(!is(line), "{line}");
        }
    }
}
