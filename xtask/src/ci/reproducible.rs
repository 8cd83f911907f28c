//! The same commit gives the same bytes: packed here, and in a clone elsewhere under another umask.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::package;
use crate::sh;

/// Packs in both places and compares every file.
pub(super) fn check(root: &Path) -> anyhow::Result<()> {
    let dirty = sh::output(Command::new("git").args(["status", "--porcelain"]).current_dir(root))?;
    if !dirty.trim().is_empty() {
        eprintln!("NOT COMPARED: a clone has what is committed, and this checkout has uncommitted changes");
        ensure!(std::env::var_os("CI").is_none(), "CI compares what is committed");
        return Ok(());
    }
    let elsewhere = tempfile::tempdir()?;
    let (here, clone) = (elsewhere.path().join("here"), elsewhere.path().join("a longer path/clone"));
    package::write(&package::target(None)?, &here, false)?;
    sh::run(Command::new("git").args(["clone", "--quiet", "--no-hardlinks"]).arg(root).arg(&clone))?;
    let there = elsewhere.path().join("there");
    let script = "umask 077 && exec cargo run --quiet --locked --package xtask -- package -o \"$0\"";
    let mut pack = Command::new("sh");
    pack.arg("-c").arg(script).arg(&there).current_dir(&clone);
    // What `cargo run` told us about this checkout is not true of that one.
    for variable in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_TARGET_DIR"] {
        pack.env_remove(variable);
    }
    // Sharing the host tool's dependencies would save time and prove less.
    sh::run(&mut pack).context("pack in the clone")?;
    let mut compared = 0;
    for entry in fs::read_dir(&here)? {
        let entry = entry?;
        let (ours, theirs) = (fs::read(entry.path())?, fs::read(there.join(entry.file_name()))?);
        ensure!(
            ours == theirs,
            "{} differs between two builds of one commit",
            entry.file_name().to_string_lossy()
        );
        compared += 1;
    }
    ensure!(compared >= 2, "{compared} files were compared");
    eprintln!("same bytes from two places: {compared} files");
    Ok(())
}
