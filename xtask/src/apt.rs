//! Debian packages: installed where that is possible, named where it is not.

use std::process::Command;
use std::sync::Once;

use anyhow::{Context as _, bail};

use crate::sh;

/// Installs the packages that are missing.
///
/// Only root on a Debian machine can; anybody else is told the exact command.
pub fn ensure(packages: &[&str]) -> anyhow::Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let command = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    if !can_install() {
        bail!("missing packages; install them with: sudo {command}");
    }
    eprintln!("xtask: {command}");
    update()?;
    sh::run(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "-q", "--no-install-recommends"])
            .args(&missing),
    )
    .context("a package could not be installed")
}

/// Whether this process may install Debian packages.
pub fn can_install() -> bool {
    let root = sh::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    root && sh::exists("apt-get")
}

/// Makes packages of another architecture known; `dpkg` remembers it.
pub fn add_architecture(name: &str) -> anyhow::Result<()> {
    let foreign = sh::output(Command::new("dpkg").arg("--print-foreign-architectures"))?;
    if foreign.lines().any(|line| line == name) {
        return Ok(());
    }
    sh::run(Command::new("dpkg").args(["--add-architecture", name]))?;
    sh::run(Command::new("apt-get").args(["update", "-q"]))
}

/// Fetches the lists of packages, once a run.
pub fn update() -> anyhow::Result<()> {
    static ONCE: Once = Once::new();
    let mut result = Ok(());
    ONCE.call_once(|| result = sh::run(Command::new("apt-get").args(["update", "-q"])));
    result
}

fn installed(package: &str) -> bool {
    let query = sh::output(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}\n", package]));
    query.is_ok_and(|status| status.lines().any(|line| line == "installed"))
}
