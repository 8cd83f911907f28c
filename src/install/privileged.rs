//! Takes setuid, setgid and file capabilities from every file of the image, or from none.

use std::path::{Path, PathBuf};

use super::layout::LayoutError;
use crate::paths;
use crate::privileged::{Found, WalkError, names, walk};

/// Names that are told; an image has a dozen or two.
const MOST_NAMED: usize = 40;

/// What was taken away. Dropping it without [`Stripped::keep`] gives it back.
#[derive(Debug, Default)]
pub(super) struct Stripped {
    files: Vec<Found>,
    mounts: Vec<PathBuf>,
}

impl From<WalkError> for LayoutError {
    fn from(error: WalkError) -> Self {
        Self::Io { action: "look into", path: error.path, source: error.source }
    }
}

/// Strips everything below `root`, but for other mounts and a launcher that is there from before.
pub(super) fn strip(root: &Path) -> Result<Stripped, LayoutError> {
    let launcher = root.join(paths::LAUNCHER.trim_start_matches('/'));
    let mut found = Vec::new();
    let unseen = walk(root, &launcher, |file| found.push(file))?;
    if let Some(first) = unseen.folders.into_iter().next() {
        return Err(first.into());
    }
    let mut stripped = Stripped { files: Vec::new(), mounts: unseen.mounts };
    for file in found {
        let done = file.strip();
        let path = file.path.clone();
        // Before the error is returned: a part of it may have been done.
        stripped.files.push(file);
        done.map_err(|error| LayoutError::Rights { path, source: error.into() })?;
    }
    Ok(stripped)
}

impl Stripped {
    /// Lets it be so; the lines tell what was done.
    pub(super) fn keep(mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let files = std::mem::take(&mut self.files);
        if !files.is_empty() {
            let told: Vec<String> =
                files.iter().take(MOST_NAMED).map(|file| file.path.display().to_string()).collect();
            let others = (files.len() - told.len()) as u64;
            let told = names(&told, others);
            lines.push(format!("took setuid, setgid and capabilities from {} files: {told}", files.len()));
        }
        let kernels = ["/proc", "/sys", "/dev"];
        let mounts: Vec<String> = self.mounts.iter().map(|path| path.display().to_string()).collect();
        let mounts: Vec<String> =
            mounts.into_iter().filter(|path| !kernels.contains(&path.as_str())).collect();
        if !mounts.is_empty() {
            lines.push(format!("did not look for such files in other mounts: {}", mounts.join(", ")));
        }
        lines
    }
}

impl Drop for Stripped {
    fn drop(&mut self) {
        for file in self.files.drain(..) {
            // Best effort: the error that led here is the one to report.
            let _ = file.restore();
        }
    }
}
