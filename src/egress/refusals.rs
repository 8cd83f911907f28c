//! What was refused: names that were asked for, and connections. Pure, and bounded however many they are.

use std::collections::BTreeMap;

use super::words::Why;
use crate::policy::{DEFAULT_PORT, HostName, Reason};
use crate::status::Denied;

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
    /// What was refused.
    pub fn what(&self) -> String {
        match self {
            Self::Question(name) => name.to_string(),
            Self::Connection { name, port, .. } => format!("{name}:{port}"),
            Self::Odd { port, said: Some(said), .. } => format!("{said}, port {port}"),
            Self::Odd { port, said: None, .. } => format!("port {port}"),
        }
    }

    /// Why.
    pub fn why(&self) -> String {
        match self {
            Self::Question(_) => Reason::NotListed.to_string(),
            Self::Connection { reason, .. } => reason.to_string(),
            Self::Odd { why, .. } => why.text().to_owned(),
        }
    }

    /// The entry of the option `allow` that would allow it. A single label is a host next to this one, or a mistake:
    /// that its name is asked for does not say which port to open.
    pub fn entry(&self) -> Option<String> {
        match self {
            Self::Question(name) => (!name.is_local()).then(|| name.to_string()),
            Self::Connection { name, port: DEFAULT_PORT, .. } => Some(name.to_string()),
            Self::Connection { name, port, .. } => Some(format!("{name}:{port}")),
            Self::Odd { .. } => None,
        }
    }

    /// One sentence, with what to do about it.
    pub fn sentence(&self) -> String {
        let (what, why) = (self.what(), self.why());
        match self.entry() {
            Some(entry) => {
                format!(
                    "refused {what}: {why}; to allow it, add to the Feature's options: \"allow\": \"{entry}\""
                )
            }
            None => format!("refused {what}: {why}"),
        }
    }
}

/// Refusals, each with a count.
#[derive(Debug, Default)]
pub struct Refusals {
    names: BTreeMap<HostName, Count>,
    /// By what was refused, and why.
    connections: BTreeMap<(String, String), (Option<String>, Count)>,
    others: u64,
}

#[derive(Debug)]
struct Count {
    times: u64,
    first_ms: u64,
    last_ms: u64,
}

impl Count {
    const fn new(now_ms: u64) -> Self {
        Self { times: 1, first_ms: now_ms, last_ms: now_ms }
    }

    const fn again(&mut self, now_ms: u64) {
        self.times = self.times.saturating_add(1);
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
            count.again(now_ms);
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
        self.names.insert(name.clone(), Count::new(now_ms));
        true
    }

    /// Counts a refused connection, and says whether it is a new one that is kept.
    pub fn note_connection(&mut self, refusal: &Refusal, now_ms: u64) -> bool {
        let key = (refusal.what(), refusal.why());
        if let Some((_, count)) = self.connections.get_mut(&key) {
            count.again(now_ms);
            return false;
        }
        if self.connections.len() >= MAX_KEPT {
            self.others = self.others.saturating_add(1);
            return false;
        }
        self.connections.insert(key, (refusal.entry(), Count::new(now_ms)));
        true
    }

    /// Refusals beyond those that are kept.
    pub fn others(&self) -> u64 {
        self.others
    }

    /// What was refused, the latest first.
    pub fn list(&self) -> Vec<Denied> {
        let denied = |what: String, why: String, entry, count: &Count| Denied {
            what,
            why,
            entry,
            count: count.times,
            first_ms: count.first_ms,
            last_ms: count.last_ms,
        };
        let names = self.names.iter().map(|(name, count)| {
            let refusal = Refusal::Question(name.clone());
            denied(refusal.what(), refusal.why(), refusal.entry(), count)
        });
        let connections = self
            .connections
            .iter()
            .map(|((what, why), (entry, count))| denied(what.clone(), why.clone(), entry.clone(), count));
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
            entry: Some("a.example".to_owned()),
            count: 2,
            first_ms: 5,
            last_ms: 9,
        };
        assert_eq!(refusals.list(), [denied]);
    }

    #[test]
    fn the_sentence_names_the_option() {
        let connection =
            |text: &str, port| Refusal::Connection { name: name(text), port, reason: Reason::NotListed };
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
    fn connections_are_counted_by_what_and_why() {
        let mut refusals = Refusals::default();
        let other = Refusal::Connection { name: name("a.example"), port: 80, reason: Reason::OtherPort };
        assert!(refusals.note_connection(&other, 1));
        assert!(!refusals.note_connection(&other, 2));
        for port in 0..2000 {
            refusals.note_connection(&Refusal::Odd { port, said: None, why: Why::Silent }, 3);
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
