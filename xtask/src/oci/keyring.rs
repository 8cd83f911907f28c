//! The credentials for each repository of one registry.

use super::credentials::Credentials;
use super::known::Known;
use super::reference::Repository;

/// Credentials in the order of their places; within a place the longest path comes first.
#[derive(Debug, Default)]
pub struct Keyring(Vec<(String, Credentials)>);

impl Keyring {
    /// Adds what one place has: credentials, each with the path that they are for, or with none.
    pub(super) fn add(&mut self, mut place: Vec<(String, Credentials)>) {
        place.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        self.0.append(&mut place);
    }

    /// Whether further places would change nothing.
    pub(super) fn is_complete(&self) -> bool {
        self.0.iter().any(|(path, _)| path.is_empty())
    }

    /// Whether there are no credentials at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The credentials for a repository.
    pub fn find(&self, repository: &Repository) -> &Credentials {
        let found = self.0.iter().find(|(path, _)| covers(path, repository.as_str()));
        found.map_or(&Credentials::Anonymous, |(_, credentials)| credentials)
    }

    /// Everything that must not be shown.
    pub fn secrets(&self) -> Known {
        let mut known = Known::default();
        for (_, credentials) in &self.0 {
            known.extend(&credentials.secrets());
        }
        known
    }
}

/// Whether a path is a repository or above it.
fn covers(path: &str, repository: &str) -> bool {
    path.is_empty()
        || repository.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::secret::Secret;

    #[test]
    fn the_longest_path_of_the_first_place_wins() {
        let named = |name: &str| Credentials::pair("u", &Secret::new("p"), name);
        let place = |paths: &[&str], place: &str| {
            paths.iter().map(|path| ((*path).to_owned(), named(&format!("{place} {path}")))).collect()
        };
        let mut keyring = Keyring::default();
        keyring.add(place(&["a", "a/b/c", "a/b"], "first"));
        assert!(!keyring.is_complete());
        keyring.add(place(&["", "a/b/c/d", "x"], "second"));
        assert!(keyring.is_complete());
        for (repository, expected) in [
            ("a", "first a"),
            ("a/b", "first a/b"),
            ("a/b/c", "first a/b/c"),
            ("a/b/c/d", "first a/b/c"),
            ("a/bb", "first a"),
            ("ab", "second "),
            ("x/y", "second x"),
        ] {
            let found = keyring.find(&Repository::parse(repository).unwrap());
            assert_eq!(found.describe(), format!("with the credentials {expected}"), "{repository}");
        }
        assert_eq!(*Keyring::default().find(&Repository::parse("a").unwrap()), Credentials::Anonymous);
    }
}
