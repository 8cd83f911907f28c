//! The addresses of a name when somebody wants to get there, kept as long as the DNS answer says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use super::gate::WORKERS;
use super::resolve::resolve;
use crate::egress::hosts;
use crate::egress::query::Record;
use crate::paths;
use crate::policy::{HostName, check_answer};

/// Shortest and longest time for which an answer is good.
const GOOD: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// How long nobody asks again after a failure.
const FAILED: Duration = Duration::from_secs(2);
/// Names that are asked for at the same time; each takes a thread or three.
const MAX_ASKING: usize = 16;
/// Places among these that only the policy's own names get: what is below a wildcard may be anybody's, and never be
/// answered.
const OWN: usize = 4;
/// Names that are kept. A wildcard covers any number.
const MAX_KNOWN: usize = 1024;
/// Addresses of one name.
const MAX_ADDRESSES: usize = 32;
/// Addresses whose last name is kept.
const MAX_NAMED: usize = 1024;

/// What is known, and who is woken when there is more.
#[derive(Debug)]
pub(super) struct Lookup {
    inner: Mutex<Inner>,
    wakes: [OwnedFd; 1 + WORKERS],
    /// The container's resolvers and its hosts file, as they were when the daemon started.
    servers: Vec<IpAddr>,
    hosts: String,
    /// The policy's own names.
    own: BTreeSet<HostName>,
}

/// Who is woken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Woken {
    /// Whoever answers DNS questions.
    Dns,
    /// Who makes connections for this worker of the gate.
    Gate(usize),
}

impl Woken {
    const fn place(self) -> usize {
        match self {
            Self::Dns => 0,
            Self::Gate(number) => 1 + number,
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    known: BTreeMap<HostName, Known>,
    /// The name that leads to an address, to tell people where packets were for; nothing, if several do.
    names: BTreeMap<IpAddr, (Option<HostName>, Instant)>,
    asking: BTreeMap<HostName, Instant>,
}

#[derive(Debug, Clone)]
struct Known {
    answer: Result<Vec<IpAddr>, String>,
    learned: Instant,
    until: Instant,
}

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Its addresses, at least one.
    Addresses(Vec<IpAddr>),
    /// Why it has none.
    Problem(String),
    /// It is being asked for: the descriptor becomes readable when there is more to know.
    Pending,
}

impl Lookup {
    /// Nothing is known yet.
    pub(super) fn new(servers: Vec<IpAddr>, own: BTreeSet<HostName>) -> io::Result<Arc<Self>> {
        let wake = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let wakes = [wake()?, wake()?, wake()?];
        Ok(Arc::new(Self { inner: Mutex::default(), wakes, servers, hosts: hosts_file(), own }))
    }

    /// Who is asked.
    pub(super) fn servers(&self) -> &[IpAddr] {
        &self.servers
    }

    /// What becomes readable when something has become known.
    pub(super) fn wake(&self, whom: Woken) -> BorrowedFd<'_> {
        self.wakes[whom.place()].as_fd()
    }

    /// Takes note that somebody was woken.
    pub(super) fn woken(&self, whom: Woken) {
        let _ = rustix::io::read(self.wake(whom), &mut [0; 8]);
    }

    /// What is known of a name, learned after a time if one is given; asks where that is nothing.
    pub(super) fn get(self: &Arc<Self>, name: &HostName, after: Option<Instant>) -> Answer {
        let now = Instant::now();
        let mut inner = self.lock();
        if let Some(known) = inner.known.get(name)
            && known.until > now
            && after.is_none_or(|after| known.learned >= after)
        {
            return match &known.answer {
                Ok(addresses) => Answer::Addresses(addresses.clone()),
                Err(problem) => Answer::Problem(problem.clone()),
            };
        }
        // Who finds no place looks again when somebody else is done.
        let most = if self.own.contains(name) { MAX_ASKING } else { MAX_ASKING - OWN };
        if !inner.asking.contains_key(name) && inner.asking.len() < most {
            inner.asking.insert(name.clone(), now);
            drop(inner);
            self.ask(name);
        }
        Answer::Pending
    }

    /// The one name that was looked up and leads to an address.
    pub(super) fn name_of(&self, address: IpAddr) -> Option<HostName> {
        self.lock().names.get(&address)?.0.clone()
    }

    fn ask(self: &Arc<Self>, name: &HostName) {
        let (here, asked) = (Arc::clone(self), name.clone());
        let spawned = thread::Builder::new().name("lookup".to_owned()).spawn(move || {
            let (answer, good) = here.addresses(&asked);
            here.learn(&asked, answer, good);
        });
        if let Err(error) = spawned {
            self.learn(name, Err(format!("nobody can ask for it: {error}")), FAILED);
        }
    }

