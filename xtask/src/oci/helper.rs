//! Credential helpers: `docker-credential-NAME get`, the registry's name on standard input.

use std::ffi::OsStr;
use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::credentials::Credentials;
use super::error::OciError;
use super::reference::Registry;
use super::said::printable;
use super::secret::Secret;

/// No answer of a helper comes near this.
const MAX_ANSWER: u64 = 1 << 20;
/// By these words, of the library that most helpers are built with, a helper says that it has nothing.
const NOTHING: [&str; 2] = ["credentials not found", "no credentials server url"];
/// How Docker Hub is called where helpers keep its credentials.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A helper to ask.
pub(super) struct Helper<'a> {
    /// Its name, without `docker-credential-`.
    pub(super) name: &'a str,
    /// The file that names it.
    pub(super) named_in: &'a str,
    /// Where programs are, as in `PATH`.
    pub(super) path: Option<&'a OsStr>,
    /// What it may take.
    pub(super) timeout: Duration,
}

/// What came of asking.
#[derive(Debug)]
pub(super) enum Answer {
    /// It has credentials.
    Found(Credentials),
    /// It has none.
    Nothing,
    /// There is no such helper; the error says so.
    Missing(OciError),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Said {
    username: String,
    secret: String,
}

impl Helper<'_> {
    /// Asks it for a registry's credentials.
    pub(super) fn ask(&self, registry: &Registry) -> Result<Answer, OciError> {
        let Self { name, named_in, .. } = self;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || !name.chars().all(plain) {
            return Err(OciError::Credentials(format!(
                "\"{}\" in {named_in} cannot name a credential helper",
                printable(name, 60)
            )));
        }
        let program = self.program();
        let Some(path) = find(&program, self.path) else {
            return Ok(Answer::Missing(OciError::Credentials(format!(
                "{named_in} names the credential helper {program}, which is not installed; install it, or remove it from there"
            ))));
        };
        let key = if registry.is_docker_hub() { DOCKER_HUB } else { registry.as_str() };
        let (success, out, err) = self.run(path, key)?;
        if success || out.len() as u64 == MAX_ANSWER {
            return self.read(registry, &out);
        }
        let said = [out, err].map(|text| String::from_utf8_lossy(&text).trim().to_owned());
        if NOTHING.iter().any(|nothing| said[0].to_lowercase().contains(nothing)) {
            return Ok(Answer::Nothing);
        }
        let why = said.iter().find(|text| !text.is_empty()).map(|text| without_secrets(text));
        Err(self
            .failed(registry, &format!("failed{}", why.map(|why| format!(": {why}")).unwrap_or_default())))
    }

    fn program(&self) -> String {
        format!("docker-credential-{}", self.name)
    }

    fn failed(&self, registry: &Registry, what: &str) -> OciError {
        let program = self.program();
        OciError::Credentials(format!(
            "the credential helper {program}, named in {}, {what}; `echo {registry} | {program} get` shows what it does",
            self.named_in
        ))
    }

    fn read(&self, registry: &Registry, out: &[u8]) -> Result<Answer, OciError> {
        if out.trim_ascii().is_empty() {
            return Ok(Answer::Nothing);
        }
        let Ok(Said { username, secret }) = serde_json::from_slice(out) else {
            // What it said may well be the secret.
            return Err(
                self.failed(registry, "answered something else than JSON with a Username and a Secret")
            );
        };
        if secret.is_empty() {
            return Ok(Answer::Nothing);
        }
        let from = format!("from {}", self.program());
        Ok(Answer::Found(Credentials::pair(&username, &Secret::new(secret), &from)))
    }

