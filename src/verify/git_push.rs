//! The guard on `git push`, tried with the git that the user has, against a listener of our own.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Outcome, Row};
use crate::git_guard::SCHEME;
use crate::paths;

/// Many times what git takes.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);
const CLAIM: &str = "git push to another machine is refused";

pub(super) fn row() -> Row {
    let (outcome, detail) = if is_allowed() {
        (Outcome::NotApplicable, "the option gitPush allows it".to_owned())
    } else {
        tried(&OsString::from("git"))
    };
    Row::new("git.push", CLAIM, outcome, detail)
}

/// What the image was built with; where nothing says so, as it is unless somebody wished otherwise.
fn is_allowed() -> bool {
    let text = fs::read_to_string(paths::INSTALLED).unwrap_or_default();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    record.get("git_push").and_then(serde_json::Value::as_str) == Some("allow")
}

/// Whether a push comes to a listener, which a fetch must have reached before: otherwise nothing was tried.
fn tried(git: &OsString) -> (Outcome, String) {
    let attempt = || -> io::Result<(Outcome, String)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        // Git's own protocol: no proxy, no certificate and no further program has a part in it.
        let address = format!("git://{}/agent-sandbox-verify", listener.local_addr()?);
        let folder = Folder::new()?;
        let run = |arguments: &[&str]| reaches(git, &folder.0, arguments, &listener);
        run(&["init", "--quiet"])?;
        if !run(&["ls-remote", &address])?.reached {
            return Ok((
                Outcome::Warn,
                "it cannot be tried: git does not even connect for a fetch".to_owned(),
            ));
        }
        // To delete a branch, which needs no commit to begin with.
        let push = run(&["push", "--no-verify", &address, ":refs/heads/agent-sandbox-verify"])?;
        Ok(if push.reached {
            let advice = "it went out: this git does not read /etc/gitconfig, or the block there was changed";
            (Outcome::Fail, advice.to_owned())
        } else if push.status.success() {
            (Outcome::Fail, "git says that it has pushed".to_owned())
        } else {
            judge_others(git, &push.said)
        })
    };
    match attempt() {
        Ok(result) => result,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (Outcome::NotApplicable, "there is no git".to_owned())
        }
        Err(error) => (Outcome::Warn, format!("it cannot be tried: {error}")),
    }
}

/// Addresses that somebody set for pushes alone are not the guard's to rewrite.
fn judge_others(git: &OsString, said: &str) -> (Outcome, String) {
    let mut command = Command::new(git);
    command.args(["config", "--get-regexp", r"^(url\..*\.pushinsteadof|remote\..*\.pushurl)$"]);
    let output = command.stdin(Stdio::null()).output().map(|output| output.stdout).unwrap_or_default();
    let listed = String::from_utf8_lossy(&output);
    match foreign(&listed) {
        Some(key) => (
            Outcome::Warn,
            format!("it is refused, but not for what {} in your git configuration sets", plain(key)),
        ),
        None => (Outcome::Pass, plain(said.lines().next().unwrap_or_default())),
    }
}

/// A repository's text, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.trim_start_matches("agent-sandbox: ").chars().filter(|char| !char.is_control()).take(400).collect()
}

/// A key of somebody else's, in git's list of keys and values. What becomes a path is no way out.
fn foreign(listed: &str) -> Option<&str> {
    let keys = listed.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let base = key.strip_prefix("url.").and_then(|rest| rest.strip_suffix(".pushinsteadof"));
        let target = base.unwrap_or(value);
        let harmless = target == SCHEME || [".", "/", "file://"].iter().any(|path| target.starts_with(path));
        (!harmless).then_some(key)
    });
    keys.into_iter().next()
}

struct Ended {
    reached: bool,
    status: ExitStatus,
    said: String,
}

/// Runs git in a folder, and says whether it came to the listener.
fn reaches(git: &OsString, folder: &Path, arguments: &[&str], listener: &TcpListener) -> io::Result<Ended> {
    let mut command = Command::new(git);
    command.args(arguments).current_dir(folder).env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut reached = false;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        // Closed at once, so that git goes no further.
        reached |= listener.accept().is_ok();
        match child.try_wait()? {
            Some(status) => break status,
            None if Instant::now() >= deadline => return Err(given_up(&mut child)),
            None => thread::sleep(POLL),
        }
    };
    reached |= listener.accept().is_ok();
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        stderr.take(4096).read_to_end(&mut said)?;
    }
    Ok(Ended { reached, status, said: String::from_utf8_lossy(&said).into_owned() })
}

fn given_up(child: &mut Child) -> io::Error {
    let _ = child.kill();
    let _ = child.wait();
    io::Error::new(io::ErrorKind::TimedOut, "git does not come to its end")
}

/// A folder of this process's alone, gone in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let name = format!("agent-sandbox-verify-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_addresses_for_pushes() {
        let paths = "remote.o.pushurl /srv/a.git\n";
        let ours = "url.agent-sandbox-push::.pushinsteadof \nurl./.pushinsteadof /\nurl../.pushinsteadof ./\n\
                    url.../.pushinsteadof ../\nurl.file://.pushinsteadof file://\n";
        assert_eq!(foreign(&format!("{ours}{paths}")), None);
        for other in ["url.git@h:.pushinsteadof", "remote.origin.pushurl", "url.https://.pushinsteadof"] {
            assert_eq!(foreign(&format!("{ours}{other} h:x\n")), Some(other));
        }
    }
}
