//! Base images from Debian's packages, since tests pull from no registry.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::docker::Docker;
use crate::{apt, cache, sh};

/// The Debian release that the scenarios run on.
const SUITE: &str = "bookworm";
/// The user that the scenarios work as.
pub const USER: &str = "vscode";

/// The root file system as a tar file, made once a machine: minimal, with a user.
pub fn tarball() -> anyhow::Result<PathBuf> {
    cache::file(&format!("{SUITE}-1.tar"), |path| {
        apt::ensure(&["mmdebstrap", "debian-archive-keyring"])?;
        let user = format!("chroot \"$1\" useradd --create-home --shell /bin/bash --uid 1000 {USER}");
        sh::run(
            Command::new("mmdebstrap")
                .args(["--quiet", "--variant=minbase", "--include=ca-certificates"])
                .args(["--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"])
                .arg(format!("--customize-hook={user}"))
                .args(["--format=tar", SUITE])
                .arg(path),
        )
    })
}

/// Imports a root file system as an image.
pub fn import(docker: &Docker, tarball: &Path, image: &str) -> anyhow::Result<()> {
    sh::output(docker.command().arg("import").arg(tarball).arg(image))
        .map(drop)
        .context("import the base image")
}

/// An image on top of another: files copied in, and instructions of a Dockerfile.
pub fn derive(
    docker: &Docker,
    base: &str,
    image: &str,
    files: &[(&Path, &str)],
    instructions: &str,
) -> anyhow::Result<()> {
    let context = tempfile::tempdir()?;
    let mut dockerfile = format!("FROM {base}\n");
    for (index, (source, target)) in files.iter().enumerate() {
        let name = format!("file{index}");
        std::fs::hard_link(source, context.path().join(&name))
            .or_else(|_| std::fs::copy(source, context.path().join(&name)).map(drop))
            .with_context(|| source.display().to_string())?;
        let _ = writeln!(dockerfile, "COPY {name} {target}");
    }
    dockerfile += instructions;
    std::fs::write(context.path().join("Dockerfile"), dockerfile)?;
    let mut build = docker.command();
    build.args(["build", "--quiet", "--network=none", "--tag", image]).arg(context.path());
    sh::output(&mut build).map(drop).with_context(|| format!("build {image}"))
}
