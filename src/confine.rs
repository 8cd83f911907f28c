//! Starting the agent: only while the sandbox is in force, never as uid 0, and without a way to more rights.

use std::convert::Infallible;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use rustix::thread::CapabilitySet;

use crate::client::{self, NotReady};
use crate::policy::Mode;
use crate::status::AUDIT;
use crate::{claude_config, paths};

/// Why the agent was not started.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// Root could take the sandbox down.
    #[error(
        "an agent is not started as uid 0, which could open the network again: set \"remoteUser\" to another user"
    )]
    Root,
    /// A right that opens the network, whoever holds it.
    #[error("an agent is not started with CAP_NET_ADMIN or CAP_NET_RAW, which could open the network again")]
    Rights,
    /// The live state says no.
    #[error("the agent is not started: {0}")]
    Sandbox(#[from] NotReady),
    /// A wrapper without anything to wrap.
    #[error("claude-process-wrapper is for editors' extensions: it starts the command line that it is given")]
    NoProgram,
    /// The kernel did not take it.
    #[error("{program}: {source}")]
    Exec {
        /// What was to run.
        program: String,
        /// Why it does not.
        source: std::io::Error,
    },
}

/// Replaces this process by Claude Code with these arguments. Returns only on failure.
///
/// `claude --version` alone tells the version anywhere: it starts no agent.
pub fn claude(arguments: &[OsString]) -> Result<Infallible, NotStarted> {
    let only_version = matches!(arguments, [one] if one == "--version" || one == "-v");
    let mut command = Command::new(paths::CLAUDE);
    command.args(arguments);
    if !only_version {
        check()?;
        configure(&mut command);
    }
    // The image is the version: an agent cannot replace what root installed, and should not try.
    command.env("DISABLE_AUTOUPDATER", "1").env("DISABLE_UPDATES", "1");
    exec(&mut command)
}

/// Replaces this process by a Claude Code that somebody brings along: the command line that an editor's extension, or
/// Claude Code for its background processes, hands to its wrapper. Returns only on failure.
pub fn wrapped(command_line: &[OsString]) -> Result<Infallible, NotStarted> {
    let (program, arguments) = command_line.split_first().ok_or(NotStarted::NoProgram)?;
    check()?;
    let mut command = Command::new(program);
    command.args(arguments);
    configure(&mut command);
    exec(&mut command)
}

/// Names the configuration folder.
fn configure(command: &mut Command) {
    let set = env::var_os(claude_config::VARIABLE).map(PathBuf::from);
    let home = env::home_dir();
    match claude_config::prepare(set, home.as_deref()) {
        Some(folder) => command.env(claude_config::VARIABLE, folder),
        // The container's environment names the volume, which cannot be written.
        None => command.env_remove(claude_config::VARIABLE),
    };
}

/// Replaces this process by any program, under the same conditions. Returns only on failure.
pub fn program(program: &OsStr, arguments: &[OsString]) -> Result<Infallible, NotStarted> {
    check()?;
    exec(Command::new(program).args(arguments))
}

fn check() -> Result<(), NotStarted> {
    let (real, effective) = (rustix::process::getuid(), rustix::process::geteuid());
    if real.is_root() || effective.is_root() {
        return Err(NotStarted::Root);
    }
    let held = rustix::thread::capabilities(None).map_err(|_| NotStarted::Rights)?;
    let opening = CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW | CapabilitySet::SYS_ADMIN;
    if (held.effective | held.permitted).intersects(opening) {
        return Err(NotStarted::Rights);
    }
    if client::ready()?.mode == Mode::Audit {
        eprintln!("agent-sandbox: {AUDIT}");
    }
    Ok(())
}

fn exec(command: &mut Command) -> Result<Infallible, NotStarted> {
    let program = command.get_program().to_string_lossy().into_owned();
    // From here on no setuid program and no file capability gives anything.
    if let Err(error) = rustix::thread::set_no_new_privs(true) {
        return Err(NotStarted::Exec { program, source: error.into() });
    }
    Err(NotStarted::Exec { program, source: command.exec() })
}
