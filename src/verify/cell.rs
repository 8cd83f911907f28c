//! The agent's cell, tried: the same attempts are made once by a process like any other of this user, and once by one
//! in the cell. What both cannot do says nothing about the cell, and is told so.

mod attempts;
mod targets;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

pub use attempts::run as attempt_all;
pub use targets::PORT;
use targets::Targets;

use super::{Outcome, Row};
use crate::confine::Facts;
use crate::ipc::Mechanism;
use crate::paths;

/// What is there to be attempted, as the one who attempts it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aims {
    /// A Unix socket that somebody outside listens on, as VS Code does.
    pub socket: String,
    /// One with an abstract name.
    pub abstract_name: String,
    /// A Unix datagram socket.
    pub datagram: String,
    /// A TCP port on loopback.
    pub port: u16,
    /// A process outside.
    pub process: i32,
    /// A file in the user's home that does not exist yet.
    pub file: String,
    /// Variables that must not arrive.
    pub variables: Vec<String>,
}

/// How one attempt came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which.
    pub id: String,
    /// Whether it got through.
    pub through: bool,
    /// What was met.
    pub detail: String,
}

/// All that one process has attempted, and what its cell says it is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Each attempt.
    pub attempts: Vec<Attempt>,
    /// Where it was made in a cell.
    pub facts: Option<Facts>,
}

/// What is claimed, and whether an agent is started without it.
struct Claim {
    id: &'static str,
    says: &'static str,
    /// What the kernel must carry for it; a layer that is required is no matter of the kernel's.
    needs: fn(&Facts) -> bool,
}

const CLAIMS: [Claim; 10] = [
    Claim {
        id: "cell.unix-socket",
        says: "the agent cannot connect to a Unix socket of a process outside, as VS Code's are",
        needs: |_| true,
    },
    Claim { id: "cell.abstract-socket", says: "nor to one with an abstract name", needs: |_| true },
    Claim { id: "cell.datagram-socket", says: "nor send to a Unix datagram socket", needs: |_| true },
    Claim {
        id: "cell.local-port",
        says: "the agent cannot connect to a TCP port on localhost of a process outside",
        needs: |facts| facts.label,
    },
    Claim {
        id: "cell.environment",
        says: "no variable with a socket, a token or a helper arrives at the agent",
        needs: |_| true,
    },
    Claim {
        id: "cell.reading",
        says: "environment and memory of processes outside cannot be read",
        needs: |facts| facts.rules.tracing,
    },
    Claim {
        id: "cell.signals",
        says: "processes outside get no signals of the agent's",
        needs: |facts| facts.rules.signals,
    },
    Claim { id: "cell.home", says: "the user's home cannot be written", needs: |facts| facts.rules.writes },
    Claim {
        id: "cell.no-new-privileges",
        says: "no program gives the agent more rights than it has",
        needs: |_| true,
    },
    Claim { id: "cell.capabilities", says: "the agent holds no capability", needs: |_| true },
];

pub(super) fn rows() -> Vec<Row> {
    if rustix::process::geteuid().is_root() {
        let detail = "no agent is started as root: call verify as the user who works in the container";
        return vec![Row::new("cell.start", START, Outcome::NotApplicable, detail)];
    }
    if crate::ipc::is_inside() {
        let detail = "this is in a cell already, and nothing outside can be set up from here";
        return vec![Row::new("cell.start", START, Outcome::NotApplicable, detail)];
    }
    match tried() {
        Ok((bare, celled)) => judged(&bare, &celled),
        Err(error) => vec![Row::new("cell.start", START, Outcome::Fail, error.to_string())],
    }
}

const START: &str = "an agent is started in a cell";

/// What a process outside and one in a cell report.
fn tried() -> io::Result<(Report, Report)> {
    let targets = Targets::new()?;
    let aims = serde_json::to_string(&targets.aims)?;
    let bare =
        report(&targets, &[OsStr::new(paths::AGENT_SANDBOX), OsStr::new("attempt"), OsStr::new(&aims)])?;
    targets.clear();
    let celled = report(
        &targets,
        &[
            OsStr::new(paths::AGENT_SANDBOX),
            OsStr::new("exec"),
            OsStr::new(paths::AGENT_SANDBOX),
            OsStr::new("attempt"),
            OsStr::new(&aims),
        ],
    )?;
    Ok((bare, celled))
}

fn report(targets: &Targets, command: &[&OsStr]) -> io::Result<Report> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let output = Command::new(program)
        .args(arguments)
        .envs(targets.aims.variables.iter().map(|name| (name, "agent-sandbox-verify")))
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = said.lines().next_back().unwrap_or("it says nothing").to_owned();
        io::Error::other(said)
    })
}

