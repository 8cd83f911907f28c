//! What is wrong with a Feature: all of it, one sentence each.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong there and what to do about it.
    pub what: String,
}

/// Why nothing was packed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidFeatures(pub Vec<Problem>);

/// Collects the problems of one file.
#[derive(Debug)]
pub struct Problems<'a> {
    path: &'a Path,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    /// An empty list for one file.
    pub fn of(path: &'a Path) -> Self {
        Self { path, found: Vec::new() }
    }

    /// Adds a sentence.
    pub fn add(&mut self, what: impl Into<String>) {
        self.found.push(Problem { path: self.path.to_owned(), what: what.into() });
    }

    /// The problems found.
    pub fn into_vec(self) -> Vec<Problem> {
        self.found
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl fmt::Display for InvalidFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}
