//! The real Claude Code, fetched once through the npm client and served to the builds over HTTPS.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::https::{Https, Site};
use crate::arch::Arch;
use crate::{cache, sh};

/// The version that the scenarios install.
pub const VERSION: &str = "2.1.330";

/// What Claude Code is published for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// The processor.
    pub arch: Arch,
    /// Whether the C library is musl.
    pub musl: bool,
}

impl Platform {
    /// The platform as the maker names it, as in `linux-x64-musl`.
    fn name(self) -> String {
        let machine = match self.arch {
            Arch::Amd64 => "x64",
            Arch::Arm64 => "arm64",
        };
        format!("linux-{machine}{}", if self.musl { "-musl" } else { "" })
    }

    fn package(self) -> String {
        format!("@anthropic-ai/claude-code-{}", self.name())
    }
}

/// A package as the npm registry gave it.
#[derive(Debug, Clone)]
pub struct Package {
    /// What it runs on.
    pub platform: Platform,
    tarball: PathBuf,
    integrity: String,
}

impl Package {
    /// Fetches the package, or takes it from the cache. npm verifies it.
    pub fn fetch(platform: Platform) -> anyhow::Result<Self> {
        let file = format!("claude-code-{}-{VERSION}", platform.name());
        let package = format!("{}@{VERSION}", platform.package());
        let tarball = cache::file(&format!("{file}.tgz"), |path| {
            let folder = tempfile::tempdir_in(cache::folder()?)?;
            let pack = ["pack", "--json", "--ignore-scripts", "--loglevel=error", &package];
            let report = sh::output(Command::new("npm").args(pack).current_dir(folder.path()))?;
            let report: Value = serde_json::from_str(&report).context("npm pack printed no JSON")?;
            let name = report[0]["filename"].as_str().context("npm pack named no file")?;
            Ok(std::fs::rename(folder.path().join(name), path)?)
        })?;
        let integrity = cache::file(&format!("{file}.integrity"), |path| {
            let view = ["view", &package, "dist.integrity", "--loglevel=error"];
            let text = sh::output(Command::new("npm").args(view))?;
            ensure!(text.trim().starts_with("sha512-"), "npm names no sha512 for {package}");
            Ok(std::fs::write(path, text.trim())?)
        })?;
        Ok(Self { platform, tarball, integrity: std::fs::read_to_string(integrity)? })
    }

    /// The program itself, unpacked into a folder.
    pub fn unpack(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(&self.tarball).arg("-C").arg(folder).arg("package/claude");
        sh::run(&mut tar)?;
        Ok(folder.join("package/claude"))
    }
}

/// Serves packages as an npm registry does.
pub fn serve(packages: &[Package], address: &str) -> anyhow::Result<Https> {
    Https::start(address, |base| {
        packages.iter().fold(Site::new(), |site, package| {
            let name = package.platform.package();
            let file = format!("/tarballs/{}.tgz", package.platform.name());
            let packument = json!({
                "name": name,
                "dist-tags": { "latest": VERSION },
                "versions": { VERSION: {
                    "name": name,
                    "version": VERSION,
                    "dist": { "tarball": format!("{base}{file}"), "integrity": package.integrity },
                }},
            });
            site.text(&format!("/{}", name.replace('/', "%2f")), &packument.to_string())
                .text(&format!("/{name}"), &packument.to_string())
                .file(&file, &package.tarball)
        })
    })
}
