//! The binaries that this repository's own Features ship, built and read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::Bytes;

use crate::arch::Arch;

/// One binary for one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// What it runs on.
    pub arch: Arch,
    /// Its file name.
    pub name: String,
    /// Its bytes.
    pub data: Bytes,
}

/// Binaries by the id of the Feature that ships them.
pub type Binaries = BTreeMap<String, Vec<Binary>>;

/// Which binaries each Feature ships: `[package.metadata.feature-binaries]` of the root package.
pub fn declared(root: &Path) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = std::process::Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .output()
        .context("cannot run cargo; install it from https://rustup.rs")?;
    if !output.status.success() {
        bail!("cargo cannot read {}: {}", root.join("Cargo.toml").display(), first_line(&output.stderr));
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` printed no JSON")?;
    let mut declared = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let Some(features) = package["metadata"]["feature-binaries"].as_object() else {
            continue;
        };
        for (id, names) in features {
            let names = serde_json::from_value(names.clone())
                .with_context(|| format!("feature-binaries.{id} in Cargo.toml must be a list of names"))?;
            declared.insert(id.clone(), names);
        }
    }
    Ok(declared)
}

/// Builds and reads the binaries of the given Features, for every architecture.
pub fn build(root: &Path, ids: &[String]) -> anyhow::Result<Binaries> {
    let mut declared = declared(root)?;
    declared.retain(|id, names| ids.contains(id) && !names.is_empty());
    if declared.is_empty() {
        return Ok(Binaries::new());
    }
    let built: Vec<(Arch, String, PathBuf)> = crate::build::build(&Arch::ALL, None)?
        .into_iter()
        .map(|built| (built.arch, built.name, built.path))
        .collect();
    let mut binaries = Binaries::new();
    for (id, names) in declared {
        for name in names {
            for arch in Arch::ALL {
                let Some((.., path)) = built.iter().find(|(a, n, _)| *a == arch && *n == name) else {
                    bail!(
                        "the build made no \"{name}\" for {}, which the Feature \"{id}\" ships",
                        arch.docker()
                    );
                };
                let data = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                let binary = Binary { arch, name: name.clone(), data: data.into() };
                binaries.entry(id.clone()).or_default().push(binary);
            }
        }
    }
    Ok(binaries)
}

fn first_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).lines().next().unwrap_or_default().to_owned()
}
