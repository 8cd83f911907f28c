//! What every test here installs from and to.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tar::EntryType;
use tempfile::TempDir;

use crate::package::{self, MACHINES, elf, integrity, packument, tgz};
use crate::server::{Answer, Server};
use crate::signer::MAKER;

pub(crate) const INSTALLER: &str = env!("CARGO_BIN_EXE_sandbox-install");

/// A server, an empty root to install to, and the sandbox's programs.
pub(crate) struct Setup {
    pub(crate) server: Server,
    pub(crate) root: TempDir,
    pub(crate) source: TempDir,
}

impl Setup {
    /// A registry with a good archive.
    pub(crate) fn new() -> Self {
        let setup = Self::empty(Server::start());
        setup.publish(&tgz(EntryType::Regular, &elf(MACHINES.0, 5000)));
        setup
    }

    /// `server` as it is.
    pub(crate) fn empty(server: Server) -> Self {
        let setup = Self { server, root: TempDir::new().unwrap(), source: TempDir::new().unwrap() };
        package::programs(setup.source.path());
        setup
    }

    /// Serves `archive` with its true hash.
    pub(crate) fn publish(&self, archive: &[u8]) {
        self.server.put("/claude.tgz", Answer::ok(archive));
        self.describe(Some(&integrity(archive)));
    }

    pub(crate) fn describe(&self, integrity: Option<&str>) {
        let tarball = self.server.url() + "/claude.tgz";
        let answer = packument(package::name(), &tarball, integrity).to_string();
        self.server.put(&package::path(package::name()), Answer::ok(answer));
    }

    /// The installer in an environment of nothing but options, under a umask that lets nobody in.
    pub(crate) fn command(&self, options: &[(&str, &str)]) -> Command {
        self.command_under("0777", options)
    }

    /// The same under another umask.
    pub(crate) fn command_under(&self, umask: &str, options: &[(&str, &str)]) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh", INSTALLER]);
        command.arg("--root").arg(self.root.path()).arg("--source").arg(self.source.path());
        // Which counts only where a test empties the option that is set below.
        command.arg("--release-host").arg(self.server.url() + "/releases");
        command.arg("--release-key").arg(MAKER.fingerprint());
        command.env_clear().env("NPMREGISTRY", self.server.url());
        // Loopback is reached directly, proxy or not.
        command.env("HTTPS_PROXY", "http://127.0.0.1:1");
        command.envs(options.iter().copied());
        command
    }

    pub(crate) fn run(&self, options: &[(&str, &str)]) -> Output {
        self.command(options).output().unwrap()
    }

    /// Expects one sentence with `part` in it, `code`, and a root without a trace.
    pub(crate) fn refused(&self, options: &[(&str, &str)], code: i32, part: &str) {
        let before = tree(self.root.path());
        let output = self.run(options);
        expect_failure(&output, code, part);
        assert_eq!(tree(self.root.path()), before, "left behind");
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }
}

pub(crate) fn expect_failure(output: &Output, code: i32, part: &str) {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    let last = stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("sandbox-install: ") && last.contains(part), "{stderr}");
}

/// Every path below `root` with its permission bits, or what it links to.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let what = if metadata.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else {
                format!("{:o}", metadata.permissions().mode() & 0o7777)
            };
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            let path = path.strip_prefix(root).unwrap();
            let roots = metadata.uid() == 0 && metadata.gid() == 0;
            assert!(!is_root() || roots || path.starts_with("home"), "{}", path.display());
            found.insert(path.display().to_string(), what);
        }
    }
    found
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
