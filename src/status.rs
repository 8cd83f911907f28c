//! What the daemon says of itself: the JSON line on the control socket, and in `state.json`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The sandbox's live state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Whether the kernel holds exactly the planned table, read back for this answer.
    pub in_force: bool,
    /// Why not, where it does not.
    pub problem: Option<String>,
    /// Whether every allowed name has been asked for once.
    pub ready: bool,
    /// Packets refused since the table was put there.
    pub refused_packets: u64,
    /// When default-deny was read back, in milliseconds since 1970.
    pub default_deny_at_ms: u64,
    /// When the sandbox became ready, in milliseconds since 1970.
    pub ready_at_ms: Option<u64>,
    /// The allowed names.
    pub names: Vec<NameStatus>,
}

/// An allowed name as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameStatus {
    /// The name.
    pub name: String,
    /// The TCP ports that are open.
    pub ports: BTreeSet<u16>,
    /// At these addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// Why there are none, or not all.
    pub problem: Option<String>,
}
