//! Temporary: the seam that `package` builds on until the real build lands here.

use std::path::PathBuf;

use crate::arch::Arch;
use crate::cli::Via;

/// A binary that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// What it runs on.
    pub arch: Arch,
    /// Its file name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Builds the static binaries for some architectures.
pub fn build(arches: &[Arch], _via: Option<Via>) -> anyhow::Result<Vec<Built>> {
    anyhow::bail!("building binaries for {arches:?} is not there yet")
}
