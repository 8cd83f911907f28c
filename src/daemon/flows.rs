//! Packets that the table refused, or let through in audit mode, as it has noted them: told by name where one is known.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::ensure;

use super::lookup::Lookup;
use super::state::Shared;
use super::who;
use crate::egress::addresses::Addresses;
use crate::egress::refusals::Refusal;
use crate::firewall;
use crate::firewall::plan::{MOST_FLOWS, is_closed_in_audit};
use crate::firewall::ruleset::Flow;
use crate::policy::{Decision, HostName, Mode};
use crate::verify::is_probe;

const TCP: u8 = 6;

/// What has been told of each flow.
#[derive(Debug, Default)]
pub(super) struct Flows(BTreeMap<Flow, u64>);

/// Tells what is new.
pub(super) fn look(shared: &Shared) -> anyhow::Result<()> {
    let ruleset = lock(&shared.inner).ruleset.clone();
    // Held until all is told: who comes second finds nothing new.
    let mut flows = lock(&shared.flows);
    let noted = firewall::flows(&ruleset)?;
    let full = is_full(&noted);
    for (flow, times) in flows.news(noted) {
        // Who listens there is not who was refused, and whose name leads there does not matter.
        if let Some(port) = flow.local_port() {
            if port == crate::verify::LOCAL_PORT {
                continue;
            }
            shared.refused.times(&Refusal::Flow { flow, name: None, let_through: false }, times, || None);
            continue;
        }
        let name = name_of(flow.address, &lock(&shared.inner).addresses, &shared.lookup);
        let name = name.map(|name| match shared.policy.decide(&name, flow.port) {
            Decision::Allowed(_) => (name, None),
            Decision::Refused(reason) => (name, Some(reason)),
        });
        let let_through = shared.policy.mode == Mode::Audit && is_let_through(&flow);
        // `agent-sandbox verify` has made sure that it is refused, which is nothing to tell.
        if !let_through && is_probe(&flow) {
            continue;
        }
        shared
            .refused
            .times(&Refusal::Flow { flow, name, let_through }, times, || Some(who::of_uid(flow.uid)));
    }
    ensure!(
        !full,
        "{MOST_FLOWS} hosts and ports are listed; no more are before an hour has passed, nor let through in audit mode"
    );
    Ok(())
}

/// The name that people read for an address, and may be told to allow. One of the policy's comes first: in audit mode
/// anybody may look up a name of their own that leads to where another one does.
fn name_of(address: IpAddr, of_policy: &Addresses, lookup: &Lookup) -> Option<HostName> {
    of_policy.name_of(address).cloned().or_else(|| lookup.name_of(address))
}

/// Whether there is room for no more in one of the sets.
fn is_full(noted: &[(Flow, u64)]) -> bool {
    let v4 = noted.iter().filter(|(flow, _)| flow.address.is_ipv4()).count();
    v4.max(noted.len() - v4) >= MOST_FLOWS as usize
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Flows {
    /// How many packets there were since the last look. A count that has fallen is a new one: the flow had timed out,
    /// or the table was put back.
    fn news(&mut self, noted: Vec<(Flow, u64)>) -> Vec<(Flow, u64)> {
        let now: BTreeMap<Flow, u64> = noted.into_iter().collect();
        let before = std::mem::replace(&mut self.0, now);
        let since = |flow: &Flow, packets: u64| match before.get(flow) {
            Some(told) if *told <= packets => packets - told,
            _ => packets,
        };
        self.0
            .iter()
            .map(|(flow, packets)| (*flow, since(flow, *packets)))
            .filter(|(_, times)| *times > 0)
            .collect()
    }
}

/// What the table lets through in audit mode of what it notes.
fn is_let_through(flow: &Flow) -> bool {
    flow.protocol == TCP && !is_closed_in_audit(flow.address)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::egress::query::Record;

    #[test]
    fn a_full_set_is_known() {
        let flow =
            |address: &str, port| Flow { address: address.parse().unwrap(), protocol: TCP, port, uid: 0 };
        let most = u16::try_from(MOST_FLOWS).unwrap();
        let mut noted: Vec<_> = (1..most).map(|port| (flow("203.0.113.7", port), 1)).collect();
        noted.extend((1..most).map(|port| (flow("2001:db8::7", port), 1)));
        assert!(!is_full(&noted));
        noted.push((flow("2001:db8::7", most), 1));
        assert!(is_full(&noted));
    }

    #[test]
    fn a_name_of_somebodys_own_does_not_hide_the_policys() {
        let name = |text: &str| HostName::parse(text).unwrap();
        let (git, other): (IpAddr, IpAddr) = ("203.0.113.7".parse().unwrap(), "203.0.113.8".parse().unwrap());
        let mut of_policy = Addresses::default();
        let record = Record { address: git, ttl: 60 };
        of_policy.learn(&name("git.example"), Ok(vec![record]), Instant::now());
        let lookup = Lookup::new(Vec::new(), BTreeSet::new()).unwrap();
        lookup.learn(&name("evil.test"), Ok(vec![git, other]), Duration::from_secs(60));
        let shown = |address| name_of(address, &of_policy, &lookup);
        assert_eq!(shown(git), Some(name("git.example")));
        assert_eq!(shown(other), Some(name("evil.test")));
    }

    #[test]
    fn packets_are_told_once() {
        let flow = |port| Flow { address: "203.0.113.7".parse().unwrap(), protocol: TCP, port, uid: 1000 };
        let mut flows = Flows::default();
        assert_eq!(flows.news(vec![(flow(22), 2), (flow(23), 1)]), [(flow(22), 2), (flow(23), 1)]);
        assert_eq!(flows.news(vec![(flow(22), 2), (flow(23), 4)]), [(flow(23), 3)]);
        assert_eq!(flows.news(vec![(flow(22), 1)]), [(flow(22), 1)]);
        assert_eq!(flows.news(vec![]), []);
        assert_eq!(flows.news(vec![(flow(22), 1)]), [(flow(22), 1)]);
    }
}
