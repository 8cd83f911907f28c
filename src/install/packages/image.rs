//! What can be read in an image, and which of its programs can be asked.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::{Found, ask};
use crate::install::trusted::{self, Links};

/// More than any configuration has.
const MAX: u64 = 1 << 20;

/// An image, seen by whoever builds it.
#[derive(Debug)]
pub struct Image {
    root: PathBuf,
    variables: BTreeMap<String, String>,
    asks: bool,
}

impl Image {
    /// The image at `root`, with this process's environment. Only in an image that is this very machine are programs
    /// started: another's are foreign here.
    pub fn here(root: &Path) -> Self {
        let variables = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { root: root.to_owned(), variables: variables.collect(), asks: root == Path::new("/") }
    }

    /// The image at `root`, whose programs are started where `asks`, with other variables.
    pub fn with<'a>(
        root: &Path,
        asks: bool,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { root: root.to_owned(), variables: variables.collect(), asks }
    }

    /// A variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variables with one of these names.
    pub(super) fn variables(&self, names: &[&str]) -> Vec<(String, String)> {
        let set = |name: &&str| Some(((*name).to_owned(), self.variable(name)?.to_owned()));
        names.iter().filter_map(set).collect()
    }

    /// All that are set.
    pub(super) fn all_variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The text of a configuration file, if there is one that nobody but root can have written.
    pub(super) fn text(&self, client: &str, path: &str, found: &mut Found) -> Option<String> {
        match trusted::read(&self.root, Path::new(path), Links::Follow, MAX) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            // Nor in a folder of somebody else's, of which there is nothing to say then.
            Err(error) if error.is_absent() || !self.below(Path::new(path)).exists() => None,
            Err(error) => {
                found.note(client, &format!("{path} {error}; it is left out"));
                None
            }
        }
    }

    /// The texts of the files in a folder whose names end in `ending`, by name.
    pub(super) fn texts(&self, client: &str, folder: &str, ending: &str, found: &mut Found) -> Vec<String> {
        let entries = trusted::find(&self.root, Path::new(folder), Links::Follow)
            .and_then(|folder| Ok(fs::read_dir(folder)?));
        let names =
            entries.into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(ending)).collect();
        names.sort_unstable();
        names.iter().filter_map(|name| self.text(client, &format!("{folder}/{name}"), found)).collect()
    }

    /// Whether the image has the program, whoever may change it.
    pub(super) fn has(&self, program: &str) -> bool {
        self.folders().any(|folder| self.below(&folder).join(program).exists())
    }

    /// What the program says, if it can be asked; `None`, with a note, if it cannot. `None` without one where there is no
    /// such program, or none may be started.
    pub(super) fn ask(
        &self,
        program: &str,
        arguments: &[&str],
        variables: &[(String, String)],
        found: &mut Found,
    ) -> Option<String> {
        if !self.asks || !self.has(program) {
            return None;
        }
        let (path, folders) = match self.program(program) {
            Ok(at) => at,
            Err(why) => {
                found.note(program, &format!("it is not asked, as its program {why}"));
                return None;
            }
        };
        match ask::ask(&path, arguments, &folders, variables) {
            Ok(said) => Some(said),
            Err(why) => {
                found.note(program, &format!("asked for its configuration, it {why}"));
                None
            }
        }
    }

    /// The first program of that name on PATH that is root's alone to change, and the folders on PATH that are.
    fn program(&self, name: &str) -> Result<(PathBuf, Vec<PathBuf>), String> {
        let mut why = String::new();
        let mut first = None;
        for folder in self.folders() {
            let path = folder.join(name);
            match trusted::find(&self.root, &path, Links::Follow) {
                // By the name on PATH: a program may look at how it was called.
                Ok(real) if is_executable(&real) => _ = first.get_or_insert(self.below(&path)),
                Err(error) if why.is_empty() && !error.is_absent() => why = error.to_string(),
                _ => {}
            }
        }
        let is_trusted = |folder: &PathBuf| trusted::find(&self.root, folder, Links::Follow).is_ok();
        let folders = self.folders().filter(is_trusted).map(|folder| self.below(&folder)).collect();
        first.map(|path| (path, folders)).ok_or(why)
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        let path =
            self.variable("PATH").unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        env::split_paths(path).filter(|folder| folder.is_absolute()).collect::<Vec<_>>().into_iter()
    }

    fn below(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
}
