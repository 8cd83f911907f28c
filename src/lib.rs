//! What runs inside the container: the egress policy, the firewall that enforces it, the daemon that owns
//! both, and the programs that ask it.
//!
//! `policy` decides and does no I/O; `firewall` turns a decision into kernel state and reads it back;
//! `egress` finds addresses; `daemon` ties them together; `verify` tries the attacks.

pub mod allow_check;
pub mod claude_config;
pub mod client;
pub mod compat;
pub mod confine;
pub mod daemon;
pub mod descriptors;
pub mod egress;
pub mod exit;
pub mod firewall;
pub mod follow;
pub mod git_guard;
#[cfg(feature = "installer")]
pub mod install;
pub mod ipc;
pub mod launch;
pub mod log;
pub mod own_folder;
pub mod paths;
pub mod policy;
pub mod privileged;
pub mod status;
pub mod utc;
pub mod verify;
