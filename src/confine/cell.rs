//! Putting a cell together, around one program.
//!
//! Three processes: this one, which the caller started and which stands for the program (`mirror`); the keeper, which
//! lives as long as anything in the cell; and the program, which shuts the cell behind itself before it is executed.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use rustix::process::{DumpableBehavior, set_child_subreaper, set_dumpable_behavior};

use super::calls::{self, Tracing};
use super::facts::{self, Facts};
use super::fork::{self, Side};
use super::places::Places;
use super::rules::{self, Ground, Prepared, RulesError};
use super::signals::{Mask, Signals};
use super::wire::{self, Ending, Word};
use super::{NotStarted, carry, environment, handed, keeper, mirror, rights};
use crate::ipc::{self, SocketRules, Supervisor};
use crate::paths;
use crate::policy::{CellPolicy, Layer};

/// What the program takes on, in this order, once it is a process of its own.
struct Shell {
    /// The caller's.
    mask: Mask,
    rules: Prepared,
    calls: seccompiler::BpfProgram,
    sockets: Vec<libc::sock_filter>,
    /// Where somebody answers for the sockets' filter, to whom the means for that are handed.
    hand: Option<OwnedFd>,
}

/// What of its shell the program could not take on.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the caller's signals cannot be told: {0}")]
    Signals(String),
    #[error("core dumps cannot be turned off: {0}")]
    Dumps(Errno),
    #[error("capabilities cannot be given up: {0}")]
    Capabilities(Errno),
    #[error("no_new_privs cannot be set: {0}")]
    Privileges(Errno),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(
        "the kernel or the container's seccomp profile takes no filter for system calls ({0}): run the container under a profile that allows seccomp(2), as Docker's own does"
    )]
    Filter(String),
    #[error("the filter's listener cannot be handed over: {0}")]
    Listener(String),
}

/// Runs a program in a cell of its own, and says how it ended.
pub(super) fn run(
    program: &OsStr,
    arguments: &[OsString],
    set: &[(&str, &str)],
    policy: &CellPolicy,
) -> Result<Ending, NotStarted> {
    let here = env::current_dir().map_err(NotStarted::Folder)?;
    let places = Places::prepare(policy, &here)?;
    for note in places.notes.iter().chain(&carry::carry(&places)) {
        eprintln!("agent-sandbox: {note}");
    }
    let writable: Vec<PathBuf> = places.writable().map(Path::to_owned).collect();
    let listed: Vec<PathBuf> = [paths::CONTROL]
        .into_iter()
        .chain(policy.unix_sockets.iter().map(String::as_str))
        .map(PathBuf::from)
        .collect();
    let shared: Vec<PathBuf> = places.agents.iter().cloned().collect();
    let ground = Ground {
        writable: &writable,
        shared: &shared,
        real_home: &places.real_home,
        listed_sockets: &listed,
    };
    let prepared = rules::prepare(ground)?;
    let found = ipc::probe()?;
    let facts = Facts::new(&found, prepared.enforced());
    if policy.without.contains(&Layer::Environment) {
        eprintln!(
            "agent-sandbox: YOUR ENVIRONMENT REACHES THE AGENT, tokens and sockets in it; the option \"without\" says so"
        );
    }
    if let Some(weaker) = facts.weaker() {
        eprintln!("agent-sandbox: {weaker}");
    }
    let socket_rules = SocketRules {
        writable: writable.clone(),
        shared,
        listed,
        moves_are_shut: facts.rules.writes,
        mechanism: found.mechanism,
    };
    let tracing = if facts.rules.tracing { Tracing::Inside } else { Tracing::Closed };

    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(surroundings(env::vars_os(), &places, policy));
    command.envs(set.iter().copied()).env(facts::VARIABLE, serde_json::to_string(&facts).unwrap_or_default());
    let (hand, take) = if found.mechanism.notifies() {
        let (hand, take) = wire::pair().map_err(NotStarted::Kernel)?;
        (Some(hand), Some(take))
    } else {
        (None, None)
    };
    let (tell, told) = wire::pair().map_err(NotStarted::Kernel)?;
    let shell = Shell {
        mask: Mask::own().map_err(NotStarted::Kernel)?,
        rules: prepared,
        calls: calls::filter(tracing),
        sockets: ipc::filter::sockets(found.mechanism),
        hand,
    };
    shut_behind(&mut command, shell, tell);
    let supervisor = move || match take {
        Some(take) => Ok(Some(Supervisor::new(taken(&take)?, socket_rules)?)),
        None => Ok(None),
    };
    start(command, told, supervisor)
}

