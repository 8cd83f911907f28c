//! The policy file that an image brings, and that is read while it is built.

mod form;

use std::path::Path;

use super::trusted::{self, Distrust, Links};
use crate::policy::{Draft, Mode};

/// Bytes that such a file may have: a thousand for each name that a policy may hold.
const MAX: u64 = 256 * 1024;

/// Characters that its path may have.
const MAX_PATH: usize = 255;

/// Why a policy file is not used, and where in it.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// It is not read.
    #[error("the policy file {path} {problem}")]
    File {
        /// As the option has it.
        path: String,
        /// Why not.
        problem: String,
    },
    /// It does not read.
    #[error("the policy file {path}, line {line}, column {column}: {what}")]
    Text {
        /// As the option has it.
        path: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong there, and what to write instead.
        what: String,
    },
}

/// Adds what the file at `path` in the image at `root` says, and tells the mode that it names, which must be the one
/// that was `asked` for elsewhere.
pub fn add(
    root: &Path,
    path: &str,
    asked: Option<Mode>,
    draft: &mut Draft,
) -> Result<Option<Mode>, PolicyFileError> {
    let file = |problem: String| PolicyFileError::File { path: path.to_owned(), problem };
    // It stands in the policy with each rule, and is shown to people.
    let is_plain = path.len() <= MAX_PATH && path.bytes().all(|b| matches!(b, b' '..=b'~'));
    if !is_plain {
        let path = path.escape_default().to_string();
        let problem = format!(
            "has a path of more than {MAX_PATH} characters, or with others than printable ASCII; rename it"
        );
        return Err(PolicyFileError::File { path, problem });
    }
    let bytes = trusted::read(root, Path::new(path), Links::Refuse, MAX).map_err(|error| match error {
        Distrust::Io(error) => file(format!("cannot be read: {error}; a Dockerfile's COPY puts it there")),
        other => file(other.to_string()),
    })?;
    form::add(&bytes, path, asked, draft).map_err(|form::Problem { line, column, what }| {
        PolicyFileError::Text { path: path.to_owned(), line, column, what }
    })
}
