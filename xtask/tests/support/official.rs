//! The official CLI, and ours beside it.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// What a program printed and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The official CLI, with a folder of its own for temporary files: it names them by the millisecond,
/// and two that run at the same time take each other's.
pub struct Official {
    program: OsString,
    temp: TempDir,
}

impl Official {
    /// The CLI that the environment names, or nothing, said aloud.
    pub fn find() -> Option<Self> {
        let Some(program) = std::env::var_os("XTASK_DEVCONTAINER_CLI") else {
            super::skip("XTASK_DEVCONTAINER_CLI does not name the devcontainer CLI");
            return None;
        };
        Some(Self { program, temp: tempfile::tempdir().unwrap() })
    }

    /// Runs it in a folder.
    pub fn run(&self, folder: &Path, arguments: &[&str]) -> Said {
        said(self.command(folder).args(arguments))
    }

    /// The program in a folder, still to be told what to do.
    pub fn command(&self, folder: &Path) -> Command {
        let mut command = isolated(&self.program, folder);
        command.env("TMPDIR", self.temp.path());
        command
    }
}

/// Runs our program in a folder.
pub fn ours(folder: &Path, arguments: &[&str]) -> Said {
    said(our_command(folder).args(arguments))
}

/// Our program in a folder, still to be told what to do.
pub fn our_command(folder: &Path) -> Command {
    isolated(env!("CARGO_BIN_EXE_xtask"), folder)
}

/// A program to which nothing of the machine's own logins or settings matters.
pub fn isolated(program: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("DOCKER_CONFIG", folder).env("HOME", folder);
    for name in ["CARGO_MANIFEST_DIR", "DEVCONTAINERS_OCI_AUTH", "GITHUB_TOKEN"] {
        command.env_remove(name);
    }
    command
}

/// Runs a program to its end.
pub fn said(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Said {
        code: status.code().unwrap(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}
