//! Where Claude Code comes from, and the one release that is taken from there.

use std::fmt;

use semver::Version;

use super::InstallError;
use super::fetch::{Client, FetchError};
use super::integrity::Integrity;
use super::npm;
use super::options::OptionError;
use super::platform::Platform;
use super::release_host::{self, ReleaseHostError};
use super::url::Url;
use super::wanted::Wanted;

/// The answer about one package has a few hundred kilobytes.
const MAX_PACKUMENT: u64 = 32 << 20;

/// A version takes a tenth of this.
const MAX_VERSION: u64 = 64;

/// A manifest has a few kilobytes.
const MAX_MANIFEST: u64 = 1 << 20;

/// Who publishes Claude Code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Its maker, below this address.
    ReleaseHost(Url),
    /// An npm registry.
    Npm(Url),
}

/// A release, pinned to its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The npm package, where it comes in one.
    pub package: Option<String>,
    /// Its version.
    pub version: Version,
    /// Where to download it.
    pub url: Url,
    /// What the download must hash to.
    pub integrity: Integrity,
    /// How long it must be, where that was announced.
    pub size: Option<u64>,
    /// What the download is.
    pub kind: Kind,
}

/// What a download holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A gzipped tar with the program in it.
    Archive,
    /// The program and nothing else.
    Plain,
}

impl Source {
    /// Finds the wanted release for `platform`.
    pub fn resolve(
        &self,
        client: &Client,
        wanted: &Wanted,
        platform: Platform,
    ) -> Result<Release, InstallError> {
        match self {
            Self::ReleaseHost(base) => from_release_host(client, base, wanted, platform),
            Self::Npm(registry) => from_npm(client, registry, wanted, platform),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.package.as_deref().unwrap_or("Claude Code"), self.version)
    }
}

fn from_release_host(
    client: &Client,
    base: &Url,
    wanted: &Wanted,
    platform: Platform,
) -> Result<Release, InstallError> {
    let version = match wanted {
        Wanted::Exact(version) => version.clone(),
        Wanted::Tag(word) => {
            let url = release_host::channel_url(base, word)?;
            let answer = client.read(&url, "text/plain, */*", MAX_VERSION)?;
            release_host::read_version(&answer, &url)?
        }
    };
    let url = release_host::manifest_url(base, &version)?;
    match client.read(&url, "application/json", MAX_MANIFEST) {
        Ok(manifest) => Ok(release_host::pick(&manifest, base, &version, platform)?),
        Err(FetchError::Status { status: 404, .. }) => Err(ReleaseHostError::NoVersion(version).into()),
        Err(error) => Err(error.into()),
    }
}

fn from_npm(
    client: &Client,
    registry: &Url,
    wanted: &Wanted,
    platform: Platform,
) -> Result<Release, InstallError> {
    let package = npm::package_for(platform);
    let url = npm::packument_url(registry, &package).map_err(OptionError::Registry)?;
    let packument = client.read(&url, npm::PACKUMENT_TYPE, MAX_PACKUMENT)?;
    Ok(npm::pick(&packument, &package, wanted)?)
}
