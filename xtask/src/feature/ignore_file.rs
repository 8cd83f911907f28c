//! The file with which an author overrules what is packed: `.featureignore`, or `.templateignore`.
//!
//! One pattern a line, the last that fits decides. A pattern with a slash is a path from the folder
//! on, one without fits a name at any depth; `*` and `?` stand for anything but a slash. `!` before a
//! pattern packs what is otherwise left out or refused for what it may hold. `#` begins a comment.

use std::io::Read as _;
use std::path::Path;

use super::problem::{Problem, Problems};
use crate::disk_file::{DiskFile, FileError};

/// Nobody writes longer ones.
const MAX_SIZE: u64 = 64 << 10;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoreFile {
    lines: Vec<Line>,
}

/// What is said of one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Say {
    /// It is not packed.
    LeaveOut,
    /// It is packed, whatever the rules say.
    Pack,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    pattern: String,
    say: Say,
}

impl IgnoreFile {
    /// Reads the file, if there is one.
    pub fn read(path: &Path) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::of(path);
        let mut text = String::new();
        let read = DiskFile::look(path)
            .and_then(|file| Ok(file.open()?.take(MAX_SIZE + 1).read_to_string(&mut text)?));
        match read {
            Err(FileError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => problems.add(error.to_string()),
            Ok(size) if size as u64 > MAX_SIZE => problems.add("larger than 64 KiB"),
            Ok(_) => {}
        }
        let this = Self::parse(&text, &mut problems);
        let problems = problems.into_vec();
        if problems.is_empty() { Ok(this) } else { Err(problems) }
    }

    fn parse(text: &str, problems: &mut Problems<'_>) -> Self {
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (say, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (Say::Pack, pattern),
                None => (Say::LeaveOut, line),
            };
            let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
            if pattern.is_empty() || pattern.contains("**") {
                problems.add(format!(
                    "line {}: \"{line}\" is no pattern; write a path, or a name with * for anything but a slash",
                    index + 1
                ));
            } else {
                lines.push(Line { pattern: pattern.to_owned(), say });
            }
        }
        Self { lines }
    }

    /// What is said of a path below the folder.
    pub fn says(&self, path: &str) -> Option<Say> {
        self.lines.iter().rev().find(|line| fits(&line.pattern, path)).map(|line| line.say)
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    if !pattern.contains('/') {
        return fits_name(pattern.as_bytes(), path.rsplit('/').next().unwrap_or(path).as_bytes());
    }
    let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
    pattern.split('/').count() == path.split('/').count()
        && pattern.split('/').zip(path.split('/')).all(|(p, n)| fits_name(p.as_bytes(), n.as_bytes()))
}

/// The usual walk with one place to come back to, so that no pattern takes long.
fn fits_name(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut back = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    (p, n) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_fits_decides() {
        let mut problems = Problems::of(Path::new("f"));
        let file = IgnoreFile::parse(
            "# comment\n\n*.log\n/docs/\nlib/*/x?\n!keep.log\n!node_modules/\nlast\n!last\nlast\n",
            &mut problems,
        );
        assert!(problems.into_vec().is_empty());
        for (path, expected) in [
            ("a.log", Some(Say::LeaveOut)),
            ("deep/er/a.log", Some(Say::LeaveOut)),
            ("deep/keep.log", Some(Say::Pack)),
            ("docs", Some(Say::LeaveOut)),
            ("lib/docs", None),
            ("lib/a/xy", Some(Say::LeaveOut)),
            ("lib/a/x", None),
            ("lib/a/b/xy", None),
            ("node_modules", Some(Say::Pack)),
            ("last", Some(Say::LeaveOut)),
            ("log", None),
        ] {
            assert_eq!(file.says(path), expected, "{path}");
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let (pattern, name) = ("*a".repeat(40) + "b", "a".repeat(250));
        let start = std::time::Instant::now();
        assert!(!fits(&pattern, &name));
        assert!(fits(&"*a".repeat(40), &name));
        assert!(start.elapsed() < std::time::Duration::from_secs(1));
    }

    #[test]
    fn what_is_no_pattern_is_named_with_its_line() {
        let mut problems = Problems::of(Path::new("f"));
        IgnoreFile::parse("ok\n!\na/**/b\n/\n", &mut problems);
        let found: Vec<String> = problems.into_vec().iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[1].starts_with("f: line 3: \"a/**/b\" is no pattern"), "{found:?}");
    }
}
