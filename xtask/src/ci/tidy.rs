//! Facts about the tree that no compiler guards.

use std::path::Path;

use anyhow::{Context as _, ensure};

use super::cargo;
use crate::arch::Arch;
use crate::feature::json::{self, Json};
use crate::sh;

/// Crates that speak TLS or HTTP: what stays in a container links none of them.
const NOT_IN_THE_CONTAINER: [&str; 8] =
    ["rustls", "ring", "aws-lc-rs", "openssl", "native-tls", "ureq", "reqwest", "hyper"];

/// All checks.
pub(super) fn tidy(root: &Path) -> anyhow::Result<()> {
    shipped_programs_link_no_tls(root)?;
    install_script_knows_every_architecture(root)
}

/// A release's tag, which the hosted workflow names, is `v` and the version of what it publishes.
pub(super) fn tag(root: &Path) -> anyhow::Result<()> {
    let tag = std::env::var("GITHUB_REF_NAME").context("GITHUB_REF_NAME names no tag")?;
    let path = root.join("features/claude-code/devcontainer-feature.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let feature = json::parse(&text).with_context(|| path.display().to_string())?;
    let version = feature.as_object().and_then(|feature| feature.get("version")).and_then(Json::as_str);
    let version = version.with_context(|| format!("{} has no version", path.display()))?;
    ensure!(
        tag == format!("v{version}"),
        "the tag is {tag}, and {} has the version {version}",
        path.display()
    );
    Ok(())
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
