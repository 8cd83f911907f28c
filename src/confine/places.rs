//! The folders of the agent's cell: what it may write, and what stands for the user's home.

pub mod real_home;
pub mod workspace;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::own_folder::{self, OwnFolderError};
use crate::policy::CellPolicy;
use crate::{claude_config, paths};

/// Where programs look that were installed in the real home, by the variable that tells them.
///
/// They would look in `HOME` without it, and that is another one in the cell.
pub const TOOLCHAINS: [(&str, &str); 13] = [
    ("ASDF_DATA_DIR", ".asdf"),
    ("FNM_DIR", ".local/share/fnm"),
    ("GOENV_ROOT", ".goenv"),
    ("JENV_ROOT", ".jenv"),
    ("MISE_DATA_DIR", ".local/share/mise"),
    ("NODENV_ROOT", ".nodenv"),
    ("NVM_DIR", ".nvm"),
    ("PYENV_ROOT", ".pyenv"),
    ("RBENV_ROOT", ".rbenv"),
    ("RUSTUP_HOME", ".rustup"),
    ("SDKMAN_DIR", ".sdkman"),
    ("TFENV_ROOT", ".tfenv"),
    ("VOLTA_HOME", ".volta"),
];

/// Everything by its real path, without a symbolic link in it: whoever opens one must follow none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Whose programs run outside, too: the cell does not write there. `/` where it is not known.
    pub real_home: PathBuf,
    /// The agent's.
    pub home: PathBuf,
    /// The agent's, instead of `/tmp`, where others have their sockets.
    pub temporary: PathBuf,
    /// Claude Code's configuration and login. Without one it uses its default, in [`Self::home`].
    pub config: Option<PathBuf>,
    /// Where background agents of Claude Code listen, wherever the temporary folder is: `/tmp/cc-daemon-UID`. One that was
    /// started outside the cell listens there, too.
    pub agents: Option<PathBuf>,
    /// The project; empty where the current folder is none.
    pub workspace: Vec<PathBuf>,
    /// What the policy adds.
    pub further: Vec<PathBuf>,
    /// Which of [`TOOLCHAINS`] there are.
    pub toolchains: Vec<(&'static str, PathBuf)>,
    /// What the user should know, a sentence each.
    pub notes: Vec<String>,
}

