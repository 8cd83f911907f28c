//! Exit codes of `sandboxd` and `agent-sandbox`, as the README lists them.

/// Done, or everything holds.
pub const OK: u8 = 0;
/// The sandbox is not in force, a check failed, or a start failed.
pub const FAILED: u8 = 1;
/// The command line does not read.
pub const USAGE: u8 = 2;
/// An agent was not started: as uid 0, or outside a sandbox that is in force. Or a `git push` was refused.
pub const REFUSED: u8 = 3;