fn judged(bare: &Report, celled: &Report) -> Vec<Row> {
    let index = |report: &Report| -> BTreeMap<String, Attempt> {
        report.attempts.iter().map(|attempt| (attempt.id.clone(), attempt.clone())).collect()
    };
    let (before, after) = (index(bare), index(celled));
    let Some(facts) = &celled.facts else {
        return vec![Row::new("cell.start", START, Outcome::Fail, "the program was started, but in no cell")];
    };
    let mut rows = vec![Row::new("cell.start", START, Outcome::Pass, facts.to_string())];
    rows.push(own_sockets(after.get(OWN_SOCKETS), facts));
    rows.extend(CLAIMS.iter().map(|claim| judge(claim, before.get(claim.id), after.get(claim.id), facts)));
    rows
}

/// The one attempt that has to work.
const OWN_SOCKETS: &str = "cell.own-sockets";

fn own_sockets(after: Option<&Attempt>, facts: &Facts) -> Row {
    let (outcome, detail) = match after {
        Some(after) if after.through => (Outcome::Pass, after.detail.clone()),
        Some(after) if facts.unix_sockets == Mechanism::Closed => {
            (Outcome::Warn, format!("they are closed here: {}", after.detail))
        }
        Some(after) => (Outcome::Fail, after.detail.clone()),
        None => (Outcome::Fail, "it was not attempted".to_owned()),
    };
    Row::new(OWN_SOCKETS, "Unix sockets among the agent's own programs work", outcome, detail)
}

fn judge(claim: &Claim, before: Option<&Attempt>, after: Option<&Attempt>, facts: &Facts) -> Row {
    let (outcome, detail) = match (before, after) {
        (_, None) | (None, _) => (Outcome::Fail, "it was not attempted".to_owned()),
        (_, Some(after)) if after.through && (claim.needs)(facts) => (Outcome::Fail, after.detail.clone()),
        (_, Some(after)) if after.through => (
            Outcome::Warn,
            format!("open, as this kernel or container engine has no means for it: {}", after.detail),
        ),
        (Some(before), Some(after)) if !before.through => {
            (Outcome::NotApplicable, format!("outside a cell it does not work either: {}", after.detail))
        }
        (_, Some(after)) => (Outcome::Pass, after.detail.clone()),
    };
    Row::new(claim.id, claim.says, outcome, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(through: bool, facts: Option<Facts>) -> Report {
        let attempts =
            CLAIMS.iter().map(|claim| Attempt { id: claim.id.to_owned(), through, detail: String::new() });
        let own = Attempt { id: OWN_SOCKETS.to_owned(), through: true, detail: String::new() };
        Report { attempts: attempts.chain([own]).collect(), facts }
    }

    #[test]
    fn an_attempt_that_gets_through_fails_its_row() {
        let (open, shut) = (report(true, None), report(false, None));
        let full = || Some(Facts::of_test(true));
        let outcomes = |bare: &Report, through: bool, facts: Option<Facts>| -> Vec<Outcome> {
            judged(bare, &report(through, facts)).into_iter().skip(2).map(|row| row.outcome).collect()
        };
        assert!(outcomes(&open, false, full()).iter().all(|outcome| *outcome == Outcome::Pass));
        assert!(outcomes(&open, true, full()).iter().all(|outcome| *outcome == Outcome::Fail));
        assert!(outcomes(&shut, false, full()).iter().all(|outcome| *outcome == Outcome::NotApplicable));
        let poor = outcomes(&open, true, Some(Facts::of_test(false)));
        assert_eq!(poor.iter().filter(|outcome| **outcome == Outcome::Warn).count(), 4);
        assert_eq!(poor.iter().filter(|outcome| **outcome == Outcome::Fail).count(), 6);
        let none = judged(&open, &report(false, None));
        assert_eq!(none[0].outcome, Outcome::Fail);
        let mut deaf = report(false, full());
        deaf.attempts.retain(|attempt| attempt.id != OWN_SOCKETS);
        deaf.attempts.push(Attempt { id: OWN_SOCKETS.to_owned(), through: false, detail: String::new() });
        let rows = judged(&open, &deaf);
        assert_eq!((rows[1].id.as_str(), rows[1].outcome), (OWN_SOCKETS, Outcome::Fail));
        let nothing = Report { attempts: Vec::new(), facts: full() };
        assert!(judged(&open, &nothing).iter().skip(1).all(|row| row.outcome == Outcome::Fail));
    }
}
