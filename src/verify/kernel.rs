//! The kernel's table, read back by the daemon for this question.

use super::{Outcome, Row};
use crate::client;
use crate::policy::Mode;
use crate::status::AUDIT;

/// Whether the policy is enforced, which no other row can make up for.
pub(super) fn mode() -> Row {
    let row = |outcome, detail: String| {
        Row::new("policy.enforced", "what no rule allows is refused", outcome, detail)
    };
    match client::status() {
        Ok(status) if status.mode == Mode::Enforce => row(Outcome::Pass, "the policy is enforced".to_owned()),
        Ok(_) => row(Outcome::Fail, AUDIT.to_owned()),
        Err(error) => row(Outcome::Fail, error.to_string()),
    }
}

pub(super) fn row() -> Row {
    let row = |outcome, detail: String| {
        Row::new("net.table", "the kernel holds exactly the planned default-deny table", outcome, detail)
    };
    match client::status() {
        Ok(status) if status.in_force => row(Outcome::Pass, "read back from the kernel just now".to_owned()),
        Ok(status) => row(Outcome::Fail, status.problem.unwrap_or_default()),
        Err(error) => row(Outcome::Fail, error.to_string()),
    }
}