    /// Runs it; whether it succeeded, and what it wrote to standard output and standard error.
    fn run(&self, path: PathBuf, key: &str) -> Result<(bool, Vec<u8>, Vec<u8>), OciError> {
        let program = self.program();
        let cannot = |what: &str, error: &dyn std::fmt::Display| {
            OciError::Credentials(format!("the credential helper {program} cannot be {what}: {error}"))
        };
        let child = Command::new(path)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = Ended(child.map_err(|error| cannot("started", &error))?);
        if let Some(mut stdin) = child.0.stdin.take() {
            // A helper that does not read its input still answers.
            let _ = stdin.write_all(key.as_bytes());
        }
        let end = Instant::now() + self.timeout;
        let late = || {
            OciError::Credentials(format!(
                "the credential helper {program}, named in {}, gave no answer within {} seconds and was ended",
                self.named_in,
                self.timeout.as_secs_f64()
            ))
        };
        let out = child.0.stdout.take().map(read_aside);
        let err = child.0.stderr.take().map(read_aside);
        let take = |pipe: Option<Receiver<Vec<u8>>>| match pipe {
            Some(pipe) => {
                pipe.recv_timeout(end.saturating_duration_since(Instant::now())).map_err(|_| late())
            }
            None => Ok(Vec::new()),
        };
        let (out, err) = (take(out)?, take(err)?);
        loop {
            match child.0.try_wait() {
                Ok(Some(status)) => return Ok((status.success(), out, err)),
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) => return Err(late()),
                Err(error) => return Err(cannot("waited for", &error)),
            }
        }
    }
}

/// A child that does not outlive the value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads a pipe in a thread of its own: what a helper left running may hold it open for good.
fn read_aside(pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        // What was read until an error is all there is to see.
        let _ = pipe.take(MAX_ANSWER).read_to_end(&mut text);
        let _ = sender.send(text);
    });
    receiver
}

/// The helper that Docker takes where none is named.
pub(super) fn default_name(path: Option<&OsStr>) -> &'static str {
    if cfg!(target_os = "macos") {
        "osxkeychain"
    } else if cfg!(windows) {
        "wincred"
    } else if find("pass", path).is_some() {
        "pass"
    } else {
        "secretservice"
    }
}

fn find(program: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let program = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(path?).map(|folder| folder.join(&program)).find(|path| path.is_file())
}

/// The words of a helper, but for those that may be a secret: whatever is long and has digits and
/// letters, and whatever is called a secret.
fn without_secrets(text: &str) -> String {
    if text.contains("\"Secret\"") || text.contains("\"secret\"") {
        return "its words are not shown, because a secret is among them".to_owned();
    }
    let mut called = false;
    let words = text.split_whitespace().map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_lowercase();
        let (name, value) = word.split_once(['=', ':']).unwrap_or((word, ""));
        let is_name = |name: &str| {
            let name = name.to_lowercase();
            ["password", "passwd", "secret", "token", "key", "auth", "bearer", "basic"]
                .iter()
                .any(|known| name.trim_matches(|c: char| !c.is_ascii_alphanumeric()).ends_with(known))
        };
        let long = bare.len() >= 8
            && bare.contains(|c: char| c.is_ascii_digit())
            && bare.contains(|c: char| c.is_ascii_alphabetic());
        let hide = long || called || (is_name(name) && !value.is_empty());
        called = is_name(word) && !hide;
        if hide { "[hidden]" } else { word }
    });
    printable(&words.collect::<Vec<_>>().join(" "), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_may_be_secrets_are_hidden() {
        for (text, expected) in [
            ("exit status 1: no keychain", "exit status 1: no keychain"),
            (
                "The name org.freedesktop.secrets was not provided",
                "The name org.freedesktop.secrets was not provided",
            ),
            ("refused ghp_a1b2c3d4e5f6g7h8", "refused [hidden]"),
            ("refused 'hunter2-hunter2'", "refused [hidden]"),
            ("wrong password=hunter2 given", "wrong [hidden] given"),
            ("wrong password: hunter2 given", "wrong password: [hidden] given"),
            ("Authorization: Bearer abc", "Authorization: Bearer [hidden]"),
            ("token:abc", "[hidden]"),
            (r#"{"Username":"u","Secret":"abc"}"#, "its words are not shown, because a secret is among them"),
            ("two\n lines\u{7}", "two lines "),
        ] {
            assert_eq!(without_secrets(text), expected, "{text}");
        }
    }
}
