//! What was refused, or let through in audit mode only: names that were asked for, connections, packets. Pure, and
//! bounded however many they are.

use std::collections::BTreeMap;

use super::words::Why;
use crate::firewall::ruleset::Flow;
use crate::policy::entry::{self, EntryError};
use crate::policy::{DEFAULT_PORT, HostName, Mode, Reason};
use crate::status::{By, Denied};

/// Refusals that are kept, of questions and of connections; of further ones only the number is.
pub const MAX_KEPT: usize = 500;

/// Something that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A question for a name's address.
    Question(HostName),
    /// A connection to a host.
    Connection {
        /// The host.
        name: HostName,
        /// The TCP port.
        port: u16,
        /// Why.
        reason: Reason,
        /// Whether it was let through all the same, in audit mode.
        let_through: bool,
    },
    /// Packets that the table refused.
    Flow {
        /// Where they were for.
        flow: Flow,
        /// The one name that was looked up and leads there, and why it may not be reached at that port; nothing, if
        /// it may, but not at that address.
        name: Option<(HostName, Option<Reason>)>,
        /// Whether they were let through all the same, in audit mode.
        let_through: bool,
    },
    /// A connection that is for no host.
    Odd {
        /// The TCP port that it was made for.
        port: u16,
        /// What was said instead of a host's name.
        said: Option<String>,
        /// Why.
        why: Why,
    },
}

impl Refusal {
    /// A connection to a host that no rule lists. In audit mode it is let through, if an entry could allow it.
    pub fn connection(name: &HostName, port: u16, reason: Reason, mode: Mode) -> Self {
        let of = |let_through| Self::Connection { name: name.clone(), port, reason, let_through };
        of(mode == Mode::Audit && of(false).entry().is_some())
    }

    /// What was refused.
    pub fn what(&self) -> String {
        match self {
            Self::Question(name) => name.to_string(),
            Self::Connection { name, port, .. } => format!("{name}:{port}"),
            Self::Flow { flow, name, .. } => match flow.local_port() {
                Some(port) => format!("localhost:{port}"),
                None => told(flow, name.as_ref().map(|(name, _)| name)),
            },
            Self::Odd { port, said: Some(said), .. } => format!("{said}, port {port}"),
            Self::Odd { port, said: None, .. } => format!("port {port}"),
        }
    }

    /// Why.
    pub fn why(&self) -> String {
        match self {
            Self::Question(_) => Reason::NotListed.to_string(),
            Self::Connection { reason, .. } => reason.to_string(),
            Self::Flow { flow, .. } if flow.local_port().is_some() => {
                "who listens there is outside the agent's cell".to_owned()
            }
            Self::Flow { flow: Flow { protocol: TCP, .. }, name: Some((_, Some(reason))), .. } => {
                reason.to_string()
            }
            Self::Flow { flow: Flow { protocol: TCP, .. }, name: Some((_, None)), .. } => {
                "in the policy, but this address was not open at that time".to_owned()
            }
            Self::Flow { flow: Flow { protocol: TCP, .. }, name: None, .. } => {
                "connections go by name, and no single name that was looked up leads there".to_owned()
            }
            Self::Flow { flow: Flow { protocol: UDP, port: 443, .. }, .. } => {
                "only TCP may leave; programs go on over TCP where QUIC is refused".to_owned()
            }
            Self::Flow { .. } => "only TCP may leave".to_owned(),
            Self::Odd { why, .. } => why.text().to_owned(),
        }
    }

    /// The entry of the option `allow` that would allow it; none where the option would not take it.
    pub fn entry(&self) -> Option<String> {
        self.candidate().filter(|entry| entry::parse(entry, entry::ascii_only).is_ok())
    }

    /// Why no entry can allow it, where it is the entry that cannot be.
    fn closed(&self) -> Option<EntryError> {
        entry::parse(&self.candidate()?, entry::ascii_only).err()
    }

    /// What would have to be listed. A single label is a host next to this one, or a mistake: that its name is asked for
    /// does not say which port to open.
    fn candidate(&self) -> Option<String> {
        match self {
            Self::Question(name) => (!name.is_local()).then(|| name.to_string()),
            Self::Connection { name, port: DEFAULT_PORT, .. } => Some(name.to_string()),
            Self::Connection { name, port, .. } => Some(format!("{name}:{port}")),
            Self::Flow { flow: Flow { protocol: TCP, port, .. }, name: Some((name, Some(_))), .. } => {
                Some(format!("{name}:{port}"))
            }
            Self::Flow { .. } | Self::Odd { .. } => None,
        }
    }

    /// The port that the option `localPorts` would have to list to allow it.
    pub fn local_port(&self) -> Option<u16> {
        match self {
            Self::Flow { flow, .. } => flow.local_port(),
            _ => None,
        }
    }

