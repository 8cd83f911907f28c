//! From a target to the Feature or Template folders that it means.

use std::path::{Path, PathBuf};

use super::kind::Kind;
use super::problem::shown;

/// What a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The folders of the Features or Templates, sorted.
    pub folders: Vec<PathBuf>,
    /// Whether the target is one Feature or Template, and not a collection of them.
    pub single: bool,
    /// Sub-folders of the collection that hold none.
    pub skipped: Vec<PathBuf>,
}

/// Why a target means nothing.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// It is not a folder.
    #[error("{} is not a folder; give a collection folder or a {} folder", shown(.0), .1)]
    NotAFolder(PathBuf, Kind),
    /// There is none in it.
    #[error("{} holds no {}: neither it nor a folder in it has a {}", shown(.0), .1, .1.metadata_file())]
    Empty(PathBuf, Kind),
    /// It cannot be read, so nobody knows what is in it.
    #[error("{} cannot be read", shown(path))]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Finds the Features or Templates of a target: itself, its sub-folders, or those of its `src`.
pub fn discover(kind: Kind, target: &Path) -> Result<Target, DiscoverError> {
    if !is_folder(target)?.unwrap_or(false) {
        return Err(DiscoverError::NotAFolder(target.to_owned(), kind));
    }
    if holds_one(kind, target)? {
        return Ok(Target { folders: vec![target.to_owned()], single: true, skipped: Vec::new() });
    }
    let found = collection(kind, target)?;
    let source = target.join("src");
    if !found.folders.is_empty() {
        Ok(found)
    } else if is_folder(&source)?.unwrap_or(false) {
        let found = collection(kind, &source)?;
        if found.folders.is_empty() { Err(DiscoverError::Empty(source, kind)) } else { Ok(found) }
    } else {
        Err(DiscoverError::Empty(target.to_owned(), kind))
    }
}

/// What is overlooked vanishes from the published collection, so nothing that is unclear
/// is passed over.
fn collection(kind: Kind, folder: &Path) -> Result<Target, DiscoverError> {
    let mut found = Target { folders: Vec::new(), single: false, skipped: Vec::new() };
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let entry = entry.map_err(|error| unreadable(folder, error))?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match is_folder(&path)? {
            Some(false) => {}
            Some(true) if holds_one(kind, &path)? => found.folders.push(path),
            Some(true) => found.skipped.push(path),
            // It is listed, so it is a link that leads nowhere.
            None => return Err(unreadable(&path, std::io::ErrorKind::NotFound.into())),
        }
    }
    found.folders.sort();
    found.skipped.sort();
    Ok(found)
}

/// Whether a path leads to a folder; nothing when it leads nowhere.
fn is_folder(path: &Path) -> Result<Option<bool>, DiscoverError> {
    match path.metadata() {
        Ok(metadata) => Ok(Some(metadata.is_dir())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, error)),
    }
}

/// Whether a folder is one of the kind. A dangling link counts, so that it is refused instead of skipped.
fn holds_one(kind: Kind, folder: &Path) -> Result<bool, DiscoverError> {
    let path = folder.join(kind.metadata_file());
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unreadable(&path, error)),
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> DiscoverError {
    DiscoverError::Unreadable { path: path.to_owned(), source }
}
