//! What `--since` asks of git. Nothing of the checkout is changed, its index included.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::feature::kind::Kind;
use crate::feature::problem::{one_line, shown};

/// Why nothing can be compared.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    /// The program is not there.
    #[error("--since compares with a commit, and git cannot be run ({0}); install git")]
    NoGit(io::Error),
    /// The folder is in no checkout.
    #[error("--since compares with a commit, and {} is in no git checkout ({})", shown(.0), .1)]
    NoCheckout(PathBuf, String),
    /// No commit of that name, in a whole clone.
    #[error("--since: \"{}\" names no commit here; check the name, or fetch it with `git fetch --tags`", one_line(.0))]
    Unknown(String),
    /// No commit of that name, in a clone without its history.
    #[error(
        "--since: \"{}\" names no commit here, and this clone is shallow; run `git fetch --unshallow --tags` first, or check out with the whole history (`fetch-depth: 0`)",
        one_line(.0)
    )]
    Shallow(String),
    /// Git failed at something.
    #[error("--since: `git {0}` failed: {1}")]
    Failed(&'static str, String),
}

/// The commit that a name means in the checkout of a folder.
pub(super) fn commit(folder: &Path, reference: &str) -> Result<String, GitError> {
    let inside = run(git(folder).args(["rev-parse", "--is-inside-work-tree"]))?;
    if !inside.status.success() || text(&inside.stdout) != "true" {
        let why = if inside.status.success() { "it is a bare repository".to_owned() } else { said(&inside) };
        return Err(GitError::NoCheckout(folder.to_owned(), why));
    }
    let name = format!("{reference}^{{commit}}");
    let found = run(git(folder).args(["rev-parse", "--verify", "--quiet", "--end-of-options", &name]))?;
    if found.status.success() && !reference.is_empty() {
        return Ok(text(&found.stdout));
    }
    let shallow = run(git(folder).args(["rev-parse", "--is-shallow-repository"]))?;
    Err(if text(&shallow.stdout) == "true" {
        GitError::Shallow(reference.to_owned())
    } else {
        GitError::Unknown(reference.to_owned())
    })
}

/// Writes a folder as it was at a commit to an empty place, and says where it is; nothing if there was none.
pub(super) fn check_out(
    kind: Kind,
    folder: &Path,
    commit: &str,
    place: &Path,
) -> Result<Option<PathBuf>, GitError> {
    // An index of its own: with it git does what it does on a checkout, line ends and filters included.
    let index = place.join("index");
    let read = run(git(folder).env("GIT_INDEX_FILE", &index).args(["read-tree", commit]))?;
    let name = folder.canonicalize().ok().and_then(|folder| folder.file_name().map(ToOwned::to_owned));
    let top = place.join(name.unwrap_or_else(|| "feature".into()));
    let prefix = format!("--prefix={}/", top.display());
    let written = if read.status.success() {
        run(git(folder).env("GIT_INDEX_FILE", &index).args(["checkout-index", "--all", "--quiet", &prefix]))?
    } else {
        read
    };
    let below = run(git(folder).args(["rev-parse", "--show-prefix"]))?;
    for (what, output) in [("checkout-index", &written), ("rev-parse", &below)] {
        if !output.status.success() {
            return Err(GitError::Failed(what, said(output)));
        }
    }
    let old = top.join(text(&below.stdout));
    Ok(old.join(kind.metadata_file()).is_file().then_some(old))
}

/// The files below a folder that git ignores, by their path below it.
pub(super) fn ignored(folder: &Path) -> Result<BTreeSet<String>, GitError> {
    let list = ["ls-files", "--others", "--ignored", "--exclude-standard", "-z"];
    let output = run(git(folder).args(list))?;
    if !output.status.success() {
        return Err(GitError::Failed("ls-files", said(&output)));
    }
    let paths = String::from_utf8_lossy(&output.stdout);
    Ok(paths.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
    git
}

fn run(command: &mut Command) -> Result<Output, GitError> {
    command.stdin(Stdio::null()).output().map_err(GitError::NoGit)
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim_end_matches(['\r', '\n']).to_owned()
}

fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or("it said nothing");
    one_line(first.trim_start_matches("fatal: "))
}
