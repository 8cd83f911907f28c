//! The official devcontainer CLI, at the version that is pinned in `xtask/devcontainer-cli`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::{cache, sh};

/// Path of the CLI's program, installed if it is not there.
pub fn ensure_installed(root: &Path) -> anyhow::Result<PathBuf> {
    let pinned = root.join("xtask/devcontainer-cli");
    let lock = fs::read_to_string(pinned.join("package-lock.json")).context("read the CLI's lock file")?;
    let folder = cache::folder()?.join("devcontainer-cli");
    let program = folder.join("node_modules/.bin/devcontainer");
    // npm writes its own copy of the lock file last: with the same text the installation is whole.
    let installed = fs::read_to_string(folder.join("installed-lock.json")).is_ok_and(|text| text == lock);
    if !(installed && program.is_file()) {
        ensure!(sh::exists("npm"), "npm is missing; install Node.js 20 or later, which brings it");
        fs::create_dir_all(&folder)?;
        for file in ["package.json", "package-lock.json"] {
            fs::copy(pinned.join(file), folder.join(file))?;
        }
        let install = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
        sh::run(Command::new("npm").args(install).current_dir(&folder))
            .context("install the devcontainer CLI")?;
        fs::write(folder.join("installed-lock.json"), lock)?;
    }
    Ok(program)
}
