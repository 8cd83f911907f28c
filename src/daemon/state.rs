//! What the daemon's threads share, and its picture in `state.json`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::dns::Dns;
use super::flows::{self, Flows};
use super::gate::Gate;
use super::lookup::Lookup;
use super::refused::Refused;
use crate::egress::addresses::Addresses;
use crate::firewall;
use crate::firewall::ruleset::{Endpoint, Ruleset};
use crate::policy::Policy;
use crate::status::{NameStatus, Privileged, Status};

/// What the threads share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) policy: Policy,
    pub(super) inner: Mutex<Inner>,
    pub(super) dns: Dns,
    pub(super) gate: Gate,
    pub(super) lookup: Arc<Lookup>,
    pub(super) refused: Refused,
    pub(super) flows: Mutex<Flows>,
    /// What was found of files that give rights, once all were looked at.
    pub(super) privileged: Mutex<Option<Privileged>>,
}

/// The part that changes.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) ruleset: Ruleset,
    /// What was last put into the table's sets.
    pub(super) open: BTreeSet<Endpoint>,
    pub(super) addresses: Addresses,
    /// Whether what is open is not yet what is known; so until that has worked.
    pub(super) outdated: bool,
    /// Whether it was told already that the hosts file cannot be written.
    pub(super) hosts_problem_told: bool,
    pub(super) default_deny_at_ms: u64,
    pub(super) ready_at_ms: Option<u64>,
}

impl Shared {
    /// The live state; asks the kernel.
    pub(super) fn status(&self) -> Status {
        // What cannot be listed now is told by whoever looks regularly.
        let _ = flows::look(self);
        let inner = self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let problem = firewall::verify(&inner.ruleset, &inner.open).err().map(|error| error.to_string());
        let now = Instant::now();
        let names = self.policy.hosts().into_iter().map(|(name, ports)| {
            let (addresses, problem) = inner.addresses.status(name, now);
            let from = self.policy.listed_by(name);
            NameStatus { name: name.to_string(), ports, addresses, problem, from }
        });
        let (denied, denied_others) = self.refused.list();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: self.policy.mode,
            in_force: problem.is_none(),
            problem,
            refused_packets: firewall::refused_packets(&inner.ruleset).unwrap_or(0),
            ready: inner.ready_at_ms.is_some(),
            default_deny_at_ms: inner.default_deny_at_ms,
            ready_at_ms: inner.ready_at_ms,
            names: names.collect(),
            zones: self.policy.zone_entries(),
            allow: self.policy.allow_entries(),
            local_ports: self.policy.cell.local_ports.clone(),
            dns_problem: self.dns.problem(),
            gate_problem: self.gate.problem(),
            privileged: self.privileged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone(),
            denied,
            denied_others,
        }
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
