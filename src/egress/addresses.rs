//! Which addresses are open now, and until when. Pure: the daemon asks and hands the answers in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::answer::Names;
use super::query::Record;
use crate::policy::{HostName, Mode, NAMED_PORTS, Policy, check_answer};

/// Shortest and longest time between two questions for a name.
const REFRESH: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(300));
/// An address stays open this much longer than its last answer said, for clients that hold on to it.
const GRACE: Duration = Duration::from_secs(300);
/// Time to the next question after a failed one.
const RETRY: Duration = Duration::from_secs(15);

/// Addresses that a name may have at a time; of more, those that were heard of last. An answer that changes each time
/// must not grow the table, and what hangs on it, without end.
const MAX_LIVE: usize = 32;

/// What is known of each allowed name.
#[derive(Debug, Default)]
pub struct Addresses {
    names: BTreeMap<HostName, Known>,
}

#[derive(Debug, Default)]
struct Known {
    until: BTreeMap<IpAddr, Instant>,
    /// Those of the last answer that had any: the others are open for who holds on to them, and told nobody any more.
    current: BTreeSet<IpAddr>,
    problem: Option<String>,
}

impl Known {
    fn forget_the_oldest(&mut self) {
        while self.until.len() > MAX_LIVE {
            let oldest = self.until.iter().min_by_key(|(_, until)| **until).map(|(address, _)| *address);
            let Some(oldest) = oldest else { return };
            self.until.remove(&oldest);
        }
    }
}

impl Addresses {
    /// Takes in what a question for `name` brought, and says when to ask again.
    pub fn learn(&mut self, name: &HostName, answer: Result<Vec<Record>, String>, now: Instant) -> Duration {
        let known = self.names.entry(name.clone()).or_default();
        known.until.retain(|_, until| *until > now);
        let records = match answer {
            Ok(records) => records,
            Err(problem) => {
                known.problem = Some(problem);
                return RETRY;
            }
        };
        known.problem = None;
        let mut again = REFRESH.1;
        let mut current = BTreeSet::new();
        for record in records {
            let mut ttl = Duration::from_secs(u64::from(record.ttl)).clamp(REFRESH.0, REFRESH.1);
            if name.is_local() {
                // Docker's resolver says ten minutes of containers that may be replaced at any time.
                ttl = REFRESH.0;
            }
            match check_answer(name, record.address) {
                Ok(address) => {
                    current.insert(address);
                    again = again.min(ttl);
                    known.until.insert(address, now + ttl + GRACE);
                    known.forget_the_oldest();
                }
                Err(refused) => known.problem = Some(refused.to_string()),
            }
        }
        if current.is_empty() {
            known.problem.get_or_insert_with(|| "the name has no addresses".to_owned());
            return RETRY;
        }
        known.current = current;
        again
    }

    /// The endpoints to open by address, each with the seconds it has left.
    pub fn endpoints(&self, policy: &Policy, now: Instant) -> Vec<(SocketAddr, u64)> {
        let mut endpoints: BTreeMap<SocketAddr, u64> = BTreeMap::new();
        for (name, ports) in policy.hosts() {
            for (address, until) in self.live(name, now) {
                let left = until.duration_since(now).as_secs().max(1);
                for port in ports.iter().filter(|port| !NAMED_PORTS.contains(port)) {
                    let entry = endpoints.entry(SocketAddr::new(address, *port)).or_default();
                    *entry = left.max(*entry);
                }
            }
        }
        endpoints.into_iter().collect()
    }

