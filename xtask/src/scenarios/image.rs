//! The base images: what they are made of. Debian's packages are the source, since tests pull from no registry.

mod debian;
pub mod docker;
mod musl;

use std::path::PathBuf;

use anyhow::Context as _;

use super::claude::Platform;
use crate::arch::Arch;
use crate::cache;

/// The image that a scenario gets which asks for none.
pub const DEFAULT: &str = "bookworm";

/// A base image of the lab.
#[derive(Debug)]
pub struct Image {
    /// Its name in scenarios.
    pub name: &'static str,
    source: Source,
}

/// Where a base image comes from.
#[derive(Debug)]
enum Source {
    /// Packages of a Debian release, with a user.
    Debian(debian::Recipe),
    /// musl and busybox, unpacked.
    Musl,
    /// Another image of the lab, and a Dockerfile's instructions.
    On(&'static str, &'static str),
    /// Another image with the real Claude Code put in, without the Feature: what attacks are tried on first.
    WithClaude(&'static str),
}

/// Every image. A Debian release without further packages has no curl, wget, git, sudo and no authorities.
const ALL: [Image; 11] = [
    Image { name: "bookworm", source: Source::Debian(debian::release("bookworm", &["ca-certificates"])) },
    Image { name: "claude", source: Source::WithClaude("bookworm") },
    Image { name: "bullseye", source: Source::Debian(debian::release("bullseye", &[])) },
    Image { name: "trixie", source: Source::Debian(debian::release("trixie", &[])) },
    Image { name: "sid", source: Source::Debian(debian::release("sid", &[])) },
    Image { name: "musl", source: Source::Musl },
    // As the official base images are: a user who may call sudo without a password, and the usual tools.
    Image { name: "base", source: Source::Debian(debian::DEVCONTAINERS_BASE) },
    // What an editor's server and an attacker run on, and the helpers that attackers ask to work for them.
    Image { name: "attacks", source: Source::Debian(debian::release("bookworm", debian::ATTACKS)) },
    Image {
        name: "node",
        source: Source::On(
            "bookworm",
            "RUN userdel --remove vscode && useradd --create-home --shell /bin/bash --uid 1000 node\nUSER node\n",
        ),
    },
    Image { name: "rootonly", source: Source::On("bookworm", "RUN userdel --remove vscode\n") },
    Image { name: "arm64", source: Source::Debian(debian::release("bookworm", &[]).of(Arch::Arm64)) },
];

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Image> {
    const { &ALL }.iter()
}

/// The image of a name.
pub fn named(name: &str) -> anyhow::Result<&'static Image> {
    all().find(|image| image.name == name).with_context(|| {
        let names: Vec<&str> = all().map(|image| image.name).collect();
        format!("there is no image {name:?}; there are: {}", names.join(", "))
    })
}

impl Image {
    /// Its name in Docker.
    pub fn tag(&self) -> String {
        format!("agent-sandbox-test/{}", self.name)
    }

    /// The mark that stands for it in scenario files.
    pub fn mark(&self) -> String {
        format!("IMAGE_{}", self.name.to_uppercase())
    }

    /// The image that this one is made on, if it is.
    pub fn parent(&self) -> Option<&'static Self> {
        match self.source {
            Source::On(parent, _) | Source::WithClaude(parent) => all().find(|image| image.name == parent),
            Source::Debian(_) | Source::Musl => None,
        }
    }

    /// What runs in it; the machine's own architecture unless it is one for another.
    pub fn platform(&self) -> anyhow::Result<Platform> {
        if let Some(parent) = self.parent() {
            return parent.platform();
        }
        let host = || Arch::host().context("this machine's architecture has no binaries");
        match self.source {
            Source::Debian(debian::Recipe { arch: Some(arch), .. }) => Ok(Platform { arch, musl: false }),
            Source::Musl => Ok(Platform { arch: host()?, musl: true }),
            _ => Ok(Platform { arch: host()?, musl: false }),
        }
    }

    /// Whether its programs need an emulator here.
    pub fn is_foreign(&self) -> anyhow::Result<bool> {
        Ok(Some(self.platform()?.arch) != Arch::host())
    }

    /// The root file system as a tar file, made once a machine; none for an image that is made on another.
    pub fn tarball(&self) -> anyhow::Result<Option<PathBuf>> {
        let name = format!("{}-2.tar", self.name);
        match &self.source {
            Source::Debian(recipe) => cache::file(&name, |path| recipe.make(path)).map(Some),
            Source::Musl => cache::file(&name, musl::make).map(Some),
            Source::On(..) | Source::WithClaude(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parent_is_an_image_with_a_tarball() {
        for image in all() {
            if let Source::On(parent, _) | Source::WithClaude(parent) = image.source {
                assert!(named(parent).unwrap().parent().is_none(), "{}", image.name);
            }
        }
        assert!(named(DEFAULT).is_ok());
        assert!(named("alpine").unwrap_err().to_string().contains("bullseye, trixie, sid"));
    }

    #[test]
    fn platforms() {
        assert_eq!(named("arm64").unwrap().platform().unwrap(), Platform { arch: Arch::Arm64, musl: false });
        assert!(named("musl").unwrap().platform().unwrap().musl);
        assert_eq!(named("node").unwrap().platform().unwrap().arch, Arch::host().unwrap());
        assert!(!named("node").unwrap().is_foreign().unwrap());
    }
}
