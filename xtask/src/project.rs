//! Facts about the checkout that the command runs in.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::feature::problem::shown;

/// The workspace's root: what cargo says, else the first folder upwards that has an `xtask/`.
pub fn root() -> anyhow::Result<PathBuf> {
    let is_root = |folder: &Path| folder.join("xtask/Cargo.toml").is_file();
    if let Some(manifest) = std::env::var_os("CARGO_MANIFEST_DIR")
        && let Some(parent) = Path::new(&manifest).parent()
        && is_root(parent)
    {
        return Ok(parent.to_owned());
    }
    let here = std::env::current_dir()?;
    here.ancestors().find(|folder| is_root(folder)).map(Path::to_owned).ok_or_else(|| {
        anyhow::anyhow!("{} is in no checkout of this project; run this inside the checkout", shown(&here))
    })
}

/// Where the embedded registry keeps its content unless told otherwise.
pub fn registry_root() -> anyhow::Result<PathBuf> {
    Ok(root()?.join("target/registry"))
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

/// `owner/repository` of the git remote `origin` of the checkout that a folder lies in, lower-cased.
pub fn namespace_of_remote(folder: &Path) -> Option<String> {
    let output = git(folder).args(["remote", "get-url", "origin"]).output().ok()?;
    namespace_of_url(String::from_utf8(output.stdout).ok()?.trim())
}

/// The path of a remote's address, which may be a URL or `user@host:path`.
fn namespace_of_url(url: &str) -> Option<String> {
    let path = match url.split_once("://") {
        Some(("https" | "http" | "ssh" | "git", rest)) => rest.split_once('/')?.1,
        Some(_) => return None,
        // A local path has a slash before any colon.
        None => url.split_once(':').filter(|(host, _)| !host.contains('/'))?.1,
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).to_ascii_lowercase();
    (path.contains('/') && crate::feature::grammar::is_repository_path(&path)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

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
