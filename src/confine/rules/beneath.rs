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

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn allowed(home: &Path) -> Allowed {
        Hidden::of(&fs::canonicalize(home).unwrap()).allowed()
    }

    fn below(home: &Path) -> Vec<String> {
        let real = fs::canonicalize(home).unwrap();
        let paths = allowed(home).paths.into_iter();
        let mut names: Vec<_> =
            paths.filter_map(|path| Some(path.strip_prefix(&real).ok()?.to_str()?.to_owned())).collect();
        names.sort();
        names
    }

    #[test]
    fn a_home_is_looked_at_only_on_the_way_to_secrets() {
        let home = tempfile::tempdir().unwrap();
        for path in [
            ".bashrc",
            ".cargo/bin/tool",
            ".cargo/credentials.toml",
            ".config/gh/hosts.yml",
            ".config/htop/htoprc",
            ".rustup/toolchains/stable/bin/rustc",
            ".ssh/id_rsa",
            "id_rsa.pub",
            "notes",
        ] {
            write(&home.path().join(path));
        }
        assert_eq!(below(home.path()), [".cargo/bin", ".config/htop", ".rustup", "notes"]);
    }

    #[test]
    fn what_is_no_secret_here_is_allowed_as_a_whole() {
        let home = tempfile::tempdir().unwrap();
        write(&home.path().join(".config/htop/htoprc"));
        write(&home.path().join(".local/share/id_theme"));
        assert_eq!(below(home.path()), [".config", ".local"]);
    }

    #[test]
    fn a_secret_that_is_a_link_is_hidden_where_it_lies() {
        let home = tempfile::tempdir().unwrap();
        write(&home.path().join("dotfiles/ssh/id_rsa"));
        write(&home.path().join("dotfiles/vimrc"));
        std::os::unix::fs::symlink("dotfiles/ssh", home.path().join(".ssh")).unwrap();
        // One that leads to what everybody needs hides nothing.
        std::os::unix::fs::symlink("/usr", home.path().join(".aws")).unwrap();
        assert_eq!(below(home.path()), ["dotfiles/vimrc"]);
        assert!(allowed(home.path()).paths.contains(&PathBuf::from("/usr")));
    }

    #[test]
    fn the_way_to_the_home_is_allowed_entry_by_entry() {
        let home = tempfile::tempdir().unwrap();
        let paths = allowed(home.path()).paths;
        let real = fs::canonicalize(home.path()).unwrap();
        assert!(real.ancestors().all(|above| !paths.contains(&above.to_owned())), "{paths:?}");
        assert!(paths.contains(&PathBuf::from("/usr")) && paths.contains(&PathBuf::from("/proc")));
    }

    #[test]
    fn a_home_that_is_not_there_stays_hidden() {
        let parent = tempfile::tempdir().unwrap();
        let parent = fs::canonicalize(parent.path()).unwrap();
        let hidden = Hidden::of(&parent.join("home"));
        write(&parent.join("home/late"));
        write(&parent.join("other"));
        let paths = hidden.allowed().paths;
        assert!(
            paths.contains(&parent.join("other"))
                && !paths.iter().any(|path| path.starts_with(parent.join("home")))
        );
        fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn the_tables_say_each_thing_once() {
        let mut seen = BTreeSet::new();
        for (path, reason) in secrets::HOME.iter().chain(secrets::ELSEWHERE) {
            assert!(seen.insert(path), "{path} is listed twice");
            assert!(!reason.is_empty() && !path.ends_with('/'), "{path}");
        }
        assert!(secrets::KNOWN.iter().all(|name| !seen.contains(name)), "a secret is let through");
    }
}
