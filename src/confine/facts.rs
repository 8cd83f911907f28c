//! What a cell is made of, which depends on the kernel and on the container engine.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::rules::Enforced;
use crate::ipc::{self, Found, Mechanism};

/// The variable that tells programs in a cell. It is for people and for `verify`; nothing is decided by it.
pub(super) const VARIABLE: &str = "AGENT_SANDBOX_CELL";

/// Of what a cell is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What keeps the agent from others' Unix sockets.
    pub unix_sockets: Mechanism,
    /// Why it is not a better one.
    #[serde(default)]
    pub why: Option<String>,
    /// Whether TCP connections on loopback are told from those of other processes.
    pub label: bool,
    /// What Landlock keeps.
    pub rules: Enforced,
}

impl Facts {
    /// Those of a cell that is made here.
    pub(super) fn new(found: &Found, rules: Enforced) -> Self {
        let whys = [&found.landlock, &found.notifications].into_iter().filter_map(|why| why.as_ref().err());
        let why: Vec<String> = whys.map(ToString::to_string).collect();
        Self {
            unix_sockets: found.mechanism,
            why: (!why.is_empty()).then(|| why.join("; ")),
            label: found.mechanism.notifies(),
            rules,
        }
    }

    /// Those of the cell that this process is in, if it is in one.
    pub fn of_this_process() -> Option<Self> {
        if !ipc::is_inside() {
            return None;
        }
        serde_json::from_str(&std::env::var(VARIABLE).ok()?).ok()
    }

    /// For tests: with all that a kernel can carry, or with the least.
    #[cfg(test)]
    pub(crate) fn of_test(full: bool) -> Self {
        let rules = if full {
            Enforced {
                abi: 9,
                writes: true,
                reads: true,
                tracing: true,
                signals: true,
                ..Enforced::default()
            }
        } else {
            Enforced::default()
        };
        let unix_sockets = if full { Mechanism::Landlock } else { Mechanism::Closed };
        Self { unix_sockets, why: None, label: full, rules }
    }

    /// What is open in this cell, a sentence each; nothing where the kernel carries all.
    pub fn open(&self) -> Vec<String> {
        let mut open = Vec::new();
        let mut tell = |is_shut: bool, what: &str| {
            if !is_shut {
                open.push(what.to_owned());
            }
        };
        if matches!(self.unix_sockets, Mechanism::Closed) {
            tell(
                false,
                "Unix sockets are closed altogether: browsers, Python's multiprocessing.Manager and servers on such sockets fail",
            );
        }
        tell(self.label, "ports on localhost are open, those of VS Code's server among them");
        tell(self.rules.writes, "files that other programs of the user run or read can be written");
        tell(self.rules.reads, "keys and tokens in the user's home can be read");
        tell(self.rules.tracing, "the environment of the user's other processes can be read");
        tell(self.rules.signals, "the user's other processes can be sent signals");
        open
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sockets = match self.unix_sockets {
            Mechanism::Landlock | Mechanism::LandlockUnlabelled => "mediated by Landlock",
            Mechanism::Supervisor => "mediated by a supervisor",
            Mechanism::Closed => "closed",
        };
        write!(f, "Unix sockets are {sockets}; ")?;
        match self.rules.abi {
            0 => f.write_str("no Landlock")?,
            abi => write!(f, "Landlock's version {abi}")?,
        }
        for open in self.open() {
            write!(f, "; {open}")?;
        }
        Ok(())
    }
}
