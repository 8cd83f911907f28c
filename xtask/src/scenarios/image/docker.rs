//! Bringing base images into a Docker: each once, when the first scenario that runs needs it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use super::{Image, Source};
use crate::scenarios::claude::Package;
use crate::scenarios::docker::Docker;
use crate::sh;

/// Where the test authority lies in the images; their builds are told so.
const AUTHORITY: &str = "/etc/ssl/certs/test-authority.pem";

/// The tar files of images, by name; made while there still is a network.
pub type Tarballs = BTreeMap<&'static str, PathBuf>;

/// Makes the tar files that these images need.
pub fn prepare(images: &[&'static Image]) -> anyhow::Result<Tarballs> {
    let mut tarballs = Tarballs::new();
    for image in images.iter().map(|image| image.parent().unwrap_or(image)) {
        if let Some(path) = image.tarball()? {
            tarballs.insert(image.name, path);
        }
    }
    Ok(tarballs)
}

/// Imports these images, parents first, with the authority's certificate in each.
pub fn import(
    docker: &Docker,
    images: &[&'static Image],
    tarballs: &Tarballs,
    authority: &Path,
    claude: &[Package],
) -> anyhow::Result<()> {
    for image in images.iter().filter(|image| image.parent().is_none()) {
        let tarball = tarballs.get(image.name).with_context(|| format!("{} was not made", image.name))?;
        let platform = format!("linux/{}", image.platform()?.arch.docker());
        let bare = format!("{}-bare", image.tag());
        sh::output(docker.command().args(["import", "--platform", &platform]).arg(tarball).arg(&bare))
            .with_context(|| format!("import the base image {}", image.name))?;
        let trust = format!("ENV SSL_CERT_FILE={AUTHORITY}\n");
        derive(docker, &bare, image, &[(authority, AUTHORITY)], &trust)?;
    }
    for image in images {
        match image.source {
            Source::On(parent, instructions) => {
                derive(docker, &super::named(parent)?.tag(), image, &[], instructions)?;
            }
            Source::WithClaude(parent) => {
                let folder = TempDir::new()?;
                let platform = image.platform()?;
                let package = claude.iter().find(|package| package.platform == platform);
                let program = package.context("Claude Code was not fetched")?.unpack(folder.path())?;
                let files = [(program.as_path(), "/usr/local/bin/claude")];
                derive(docker, &super::named(parent)?.tag(), image, &files, "")?;
            }
            Source::Debian(_) | Source::Musl => {}
        }
    }
    Ok(())
}

/// An image on top of another: files copied in, and instructions of a Dockerfile.
fn derive(
    docker: &Docker,
    base: &str,
    image: &Image,
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
    build.args(["build", "--quiet", "--network=none", "--tag", &image.tag()]);
    if image.is_foreign()? {
        build.args(["--platform", &format!("linux/{}", image.platform()?.arch.docker())]);
    }
    sh::output(build.arg(context.path())).map(drop).with_context(|| format!("build {}", image.tag()))
}
