//! Everything in a folder that is to be packed, and what stays out.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;

use walkdir::WalkDir;

use super::exclude;
use super::ignore_file::{IgnoreFile, Say};
use super::kind::Kind;
use super::load::Content;
use super::names;
use super::problem::{Problem, Problems};
use super::secret_files;
use crate::disk_file::{DiskFile, FileError};
use crate::payload::Source;

/// The most bytes of all files of a folder together: what everybody who uses it downloads.
const MAX_CONTENT: u64 = 2 << 30;
/// Files up to this size are read at once: opening them again costs more than holding them.
const SMALL: u64 = 64 << 10;
/// But not more than this of one folder.
const MAX_HELD: u64 = 256 << 10;

/// What is special about the content of a folder.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// What the folder is, as in a sentence.
    pub what: &'static str,
    /// The file that says what it is; it is read on its own.
    pub metadata_file: &'static str,
    /// The file that says what else is left out, or is packed all the same.
    pub ignore_file: &'static str,
    /// Whether environment files are packed.
    pub environment_files: bool,
    /// Whether settings of an editor that a project shares are packed.
    pub editor_settings: bool,
    /// What to do where it is too large.
    pub too_large: &'static str,
}

/// The rules of a Feature.
pub const FEATURE: Rules = Rules {
    what: "Feature",
    metadata_file: Kind::Feature.metadata_file(),
    ignore_file: ".featureignore",
    environment_files: false,
    editor_settings: false,
    too_large: "download what is large in install.sh",
};

/// The rules of a Template: its files become a project's own, so what projects share belongs to it.
pub const TEMPLATE: Rules = Rules {
    what: "Template",
    metadata_file: Kind::Template.metadata_file(),
    ignore_file: ".templateignore",
    environment_files: true,
    editor_settings: true,
    too_large: "download what is large when the container is made",
};

impl Rules {
    /// The rules of a kind.
    pub const fn of(kind: Kind) -> &'static Self {
        match kind {
            Kind::Feature => &FEATURE,
            Kind::Template => &TEMPLATE,
        }
    }

    /// Whether a file or folder of this name stays out unless its author asks for it.
    fn excludes(&self, name: &str) -> bool {
        let wanted = (self.environment_files && exclude::is_environment_file(name))
            || (self.editor_settings && exclude::is_editor_settings(name));
        !wanted && exclude::is_excluded(name)
    }
}

/// What was found in a folder.
#[derive(Debug, Default)]
pub struct Found {
    /// Files and folders but for the metadata file, in the folder's order.
    pub content: Vec<Content>,
    /// What was left out though nobody asked for that, relative to the folder.
    pub left_out: Vec<String>,
    /// What cannot be packed.
    pub problems: Vec<Problem>,
}

/// Looks at everything in a folder.
pub fn read(folder: &Path, rules: &Rules) -> Found {
    let mut found = Found::default();
    let mut room = Room { content: MAX_CONTENT, held: MAX_HELD };
    let ignore = match IgnoreFile::read(&folder.join(rules.ignore_file)) {
        Ok(ignore) => ignore,
        Err(problems) => {
            found.problems.extend(problems);
            IgnoreFile::default()
        }
    };
    // Names as a file system sees them that knows no case, and no two ways to write one letter.
    let mut seen = HashMap::from([(names::folded(rules.metadata_file), rules.metadata_file.to_owned())]);
    let mut walk = WalkDir::new(folder).min_depth(1).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                found.problems.push(Problem { path, what: format!("cannot be read: {error}") });
                continue;
            }
        };
        let file_type = entry.file_type();
        let mut problems = Problems::of(entry.path());
        let (Some(path), Some(name)) = (relative(folder, entry.path()), entry.file_name().to_str()) else {
            problems.add("the name is not UTF-8; rename it");
            found.problems.extend(problems.into_vec());
            if file_type.is_dir() {
                walk.skip_current_dir();
            }
            continue;
        };
        let said = ignore.says(&path);
        if path == rules.metadata_file || path == rules.ignore_file || said == Some(Say::LeaveOut) {
            if file_type.is_dir() {
                walk.skip_current_dir();
            }
            continue;
        }
        if said.is_none() && rules.excludes(name) {
            found.left_out.push(path);
            if file_type.is_dir() {
                walk.skip_current_dir();
            }
            continue;
        }
        names::check(&path, name, file_type.is_dir(), &mut problems);
        if let Some(other) = seen.insert(names::folded(&path), path.clone()) {
            problems.add(format!(
                "on many file systems this is the same name as \"{other}\"; rename one of them"
            ));
        }
        if file_type.is_dir() {
            found.content.push(Content::Folder(path));
        } else if file_type.is_file() {
            match room.read(entry.path()) {
                Ok(Some((executable, data))) => {
                    match head(&data).map(|head| secret_files::refusal(name, &head)) {
                        Ok(Some(why)) if said.is_none() => problems.add(format!(
                            "{why}; take it out, or write \"!{path}\" into {} if everybody may have it",
                            rules.ignore_file
                        )),
                        Ok(_) => {}
                        Err(error) => problems.add(format!("cannot be read: {error}")),
                    }
                    found.content.push(Content::File { path, executable, data });
                }
                Ok(None) => problems.add(format!(
                    "with this file, the {} is larger than 2 GiB; {}",
                    rules.what, rules.too_large
                )),
                Err(error) => problems.add(error.to_string()),
            }
        } else if file_type.is_symlink() {
            problems.add("a symbolic link: not every consumer unpacks one; put the file itself here");
        } else {
            problems.add("neither a file nor a folder; remove it");
        }
        found.problems.extend(problems.into_vec());
    }
    found
}

fn relative(folder: &Path, path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> =
        path.strip_prefix(folder).ok()?.components().map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}

/// The beginning of a file.
pub(super) fn head(data: &Source) -> std::io::Result<Vec<u8>> {
    match data {
        Source::Memory(bytes) => Ok(bytes.to_vec()),
        Source::Disk(file) => {
            let mut head = Vec::new();
            file.open()?.take(SMALL).read_to_end(&mut head)?;
            Ok(head)
        }
    }
}

/// What a folder may still hold.
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
