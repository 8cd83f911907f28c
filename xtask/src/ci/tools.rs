//! Linters that come as packages of their own, at pinned versions, kept in the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{apt, cache, sh};

const CARGO_DENY: &str = "0.20.2";
const ZIZMOR: &str = "1.32.0";

/// Licences, bans and sources of all dependencies. The advisories are checked where their database can be
/// fetched, which is in the hosted workflow.
pub(super) fn deny(root: &Path) -> anyhow::Result<()> {
    cargo_deny(root, &["bans", "licenses", "sources"])
}

/// Known vulnerabilities in dependencies; fetches the database of them.
pub(super) fn advisories(root: &Path) -> anyhow::Result<()> {
    cargo_deny(root, &["advisories"])
}

fn cargo_deny(root: &Path, checks: &[&str]) -> anyhow::Result<()> {
    let folder = cache::folder()?.join(format!("cargo-deny-{CARGO_DENY}"));
    let program = folder.join("bin/cargo-deny");
    if !program.is_file() {
        let mut install = super::cargo(root);
        install
            .args([
                "install",
                "--quiet",
                "--debug",
                "--locked",
                "cargo-deny",
                "--version",
                CARGO_DENY,
                "--root",
            ])
            .arg(&folder);
        sh::run(&mut install)?;
    }
    sh::run(Command::new(program).args(["--workspace", "check"]).args(checks).current_dir(root))
}

/// The workflows, for mistakes and for holes.
pub(super) fn workflows(root: &Path) -> anyhow::Result<()> {
    let zizmor = python_tool("zizmor", ZIZMOR)?;
    sh::run(Command::new(zizmor).args(["--offline", "--quiet", ".github/workflows"]).current_dir(root))
}

fn python_tool(name: &str, version: &str) -> anyhow::Result<PathBuf> {
    let folder = cache::folder()?.join(format!("{name}-{version}"));
    let program = folder.join("bin").join(name);
    if !program.is_file() {
        // Debian keeps what `venv` needs in a package of its own.
        if !sh::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
            apt::ensure(&["python3-venv"])?;
        }
        sh::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let pip = folder.join("bin/pip");
        sh::run(Command::new(pip).args(["install", "--quiet", &format!("{name}=={version}")]))?;
    }
    Ok(program)
}
