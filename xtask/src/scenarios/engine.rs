//! Which Docker the scenarios run on: the installed one, or a newer one from Debian's packages, unpacked and not
//! installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::ValueEnum;

use crate::{apt, cache, sh};

/// Docker engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Engine {
    /// The machine's own; Debian's package where there is none.
    #[default]
    Installed,
    /// The one of Debian 13
    Trixie,
}

/// What makes up an engine. The runtime, runc, stays the machine's: a newer one needs a newer C library.
const PROGRAMS: [&str; 4] = ["dockerd", "containerd", "containerd-shim-runc-v2", "docker-proxy"];

impl Engine {
    /// Gets everything it needs, while there is a network. The folder with its programs, unless they are on PATH.
    pub fn prepare(self) -> anyhow::Result<Option<PathBuf>> {
        apt::ensure(&["iproute2", "iptables"])?;
        // Any engine's runtime and client.
        if !sh::exists("dockerd") {
            apt::ensure(&["docker.io"])?;
        }
        match self {
            Self::Installed => Ok(None),
            Self::Trixie => unpacked("trixie").map(Some),
        }
    }
}

fn unpacked(suite: &str) -> anyhow::Result<PathBuf> {
    let folder = cache::folder()?.join(format!("docker-{suite}"));
    if PROGRAMS.iter().any(|program| !folder.join(program).is_file()) {
        apt::ensure(&["mmdebstrap", "debian-archive-keyring"])?;
        fs::create_dir_all(&folder)?;
        let root = tempfile::tempdir_in(&folder)?;
        let mut command = Command::new("mmdebstrap");
        command.args(["--quiet", "--variant=extract", "--include=docker.io,containerd", suite]);
        sh::run(command.arg(root.path())).context("fetch an engine")?;
        for program in PROGRAMS {
            let found = ["usr/bin", "usr/sbin"].map(|place| root.path().join(place).join(program));
            let found = found.iter().find(|path| path.is_file());
            let found: &Path = found.with_context(|| format!("{suite}'s packages hold no {program}"))?;
            fs::rename(found, folder.join(program))?;
        }
    }
    Ok(folder)
}
