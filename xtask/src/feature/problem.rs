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
        write!(f, "{}: {}", shown(&self.path), one_line(&self.what))
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

/// The JSON path of an object's member, as in `options.version` or `dependsOn['ghcr.io/a/b/c']`.
pub fn member(object: &str, name: &str) -> String {
    if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        format!("{object}.{name}")
    } else {
        format!("{object}['{name}']")
    }
}

/// A path in a message, in one line whatever its name holds.
pub fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy())
}

/// A text with everything escaped that would break its line or steer a terminal.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Line and paragraph separators, and what turns the direction of writing.
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => line.extend(c.escape_unicode()),
            c if c.is_control() => line.extend(c.escape_debug()),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line() {
        let problem = Problem { path: "a\nb/\u{1b}[2J".into(), what: "\"x\r\u{202e}\" ünï".to_owned() };
        assert_eq!(problem.to_string(), r#"a\nb/\u{1b}[2J: "x\r\u{202e}" ünï"#);
    }
}
