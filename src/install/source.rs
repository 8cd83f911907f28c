//! Where Claude Code comes from, and the one release that is taken from there.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use semver::Version;
use serde::Serialize;

use super::InstallError;
use super::fetch::{Client, FetchError};
use super::integrity::Integrity;
use super::npm;
use super::openpgp::{self, Fingerprint};
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

/// A signature has a few hundred bytes.
const MAX_SIGNATURE: u64 = 16 << 10;

/// A key has a few kilobytes, and more where many people signed it.
const MAX_KEY: u64 = 256 << 10;

/// Who publishes Claude Code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Its maker.
    ReleaseHost {
        /// Below this address.
        base: Url,
        /// With manifests that this key signs.
        key: Fingerprint,
    },
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
    /// Whether `integrity` is signed, where it may be.
    pub signature: Option<Signature>,
}

/// What a release host's manifest is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// A good signature by this key or one of its subkeys.
    VerifiedBy(Fingerprint),
    /// No signature, as for the releases from before there were any.
    None,
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
            Self::ReleaseHost { base, key } => from_release_host(client, base, *key, wanted, platform),
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
    key: Fingerprint,
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
    let manifest = client.read(&url, "application/json", MAX_MANIFEST);
    let Some(manifest) = unless_missing(manifest)? else {
        return Err(ReleaseHostError::NoVersion(version).into());
    };
    // Nothing in the manifest is looked at before it is known whose it is.
    let url = release_host::signature_url(base, &version)?;
    let signature = if let Some(signature) = unless_missing(client.read(&url, "*/*", MAX_SIGNATURE))? {
        let file = client.read(&release_host::key_url(base)?, "*/*", MAX_KEY)?;
        openpgp::verify(&file, key, &signature, &manifest, now())
            .map_err(|source| ReleaseHostError::Signature { version: version.clone(), source })?;
        Signature::VerifiedBy(key)
    } else {
        release_host::without_signature(wanted, &version)?;
        Signature::None
    };
    Ok(release_host::pick(&manifest, base, &version, platform, signature)?)
}

/// Turns the answer that there is nothing into nothing.
fn unless_missing(answer: Result<Vec<u8>, FetchError>) -> Result<Option<Vec<u8>>, FetchError> {
    match answer {
        Ok(body) => Ok(Some(body)),
        Err(FetchError::Status { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Seconds since 1970. A clock before that makes every signature one of the future.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
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