/// The program's environment. What is set anew is set all the same where the policy lets the caller's pass.
fn surroundings(
    from: impl Iterator<Item = (OsString, OsString)>,
    places: &Places,
    policy: &CellPolicy,
) -> BTreeMap<OsString, OsString> {
    let from: Vec<_> = from.collect();
    let clean = environment::clean(from.clone(), places, &policy.pass_environment);
    let all = policy.without.contains(&Layer::Environment).then_some(from);
    all.into_iter().flatten().chain(clean).collect()
}

/// Forks the keeper, and stands for the program until that has ended.
fn start(
    command: Command,
    told: OwnedFd,
    supervisor: impl FnOnce() -> io::Result<Option<Supervisor>>,
) -> Result<Ending, NotStarted> {
    let (here, there) = wire::pair().map_err(NotStarted::Kernel)?;
    // Before there are two, so that neither misses one.
    let signals = Signals::take().map_err(NotStarted::Kernel)?;
    // What these hold, such as the caller's environment, nobody else of the same user is to read.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| NotStarted::Kernel(error.into()))?;
    match fork::fork().map_err(NotStarted::Kernel)? {
        Side::Parent => {
            drop((there, command, told));
            Ok(mirror::run(&here, &signals)?)
        }
        Side::Child => {
            drop((here, signals));
            let kept = set_child_subreaper(Some(rustix::process::getpid()))
                .map_err(io::Error::from)
                .and_then(|()| handed::restrict())
                .and_then(|()| keeper::run(there, command, &told, supervisor));
            fork::end(i32::from(kept.is_err()))
        }
    }
}

/// Has the program take on its shell where it is a process already and still this program.
#[expect(unsafe_code, reason = "std runs nothing between fork and exec without it")]
fn shut_behind(command: &mut Command, shell: Shell, tell: OwnedFd) {
    let mut shell = Some(shell);
    // SAFETY: the process that forks has one thread, so nothing that is used here, memory among it, was left locked.
    unsafe {
        command.pre_exec(move || match shell.take() {
            Some(shell) => shell.shut().map_err(|refused| {
                // What is returned here arrives as a number.
                wire::say(&tell, &Word::Failed(refused.to_string()));
                io::ErrorKind::PermissionDenied.into()
            }),
            None => Err(io::ErrorKind::Other.into()),
        });
    }
}

impl Shell {
    /// Whatever of it does not work keeps the program from being started.
    fn shut(self) -> Result<(), Refused> {
        self.mask.take_on().map_err(|error| Refused::Signals(error.to_string()))?;
        // The program itself may be looked at by its debugger.
        rights::core_limit().map_err(Refused::Dumps)?;
        rights::empty_capabilities().map_err(Refused::Capabilities)?;
        rustix::thread::set_no_new_privs(true).map_err(Refused::Privileges)?;
        self.rules.restrict_self()?;
        let filter = |error: &dyn std::error::Error| Refused::Filter(error.to_string());
        seccompiler::apply_filter(&self.calls).map_err(|error| filter(&error))?;
        match self.hand {
            Some(hand) => {
                let listener = ipc::install(&self.sockets).map_err(|error| filter(&error))?;
                hand_over(&hand, &listener).map_err(|error| Refused::Listener(error.to_string()))
            }
            None => ipc::install_plain(&self.sockets).map_err(|error| filter(&error)),
        }
    }
}

fn hand_over(to: &OwnedFd, listener: &OwnedFd) -> io::Result<()> {
    let fds = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(to, &[IoSlice::new(b"l")], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn taken(from: &OwnedFd) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
    let handed = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    handed.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_alone_lets_the_callers_environment_pass() {
        let places = Places { home: "/agents".into(), ..Places::default() };
        let from = || {
            [("SSH_AUTH_SOCK", "x"), ("HOME", "/home/user")].map(|(name, value)| (name.into(), value.into()))
        };
        let of = |policy: &CellPolicy| surroundings(from().into_iter(), &places, policy);
        let (name, home) = (OsString::from("SSH_AUTH_SOCK"), OsString::from("HOME"));
        assert!(!of(&CellPolicy::default()).contains_key(&name));
        let open = CellPolicy { without: [Layer::Environment].into(), ..CellPolicy::default() };
        assert!(of(&open).contains_key(&name));
        assert_eq!(of(&open)[&home], "/agents");
    }
}
