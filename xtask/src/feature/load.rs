//! One Feature folder, looked at completely and checked.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::exclude;
use super::metadata::{self, Metadata};
use super::problem::{Problem, Problems};
use crate::disk_file::{DiskFile, FileError};
use crate::payload::Source;

/// The most bytes of devcontainer-feature.json.
const MAX_METADATA: u64 = 1 << 20;
/// The most bytes of all other files of a Feature together: what every container that uses it downloads.
const MAX_CONTENT: u64 = 2 << 30;

/// Files up to this size are read at once: opening them again costs more than holding them.
const SMALL: u64 = 64 << 10;
/// But not more than this of one Feature.
const MAX_HELD: u64 = 256 << 10;

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
        data: Source,
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
    match read_small(&path) {
        Ok(Some(bytes)) => Metadata::parse(&path, &bytes, &name),
        Ok(None) => {
            problems.add("larger than 1 MiB; nothing that a Feature says about itself needs that");
            Err(problems.into_vec())
        }
        Err(error) => {
            problems.add(error.to_string());
            Err(problems.into_vec())
        }
    }
}

/// Reads a regular file of at most one MiB; nothing where it is larger.
fn read_small(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    let mut data = Vec::new();
    // It may grow meanwhile, and some files hold more than their size says.
    DiskFile::look(path)?.open()?.take(MAX_METADATA + 1).read_to_end(&mut data)?;
    Ok((data.len() as u64 <= MAX_METADATA).then_some(data))
}

type Read = (Vec<Content>, Vec<String>);

fn read_content(folder: &Path) -> Result<Read, Vec<Problem>> {
    let mut content = Vec::new();
    let mut left_out = Vec::new();
    let mut found = Vec::new();
    let mut room = Room { content: MAX_CONTENT, held: MAX_HELD };
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
            match room.read(entry.path()) {
                Ok(Some((executable, data))) => content.push(Content::File { path, executable, data }),
                Ok(None) => {
                    problems.add("with this file, the Feature is larger than 2 GiB; download what is large in install.sh");
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

/// What a Feature may still hold.
struct Room {
    content: u64,
    held: u64,
}

impl Room {
    /// Takes a file in, and whether its owner may execute it; nothing where there is no room for it.
    fn read(&mut self, path: &Path) -> Result<Option<(bool, Source)>, FileError> {
        let file = DiskFile::look(path)?;
        let len = file.len();
        if len > self.content {
            return Ok(None);
        }
        self.content -= len;
        let executable = file.executable();
        if len > SMALL || len > self.held {
            return Ok(Some((executable, Source::Disk(file))));
        }
        self.held -= len;
        let mut data = Vec::new();
        // Some files hold more than their size says.
        let mut opened = file.open()?.take(len + 1);
        opened.read_to_end(&mut data)?;
        file.check(opened.get_ref())?;
        if data.len() as u64 != len {
            return Err(file.changed().into());
        }
        Ok(Some((executable, Source::Memory(data.into()))))
    }
}

fn relative(folder: &Path, path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> =
        path.strip_prefix(folder).ok()?.components().map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}
