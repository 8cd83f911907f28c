//! Why nothing was published.

use std::fmt;

use crate::oci::digest::Digest;

/// An error of `publish` that is not the registry's.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Published versions have other content.
    #[error("{}", sentences(.0))]
    Conflict(Vec<Conflict>),
    /// There is no namespace.
    #[error(
        "no namespace: {0} has no git remote \"origin\" to take it from; name it with -n owner/repository"
    )]
    NoNamespace(String),
    /// The published collection cannot be read, so it cannot be kept.
    #[error(
        "the collection at {at} cannot be read ({why}); publish the whole collection instead of one Feature"
    )]
    Collection {
        /// Where it is.
        at: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A version that is published with other content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The tag in its repository.
    pub reference: String,
    /// What is published.
    pub published: Digest,
    /// What we have.
    pub ours: Digest,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is already published with other content ({}, and here it is {}); a version never changes, so raise the version",
            self.reference, self.published, self.ours
        )
    }
}

fn sentences(conflicts: &[Conflict]) -> String {
    conflicts.iter().map(Conflict::to_string).collect::<Vec<_>>().join("\n")
}
