//! Facts about the tree that no compiler guards.

use std::path::Path;

use anyhow::ensure;

use super::cargo;
use crate::arch::Arch;
use crate::sh;

/// Crates that speak TLS or HTTP: what stays in a container links none of them.
const NOT_IN_THE_CONTAINER: [&str; 8] =
    ["rustls", "ring", "aws-lc-rs", "openssl", "native-tls", "ureq", "reqwest", "hyper"];

/// All checks.
pub(super) fn tidy(root: &Path) -> anyhow::Result<()> {
    shipped_programs_link_no_tls(root)?;
    install_script_knows_every_architecture(root)
}

fn shipped_programs_link_no_tls(root: &Path) -> anyhow::Result<()> {
    let tree = ["tree", "--locked", "--package", "agent-sandbox", "--edges", "normal", "--prefix", "none"];
    let tree = sh::output(cargo(root).args(tree))?;
    let crates = || tree.lines().filter_map(|line| line.split(' ').next());
    ensure!(crates().any(|name| name == "rustix"), "cargo tree does not read as expected");
    let found = crates().find(|name| NOT_IN_THE_CONTAINER.contains(name));
    ensure!(found.is_none(), "what stays in the container links {}", found.unwrap_or_default());
    Ok(())
}

fn install_script_knows_every_architecture(root: &Path) -> anyhow::Result<()> {
    let script = std::fs::read_to_string(root.join("features/claude-code/install.sh"))?;
    for arch in Arch::ALL {
        let branch = format!("{}) arch={} ;;", arch.uname(), arch.docker());
        ensure!(script.contains(&branch), "features/claude-code/install.sh has no branch '{branch}'");
    }
    Ok(())
}
