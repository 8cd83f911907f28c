//! A git host on loopback: git's own server behind its own protocol, behind HTTP, and behind what stands for ssh.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use tempfile::TempDir;

/// Repositories that are served, and one to push from.
pub(crate) struct Lab {
    folder: TempDir,
    /// `git://127.0.0.1:PORT`, with the served folder behind it.
    pub(crate) git: String,
    /// The same over HTTP.
    pub(crate) http: String,
    /// The configuration with the guard.
    pub(crate) guard: PathBuf,
}

impl Lab {
    /// With the system's configuration of git as the installer wrote it. `None` where there is no git.
    pub(crate) fn start(gitconfig: &str) -> Option<Self> {
        if !Command::new("git").arg("--version").output().is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: this test needs git");
            assert!(std::env::var_os("CI").is_none(), "CI must have git");
            return None;
        }
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["bin", "home", "served"] {
            fs::create_dir(path(name)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_agent-sandbox"), path("bin/git-remote-agent-sandbox-push")).unwrap();
        let bin = format!("{}/", path("bin").display());
        fs::write(path("guard"), gitconfig.replace("/usr/local/bin/", &bin)).unwrap();
        // All that git wants of ssh: it runs the command that is its last argument.
        let ssh = "#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\nexec sh -c \"$1\"\n";
        fs::write(path("bin/ssh"), ssh).unwrap();
        fs::set_permissions(path("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        let served = path("served");
        let git = serve(served.clone(), git_protocol);
        let http = serve(served, smart_http);
        let guard = path("guard");
        let lab = Self { folder, git: format!("git://{git}"), http: format!("http://{http}"), guard };
        lab.bare("served/a.git");
        lab.ok("init", &["init", "--quiet", "--initial-branch=main", "work"]);
        lab.commit("work");
        Some(lab)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// An empty repository that takes pushes.
    pub(crate) fn bare(&self, name: &str) {
        self.ok("init", &["init", "--quiet", "--bare", name]);
        let config = ["config", "http.receivepack", "true"];
        assert!(self.run("home", false, &[&["-C", &self.text(name)], &config[..]].concat()).status.success());
    }

    /// Git in one of the folders, behind the guard or not.
    pub(crate) fn command(&self, folder: &str, guarded: bool, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        let path = std::env::var("PATH").unwrap_or_default();
        command.args(arguments).current_dir(self.path(folder)).env_clear();
        command.env("PATH", format!("{}:{path}", self.text("bin"))).env("HOME", self.path("home"));
        command.env("GIT_SSH", self.path("bin/ssh")).env("GIT_SSH_VARIANT", "ssh");
        command.env("GIT_CONFIG_SYSTEM", if guarded { &self.guard } else { Path::new("/dev/null") });
        for (name, value) in [("NAME", "a"), ("EMAIL", "a@a.example")] {
            command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
        }
        command
    }

    pub(crate) fn run(&self, folder: &str, guarded: bool, arguments: &[&str]) -> Output {
        self.command(folder, guarded, arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// The same behind the guard and in the lab's own folder; it must work.
    pub(crate) fn ok(&self, what: &str, arguments: &[&str]) {
        self.ok_in(".", what, arguments);
    }

    pub(crate) fn ok_in(&self, folder: &str, what: &str, arguments: &[&str]) {
        let output = self.run(folder, true, arguments);
        assert!(output.status.success(), "{what}: {output:?}");
    }

    /// Something new to push.
    pub(crate) fn commit(&self, folder: &str) {
        self.ok_in(folder, "commit", &["commit", "--quiet", "--allow-empty", "--message=x"]);
    }

    /// What the repository's own hook has to prevent.
    pub(crate) fn commit_fails(&self, folder: &str) {
        let output = self.run(folder, true, &["commit", "--quiet", "--allow-empty", "--message=x"]);
        assert!(!output.status.success(), "{output:?}");
    }

    /// What a repository holds.
    pub(crate) fn refs(&self, name: &str) -> String {
        let git_dir = format!("--git-dir={}", self.text(name));
        let output = self.run(".", false, &[&git_dir, "for-each-ref"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A thread for each connection; the address.
fn serve(served: PathBuf, answer: fn(&Path, TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (served, stream) = (served.clone(), stream.unwrap());
            thread::spawn(move || answer(&served, stream));
        }
    });
    address
}

fn server(served: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("GIT_CONFIG_SYSTEM", "/dev/null").env("HOME", served).stderr(Stdio::null());
    command
}

fn git_protocol(served: &Path, stream: TcpStream) {
    let base = format!("--base-path={}", served.display());
    let arguments = ["daemon", "--inetd", "--export-all", "--enable=receive-pack", &base];
    let output = stream.try_clone().unwrap();
    let _ = server(served, &arguments).stdin(OwnedFd::from(stream)).stdout(OwnedFd::from(output)).status();
}

/// One request a connection, handed to git's CGI program (RFC 3875).
fn smart_http(served: &Path, stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let Some((request, fields)) = head.split_first() else { return };
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut cgi = server(served, &["http-backend"]);
    cgi.env("GIT_PROJECT_ROOT", served).env("GIT_HTTP_EXPORT_ALL", "1").env("REQUEST_METHOD", method);
    cgi.env("PATH_INFO", path).env("QUERY_STRING", query).env("REMOTE_ADDR", "127.0.0.1");
    let mut length = 0;
    for (name, value) in fields.iter().filter_map(|field| field.split_once(": ")) {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                length = value.parse().unwrap();
                cgi.env("CONTENT_LENGTH", value);
            }
            "content-type" => drop(cgi.env("CONTENT_TYPE", value)),
            "content-encoding" => drop(cgi.env("HTTP_CONTENT_ENCODING", value)),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut child = cgi.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    thread::spawn(move || input.write_all(&body));
    let answer = child.wait_with_output().unwrap().stdout;
    let text = String::from_utf8_lossy(&answer[..answer.len().min(100)]).into_owned();
    let status = text.strip_prefix("Status: ").and_then(|rest| rest.lines().next()).unwrap_or("200 OK");
    let mut stream = stream;
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    let _ = stream.write_all(&[head.as_bytes(), &answer].concat());
}