    /// Takes in what is known of a name now, and for how long.
    pub(super) fn learn(&self, name: &HostName, answer: Result<Vec<IpAddr>, String>, good: Duration) {
        let now = Instant::now();
        let mut inner = self.lock();
        inner.asking.remove(name);
        inner.known.retain(|_, known| known.until > now);
        if inner.known.len() >= MAX_KNOWN {
            let oldest = inner.known.iter().min_by_key(|(_, known)| known.learned);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                inner.known.remove(&oldest);
            }
        }
        for address in answer.iter().flatten() {
            let (named, since) = inner.names.entry(*address).or_insert_with(|| (Some(name.clone()), now));
            if named.as_ref() != Some(name) {
                *named = None;
            }
            *since = now;
        }
        while inner.names.len() > MAX_NAMED {
            let oldest = inner.names.iter().min_by_key(|(_, (_, since))| *since).map(|(address, _)| *address);
            inner.names.remove(&oldest.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)));
        }
        inner.known.insert(name.clone(), Known { answer, learned: now, until: now + good });
        drop(inner);
        for wake in &self.wakes {
            // The counter can only be full, and then it wakes as well.
            let _ = rustix::io::write(wake, &1_u64.to_ne_bytes());
        }
    }

    /// What the hosts file says of a name of this network: Docker's resolver knows nothing of `--add-host`.
    pub(super) fn written(&self, name: &HostName) -> Vec<IpAddr> {
        if !name.is_local() {
            return Vec::new();
        }
        let written = hosts::find(&self.hosts, name).into_iter();
        written.filter(|address| check_answer(name, *address).is_ok()).collect()
    }

    /// A name's addresses from the hosts file, if it is one of this network, or from the container's resolvers; and how
    /// long that is good.
    fn addresses(&self, name: &HostName) -> (Result<Vec<IpAddr>, String>, Duration) {
        let written = self.written(name);
        if !written.is_empty() {
            return (Ok(written), GOOD.1);
        }
        let answers = resolve(std::slice::from_ref(name), &self.servers);
        match answers.into_iter().next() {
            Some((_, Ok(records))) => usable(name, &records),
            Some((_, Err(problem))) => (Err(problem), FAILED),
            None => (Err("nobody answered".to_owned()), FAILED),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hosts file, if only root can have written it.
fn hosts_file() -> String {
    let roots = fs::metadata(paths::HOSTS).is_ok_and(|found| found.uid() == 0 && found.mode() & 0o022 == 0);
    if roots { fs::read_to_string(paths::HOSTS).unwrap_or_default() } else { String::new() }
}

/// Those addresses that the name may lead to, both families in turn.
fn usable(name: &HostName, records: &[Record]) -> (Result<Vec<IpAddr>, String>, Duration) {
    let mut problem = "the name has no addresses".to_owned();
    let mut ttl = u32::MAX;
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for record in records {
        match check_answer(name, record.address) {
            Ok(address) if address.is_ipv4() => v4.push(address),
            Ok(address) => v6.push(address),
            Err(refused) => {
                problem = refused.to_string();
                continue;
            }
        }
        ttl = ttl.min(record.ttl);
    }
    let mut addresses = Vec::new();
    for turn in 0..v4.len().max(v6.len()) {
        addresses.extend(v6.get(turn));
        addresses.extend(v4.get(turn));
    }
    addresses.truncate(MAX_ADDRESSES);
    if addresses.is_empty() {
        return (Err(problem), FAILED);
    }
    (Ok(addresses), Duration::from_secs(u64::from(ttl)).clamp(GOOD.0, GOOD.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(list: &[(&str, u32)]) -> Vec<Record> {
        list.iter().map(|(address, ttl)| Record { address: address.parse().unwrap(), ttl: *ttl }).collect()
    }

    #[test]
    fn families_take_turns_and_bad_addresses_are_left_out() {
        let name = HostName::parse("a.example").unwrap();
        let (found, good) = usable(
            &name,
            &records(&[
                ("203.0.113.1", 60),
                ("203.0.113.2", 20),
                ("10.0.0.1", 5),
                ("2001:db8::1", 90),
                ("::1", 1),
            ]),
        );
        let found: Vec<String> = found.unwrap().iter().map(IpAddr::to_string).collect();
        assert_eq!(found, ["2001:db8::1", "203.0.113.1", "203.0.113.2"]);
        assert_eq!(good, Duration::from_secs(20));
        let (found, good) = usable(&name, &records(&[("169.254.169.254", 60)]));
        assert!(found.unwrap_err().contains("link-local"));
        assert_eq!(good, FAILED);
        assert_eq!(usable(&name, &records(&[("203.0.113.1", 0)])).1, GOOD.0);
    }

    #[test]
    fn what_is_known_is_not_asked_for_again() {
        let lookup = Lookup::new(Vec::new(), BTreeSet::new()).unwrap();
        let name = HostName::parse("a.example").unwrap();
        let address: IpAddr = "203.0.113.1".parse().unwrap();
        lookup.learn(&name, Ok(vec![address]), Duration::from_secs(60));
        assert_eq!(lookup.get(&name, None), Answer::Addresses(vec![address]));
        assert!(lookup.lock().asking.is_empty());
        let known: usize = (0..2 * MAX_KNOWN)
            .map(|n| {
                let name = HostName::parse(&format!("n{n}.example")).unwrap();
                lookup.learn(&name, Ok(vec![address]), Duration::from_secs(60));
                lookup.lock().known.len()
            })
            .max()
            .unwrap();
        assert_eq!(known, MAX_KNOWN);
    }
}
