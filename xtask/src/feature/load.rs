//! One Feature folder, read completely and checked.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use walkdir::WalkDir;

use super::exclude;
use super::metadata::{self, Metadata};
use super::problem::{Problem, Problems};

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
    let (name, bytes) = match (name, std::fs::read(&path)) {
        (Some(name), Ok(bytes)) => (name, bytes),
        (None, _) => {
            problems.add("the folder's name is not UTF-8");
            return Err(problems.into_vec());
        }
        (_, Err(error)) => {
            problems.add(format!("cannot be read: {error}"));
            return Err(problems.into_vec());
        }
    };
    Metadata::parse(&path, &bytes, &name)
}

type Read = (Vec<Content>, Vec<String>);

fn read_content(folder: &Path) -> Result<Read, Vec<Problem>> {
    let mut content = Vec::new();
    let mut left_out = Vec::new();
    let mut found = Vec::new();
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
        if entry.file_name().to_str().is_some_and(exclude::is_excluded) {
            left_out.push(path);
            if kind.is_dir() {
                walk.skip_current_dir();
            }
        } else if kind.is_dir() {
            content.push(Content::Folder(path));
        } else if kind.is_file() {
            if path == metadata::FILE_NAME {
                continue;
            }
            match read_file(entry.path()) {
                Ok((executable, data)) => content.push(Content::File { path, executable, data }),
                Err(error) => problems.add(format!("cannot be read: {error}")),
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

fn read_file(path: &Path) -> std::io::Result<(bool, Bytes)> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path)?.permissions().mode();
    Ok((mode & 0o100 != 0, std::fs::read(path)?.into()))
}
