//! The guard on `git push`, as git's own configuration has it started: a remote helper (gitremote-helpers(7)) to which
//! every address that is pushed to is sent, paths apart.
//!
//! It keeps an agent from pushing by mistake or habit. It is no boundary: whoever means to can push around it.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The name that git calls it by.
pub const NAME: &str = "git-remote-agent-sandbox-push";
/// The addresses that it is for, in git's configuration.
pub const SCHEME: &str = "agent-sandbox-push::";

/// With this word first it is a `pre-push` hook (githooks(5)) of git's configuration, which git knows since 2.54: that
/// is asked for addresses that are set for pushes alone, too, and not with `--no-verify`.
pub const PRE_PUSH: &str = "--pre-push";

/// More of an address is not shown.
const MAX_SHOWN: usize = 200;
/// No command of git's is as long.
const MAX_LINE: usize = 256;

/// What belongs to the repository that is pushed from, and not to the one that is pushed to
/// (`git rev-parse --local-env-vars`).
const LOCAL_VARIABLES: [&str; 15] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Why nothing was pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// To another machine.
    #[error(
        "git push to {0} is refused in this sandbox; push from the host, or set the Feature's option \"gitPush\" to \
         \"allow\" and rebuild"
    )]
    Refused(String),
    /// Git says something else than the protocol has.
    #[error("{NAME} is started by git alone, when something is pushed to a path")]
    Protocol,
    /// Git itself is not to be had.
    #[error("git receive-pack: {0}")]
    Exec(io::Error),
}

/// Refuses what leads to another machine. For a path, git's own `receive-pack` takes this process's place.
pub fn run(arguments: &[OsString]) -> Result<Option<Infallible>, PushError> {
    // The name of the remote, or the address once more, comes first.
    match arguments {
        [word, _, address] if word == PRE_PUSH => check_pre_push(address).map(|()| None),
        [_, address] => serve(address),
        _ => Err(PushError::Protocol),
    }
}

fn check_pre_push(address: &OsStr) -> Result<(), PushError> {
    let bytes = address.as_bytes();
    let bytes = bytes.strip_prefix(SCHEME.as_bytes()).unwrap_or(bytes);
    if bytes.starts_with(b"file://") { Ok(()) } else { check(bytes) }
}

fn check(address: &[u8]) -> Result<(), PushError> {
    if is_path(address) { Ok(()) } else { Err(PushError::Refused(shown(&String::from_utf8_lossy(address)))) }
}

fn serve(address: &OsStr) -> Result<Option<Infallible>, PushError> {
    check(address.as_bytes())?;
    loop {
        match line().as_deref() {
            Some(b"capabilities") => say("connect\n\n")?,
            Some(b"connect git-receive-pack") => {
                say("\n")?;
                return Err(receive_pack(address));
            }
            // Nothing is wanted any more.
            Some(b"") => return Ok(None),
            _ => return Err(PushError::Protocol),
        }
    }
}

/// As git itself tells a path from `host:path` and from addresses of other kinds.
fn is_path(address: &[u8]) -> bool {
    // What begins like an option is nothing that git takes for a path.
    let before_colon = address.split(|byte| *byte == b':').next().unwrap_or_default();
    !address.is_empty()
        && !address.starts_with(b"-")
        && (before_colon.len() == address.len() || before_colon.contains(&b'/'))
}

fn receive_pack(path: &OsStr) -> PushError {
    let mut command = Command::new("git");
    command.arg("receive-pack").arg(path);
    for variable in LOCAL_VARIABLES {
        command.env_remove(variable);
    }
    PushError::Exec(command.exec())
}

/// A line of git's, byte by byte: what follows the last one is for `receive-pack`.
fn line() -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < MAX_LINE {
        match rustix::io::read(io::stdin(), &mut byte) {
            Ok(1) if byte == *b"\n" => return Some(line),
            Ok(1) => line.extend_from_slice(&byte),
            Err(rustix::io::Errno::INTR) => {}
            _ => return None,
        }
    }
    None
}

fn say(text: &str) -> Result<(), PushError> {
    // Not through the standard library's buffer, which `exec` would not empty.
    match rustix::io::write(io::stdout(), text.as_bytes()) {
        Ok(length) if length == text.len() => Ok(()),
        _ => Err(PushError::Protocol),
    }
}

/// An address for people: without a password, a query, and what a terminal would obey.
fn shown(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let plain = match address.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => address.to_owned(),
    };
    plain.escape_debug().take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_what_leads_elsewhere() {
        for path in ["/srv/a.git", "./a", "../a", "a.git", "sub/a.git", "a/b:c", "./host:a", "."] {
            assert!(is_path(path.as_bytes()), "{path}");
        }
        for other in [
            "https://h.example/a",
            "http://127.0.0.1/a",
            "ssh://h/a",
            "git://h/a",
            "git@h.example:a",
            "h:a",
            "h:/a",
            "ext::sh -c x",
            "file::a",
            "agent-sandbox-push::/a",
            "https:/a",
            "--upload-pack=x",
            "",
        ] {
            assert!(!is_path(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_hook_lets_paths_pass() {
        let hook = |address: &str| run(&[PRE_PUSH, "origin", address].map(OsString::from));
        for path in ["/srv/a.git", "../a", "file:///srv/a.git", "agent-sandbox-push::sub/a.git"] {
            assert!(matches!(hook(path), Ok(None)), "{path}");
        }
        for other in ["https://h.example/a", "h:a", "agent-sandbox-push::h:a"] {
            assert!(matches!(hook(other), Err(PushError::Refused(_))), "{other}");
        }
        assert!(matches!(run(&[]), Err(PushError::Protocol)));
    }

    #[test]
    fn no_password_is_shown_and_no_control_character() {
        for (address, want) in [
            ("https://h.example/a.git", "https://h.example/a.git"),
            ("https://me:secret@h.example/a", "https://h.example/a"),
            ("https://a@b:secret@h.example", "https://h.example"),
            ("https://h.example/a@b?token=secret#x", "https://h.example/a@b"),
            ("git@h.example:a/b", "git@h.example:a/b"),
            ("h:\u{1b}[2J", "h:\\u{1b}[2J"),
        ] {
            assert_eq!(shown(address), want);
        }
        assert_eq!(shown(&"h:".repeat(1000)).len(), MAX_SHOWN);
    }
}
