//! Why nothing was published.

use std::fmt;
use std::time::Duration;

use crate::contents::difference::{self, Difference};
use crate::feature::content::Rules;
use crate::feature::kind::Kind;
use crate::feature::problem::one_line;
use crate::oci::digest::Digest;

use super::compare;

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
        "publishing to {registry} was ended after {} s (--timeout){}; what is there is whole{}, and the same command does the rest",
        limit.as_secs(),
        last.as_ref().map(|last| format!("; the last trouble was that {last}")).unwrap_or_default(),
        tally.map(|tally| format!(" ({tally})")).unwrap_or_default()
    )]
    OutOfTime {
        /// The registry.
        registry: String,
        /// The limit.
        limit: Duration,
        /// What the registry was waited for last, if it was.
        last: Option<String>,
        /// What is out, if anything was published.
        tally: Option<Tally>,
    },
    /// It failed when some of it was published.
    #[error("{why:#}; {tally}, and the same command does the rest")]
    BrokenOff {
        /// What went wrong.
        why: anyhow::Error,
        /// What is out.
        tally: Tally,
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
    /// In what they differ.
    pub differs: Differs,
}

/// In what a published version differs from what is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Differs {
    /// It was not looked at more closely.
    Somehow,
    /// It cannot be told, and why.
    Unknown(String),
    /// In what the manifest says of the metadata, and in no file.
    Manifest,
    /// In files and folders.
    Files {
        /// Which.
        files: Vec<Difference>,
        /// Whose files they are.
        kind: Kind,
    },
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reference, published, ours, differs } = self;
        write!(f, "{reference} is already published with other content (")?;
        match differs {
            Differs::Somehow => {}
            Differs::Unknown(why) => write!(f, "which cannot be compared: {}; ", one_line(why))?,
            Differs::Manifest => {
                f.write_str("the files are the same, the metadata in the manifest is not; ")?;
            }
            Differs::Files { files, .. } => write!(f, "{}; ", difference::list(files))?,
        }
        write!(f, "{published}, and here it is {ours}); a version never changes, so raise the version")?;
        match differs {
            Differs::Files { files, kind } if compare::is_documentation(files) => write!(
                f,
                "; to publish documentation with it, write it before you publish, and what is not to be packed at all can be listed in {}",
                Rules::of(*kind).ignore_file
            ),
            _ => Ok(()),
        }
    }
}

/// How much of a publish is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// So many releases have their version.
    pub out: usize,
    /// Of so many.
    pub all: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { out, all } if out >= all => {
                f.write_str("every version is out, but not all that leads to it")
            }
            Self { out: 1, all } => write!(f, "1 of {all} releases is out"),
            Self { out, all } => write!(f, "{out} of {all} releases are out"),
        }
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
