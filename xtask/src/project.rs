//! Facts about the checkout that the command runs in.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::feature::problem::{one_line, shown};

fn is_root(folder: &Path) -> bool {
    folder.join("xtask/Cargo.toml").is_file()
}

/// The workspace's root: what cargo says, else the first folder upwards that has an `xtask/`.
pub fn root() -> anyhow::Result<PathBuf> {
    if let Some(manifest) = std::env::var_os("CARGO_MANIFEST_DIR")
        && let Some(parent) = Path::new(&manifest).parent()
        && is_root(parent)
    {
        return Ok(parent.to_owned());
    }
    let here = current_folder()?;
    checkout_of(&here).map(Path::to_owned).ok_or_else(|| {
        anyhow::anyhow!("{} is in no checkout of this project; run this inside the checkout", shown(&here))
    })
}

/// The collection that is meant where none is named: this project's own inside its checkout, and elsewhere what is in the
/// current folder.
pub fn own_collection(name: &str) -> anyhow::Result<PathBuf> {
    Ok(checkout_of(&current_folder()?).map_or_else(|| PathBuf::from("."), |root| root.join(name)))
}

/// Where the embedded registry keeps its content unless told otherwise: below the checkout, whosever it is, that the
/// current folder lies in, or else below the current folder.
pub fn registry_root() -> anyhow::Result<PathBuf> {
    let here = current_folder()?;
    let top = || here.ancestors().find(|folder| folder.join(".git").exists());
    Ok(checkout_of(&here).or_else(top).unwrap_or(&here).join("target/registry"))
}

fn current_folder() -> anyhow::Result<PathBuf> {
    std::env::current_dir().context("the current folder is gone; change to another")
}

/// The checkout of this project that a folder lies in.
fn checkout_of(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| is_root(folder))
}

/// What git tells the programs that it runs, hooks above all, of the checkout that it is in. Taken over, the checkout that
/// a folder lies in would be another one, or have its top elsewhere.
const GIT_PLACES: [&str; 6] =
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"];

/// Git, as somebody would run it in a folder.
pub fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder);
    for name in GIT_PLACES {
        git.env_remove(name);
    }
    git
}

/// Why no namespace can be taken from a git remote. Never with the remote's address: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// There is no such remote, or no checkout.
    #[error("{} has no git remote \"origin\" to take it from", shown(.0))]
    None(PathBuf),
    /// The folder is not there, or is a file.
    #[error("{} {}; name a folder that is there", shown(.0), .1)]
    NoFolder(PathBuf, &'static str),
    /// The program is not there.
    #[error("git, which knows the remote to take it from, cannot be run ({0}); install it")]
    NoGit(std::io::Error),
    /// The checkout belongs to another user, so git says nothing about it.
    #[error(
        "git says nothing about the checkout of {}, as it belongs to another user; if you trust what is in it, run `{}`",
        shown(.0),
        .1
    )]
    Distrusted(PathBuf, String),
    /// Git failed at something else.
    #[error("git says nothing about the remote of {}: {}", shown(.0), .1)]
    Refused(PathBuf, String),
    /// The remote is a folder.
    #[error("the git remote \"origin\" of {} is a folder, which has no owner/repository to take", shown(.0))]
    Local(PathBuf),
    /// The remote is somewhere else.
    #[error(
        "the address of the git remote \"origin\" of {} has no owner/repository to take; `git remote get-url origin` shows it",
        shown(.0)
    )]
    Other(PathBuf),
}

/// `owner/repository` of the git remote `origin` of the checkout that a folder lies in, lower-cased.
pub fn namespace_of_remote(folder: &Path) -> Result<String, RemoteError> {
    let here = || folder.to_owned();
    match folder.metadata() {
        Ok(found) if !found.is_dir() => return Err(RemoteError::NoFolder(here(), "is no folder")),
        Err(_) => return Err(RemoteError::NoFolder(here(), "is not there")),
        Ok(_) => {}
    }
    let mut git = git(folder);
    // Its words are looked at.
    let asked = git.env("LC_ALL", "C").args(["remote", "get-url", "origin"]).output();
    let output = asked.map_err(RemoteError::NoGit)?;
    if !output.status.success() {
        return Err(why_no_remote(folder, &String::from_utf8_lossy(&output.stderr)));
    }
    let url = String::from_utf8_lossy(&output.stdout);
    let url = url.trim();
    namespace_of_url(url).ok_or_else(|| {
        let is_folder = url.starts_with("file://") || (!url.contains("://") && host_and_path(url).is_none());
        if is_folder { RemoteError::Local(here()) } else { RemoteError::Other(here()) }
    })
}

/// What git's words mean.
fn why_no_remote(folder: &Path, said: &str) -> RemoteError {
    let folder = folder.to_owned();
    if said.contains("No such remote") || said.contains("not a git repository") {
        return RemoteError::None(folder);
    }
    match said.lines().map(str::trim).find(|line| line.starts_with("git config ")) {
        Some(command) if said.contains("dubious ownership") => {
            RemoteError::Distrusted(folder, one_line(command))
        }
        _ => {
            let first = said.lines().next().unwrap_or("it ended without a word");
            RemoteError::Refused(folder, one_line(first.trim_start_matches("fatal: ")))
        }
    }
}

/// The path of a remote's address, which may be a URL or `user@host:path`.
fn namespace_of_url(url: &str) -> Option<String> {
    let path = match url.split_once("://") {
        Some(("https" | "http" | "ssh" | "git", rest)) => rest.split_once('/')?.1,
        Some(_) => return None,
        None => host_and_path(url)?.1,
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).to_ascii_lowercase();
    (path.contains('/') && crate::feature::grammar::is_repository_path(&path)).then_some(path)
}

/// `user@host:path`, taken apart. A local path has a slash before any colon.
fn host_and_path(url: &str) -> Option<(&str, &str)> {
    url.split_once(':').filter(|(host, _)| !host.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_is_taken_at_its_word() {
        for (said, expected) in [
            ("error: No such remote 'origin'", "x has no git remote \"origin\" to take it from"),
            ("fatal: not a git repository (or any of the parent directories): .git", "x has no git remote"),
            ("fatal: bad config line 1 in file .git/config\n", "the remote of x: bad config line 1 in file"),
            ("", "the remote of x: it ended without a word"),
            (
                "fatal: detected dubious ownership in repository at '/x'\nTo add an exception for this directory, call:\n\n\tgit config --global --add safe.directory /x\n",
                "belongs to another user; if you trust what is in it, run `git config --global --add safe.directory /x`",
            ),
        ] {
            let sentence = why_no_remote(Path::new("x"), said).to_string();
            assert!(sentence.contains(expected), "{sentence}");
        }
    }

    #[test]
    fn namespaces() {
        for (url, expected) in [
            ("https://github.com/Owner/Repo.git", Some("owner/repo")),
            ("https://github.com/owner/repo", Some("owner/repo")),
            ("https://user:secret@github.com/owner/repo/", Some("owner/repo")),
            ("git@github.com:Owner/repo.git", Some("owner/repo")),
            ("ssh://git@example.com:2222/group/sub/repo.git", Some("group/sub/repo")),
            ("/srv/git/repo.git", None),
            ("../repo", None),
            ("file:///srv/git/repo", None),
            ("https://github.com/repo", None),
            ("https://github.com/owner/re po", None),
            ("", None),
        ] {
            assert_eq!(namespace_of_url(url).as_deref(), expected, "{url}");
        }
    }
}