    /// The lines for `/etc/hosts`.
    pub fn hosts<'a>(&self, policy: &'a Policy, now: Instant) -> Vec<(IpAddr, &'a HostName)> {
        let names = policy.hosts().into_keys();
        names.flat_map(|name| self.current(name, now).map(move |address| (address, name))).collect()
    }

    /// What DNS questions for the policy's names are answered with.
    pub fn answers(&self, policy: &Policy, now: Instant) -> Names {
        let names = policy.hosts().into_keys();
        let names = names.map(|name| (name.clone(), self.current(name, now).collect())).collect();
        Names { names, zones: policy.zones(), all: policy.mode == Mode::Audit }
    }

    /// The addresses of a name, and what is wrong with it.
    pub fn status(&self, name: &HostName, now: Instant) -> (BTreeSet<IpAddr>, Option<String>) {
        let addresses = self.live(name, now).map(|(address, _)| address).collect();
        (addresses, self.names.get(name).and_then(|known| known.problem.clone()))
    }

    /// A name that leads to an address.
    pub fn name_of(&self, address: IpAddr) -> Option<&HostName> {
        self.names.iter().find(|(_, known)| known.until.contains_key(&address)).map(|(name, _)| name)
    }

    fn current(&self, name: &HostName, now: Instant) -> impl Iterator<Item = IpAddr> {
        let known = self.names.get(name);
        let is_current = move |address: &IpAddr| known.is_some_and(|known| known.current.contains(address));
        self.live(name, now).map(|(address, _)| address).filter(is_current)
    }

    fn live(&self, name: &HostName, now: Instant) -> impl Iterator<Item = (IpAddr, Instant)> {
        let known = self.names.get(name).into_iter();
        known
            .flat_map(|known| known.until.iter().map(|(a, u)| (*a, *u)))
            .filter(move |(_, until)| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(list: &[(&str, u32)]) -> Vec<Record> {
        list.iter().map(|(address, ttl)| Record { address: address.parse().unwrap(), ttl: *ttl }).collect()
    }

    #[test]
    fn answers_that_always_change_do_not_grow_the_table() {
        let policy = Policy::from_options("db.example:5432").unwrap();
        let name = HostName::parse("db.example").unwrap();
        let start = Instant::now();
        let mut addresses = Addresses::default();
        for round in 0..20 {
            let list: Vec<String> = (0..30).map(|host| format!("203.0.{round}.{host}")).collect();
            let list: Vec<(&str, u32)> = list.iter().map(|address| (address.as_str(), 300)).collect();
            addresses.learn(&name, Ok(records(&list)), start + Duration::from_secs(round * 5));
        }
        let open = addresses.endpoints(&policy, start + Duration::from_secs(100));
        assert_eq!(open.len(), MAX_LIVE);
        assert!(open.contains(&("203.0.19.0:5432".parse().unwrap(), 595)), "the newest are open");
    }

    #[test]
    fn addresses_open_on_the_names_ports_and_expire() {
        let policy = Policy::from_options("db.example:5432,db.example:5433,db.example:443").unwrap();
        let name = HostName::parse("db.example").unwrap();
        let start = Instant::now();
        let mut addresses = Addresses::default();
        let again = addresses.learn(&name, Ok(records(&[("203.0.113.1", 60)])), start);
        assert_eq!(again, Duration::from_secs(60));
        let open = addresses.endpoints(&policy, start);
        let expected =
            [("203.0.113.1:5432".parse().unwrap(), 360), ("203.0.113.1:5433".parse().unwrap(), 360)];
        assert_eq!(open, expected);
        assert_eq!(addresses.hosts(&policy, start), [("203.0.113.1".parse().unwrap(), &name)]);
        // Names without addresses are answered, too: that there are none now.
        let answers = addresses.answers(&policy, start).names;
        assert_eq!(answers[&name], ["203.0.113.1".parse::<IpAddr>().unwrap()]);
        assert_eq!((answers.len(), answers.values().flatten().count()), (policy.hosts().len(), 1));
        // A failed question leaves what was known until its time is over.
        let later = start + Duration::from_secs(300);
        assert_eq!(addresses.learn(&name, Err("gone".to_owned()), later), RETRY);
        assert_eq!(addresses.endpoints(&policy, later).len(), 2);
        assert_eq!(addresses.status(&name, later).1.as_deref(), Some("gone"));
        assert_eq!(addresses.endpoints(&policy, start + Duration::from_secs(361)), []);
    }

    #[test]
    fn an_address_that_has_changed_stays_open_and_is_told_nobody() {
        let policy = Policy::from_options("db.example:5432").unwrap();
        let name = HostName::parse("db.example").unwrap();
        let start = Instant::now();
        let mut addresses = Addresses::default();
        addresses.learn(&name, Ok(records(&[("203.0.113.1", 60)])), start);
        let later = start + Duration::from_secs(60);
        addresses.learn(&name, Ok(records(&[("203.0.113.2", 60)])), later);
        let told = ["203.0.113.2".parse::<IpAddr>().unwrap()];
        assert_eq!(addresses.endpoints(&policy, later).len(), 2);
        assert_eq!(addresses.answers(&policy, later).names[&name], told);
        assert_eq!(addresses.hosts(&policy, later), [(told[0], &name)]);
        // What follows a failed question, or an answer that is of no use, is what was told before.
        addresses.learn(&name, Err("gone".to_owned()), later);
        addresses.learn(&name, Ok(records(&[("10.0.0.1", 60)])), later);
        assert_eq!(addresses.answers(&policy, later).names[&name], told);
    }

    #[test]
    fn names_of_this_network_are_asked_for_often() {
        let mut addresses = Addresses::default();
        for (name, again) in [("db", REFRESH.0), ("db.example", REFRESH.1)] {
            let name = HostName::parse(name).unwrap();
            let answer = Ok(records(&[("203.0.113.1", 600)]));
            assert_eq!(addresses.learn(&name, answer, Instant::now()), again, "{name}");
        }
    }

    #[test]
    fn private_answers_open_nothing() {
        let policy = Policy::from_options("db.example:5432").unwrap();
        let name = HostName::parse("db.example").unwrap();
        let now = Instant::now();
        let mut addresses = Addresses::default();
        addresses.learn(&name, Ok(records(&[("169.254.169.254", 60), ("172.17.0.1", 60)])), now);
        assert_eq!(addresses.endpoints(&policy, now), []);
        assert!(addresses.status(&name, now).1.unwrap().contains("may not lead"));
        // One good address beside a bad one opens the good one alone.
        addresses.learn(&name, Ok(records(&[("10.0.0.1", 60), ("203.0.113.9", 9000)])), now);
        assert_eq!(addresses.endpoints(&policy, now).len(), 1);
    }

    #[test]
    fn an_address_opens_nothing_for_a_name_that_is_not_in_the_policy() {
        let policy = Policy::from_options("").unwrap();
        let name = HostName::parse("db.example").unwrap();
        let now = Instant::now();
        let mut addresses = Addresses::default();
        addresses.learn(&name, Ok(records(&[("203.0.113.1", 60)])), now);
        assert_eq!(addresses.endpoints(&policy, now), []);
    }
}
