//! In what two archives differ, for a sentence.

use std::collections::{BTreeSet, HashSet};

use super::{Contents, Item};
use crate::feature::problem::one_line;

/// How many differences a sentence names.
const NAMED: usize = 3;
/// A longer path is cut in a sentence.
const LONGEST_NAME: usize = 120;

/// What is another one here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The path, with a slash behind it where it is a folder.
    pub path: String,
    /// In what way.
    pub how: How,
}

/// In what way something is another one here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It is only here.
    Added,
    /// It is only there.
    Removed,
    /// It holds something else.
    Changed,
    /// It may be executed here and not there.
    MadeExecutable,
    /// It may be executed there and not here.
    MadePlain,
}

impl Contents {
    /// What is different here from what is published, each by its path and in words. The bit that may be set or not
    /// is that of what is `run_anyway`.
    pub fn differences(&self, published: &Self, run_anyway: impl Fn(&str) -> bool) -> Vec<Difference> {
        let paths: BTreeSet<&String> = self.items.keys().chain(published.items.keys()).collect();
        let differences = paths.into_iter().filter_map(|path| {
            let is_folder = |item: Option<&Item>| item == Some(&Item::Folder);
            let (ours, theirs) = (self.items.get(path), published.items.get(path));
            let how = match (ours, theirs) {
                (None, _) => How::Removed,
                (_, None) => How::Added,
                (Some(ours), Some(theirs)) if ours == theirs => return None,
                (Some(Item::File { digest: ours, executable }), Some(Item::File { digest: theirs, .. }))
                    if ours == theirs =>
                {
                    if run_anyway(path) {
                        return None;
                    }
                    if *executable { How::MadeExecutable } else { How::MadePlain }
                }
                _ => How::Changed,
            };
            let slash = if is_folder(ours.or(theirs)) { "/" } else { "" };
            Some(Difference { path: format!("{path}{slash}"), how })
        });
        differences.collect()
    }
}

/// Some differences in words: a few by name, and how many more.
pub fn list(differences: &[Difference]) -> String {
    // A folder is named by what is in it.
    let parents: HashSet<&str> =
        differences.iter().filter_map(|difference| parent(&difference.path)).collect();
    let named: Vec<&Difference> =
        differences.iter().filter(|difference| !parents.contains(difference.path.as_str())).collect();
    let words = named.iter().take(NAMED).map(|difference| {
        let path = shown(&difference.path);
        match difference.how {
            How::Added => format!("{path} was added"),
            How::Removed => format!("{path} was removed"),
            How::Changed => format!("{path} was changed"),
            How::MadeExecutable => format!("{path} was made executable"),
            How::MadePlain => format!("{path} was made not executable"),
        }
    });
    let words = words.collect::<Vec<_>>().join(", ");
    match named.len().saturating_sub(NAMED) {
        0 => words,
        more => format!("{words} and {more} more"),
    }
}

/// The folder that something lies in, with its slash.
fn parent(path: &str) -> Option<&str> {
    let own = path.strip_suffix('/').unwrap_or(path);
    own.rfind('/').map(|slash| &path[..=slash])
}

/// A path in one line.
pub(super) fn shown(path: &str) -> String {
    let line = one_line(path);
    match line.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