/// Why there is no cell.
#[derive(Debug, thiserror::Error)]
pub enum PlacesError {
    /// Sockets and files of a cell are nobody else's.
    #[error("the agent's temporary folder: {0}")]
    Temporary(#[source] OwnFolderError),
    /// A home is needed.
    #[error("the agent's home: {0}")]
    Home(#[source] OwnFolderError),
}

impl Places {
    /// Makes the folders of this user's cell ready, and finds the others.
    ///
    /// What an earlier cell could write is not followed here: neither a link nor what a file says.
    pub fn prepare(policy: &CellPolicy, cwd: &Path) -> Result<Self, PlacesError> {
        Self::prepare_below(Path::new(paths::CLAUDE_VOLUME), Path::new("/tmp"), policy, cwd)
    }

    fn prepare_below(
        volume: &Path,
        shared: &Path,
        policy: &CellPolicy,
        cwd: &Path,
    ) -> Result<Self, PlacesError> {
        let real_home = real_home::of_this_user();
        // With a root that nobody can write the volume is what there is. What somebody has put there is told.
        let found = match temporary(shared) {
            Err(OwnFolderError::Io { .. }) => temporary(volume).or_else(|_| temporary(shared)),
            found => found,
        };
        let (outer, temporary) = found.map_err(PlacesError::Temporary)?;
        let home = home(volume, &outer).map_err(PlacesError::Home)?;
        let mut notes = Vec::new();
        let further = further(policy, &real_home, &mut notes);
        let chosen = workspace::choose(cwd, &real_home, &further);
        notes.extend(chosen.notes);
        let config = config(&real_home, &mut notes);
        let agents = shared.join(format!("cc-daemon-{}", rustix::process::getuid().as_raw()));
        let agents = match own_folder::make(&agents) {
            Ok(_) => Some(agents),
            Err(error) => {
                notes.push(format!("Claude Code's background agents cannot listen: {error}"));
                None
            }
        };
        let found = TOOLCHAINS.iter().map(|(name, folder)| (*name, real_home.join(folder)));
        let toolchains = found.filter(|(_, folder)| folder.is_dir()).collect();
        let workspace = chosen.folders;
        Ok(Self { real_home, home, temporary, config, agents, workspace, further, toolchains, notes })
    }

    /// What the cell may write, apart from devices.
    pub fn writable(&self) -> impl Iterator<Item = &Path> {
        let own = [&self.home, &self.temporary].into_iter().chain(&self.config).chain(&self.agents);
        own.chain(&self.workspace).chain(&self.further).map(PathBuf::as_path)
    }

    /// Whether a path lies in one of them, by its text.
    pub fn is_writable(&self, path: &Path) -> bool {
        let plain = path.components().all(|part| part != std::path::Component::ParentDir);
        plain && self.writable().any(|folder| path.starts_with(folder))
    }
}

/// The folder that holds the temporary one, and that. The cell cannot write the former, so it cannot replace the
/// latter.
fn temporary(shared: &Path) -> Result<(PathBuf, PathBuf), OwnFolderError> {
    let outer = shared.join(format!("agent-sandbox-{}", rustix::process::getuid().as_raw()));
    let open = own_folder::make(&outer)?;
    let inner = outer.join("tmp");
    own_folder::make_in(&open, OsStr::new("tmp"), &inner)?;
    Ok((outer, inner))
}

/// On the volume, so that it outlives the container; each user of it has one.
fn home(volume: &Path, outer: &Path) -> Result<PathBuf, OwnFolderError> {
    let uid = rustix::process::getuid().as_raw();
    // Beside the folder that another user's configuration has there, not in it: the cell writes that, so that it
    // could replace what is in it.
    for folder in [volume.join("home"), volume.join(format!("{uid}-home"))] {
        if own_folder::make(&folder).is_ok() && access(&folder, Access::WRITE_OK).is_ok() {
            return Ok(folder.canonicalize().unwrap_or(folder));
        }
    }
    let folder = outer.join("home");
    own_folder::make(&folder).map(|_| folder)
}

fn further(policy: &CellPolicy, real_home: &Path, notes: &mut Vec<String>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for listed in &policy.writable {
        let folder = Path::new(listed);
        match folder.canonicalize() {
            Err(error) => notes.push(format!("{listed} is not writable for the agent: {error}")),
            // Who can write the link could have it lead anywhere.
            Ok(real) if real != folder => notes.push(format!(
                "{listed} is not writable for the agent, as it leads to {}: list that instead",
                workspace::shown(&real)
            )),
            Ok(real) if real_home.starts_with(&real) => {
                notes.push(format!("{listed} is not writable for the agent, as it holds your home folder"));
            }
            Ok(real) => folders.push(real),
        }
    }
    folders
}

/// As [`claude_config`] chooses it, unless the cell must not write there.
fn config(real_home: &Path, notes: &mut Vec<String>) -> Option<PathBuf> {
    let set = env::var_os(claude_config::VARIABLE).map(PathBuf::from);
    let set = set.filter(|set| !set.as_os_str().is_empty() && set != Path::new(paths::CLAUDE_CONFIG));
    // Nothing is written to what was set before it is known where it leads.
    let set = set.and_then(|set| {
        // Claude Code would make it, and cannot from the cell. No link is followed.
        let _ = rustix::fs::mkdir(&set, rustix::fs::Mode::RWXU);
        let usable = usable(&set, real_home);
        usable.map_err(|reason| notes.push(config_note(&set, &reason))).ok()
    });
    let chosen = claude_config::prepare(set, Some(real_home))?;
    usable(&chosen, real_home).map_err(|reason| notes.push(config_note(&chosen, &reason))).ok()
}

fn config_note(folder: &Path, reason: &str) -> String {
    let folder = workspace::shown(folder);
    format!("{folder} is not Claude Code's configuration folder ({}): {reason}", claude_config::VARIABLE)
}

fn usable(config: &Path, real_home: &Path) -> Result<PathBuf, String> {
    let real = config.canonicalize().map_err(|error| error.to_string())?;
    let own = real.starts_with(paths::CLAUDE_VOLUME) && real != Path::new(paths::CLAUDE_VOLUME);
    let in_home = real.strip_prefix(real_home).ok().and_then(|rest| rest.components().next());
    let claudes = in_home.is_some_and(|first| first.as_os_str().to_string_lossy().starts_with(".claude"));
    match workspace::refusal(&real, real_home) {
        Some(reason) if !own && !claudes => Err(format!("it {reason}")),
        _ if !fs::metadata(&real).is_ok_and(|found| found.is_dir()) => Err("it is no folder".to_owned()),
        _ => Ok(real),
    }
}

#[cfg(test)]
mod tests;