    /// Whether it was let through all the same, in audit mode.
    pub const fn is_let_through(&self) -> bool {
        matches!(self, Self::Connection { let_through: true, .. } | Self::Flow { let_through: true, .. })
    }

    /// One sentence, with what to do about it.
    pub fn sentence(&self) -> String {
        let (what, why) = (self.what(), self.why());
        let done = if self.is_let_through() { "let through (audit mode)" } else { "refused" };
        match (option(self.entry().as_deref(), self.local_port()), self.closed()) {
            (Some(option), _) => {
                format!("{done} {what}: {why}; to allow it, add to the Feature's options: {option}")
            }
            (None, Some(error)) => format!("{done} {what}: {why}, and no entry can allow it: it {error}"),
            (None, None) => format!("{done} {what}: {why}"),
        }
    }
}

/// The Feature's option that would allow what was refused, by [`Refusal::entry`] and [`Refusal::local_port`].
pub fn option(entry: Option<&str>, local_port: Option<u16>) -> Option<String> {
    let allow = entry.map(|entry| format!("\"allow\": \"{entry}\""));
    allow.or_else(|| local_port.map(|port| format!("\"localPorts\": \"{port}\"")))
}

const TCP: u8 = 6;
const UDP: u8 = 17;

fn told(flow: &Flow, name: Option<&HostName>) -> String {
    let Flow { address, protocol, port, .. } = flow;
    match (protocol, name) {
        (&TCP, Some(name)) => format!("{name}:{port} ({address})"),
        (&TCP, None) => format!("{address}, port {port}"),
        (&UDP, Some(name)) => format!("UDP to {name} ({address}), port {port}"),
        (&UDP, None) => format!("UDP to {address}, port {port}"),
        (1 | 58, _) => format!("ICMP to {address}"),
        (protocol, _) => format!("protocol {protocol} to {address}"),
    }
}

/// Refusals, each with a count.
#[derive(Debug, Default)]
pub struct Refusals {
    names: BTreeMap<HostName, Count>,
    /// By what was refused, and why.
    connections: BTreeMap<(String, String), (Refusal, Count)>,
    /// Whose the first of these was, where it is known.
    by: BTreeMap<(String, String), By>,
    others: u64,
}

#[derive(Debug)]
struct Count {
    times: u64,
    first_ms: u64,
    last_ms: u64,
}

impl Count {
    const fn new(times: u64, now_ms: u64) -> Self {
        Self { times, first_ms: now_ms, last_ms: now_ms }
    }

    const fn again(&mut self, times: u64, now_ms: u64) {
        self.times = self.times.saturating_add(times);
        self.last_ms = now_ms;
    }
}

impl Refusals {
    /// Counts a refused question, and says whether the name is a new one that is kept.
    ///
    /// Resolvers put the domains of their search list behind a name that was refused, or before they try it as it
    /// is. Such a name is passed over where the shorter one is known, so that a user sees what the program wrote.
    pub fn note_question(
        &mut self,
        name: &HostName,
        now_ms: u64,
        search: &[HostName],
        listed: impl Fn(&HostName) -> bool,
    ) -> bool {
        if let Some(count) = self.names.get_mut(name) {
            count.again(1, now_ms);
            return false;
        }
        let known = |short: &HostName| self.names.contains_key(short) || listed(short);
        if listed(name)
            || search.iter().any(|domain| without(name, domain).is_some_and(|short| known(&short)))
        {
            return false;
        }
        for domain in search {
            if let Ok(long) = HostName::parse(&format!("{name}.{domain}")) {
                self.names.remove(&long);
            }
        }
        if self.names.len() >= MAX_KEPT {
            self.others = self.others.saturating_add(1);
            return false;
        }
        self.names.insert(name.clone(), Count::new(1, now_ms));
        true
    }

    /// Counts a refused connection, or so many packets, and says whether it is a new one that is kept.
    pub fn note_connection(&mut self, refusal: &Refusal, times: u64, now_ms: u64) -> bool {
        let key = (refusal.what(), refusal.why());
        if let Some((_, count)) = self.connections.get_mut(&key) {
            count.again(times, now_ms);
            return false;
        }
        if self.connections.len() >= MAX_KEPT {
            self.others = self.others.saturating_add(times);
            return false;
        }
        self.connections.insert(key, (refusal.clone(), Count::new(times, now_ms)));
        true
    }

    /// Notes whose a refused connection was that is kept.
    pub fn set_by(&mut self, refusal: &Refusal, by: By) {
        let key = (refusal.what(), refusal.why());
        if self.connections.contains_key(&key) {
            self.by.insert(key, by);
        }
    }

    /// Refusals beyond those that are kept.
    pub fn others(&self) -> u64 {
        self.others
    }

