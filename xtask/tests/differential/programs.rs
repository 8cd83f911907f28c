//! Running the two programs with the same arguments.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Official,
    Ours,
}

pub const BOTH: [Which; 2] = [Which::Official, Which::Ours];

impl Which {
    /// The namespace that it publishes to.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Official => "official/features",
            Self::Ours => "ours/features",
        }
    }
}

/// The official CLI and ours, in a home of their own.
pub struct Programs {
    official: OsString,
    home: TempDir,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Programs {
    /// Both, or nothing where the official one is not installed.
    pub fn find() -> Option<Self> {
        let Some(official) = std::env::var_os("XTASK_DEVCONTAINER_CLI") else {
            crate::support::skip("XTASK_DEVCONTAINER_CLI does not name the devcontainer CLI");
            return None;
        };
        Some(Self { official, home: tempfile::tempdir().unwrap() })
    }

    /// Runs one with arguments that both understand.
    pub fn run(&self, which: Which, args: &[&OsStr]) -> Ran {
        self.run_with(which, args, &[])
    }

    /// The same with more variables.
    pub fn run_with(&self, which: Which, args: &[&OsStr], variables: &[(&str, &str)]) -> Ran {
        let mut command = match which {
            Which::Ours => Command::new(env!("CARGO_BIN_EXE_xtask")),
            Which::Official => {
                let mut command = Command::new(&self.official);
                command.arg("features");
                command
            }
        };
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("HOME", self.home.path()).env("DOCKER_CONFIG", self.home.path());
        command.envs(variables.iter().copied()).current_dir(self.home.path());
        // The official CLI names its temporary folders by the millisecond: two runs at once would share one.
        let temporary = tempfile::tempdir().unwrap();
        command.env("TMPDIR", temporary.path());
        let output = command.args(args).output().unwrap();
        Ran {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Packs a target into a folder.
    pub fn package(&self, which: Which, target: &Path, output: &Path) -> Ran {
        self.run(which, &["package".as_ref(), "-o".as_ref(), output.as_ref(), target.as_ref()])
    }

    /// Publishes a target to its own namespace of a registry on this machine.
    pub fn publish(&self, which: Which, target: &Path, port: u16) -> Ran {
        self.publish_as(which, target, port, &[])
    }

    /// The same with more variables.
    pub fn publish_as(&self, which: Which, target: &Path, port: u16, variables: &[(&str, &str)]) -> Ran {
        let registry = format!("localhost:{port}");
        let args: [&OsStr; 6] = [
            "publish".as_ref(),
            "-r".as_ref(),
            registry.as_ref(),
            "-n".as_ref(),
            which.namespace().as_ref(),
            target.as_ref(),
        ];
        self.run_with(which, &args, variables)
    }
}
