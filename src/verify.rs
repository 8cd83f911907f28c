//! `agent-sandbox verify`: tries the way out, row by row, as the user who runs it.
//!
//! A probe passes only if the kernel itself refused it, which is what the firewall does; silence, a refusal from
//! afar or an answer are failures. Targets are addresses that RFC 5737 and RFC 3849 keep free, and the
//! container's own gateway, so that even an open network carries a probe nowhere.

mod allowed;
mod cell;
mod denied;
mod gate;
mod gateway;
mod git_push;
mod hello;
mod kernel;
mod privileged;
mod rights;

pub use cell::PORT as LOCAL_PORT;
pub use cell::{Aims, Report, attempt_all};
use serde::Serialize;

use crate::firewall::ruleset::Flow;

const UDP: u8 = 17;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It does not hold.
    Fail,
    /// It cannot be tried here, and the detail says why.
    NotApplicable,
    /// Nothing unsafe, but something that a user would want to know.
    Warn,
}

/// One check and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// A stable name.
    pub id: String,
    /// What is claimed.
    pub claim: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// What was seen.
    pub detail: String,
}

impl Row {
    fn new(id: impl Into<String>, claim: &'static str, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { id: id.into(), claim, outcome, detail: detail.into() }
    }
}

/// What this version does not close, told with every result.
pub const LIMITS: [&str; 8] = [
    "an allowed name is a way out for whoever controls what stands behind it: a forge, a CDN, an upload API",
    "where git push is refused, git's configuration does it, a guard and no boundary: a pushurl or another client goes around it",
    "what is inside TLS nobody reads: a host's front may pass requests on to others that it serves",
    "names with other ports than 443 and 80 are opened by address: whatever else answers there is open too",
    "whoever can connect into the container over TCP is answered, and that is a way out",
    "VS Code's server runs what the project tells it to, and the agent writes the project",
    "other terminals and shared memory of the same user are open to the agent, and command lines of its processes",
    "root in the container, as 'docker exec -u root' gives it, can take the firewall down",
];

/// Tries everything.
pub fn run() -> Vec<Row> {
    let mut rows = vec![kernel::row(), kernel::mode()];
    rows.extend(denied::rows());
    rows.extend(gate::rows());
    rows.push(gateway::row());
    rows.extend(rights::rows());
    rows.push(privileged::row());
    rows.push(git_push::row());
    rows.extend(cell::rows());
    rows.extend(allowed::rows());
    rows
}

/// Whether a flow is one with which [`run`] tries the ways out. All of them lead to where nobody is.
pub fn is_probe(flow: &Flow) -> bool {
    let to_gateway = (flow.protocol, flow.port) == (UDP, gateway::PORT);
    to_gateway || denied::is_probe(flow.address, flow.port)
}

/// Whether nothing failed.
pub fn holds(rows: &[Row]) -> bool {
    rows.iter().all(|row| row.outcome != Outcome::Fail)
}

/// How many checks came out how, in one line.
pub fn summary(rows: &[Row]) -> String {
    let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    let (passed, failed, warned) = (count(Outcome::Pass), count(Outcome::Fail), count(Outcome::Warn));
    let verdict = if holds(rows) { "the sandbox holds" } else { "THE SANDBOX DOES NOT HOLD" };
    format!("{verdict}: {passed} passed, {failed} failed, {warned} to know about (WARN)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_checks_try_is_known() {
        let flow = |address: &str, protocol, port| Flow {
            address: address.parse().unwrap(),
            protocol,
            port,
            uid: 1000,
        };
        for (flow, expected) in [
            (flow("192.0.2.1", 6, 8443), true),
            (flow("2001:db8:ffff::1", 17, 443), true),
            (flow("172.17.0.1", 17, 1), true),
            (flow("172.17.0.1", 6, 1), false),
            (flow("192.0.2.1", 6, 22), false),
            (flow("192.0.2.2", 6, 8443), false),
        ] {
            assert_eq!(is_probe(&flow), expected, "{flow:?}");
        }
    }

    #[test]
    fn one_failure_is_the_verdict() {
        let row = |outcome| Row::new("x", "y", outcome, "z");
        let mut rows = vec![row(Outcome::Pass), row(Outcome::Warn), row(Outcome::NotApplicable)];
        assert_eq!(summary(&rows), "the sandbox holds: 1 passed, 0 failed, 1 to know about (WARN)");
        rows.push(row(Outcome::Fail));
        assert_eq!(summary(&rows), "THE SANDBOX DOES NOT HOLD: 1 passed, 1 failed, 1 to know about (WARN)");
    }
}
