//! The names that programs asked for and that the policy does not hold. Pure, and bounded however many they are.

use std::collections::BTreeMap;

use crate::policy::HostName;
use crate::status::Denied;

/// Names that are kept; of further ones only the number of questions is.
pub const MAX_KEPT: usize = 500;

/// Refused names, each with a count.
#[derive(Debug, Default)]
pub struct Refusals {
    names: BTreeMap<HostName, Count>,
    others: u64,
}

#[derive(Debug)]
struct Count {
    questions: u64,
    first_ms: u64,
    last_ms: u64,
}

impl Refusals {
    /// Counts a refused question, and says whether the name is a new one that is kept.
    ///
    /// Resolvers put the domains of their search list behind a name that was refused, or before they try it as it
    /// is. Such a name is passed over where the shorter one is known, so that a user sees what the program wrote.
    pub fn note(
        &mut self,
        name: &HostName,
        now_ms: u64,
        search: &[HostName],
        listed: impl Fn(&HostName) -> bool,
    ) -> bool {
        if let Some(count) = self.names.get_mut(name) {
            count.questions = count.questions.saturating_add(1);
            count.last_ms = now_ms;
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
        self.names.insert(name.clone(), Count { questions: 1, first_ms: now_ms, last_ms: now_ms });
        true
    }

    /// Questions for names beyond those that are kept.
    pub fn others(&self) -> u64 {
        self.others
    }

    /// The names, the latest first.
    pub fn list(&self) -> Vec<Denied> {
        let mut list: Vec<Denied> = self
            .names
            .iter()
            .map(|(name, count)| Denied {
                name: name.to_string(),
                questions: count.questions,
                first_ms: count.first_ms,
                last_ms: count.last_ms,
            })
            .collect();
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
            refusals.note(&name(text), 1, &search, |name| name.as_str() == "listed.example");
        }
        refusals.list().into_iter().map(|denied| denied.name).collect()
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
        assert!(refusals.note(&name("a.example"), 5, &[], |_| false));
        assert!(!refusals.note(&name("a.example"), 9, &[], |_| false));
        let denied = Denied { name: "a.example".to_owned(), questions: 2, first_ms: 5, last_ms: 9 };
        assert_eq!(refusals.list(), [denied]);
    }

    #[test]
    fn a_flood_of_names_is_bounded() {
        let mut refusals = Refusals::default();
        for n in 0..2000 {
            refusals.note(&name(&format!("n{n}.example")), n, &[], |_| false);
        }
        assert_eq!((refusals.list().len(), refusals.others()), (MAX_KEPT, 1500));
    }
}
