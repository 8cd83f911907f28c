//! One Feature folder, read completely and checked.

use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::OFlags;
use walkdir::WalkDir;

use super::exclude;
use super::metadata::{self, Metadata};
use super::problem::{Problem, Problems};

/// The most bytes of devcontainer-feature.json.
const MAX_METADATA: u64 = 1 << 20;
/// The most bytes of all other files of a Feature together, which are held in memory.
const MAX_CONTENT: u64 = 512 << 20;

/// A valid Feature with the content of its folder.
#[derive(Debug, Clone)]
pub struct Feature {
    /// Where it lies.
    pub folder: PathBuf,
    /// What its devcontainer-feature.json says.
    pub metadata: Metadata,
    /// Its files and folders but for the metadata file, in the folder's order.
    pub content: Vec<Content>,
    /// What was left out, relative to the folder.
    pub left_out: Vec<String>,
}

/// A file or folder of a Feature, by its path below it with `/` between the parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A folder.
    Folder(String),
    /// A file.
    File {
        /// The path.
        path: String,
        /// Whether its owner may execute it.
        executable: bool,
        /// What it holds.
        data: Bytes,
    },
}

/// Reads and checks a Feature folder.
pub fn load(folder: &Path) -> Result<Feature, Vec<Problem>> {
    let mut found = Vec::new();
    let metadata = read_metadata(folder).map_err(|problems| found.extend(problems)).ok();
    let (content, left_out) = match read_content(folder) {
        Ok(read) => read,
        Err(problems) => {
            found.extend(problems);
            Default::default()
        }
    };
    if found.is_empty()
        && !content.iter().any(|item| matches!(item, Content::File { path, .. } if path == "install.sh"))
    {
        let mut problems = Problems::of(folder);
        problems.add("there is no install.sh, which every Feature needs");
        found.extend(problems.into_vec());
    }
    match metadata {
        Some(metadata) if found.is_empty() => {
            Ok(Feature { folder: folder.to_owned(), metadata, content, left_out })
        }
        _ => Err(found),
    }
}

fn read_metadata(folder: &Path) -> Result<Metadata, Vec<Problem>> {
    let path = folder.join(metadata::FILE_NAME);
    let mut problems = Problems::of(&path);
    let name = folder
        .canonicalize()
        .ok()
        .and_then(|folder| folder.file_name().and_then(|name| name.to_str()).map(str::to_owned));
    let Some(name) = name else {
        problems.add("the folder's name is not UTF-8");
        return Err(problems.into_vec());
    };
    match read_file(&path, MAX_METADATA) {
        Ok((_, bytes)) => Metadata::parse(&path, &bytes, &name),
        Err(ReadError::TooLarge) => {
            problems.add("larger than 1 MiB; nothing that a Feature says about itself needs that");
            Err(problems.into_vec())
        }
        Err(error) => {
            problems.add(error.to_string());
            Err(problems.into_vec())
        }
    }
}

type Read = (Vec<Content>, Vec<String>);

fn read_content(folder: &Path) -> Result<Read, Vec<Problem>> {
    let mut content = Vec::new();
    let mut left_out = Vec::new();
    let mut found = Vec::new();
    let mut room = MAX_CONTENT;
    let mut walk = WalkDir::new(folder).min_depth(1).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                found.push(Problem { path, what: format!("cannot be read: {error}") });
                continue;
            }
        };
        let mut problems = Problems::of(entry.path());
        let Some(path) = relative(folder, entry.path()) else {
            problems.add("the name is not UTF-8; rename it");
            found.extend(problems.into_vec());
            continue;
        };
        let kind = entry.file_type();
        if path == metadata::FILE_NAME {
            // Read on its own, whatever it is.
            if kind.is_dir() {
                walk.skip_current_dir();
            }
        } else if entry.file_name().to_str().is_some_and(exclude::is_excluded) {
            left_out.push(path);
            if kind.is_dir() {
                walk.skip_current_dir();
            }
        } else if kind.is_dir() {
            content.push(Content::Folder(path));
        } else if kind.is_file() {
            match read_file(entry.path(), room) {
                Ok((executable, data)) => {
                    room -= data.len() as u64;
                    content.push(Content::File { path, executable, data });
                }
                Err(ReadError::TooLarge) => {
                    problems.add("with this file, the Feature is larger than 512 MiB; download what is large in install.sh");
                }
                Err(error) => problems.add(error.to_string()),
            }
        } else if kind.is_symlink() {
            problems.add("a symbolic link: not every consumer unpacks one; put the file itself here");
        } else {
            problems.add("neither a file nor a folder; remove it");
        }
        found.extend(problems.into_vec());
    }
    if found.is_empty() { Ok((content, left_out)) } else { Err(found) }
}

fn relative(folder: &Path, path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> =
        path.strip_prefix(folder).ok()?.components().map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("not a regular file; put the file itself here")]
    NotAFile,
    #[error("too large")]
    TooLarge,
}

/// Reads a regular file of at most `limit` bytes, and whether its owner may execute it.
fn read_file(path: &Path, limit: u64) -> Result<(bool, Bytes), ReadError> {
    if !path.symlink_metadata()?.is_file() {
        return Err(ReadError::NotAFile);
    }
    // Even if it is exchanged meanwhile, nothing waits for a pipe's writer or follows a link.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(ReadError::NotAFile);
    }
    if metadata.len() > limit {
        return Err(ReadError::TooLarge);
    }
    let mut data = Vec::new();
    // It may grow meanwhile, and some files hold more than their size says.
    file.take(limit + 1).read_to_end(&mut data)?;
    if data.len() as u64 > limit {
        return Err(ReadError::TooLarge);
    }
    Ok((metadata.permissions().mode() & 0o100 != 0, data.into()))
}
