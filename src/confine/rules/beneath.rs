//! "All but these": Landlock knows only what is allowed, so what lies beside the way to what is hidden is allowed entry
//! by entry, and everything else by its topmost folder.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::secrets;

/// Entries of one folder that are looked at.
pub(super) const MOST: usize = 512;

/// What is hidden.
#[derive(Debug)]
pub(super) struct Hidden {
    home: PathBuf,
    paths: BTreeSet<PathBuf>,
    /// Folders above a hidden path, and the home: each is allowed entry by entry.
    ways: BTreeSet<PathBuf>,
}

/// What follows from it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Each with all that is below it.
    pub(super) paths: Vec<PathBuf>,
    /// Folders with more than [`MOST`] entries: what was not known by name is hidden.
    pub(super) crowded: Vec<PathBuf>,
}

impl Hidden {
    /// The secrets of this home, which has been resolved, and those elsewhere.
    pub(super) fn of(home: &Path) -> Self {
        let mut hidden = Self { home: home.to_owned(), paths: BTreeSet::new(), ways: BTreeSet::new() };
        hidden.ways.insert(home.to_owned());
        hidden.ways.extend(home.ancestors().map(Path::to_owned));
        if !home.is_dir() {
            // Whatever comes there later.
            hidden.paths.insert(home.to_owned());
        }
        let below = secrets::HOME.iter().map(|(path, _)| home.join(path));
        for path in below.chain(secrets::ELSEWHERE.iter().map(|(path, _)| PathBuf::from(path))) {
            hidden.add(&path);
        }
        hidden
    }

    /// What is not there needs nothing: folders on the way to it are allowed by what they hold now, or as a whole.
    fn add(&mut self, path: &Path) {
        if fs::symlink_metadata(path).is_err() {
            return;
        }
        self.hide(path.to_owned());
        // A link, here or on the way, to where the secret really lies; nobody's whole file system is a secret.
        if let Ok(real) = fs::canonicalize(path)
            && real != path
            && real.components().count() > 2
            && !self.home.starts_with(&real)
        {
            self.hide(real);
        }
    }

    fn hide(&mut self, path: PathBuf) {
        self.ways.extend(path.ancestors().skip(1).map(Path::to_owned));
        self.paths.insert(path);
    }

    /// What may be read. A folder that cannot be read is allowed with nothing below it.
    pub(super) fn allowed(&self) -> Allowed {
        let mut allowed = Allowed::default();
        self.walk(Path::new("/"), &mut allowed);
        allowed
    }

    fn walk(&self, folder: &Path, allowed: &mut Allowed) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let entries: Vec<_> = entries.flatten().take(MOST + 1).collect();
        let crowded = entries.len() > MOST;
        let at_home = folder.starts_with(&self.home);
        let mut consider = |path: PathBuf, kind: fs::FileType| {
            // A link leads to what has a path of its own.
            if kind.is_symlink() || self.paths.contains(&path) {
                return;
            }
            if self.ways.contains(&path) {
                return self.walk(&path, allowed);
            }
            let name = path.file_name().unwrap_or_default();
            if !(at_home && !kind.is_dir() && secrets::is_secret_by_name(name.as_bytes())) {
                allowed.paths.push(path);
            }
        };
        if crowded {
            let on_the_way = self.ways.iter().filter(|way| way.parent() == Some(folder)).cloned();
            let known = secrets::KNOWN.iter().filter(|_| folder == self.home).map(|name| folder.join(name));
            let named: BTreeSet<_> = on_the_way.chain(known).collect();
            for path in named {
                if let Ok(found) = fs::symlink_metadata(&path) {
                    consider(path, found.file_type());
                }
            }
            allowed.crowded.push(folder.to_owned());
        } else {
            for entry in entries {
                if let Ok(kind) = entry.file_type() {
                    consider(entry.path(), kind);
                }
            }
        }
    }
}
