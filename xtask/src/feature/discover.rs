//! From a target to the Feature folders that it means.

use std::path::{Path, PathBuf};

use super::metadata::FILE_NAME;

/// What a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The Feature folders, sorted.
    pub folders: Vec<PathBuf>,
    /// Whether the target is one Feature, and not a collection of them.
    pub single: bool,
    /// Sub-folders of the collection that hold no Feature.
    pub skipped: Vec<PathBuf>,
}

/// Why a target means nothing.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// It is not a folder.
    #[error("{} is not a folder; give a collection folder or a Feature folder", .0.display())]
    NotAFolder(PathBuf),
    /// There is no Feature in it.
    #[error("{} holds no Feature: neither it nor a folder in it has a {FILE_NAME}", .0.display())]
    Empty(PathBuf),
    /// It cannot be listed.
    #[error("{} cannot be listed", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Finds the Features of a target: itself, its sub-folders, or those of its `src`.
pub fn discover(target: &Path) -> Result<Target, DiscoverError> {
    if !target.is_dir() {
        return Err(DiscoverError::NotAFolder(target.to_owned()));
    }
    // `symlink_metadata`, so that a dangling link is found and refused instead of skipped.
    if target.join(FILE_NAME).symlink_metadata().is_ok() {
        return Ok(Target { folders: vec![target.to_owned()], single: true, skipped: Vec::new() });
    }
    let found = collection(target)?;
    let source = target.join("src");
    if !found.folders.is_empty() {
        Ok(found)
    } else if source.is_dir() {
        let found = collection(&source)?;
        if found.folders.is_empty() { Err(DiscoverError::Empty(source)) } else { Ok(found) }
    } else {
        Err(DiscoverError::Empty(target.to_owned()))
    }
}

fn collection(folder: &Path) -> Result<Target, DiscoverError> {
    let unreadable = |source| DiscoverError::Unreadable { path: folder.to_owned(), source };
    let mut found = Target { folders: Vec::new(), single: false, skipped: Vec::new() };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if hidden || !entry.path().is_dir() {
            continue;
        }
        if entry.path().join(FILE_NAME).symlink_metadata().is_ok() {
            found.folders.push(entry.path());
        } else {
            found.skipped.push(entry.path());
        }
    }
    found.folders.sort();
    found.skipped.sort();
    Ok(found)
}
