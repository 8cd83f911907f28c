//! `agent-sandbox verify`: tries the way out, row by row, as the user who runs it.
//!
//! A probe passes only if the kernel itself refused it, which is what the firewall does; silence, a refusal from
//! afar or an answer are failures. Targets are addresses that RFC 5737 and RFC 3849 keep free, and the
//! container's own gateway, so that even an open network carries a probe nowhere.

mod allowed;
mod denied;
mod gate;
mod gateway;
mod git_push;
mod hello;
mod kernel;
mod privileged;
mod rights;

use serde::Serialize;

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
pub const LIMITS: [&str; 6] = [
    "an allowed name is a way out for whoever controls what stands behind it: a forge, a CDN, an upload API",
    "git push is refused by git's configuration, a guard and no boundary: a pushurl or another client goes around it",
    "what is inside TLS nobody reads: a host's front may pass requests on to others that it serves",
    "names with other ports than 443 and 80 are opened by address: whatever else answers there is open too",
    "whoever can connect into the container over TCP is answered, and that is a way out",
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
    rows.extend(allowed::rows());
    rows
}

/// Whether nothing failed.
pub fn holds(rows: &[Row]) -> bool {
    rows.iter().all(|row| row.outcome != Outcome::Fail)
}
