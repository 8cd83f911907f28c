//! What `--since` asks of git. Nothing of the checkout is changed, its index included.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::feature::kind::Kind;
use crate::feature::problem::{one_line, shown};
use crate::project;

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

/// The commit to compare a folder of a collection with, in the checkout of the folder; nothing where it was not there at
/// all. A name is one of the checkout that the collection lies in: that of a submodule has other commits by the same
/// names.
pub(super) fn commit(collection: &Path, folder: &Path, reference: &str) -> Result<Option<String>, GitError> {
    let own = top(folder)?;
    let outer = top(collection)?;
    match own.strip_prefix(&outer) {
        Ok(below) if own != outer && kept(&outer, "ls-files", &["--stage"], below)?.is_some() => {
            let commit = named(&outer, reference)?;
            let Some(kept) = kept(&outer, "ls-tree", &[&commit], below)? else {
                return Ok(None);
            };
            named(folder, &kept).map(Some)
        }
        _ => named(folder, reference).map(Some),
    }
}

/// The top of the checkout that a folder lies in.
fn top(folder: &Path) -> Result<PathBuf, GitError> {
    let inside = run(git(folder).args(["rev-parse", "--is-inside-work-tree"]))?;
    if !inside.status.success() || text(&inside.stdout) != "true" {
        let why = if inside.status.success() { "it is a bare repository".to_owned() } else { said(&inside) };
        return Err(GitError::NoCheckout(folder.to_owned(), why));
    }
    let top = done("rev-parse", git(folder).args(["rev-parse", "--show-toplevel"]))?;
    Ok(text(&top.stdout).into())
}

/// The commit of a submodule that its superproject keeps, in its index or in a commit.
fn kept(
    outer: &Path,
    command: &'static str,
    of: &[&str],
    submodule: &Path,
) -> Result<Option<String>, GitError> {
    let output = done(command, git(outer).arg(command).args(of).arg("--").arg(submodule))?;
    let line = text(&output.stdout);
    let words = line.strip_prefix("160000 ").map(|rest| rest.trim_start_matches("commit "));
    Ok(words.and_then(|rest| rest.split_whitespace().next()).map(str::to_owned))
}

/// The commit that a name means in the checkout of a folder.
fn named(folder: &Path, reference: &str) -> Result<String, GitError> {
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
    let with_index = || {
        let mut git = git(folder);
        git.env("GIT_INDEX_FILE", &index);
        git
    };
    let name = folder.canonicalize().ok().and_then(|folder| folder.file_name().map(ToOwned::to_owned));
    let top = place.join(name.unwrap_or_else(|| "feature".into()));
    let prefix = format!("--prefix={}/", top.display());
    done("read-tree", with_index().args(["read-tree", commit]))?;
    // Those below the folder, and not all of a repository that may be large.
    let files = done("ls-files", with_index().args(["ls-files", "-z"]))?;
    let list = place.join("files");
    let list = std::fs::write(&list, files.stdout).and_then(|()| std::fs::File::open(&list));
    let list = list.map_err(|error| GitError::Failed("checkout-index", error.to_string()))?;
    let mut write = with_index();
    write.args(["checkout-index", "--quiet", "-z", "--stdin", &prefix]).stdin(list);
    let written = write.output().map_err(GitError::NoGit)?;
    if !written.status.success() {
        return Err(GitError::Failed("checkout-index", said(&written)));
    }
    let below = done("rev-parse", git(folder).args(["rev-parse", "--show-prefix"]))?;
    let old = top.join(text(&below.stdout));
    Ok(old.join(kind.metadata_file()).is_file().then_some(old))
}

/// The files below a folder that git ignores, by their path below it.
pub(super) fn ignored(folder: &Path) -> Result<BTreeSet<String>, GitError> {
    let list = ["ls-files", "--others", "--ignored", "--exclude-standard", "-z"];
    let output = done("ls-files", git(folder).args(list))?;
    let paths = String::from_utf8_lossy(&output.stdout);
    Ok(paths.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

fn git(folder: &Path) -> Command {
    let mut git = project::git(folder);
    git.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_LITERAL_PATHSPECS", "1");
    git
}

fn run(command: &mut Command) -> Result<Output, GitError> {
    command.stdin(Stdio::null()).output().map_err(GitError::NoGit)
}

/// Runs what must not fail.
fn done(what: &'static str, command: &mut Command) -> Result<Output, GitError> {
    let output = run(command)?;
    if output.status.success() { Ok(output) } else { Err(GitError::Failed(what, said(&output))) }
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim_end_matches(['\r', '\n']).to_owned()
}

fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or("it said nothing");
    one_line(first.trim_start_matches("fatal: "))
}
