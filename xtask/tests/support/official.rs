//! The official CLI, and ours beside it.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};

/// What a program printed and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The official CLI.
pub struct Official(OsString);

impl Official {
    /// The CLI that the environment names, or nothing, said aloud.
    pub fn find() -> Option<Self> {
        let found = std::env::var_os("XTASK_DEVCONTAINER_CLI");
        if found.is_none() {
            super::skip("XTASK_DEVCONTAINER_CLI does not name the devcontainer CLI");
        }
        found.map(Self)
    }

    /// Runs it in a folder.
    pub fn run(&self, folder: &Path, arguments: &[&str]) -> Said {
        said(self.command().args(arguments), folder)
    }

    /// The program, still to be told what to do.
    pub fn command(&self) -> Command {
        Command::new(&self.0)
    }
}

/// Runs our program in a folder.
pub fn ours(folder: &Path, arguments: &[&str]) -> Said {
    said(Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments), folder)
}

/// Nothing of the machine's own logins or settings matters to either.
pub fn said(command: &mut Command, folder: &Path) -> Said {
    command.current_dir(folder).env("DOCKER_CONFIG", folder).env("HOME", folder);
    for name in ["CARGO_MANIFEST_DIR", "DEVCONTAINERS_OCI_AUTH", "GITHUB_TOKEN"] {
        command.env_remove(name);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    Said {
        code: status.code().unwrap(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}
