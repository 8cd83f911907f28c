//! Asks a program one question, in an environment of nothing and for a limited time.

use std::fs::{self, DirBuilder};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// What an emulated Node needs to start, several times over.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that an answer may have.
const MAX: u64 = 1 << 20;

/// A proxy that is none: what is asked needs no network, and gets none.
const NOWHERE: &str = "http://127.0.0.1:9";

/// What the program says on standard output; an error goes on with what it did instead.
pub(super) fn ask(
    program: &Path,
    arguments: &[&str],
    path: &[PathBuf],
    variables: &[(String, String)],
) -> Result<String, String> {
    within(PATIENCE, program, arguments, path, variables)
}

fn within(
    patience: Duration,
    program: &Path,
    arguments: &[&str],
    path: &[PathBuf],
    variables: &[(String, String)],
) -> Result<String, String> {
    let no_room = |error: io::Error| format!("could not be given a folder to work in: {error}");
    let room = Room::new().map_err(no_room)?;
    let path = std::env::join_paths(path).unwrap_or_default();
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", path).current_dir(&room.0);
    for name in ["HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"] {
        command.env(name, &room.0);
    }
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, NOWHERE);
    }
    command.env("LC_ALL", "C").env("CI", "1").env("NO_COLOR", "1").env("COREPACK_ENABLE_NETWORK", "0");
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    // Whatever it starts ends with it.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().map_err(|error| format!("could not be started: {error}"))?;
    let said = read(&mut child);
    let ended = wait(&mut child, patience);
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
    match ended.map_err(|error| format!("could not be waited for: {error}"))? {
        Some(status) if status.success() => {}
        Some(status) => return Err(format!("failed ({status})")),
        None => return Err(format!("did not end within {} seconds", patience.as_secs())),
    }
    // Its end closed the pipe, unless somebody left its group.
    said.recv_timeout(patience).map_err(|_| "left a program behind".to_owned())
}

fn read(child: &mut Child) -> mpsc::Receiver<String> {
    let (send, said) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stdout.take(MAX).read_to_end(&mut bytes);
            let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
        });
    }
    said
}

/// How it ended, if it did in time.
fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(None)
}

/// A folder that is gone afterwards, whatever the program put there.
struct Room(PathBuf);

impl Room {
    fn new() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = PathBuf::from(format!("/tmp/.sandbox-install-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                // Somebody else's: nothing is put there.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(Self(path)),
            }
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, patience: Duration) -> Result<String, String> {
        let path = ["/usr/bin".into(), "/bin".into()];
        let variables = [("ASKED".to_owned(), "yes".to_owned())];
        within(patience, Path::new("/bin/sh"), &["-c", script], &path, &variables)
    }

    #[test]
    fn an_environment_of_nothing_and_a_folder_that_goes() {
        let said = shell("pwd; env | cut -d= -f1 | sort | tr '\\n' ' '; echo x > left", PATIENCE).unwrap();
        let (room, names) = said.split_once('\n').unwrap();
        assert!(room.starts_with("/tmp/.sandbox-install-") && !Path::new(room).exists(), "{said}");
        let expected = "ALL_PROXY ASKED CI COREPACK_ENABLE_NETWORK HOME HTTPS_PROXY HTTP_PROXY LC_ALL NO_COLOR PATH PWD \
                        TMPDIR XDG_CACHE_HOME XDG_CONFIG_HOME http_proxy https_proxy ";
        let names: Vec<&str> =
            names.split_whitespace().filter(|name| !["_", "SHLVL", "OLDPWD"].contains(name)).collect();
        assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn what_does_not_end_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let script = format!("sleep 600 & echo $! $$ > {}; wait", pids.display());
        // On a busy machine the script may not come that far the first time.
        let mut patience = Duration::from_secs(1);
        while !fs::read_to_string(&pids).is_ok_and(|pids| pids.ends_with('\n')) {
            let error = shell(&script, patience).unwrap_err();
            assert_eq!(error, format!("did not end within {} seconds", patience.as_secs()));
            patience *= 2;
        }
        for pid in fs::read_to_string(pids).unwrap().split_whitespace() {
            // An orphan may stay for a moment until init takes note of its end.
            let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            while !(state().is_empty() || state().contains(") Z ")) {
                thread::yield_now();
            }
        }
        assert!(shell("exit 3", PATIENCE).unwrap_err().contains("failed"));
        assert!(shell("yes", Duration::from_secs(1)).is_err());
        assert!(
            within(PATIENCE, Path::new("/nowhere"), &[], &[], &[]).unwrap_err().contains("not be started")
        );
    }
}
