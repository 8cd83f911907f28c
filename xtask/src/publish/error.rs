//! Why nothing was published.

use std::fmt;
use std::time::Duration;

use crate::feature::kind::Kind;
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
    /// What is published of the same name is something else.
    #[error(
        "the {kind} \"{id}\" cannot be published: the collection at {at} lists {} of that name, and both would be in one repository; rename one of them, or use another namespace (-n)",
        other(*kind)
    )]
    Clash {
        /// What it is here.
        kind: Kind,
        /// The name.
        id: String,
        /// Where the other one is listed.
        at: String,
    },
    /// A registry is named twice.
    #[error("the registry {0} is named twice; name each once with -r")]
    Twice(String),
    /// Another registry lets nothing be written.
    #[error("nothing was sent to {0}, as another registry lets nothing be written")]
    HeldBack(String),
    /// It took too long.
    #[error(
        "publishing to {registry} was ended after {} s (--timeout); what is there is whole, and the same command does the rest",
        limit.as_secs()
    )]
    OutOfTime {
        /// The registry.
        registry: String,
        /// The limit.
        limit: Duration,
    },
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

const fn other(kind: Kind) -> &'static str {
    match kind {
        Kind::Feature => "a Template",
        Kind::Template => "a Feature",
    }
}

fn sentences(conflicts: &[Conflict]) -> String {
    conflicts.iter().map(Conflict::to_string).collect::<Vec<_>>().join("\n")
}
