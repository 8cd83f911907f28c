//! Starting the agent: only while the sandbox is in force, never as uid 0, and in a cell that it cannot leave.

pub mod calls;
pub mod carry;
mod cell;
pub mod environment;
mod facts;
mod fork;
mod handed;
mod keeper;
mod mirror;
pub mod places;
pub mod rights;
pub mod rules;
mod signals;
mod wire;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::thread::CapabilitySet;

use crate::client::{self, NotReady};
use crate::policy::{CellPolicy, Layer, Mode, Policy};
use crate::status::AUDIT;
use crate::{ipc, paths};

pub use facts::Facts;
pub use mirror::MirrorError;
use places::PlacesError;
use rules::RulesError;
pub use wire::Ending;

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
    /// What the image was built with cannot be read.
    #[error("the agent is not started: {path}: {0}; rebuild the image", path = paths::POLICY)]
    Policy(String),
    /// The caller's folder is gone.
    #[error("the agent is not started: the current folder cannot be told: {0}; go to another one")]
    Folder(io::Error),
    /// Its own places.
    #[error("the agent is not started: {0}")]
    Places(#[from] PlacesError),
    /// Its rules.
    #[error("the agent is not started: {0}")]
    Rules(#[from] RulesError),
    /// How Unix sockets can be mediated is not known. A cell already running could bring that about, so that nothing
    /// weaker is taken instead.
    #[error("the agent is not started, as it cannot be told how to make its cell: {0}; start it again")]
    Unsure(#[from] ipc::WhyNot),
    /// What the kernel refused while the cell was made.
    #[error("the agent is not started, as its cell cannot be made: {0}")]
    Kernel(io::Error),
    /// The program does not run, or nobody knows how it ended.
    #[error(transparent)]
    Program(#[from] MirrorError),
    /// A wrapper without anything to wrap.
    #[error("claude-process-wrapper is for editors' extensions: it starts the command line that it is given")]
    NoProgram,
    /// The kernel did not take it.
    #[error("{program}: {source}")]
    Exec {
        /// What was to run.
        program: String,
        /// Why it does not.
        source: io::Error,
    },
}

/// What Claude Code is told wherever it is started: the image is the version. An agent cannot replace what root has
/// installed, and should not try.
const NO_UPDATES: [(&str, &str); 2] = [("DISABLE_AUTOUPDATER", "1"), ("DISABLE_UPDATES", "1")];

/// Runs Claude Code with these arguments in a cell, and says how it ended.
///
/// `claude --version` alone tells the version anywhere: it starts no agent. It is outside the cell, so it does not start in
/// a folder that an agent writes: programs of its kind can be built to run what a file there names, though it is not.
pub fn claude(arguments: &[OsString]) -> Result<Ending, NotStarted> {
    if matches!(arguments, [one] if one == "--version" || one == "-v") {
        let mut version = Command::new(paths::CLAUDE);
        return Err(replaced(version.args(arguments).envs(NO_UPDATES).current_dir("/")));
    }
    celled(OsStr::new(paths::CLAUDE), arguments, &NO_UPDATES)
}

/// Runs a Claude Code that somebody brings along: the command line that an editor's extension, or Claude Code for its
/// background processes, hands to its wrapper.
pub fn wrapped(command_line: &[OsString]) -> Result<Ending, NotStarted> {
    let (program, arguments) = command_line.split_first().ok_or(NotStarted::NoProgram)?;
    celled(program, arguments, &[])
}

/// Runs any program, under the same conditions.
pub fn program(program: &OsStr, arguments: &[OsString]) -> Result<Ending, NotStarted> {
    celled(program, arguments, &[])
}

fn celled(program: &OsStr, arguments: &[OsString], set: &[(&str, &str)]) -> Result<Ending, NotStarted> {
    let policy = policy()?;
    check(&policy)?;
    // One cell is enough: what is in one has nowhere else to go.
    if ipc::is_inside() {
        return Err(replaced(Command::new(program).args(arguments).envs(set.iter().copied())));
    }
    cell::run(program, arguments, set, &policy)
}

/// What root has said of cells when the image was built.
fn policy() -> Result<CellPolicy, NotStarted> {
    let text = fs::read_to_string(paths::POLICY).map_err(|error| NotStarted::Policy(error.to_string()))?;
    Ok(Policy::from_json(&text).map_err(|error| NotStarted::Policy(error.to_string()))?.cell)
}

fn check(policy: &CellPolicy) -> Result<(), NotStarted> {
    let (real, effective) = (rustix::process::getuid(), rustix::process::geteuid());
    if real.is_root() || effective.is_root() {
        return Err(NotStarted::Root);
    }
    let held = rustix::thread::capabilities(None).map_err(|_| NotStarted::Rights)?;
    let opening = CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW | CapabilitySet::SYS_ADMIN;
    if (held.effective | held.permitted).intersects(opening) {
        return Err(NotStarted::Rights);
    }
    match client::ready() {
        Ok(status) if status.mode == Mode::Audit => eprintln!("agent-sandbox: {AUDIT}"),
        Ok(_) => {}
        Err(error) if policy.without.contains(&Layer::Network) => {
            eprintln!(
                "agent-sandbox: THE NETWORK MAY BE OPEN, and the option \"without\" allows that: {error}"
            );
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Only a failure comes back.
fn replaced(command: &mut Command) -> NotStarted {
    let program = command.get_program().to_string_lossy().into_owned();
    NotStarted::Exec { program, source: command.exec() }
}

/// Ends this process as the program ended; what comes back is the exit code that is left for it.
pub fn end_like(ending: Ending) -> u8 {
    match ending {
        Ending::Exited(code) => u8::try_from(code & 0xff).unwrap_or(u8::MAX),
        Ending::Killed(signal) => {
            signals::end_by(signal);
            u8::try_from(128 + signal).unwrap_or(u8::MAX)
        }
    }
}