    /// What was refused, the latest first.
    pub fn list(&self) -> Vec<Denied> {
        let denied = |refusal: &Refusal, count: &Count| Denied {
            what: refusal.what(),
            why: refusal.why(),
            let_through: refusal.is_let_through(),
            entry: refusal.entry(),
            local_port: refusal.local_port(),
            count: count.times,
            first_ms: count.first_ms,
            last_ms: count.last_ms,
            by: self.by.get(&(refusal.what(), refusal.why())).cloned(),
        };
        let names = self.names.iter().map(|(name, count)| denied(&Refusal::Question(name.clone()), count));
        let connections = self.connections.values().map(|(refusal, count)| denied(refusal, count));
        let mut list: Vec<Denied> = names.chain(connections).collect();
        list.sort_by_key(|denied| std::cmp::Reverse(denied.last_ms));
        list
    }
}

/// The name without a domain behind it.
fn without(name: &HostName, domain: &HostName) -> Option<HostName> {
    let short = name.as_str().strip_suffix(domain.as_str())?.strip_suffix('.')?;
    HostName::parse(short).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    fn noted(search: &[&str], names: &[&str]) -> Vec<String> {
        let search: Vec<HostName> = search.iter().map(|domain| name(domain)).collect();
        let mut refusals = Refusals::default();
        for text in names {
            refusals.note_question(&name(text), 1, &search, |name| name.as_str() == "listed.example");
        }
        refusals.list().into_iter().map(|denied| denied.what).collect()
    }

    #[test]
    fn each_name_once_and_not_with_a_search_domain_behind_it() {
        assert_eq!(noted(&[], &["a.example", "a.example", "b.example"]), ["a.example", "b.example"]);
        let search = &["corp.internal", "internal"];
        // As it is first (few dots), or last (many): in the end the name that the program wrote stays.
        assert_eq!(
            noted(search, &["a.example", "a.example.corp.internal", "a.example.internal"]),
            ["a.example"]
        );
        assert_eq!(
            noted(search, &["a.example.corp.internal", "a.example.internal", "a.example"]),
            ["a.example"]
        );
        assert_eq!(noted(search, &["db", "db.corp.internal"]), ["db"]);
        // A host of that domain, meant as such.
        assert_eq!(noted(search, &["git.corp.internal"]), ["git.corp.internal"]);
        // A listed name is no refusal, nor is what follows while it has no addresses yet.
        assert_eq!(noted(search, &["listed.example", "listed.example.internal"]), [""; 0]);
        assert_eq!(noted(search, &["xcorp.internal", "corp.internal"]), ["corp.internal", "xcorp.internal"]);
    }

    #[test]
    fn counted_with_first_and_last_time() {
        let mut refusals = Refusals::default();
        assert!(refusals.note_question(&name("a.example"), 5, &[], |_| false));
        assert!(!refusals.note_question(&name("a.example"), 9, &[], |_| false));
        let denied = Denied {
            what: "a.example".to_owned(),
            why: "not in the policy".to_owned(),
            let_through: false,
            entry: Some("a.example".to_owned()),
            local_port: None,
            count: 2,
            first_ms: 5,
            last_ms: 9,
            by: None,
        };
        assert_eq!(refusals.list(), [denied]);
    }

    #[test]
    fn the_sentence_names_the_option() {
        let connection = |text: &str, port| Refusal::Connection {
            name: name(text),
            port,
            reason: Reason::NotListed,
            let_through: false,
        };
        let odd = |said: Option<&str>, why| Refusal::Odd { port: 443, said: said.map(str::to_owned), why };
        let option =
            |entry: &str| format!("; to allow it, add to the Feature's options: \"allow\": \"{entry}\"");
        for (refusal, sentence) in [
            (
                Refusal::Question(name("a.example")),
                format!("refused a.example: not in the policy{}", option("a.example")),
            ),
            (Refusal::Question(name("db")), "refused db: not in the policy".to_owned()),
            (
                connection("a.example", 443),
                format!("refused a.example:443: not in the policy{}", option("a.example")),
            ),
            // What the option would not take is not to be added to it: the next build would fail.
            (
                connection("a.example", 53),
                "refused a.example:53: not in the policy, and no entry can allow it: it opens port 53, and DNS to a chosen \
                 server is a tunnel; leave it out, listed names are looked up"
                    .to_owned(),
            ),
            (
                connection("localhost", 443),
                "refused localhost:443: not in the policy, and no entry can allow it: it is a name of the container itself, \
                 where everything is open already; leave it out"
                    .to_owned(),
            ),
            (
                Refusal::Question(name("metadata.google.internal")),
                "refused metadata.google.internal: not in the policy, and no entry can allow it: it is, or covers, a cloud's \
                 metadata service, which hands out credentials; leave it out"
                    .to_owned(),
            ),
            (connection("db", 80), format!("refused db:80: not in the policy{}", option("db:80"))),
            (odd(None, Why::NoName), "refused port 443: the connection names no host (no SNI)".to_owned()),
            (
                odd(Some("10.0.0.1"), Why::Address),
                "refused 10.0.0.1, port 443: the connection names an address and no host".to_owned(),
            ),
        ] {
            assert_eq!(refusal.sentence(), sentence);
        }
    }

    #[test]
    fn audit_mode_lets_through_what_an_entry_could_allow() {
        let passes = |text: &str, port, mode| {
            Refusal::connection(&name(text), port, Reason::NotListed, mode).is_let_through()
        };
        for (text, port, expected) in
            [("a.example", 443, true), ("db", 5432, true), ("a.example", 53, false), ("localhost", 80, false)]
        {
            assert_eq!(passes(text, port, Mode::Audit), expected, "{text}:{port}");
            assert!(!passes(text, port, Mode::Enforce));
        }
    }

    #[test]
    fn packets_are_told_by_what_they_were_for() {
        let flow = |protocol, port, to: Option<&str>, let_through| {
            let flow = Flow { address: "203.0.113.7".parse().unwrap(), protocol, port, uid: 1000 };
            let name = to.map(|to| {
                let reason = match to {
                    "db" => None,
                    "evil.test" => Some(Reason::NotListed),
                    _ => Some(Reason::OtherPort),
                };
                (name(to), reason)
            });
            Refusal::Flow { flow, name, let_through }.sentence()
        };
        for (sentence, expected) in [
            (
                flow(6, 22, Some("git.example"), false),
                "refused git.example:22 (203.0.113.7): in the policy, but not with this port; to allow it, add to the \
                 Feature's options: \"allow\": \"git.example:22\"",
            ),
            (
                flow(6, 22, Some("git.example"), true),
                "let through (audit mode) git.example:22 (203.0.113.7): in the policy, but not with this port; to \
                 allow it, add to the Feature's options: \"allow\": \"git.example:22\"",
            ),
            (
                flow(6, 22, Some("evil.test"), true),
                "let through (audit mode) evil.test:22 (203.0.113.7): not in the policy; to allow it, add to the Feature's \
                 options: \"allow\": \"evil.test:22\"",
            ),
            (
                flow(6, 5432, Some("db"), false),
                "refused db:5432 (203.0.113.7): in the policy, but this address was not open at that time",
            ),
            (
                flow(6, 22, None, false),
                "refused 203.0.113.7, port 22: connections go by name, and no single name that was looked up leads there",
            ),
            (
                flow(17, 443, None, false),
                "refused UDP to 203.0.113.7, port 443: only TCP may leave; programs go on over TCP where QUIC is refused",
            ),
            (
                flow(17, 123, Some("a.example"), false),
                "refused UDP to a.example (203.0.113.7), port 123: only TCP may leave",
            ),
            (flow(1, 0, None, false), "refused ICMP to 203.0.113.7: only TCP may leave"),
            (flow(132, 0, None, false), "refused protocol 132 to 203.0.113.7: only TCP may leave"),
        ] {
            assert_eq!(sentence, expected);
        }
    }

    #[test]
    fn a_port_on_loopback_is_told_with_its_own_option() {
        let flow = Flow { address: "127.0.0.1".parse().unwrap(), protocol: TCP, port: 3000, uid: 0 };
        let refusal = Refusal::Flow { flow, name: None, let_through: false };
        assert_eq!(
            refusal.sentence(),
            "refused localhost:3000: who listens there is outside the agent's cell; to allow it, add to the Feature's \
             options: \"localPorts\": \"3000\""
        );
        assert_eq!((refusal.entry(), refusal.local_port()), (None, Some(3000)));
    }

    #[test]
    fn connections_are_counted_by_what_and_why() {
        let mut refusals = Refusals::default();
        let other = Refusal::Connection {
            name: name("a.example"),
            port: 80,
            reason: Reason::OtherPort,
            let_through: false,
        };
        assert!(refusals.note_connection(&other, 1, 1));
        assert!(!refusals.note_connection(&other, 1, 2));
        for port in 0..2000 {
            refusals.note_connection(&Refusal::Odd { port, said: None, why: Why::Silent }, 1, 3);
        }
        let list = refusals.list();
        assert_eq!((list.len(), refusals.others()), (MAX_KEPT, 1501));
        let first = list.last().unwrap();
        assert_eq!((first.what.as_str(), first.count), ("a.example:80", 2));
    }

    #[test]
    fn a_flood_of_names_is_bounded() {
        let mut refusals = Refusals::default();
        for n in 0..2000 {
            refusals.note_question(&name(&format!("n{n}.example")), n, &[], |_| false);
        }
        assert_eq!((refusals.list().len(), refusals.others()), (MAX_KEPT, 1500));
    }
}
