//! One Feature or Template folder, looked at completely and checked.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::content::{self, Rules};
use super::kind::Kind;
use super::metadata::Metadata;
use super::problem::{Problem, Problems};
use crate::disk_file::{DiskFile, FileError};
use crate::payload::Source;
use crate::template::{self, facts};

/// What consumers of a Feature run.
const INSTALL: &str = "install.sh";
/// The most bytes of the metadata file.
const MAX_METADATA: u64 = 1 << 20;

/// A valid Feature or Template with the content of its folder.
#[derive(Debug, Clone)]
pub struct Feature {
    /// Where it lies.
    pub folder: PathBuf,
    /// What its metadata file says.
    pub metadata: Metadata,
    /// Its files and folders but for the metadata file, in the folder's order.
    pub content: Vec<Content>,
    /// What was left out, relative to the folder.
    pub left_out: Vec<String>,
    /// What its author should know, though it can be published.
    pub notes: Vec<String>,
}

/// A file or folder in it, by its path below it with `/` between the parts.
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

/// Reads and checks a folder.
pub fn load(kind: Kind, folder: &Path) -> Result<Feature, Vec<Problem>> {
    let mut found = Vec::new();
    let metadata = read_metadata(kind, folder).map_err(|problems| found.extend(problems)).ok();
    let read = content::read(folder, Rules::of(kind));
    let refused =
        |path: &str| read.problems.iter().any(|problem| folder.join(path).starts_with(&problem.path));
    let mut problems = Problems::of(folder);
    let installs = |item: &Content| matches!(item, Content::File { path, .. } if path == INSTALL);
    if kind == Kind::Feature && !refused(INSTALL) && !read.content.iter().any(installs) {
        problems.add("there is no install.sh, which every Feature needs");
    }
    found.extend(problems.into_vec());
    if kind == Kind::Feature {
        found.extend(windows_line_end(folder, &read.content));
    }
    // What was refused is not missing.
    let facts = if kind == Kind::Template && !facts::PLACES.iter().any(|place| refused(place)) {
        let facts = facts::read(folder, metadata.as_ref(), &read.content);
        facts.map_err(|problems| found.extend(problems)).ok().flatten()
    } else {
        None
    };
    found.extend(read.problems);
    match metadata {
        Some(metadata) if found.is_empty() => {
            let feature = Feature {
                folder: folder.to_owned(),
                metadata,
                content: read.content,
                left_out: read.left_out,
                notes: Vec::new(),
            };
            match facts {
                Some(facts) => template::complete(feature, &facts),
                None => Ok(feature),
            }
        }
        _ => Err(found),
    }
}

/// A script that names its interpreter in a line that ends as on Windows: a container looks for a program whose name has
/// a carriage return in it.
fn windows_line_end(folder: &Path, content: &[Content]) -> Option<Problem> {
    let install = content.iter().find_map(|item| match item {
        Content::File { path, data, .. } if path == INSTALL => Some(data),
        _ => None,
    })?;
    let head = content::head(install).ok()?;
    let first = head.split(|&byte| byte == b'\n').next().filter(|_| head.contains(&b'\n'))?;
    (first.starts_with(b"#!") && first.ends_with(b"\r")).then(|| Problem {
        path: folder.join(INSTALL),
        what: "its lines end as on Windows, so no container can run it; save it with plain line feeds (in git: `*.sh text eol=lf` in .gitattributes)".to_owned(),
    })
}

fn read_metadata(kind: Kind, folder: &Path) -> Result<Metadata, Vec<Problem>> {
    let path = folder.join(kind.metadata_file());
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
        Ok(Some(bytes)) => Metadata::parse(kind, &path, &bytes, &name),
        Ok(None) => {
            problems.add(format!("larger than 1 MiB; nothing that a {kind} says about itself needs that"));
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
