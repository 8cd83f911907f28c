//! What the daemon says of itself: the JSON line on the control socket, and in `state.json`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::policy::Mode;

/// What is said wherever somebody could take audit mode for protection.
pub const AUDIT: &str = "AUDIT MODE, NOTHING IS ENFORCED: connections that no rule allows are let through and noted; \
    `agent-sandbox log` lists them, and the option \"mode\": \"enforce\" ends this";

/// The sandbox's live state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Whether the policy is enforced.
    #[serde(default)]
    pub mode: Mode,
    /// Whether the kernel holds exactly the planned table, read back for this answer.
    pub in_force: bool,
    /// Why not, where it does not.
    pub problem: Option<String>,
    /// Whether every allowed name has been asked for once.
    pub ready: bool,
    /// Packets refused, and flows answered here instead, since the table was put there.
    pub refused_packets: u64,
    /// When default-deny was read back, in milliseconds since 1970.
    pub default_deny_at_ms: u64,
    /// When the sandbox became ready, in milliseconds since 1970.
    pub ready_at_ms: Option<u64>,
    /// The allowed names.
    pub names: Vec<NameStatus>,
    /// The allowed zones, each as an entry of the policy, with its ports and where it was listed.
    #[serde(default)]
    pub zones: Vec<String>,
    /// The option `allow` as it is now, an entry each.
    #[serde(default)]
    pub allow: Vec<String>,
    /// The option `localPorts` as it is now.
    #[serde(default)]
    pub local_ports: BTreeSet<u16>,
    /// Why DNS questions get no answer, where they do not; nothing is open for that.
    #[serde(default)]
    pub dns_problem: Option<String>,
    /// Why no connections to ports 443 and 80 pass, where they do not; nothing is open for that.
    #[serde(default)]
    pub gate_problem: Option<String>,
    /// Files that gave rights to whoever ran them; `None` until all were looked at.
    #[serde(default)]
    pub privileged: Option<Privileged>,
    /// What was refused, the latest first.
    #[serde(default)]
    pub denied: Vec<Denied>,
    /// Refusals beyond those that are kept.
    #[serde(default)]
    pub denied_others: u64,
}

/// Files with setuid, setgid or capabilities, as this start found them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileged {
    /// Files that have lost them.
    pub stripped: Vec<String>,
    /// As many more have.
    pub stripped_others: u64,
    /// Files that still have them.
    pub left: Vec<Giver>,
    /// As many more have.
    pub left_others: u64,
    /// Folders that the daemon may not look into, as users' own are.
    pub unseen: u64,
    /// Why nothing was looked at, where that is so.
    pub problem: Option<String>,
}

/// A file that gives rights to whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Giver {
    /// Its path.
    pub path: String,
    /// What it gives.
    pub gives: String,
    /// Why it still does.
    pub why: String,
}

/// What was refused, or let through in audit mode only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// A name that was asked for, or a name and a port that a connection was for.
    pub what: String,
    /// Why.
    pub why: String,
    /// Whether it was let through all the same, in audit mode.
    #[serde(default)]
    pub let_through: bool,
    /// The entry of the option `allow` that would allow it, if one would.
    pub entry: Option<String>,
    /// The port that the option `localPorts` would have to list to allow it, if that is what would.
    #[serde(default)]
    pub local_port: Option<u16>,
    /// How often; a lookup is often two questions, for IPv4 and IPv6.
    pub count: u64,
    /// When first, in milliseconds since 1970.
    pub first_ms: u64,
    /// When last, in milliseconds since 1970.
    pub last_ms: u64,
    /// Whose the first one was, where that is known.
    #[serde(default)]
    pub by: Option<By>,
}

/// Who was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// The user's name, or number.
    pub user: String,
    /// The process, where the daemon may see it.
    #[serde(default)]
    pub process: Option<Process>,
}

/// A process, as it calls itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number in the container.
    pub pid: u32,
    /// Its name; characters that are not plain ASCII stand there as question marks.
    pub name: String,
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
    /// Where it was listed: an option, a preset, a line of the policy file.
    #[serde(default)]
    pub from: Vec<String>,
}
