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
                truncation: true,
                devices: true,
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
        let lacks = |held: bool| self.rules.writes && !held;
        tell(!lacks(self.rules.truncation), "files that cannot be written can be emptied all the same");
        tell(!lacks(self.rules.devices), "devices that the user may open take any request");
        tell(self.rules.reads, "keys and tokens in the user's home can be read");
        tell(self.rules.tracing, "the environment of the user's other processes can be read");
        tell(self.rules.signals, "the user's other processes can be sent signals");
        open
    }

    /// One line for whoever starts an agent in a cell in which something is open; nothing where all is shut, by whatever
    /// means.
    pub fn weaker(&self) -> Option<String> {
        let open = self.open();
        if open.is_empty() {
            return None;
        }
        let cause = match (self.rules.abi, &self.why) {
            (1.., _) if self.label => {
                format!("Landlock's version {} is what this kernel has", self.rules.abi)
            }
            (_, Some(why)) => why.clone(),
            (abi, None) => format!("Landlock's version {abi}"),
        };
        Some(format!("THIS CELL IS WEAKER THAN IT COULD BE ({cause}): {}", open.join("; ")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_open_is_told_at_the_start() {
        let full = Facts::of_test(true);
        assert_eq!((full.open(), full.weaker()), (Vec::new(), None));
        // By another means, and as shut.
        let supervised =
            Facts { unix_sockets: Mechanism::Supervisor, why: Some("old".into()), ..full.clone() };
        assert_eq!(supervised.weaker(), None);

        let poor = Facts { why: Some("refused".into()), ..Facts::of_test(false) };
        let told = poor.weaker().unwrap();
        assert!(
            told.starts_with("THIS CELL IS WEAKER THAN IT COULD BE (refused): Unix sockets are closed"),
            "{told}"
        );
        assert_eq!((poor.open().len(), told.lines().count()), (6, 1));

        let rules = Enforced { abi: 2, writes: true, reads: true, tracing: true, ..Enforced::default() };
        let old = Facts { rules, ..supervised };
        let told = old.weaker().unwrap();
        assert!(told.contains(
            "(Landlock's version 2 is what this kernel has): files that cannot be written can be emptied"
        ));
        assert_eq!(old.open().len(), 3);
    }
}
