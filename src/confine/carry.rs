//! What of the real home's settings the private one gets: who commits, harmless settings of git's, and where
//! registries are. No login, no command, no path to a program.
//!
//! What was carried is made anew when the user's own file changes, until the agent changes it; from then on it is the
//! agent's. The user's files are read and the private home is written, so a link in there is never followed.

mod gitconfig;
mod registries;
mod store;

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::places::Places;
use store::Store;

/// A larger file is nobody's settings.
const MAX_FILE: u64 = 256 * 1024;

/// Where in the private home it is noted what was carried.
const OWN: &str = ".agent-sandbox";
/// From which files it was, as they were then. Changes with what is carried of them, too.
const STAMPS: &str = ".agent-sandbox/stamps";
const VERSION: &str = "1";

/// The files that something is carried of.
const SOURCES: [&str; 11] = [
    ".config/git/config",
    ".gitconfig",
    ".config/git/ignore",
    ".gitignore",
    ".gitignore_global",
    ".npmrc",
    ".pip/pip.conf",
    ".config/pip/pip.conf",
    ".cargo/config",
    ".cargo/config.toml",
    ".config/go/env",
];

/// What begins in a new private home, and is the agent's.
const BEGUN: [(&str, &str); 4] = [
    (
        ".gitconfig",
        "# Made once, yours from now on. The included file follows the user's own settings.\n\
         [include]\n\tpath = ~/.agent-sandbox/gitconfig\n",
    ),
    (".profile", PROFILE),
    (".zprofile", PROFILE),
    // Without one, zsh begins with questions.
    (".zshrc", "# Made once, yours from now on.\n"),
];

const PROFILE: &str = "# Made once, yours from now on. A login shell begins with the system's PATH: this is the agent's again.\n\
                       if [ -n \"${AGENT_SANDBOX_PATH-}\" ]; then\n\tPATH=$AGENT_SANDBOX_PATH\n\texport PATH\nfi\n";

/// Carries what is to be carried. What could not be is told, a sentence each; nothing of it keeps an agent from being
/// started.
pub fn carry(places: &Places) -> Vec<String> {
    let store = match Store::open(&places.home) {
        Ok(store) => store,
        Err(error) => return vec![format!("nothing is carried into the agent's home: {error}")],
    };
    let stamps = stamps(&places.real_home);
    if store.read(STAMPS).is_ok_and(|old| old.is_some_and(|old| old == stamps.as_bytes())) {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let mut tell = |what: &str, result: io::Result<()>| {
        if let Err(error) = result {
            problems.push(format!("~/{what} is not carried into the agent's home: {error}"));
        }
    };
    for (name, content) in BEGUN {
        tell(name, store.create(name, content.as_bytes()));
    }
    let mut sources = Sources { home: &places.real_home, problems: Vec::new() };
    for (name, content) in wanted(&mut sources) {
        tell(name, put(&store, name, content.as_deref()));
    }
    tell(STAMPS, store.write(STAMPS, stamps.as_bytes()));
    problems.extend(sources.problems);
    problems
}

/// The files to carry, with their content where there is something.
fn wanted(sources: &mut Sources<'_>) -> [(&'static str, Option<String>); 6] {
    let git: Vec<_> =
        [".config/git/config", ".gitconfig"].iter().filter_map(|name| sources.text(name)).collect();
    let ignored = match gitconfig::excludes(git.iter(), sources.home) {
        Some(path) => read_ignored(&path).ok(),
        None => sources.text_by(read_ignored, ".config/git/ignore"),
    };
    let git = gitconfig::carried(git.iter(), sources.home);
    let npm = sources.text(".npmrc").and_then(|text| registries::npm(&text));
    let pip = sources.text(".config/pip/pip.conf").or_else(|| sources.text(".pip/pip.conf"));
    let cargo = sources.text(".cargo/config.toml").or_else(|| sources.text(".cargo/config"));
    let go = sources.text(".config/go/env").and_then(|text| registries::go(&text));
    [
        (".agent-sandbox/gitconfig", git),
        (".config/git/ignore", ignored.and_then(|text| gitconfig::patterns(&text))),
        (".npmrc", npm),
        (".config/pip/pip.conf", pip.and_then(|text| registries::pip(&text))),
        (".cargo/config.toml", cargo.and_then(|text| registries::cargo(&text))),
        (".config/go/env", go),
    ]
}

/// Puts a file into the private home, unless the agent has changed or removed the one that was put there before.
fn put(store: &Store, name: &str, content: Option<&str>) -> io::Result<()> {
    let noted = format!("{OWN}/was/{}", name.replace('/', "%"));
    let (now, was) = (store.read(name)?, store.read(&noted)?);
    let content = content.map(str::as_bytes);
    // The second is a carrying that was interrupted.
    let ours = now == was || (now.is_some() && now.as_deref() == content);
    match content {
        _ if !ours => Ok(()),
        Some(content) => {
            store.write(&noted, content)?;
            if now.as_deref() == Some(content) { Ok(()) } else { store.write(name, content) }
        }
        None if now.is_some() => store.remove(name).and_then(|()| store.remove(&noted)),
        None => Ok(()),
    }
}

/// What tells whether one of the files is another than the last time.
fn stamps(real_home: &Path) -> String {
    let mut stamps = format!("{VERSION} {}\n", real_home.display());
    for name in SOURCES {
        let found = fs::metadata(real_home.join(name));
        let _ = match found {
            Ok(file) => writeln!(
                stamps,
                "{name} {} {} {}.{} {}",
                file.dev(),
                file.ino(),
                file.mtime(),
                file.mtime_nsec(),
                file.len()
            ),
            Err(_) => writeln!(stamps, "{name} -"),
        };
    }
    stamps
}

struct Sources<'a> {
    home: &'a Path,
    problems: Vec<String>,
}

impl Sources<'_> {
    /// A file of the user's, if there is one. Links are followed here: many keep such files elsewhere.
    fn text(&mut self, name: &str) -> Option<String> {
        self.text_by(read, name)
    }

    fn text_by(&mut self, read: fn(&Path) -> io::Result<String>, name: &str) -> Option<String> {
        let problem = match read(&self.home.join(name)) {
            Ok(text) => return Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => error,
        };
        self.problems.push(format!("nothing of ~/{name} is carried into the agent's home: {problem}"));
        None
    }
}

fn read(path: &Path) -> io::Result<String> {
    content(open(path)?)
}

/// Patterns are the one text that is carried line by line. The user's link may lead to where an agent writes, such as a
/// repository of settings that it works on, and could be led on to a key from there: so what it leads to in the end
/// must have such a name, too. The cell cannot give a file outside another one.
fn read_ignored(path: &Path) -> io::Result<String> {
    let file = open(path)?;
    let real = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    if gitconfig::is_for_ignored(&real) {
        content(file)
    } else {
        Err(io::Error::other("it leads to what is called otherwise"))
    }
}

fn open(path: &Path) -> io::Result<File> {
    // A pipe there would keep us waiting.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn content(file: File) -> io::Result<String> {
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if found.len() > MAX_FILE {
        return Err(io::Error::other(format!("it is larger than {} KiB", MAX_FILE / 1024)));
    }
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
