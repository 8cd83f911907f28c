//! The real Claude Code, fetched once through the npm client and served to the builds over HTTPS.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::https::{Https, Site};
use crate::{cache, sh};

/// The version that the scenarios install.
pub const VERSION: &str = "2.1.330";
const PACKAGE: &str = "@anthropic-ai/claude-code-linux-x64";

/// The package as the npm registry gave it.
#[derive(Debug, Clone)]
pub struct Package {
    tarball: PathBuf,
    integrity: String,
}

impl Package {
    /// Fetches the package, or takes it from the cache. npm verifies it.
    pub fn fetch() -> anyhow::Result<Self> {
        let tarball = cache::file(&format!("claude-code-linux-x64-{VERSION}.tgz"), |path| {
            let folder = tempfile::tempdir_in(cache::folder()?)?;
            let package = format!("{PACKAGE}@{VERSION}");
            let pack = ["pack", "--json", "--ignore-scripts", "--loglevel=error", &package];
            let report = sh::output(Command::new("npm").args(pack).current_dir(folder.path()))?;
            let report: Value = serde_json::from_str(&report).context("npm pack printed no JSON")?;
            let name = report[0]["filename"].as_str().context("npm pack named no file")?;
            Ok(std::fs::rename(folder.path().join(name), path)?)
        })?;
        let integrity = cache::file(&format!("claude-code-linux-x64-{VERSION}.integrity"), |path| {
            let package = format!("{PACKAGE}@{VERSION}");
            let text = sh::output(Command::new("npm").args([
                "view",
                &package,
                "dist.integrity",
                "--loglevel=error",
            ]))?;
            ensure!(text.trim().starts_with("sha512-"), "npm names no sha512 for {package}");
            Ok(std::fs::write(path, text.trim())?)
        })?;
        Ok(Self { tarball, integrity: std::fs::read_to_string(integrity)? })
    }

    /// Serves the package as an npm registry does.
    pub fn serve(&self, address: &str) -> anyhow::Result<Https> {
        Https::start(address, |base| {
            let file = "/tarballs/claude-code-linux-x64.tgz";
            let packument = json!({
                "name": PACKAGE,
                "dist-tags": { "latest": VERSION },
                "versions": { VERSION: {
                    "name": PACKAGE,
                    "version": VERSION,
                    "dist": { "tarball": format!("{base}{file}"), "integrity": self.integrity },
                }},
            });
            Site::new()
                .text(&format!("/{}", PACKAGE.replace('/', "%2f")), &packument.to_string())
                .text(&format!("/{PACKAGE}"), &packument.to_string())
                .file(file, &self.tarball)
        })
    }

    /// The program itself, unpacked into a folder.
    pub fn unpack(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(&self.tarball).arg("-C").arg(folder).arg("package/claude");
        sh::run(&mut tar)?;
        Ok(folder.join("package/claude"))
    }
}
