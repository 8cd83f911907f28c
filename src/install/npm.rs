//! The registry's answer about a package, and the one release taken from it.

use std::collections::BTreeMap;

use semver::Version;
use serde::Deserialize;

use super::integrity::{Integrity, IntegrityError};
use super::platform::Platform;
use super::source::{Kind, Release};
use super::url::{Url, UrlError};
use super::wanted::Wanted;

/// The media type of the short form of a packument, which has all that an installer needs.
pub const PACKUMENT_TYPE: &str = "application/vnd.npm.install-v1+json";

/// Why no release can be taken from the registry's answer.
#[derive(Debug, thiserror::Error)]
pub enum NpmError {
    /// Not a packument.
    #[error(
        "the registry's answer about {package} is not what an npm registry sends: {source}; check the option `npmRegistry`"
    )]
    NotAPackument {
        /// The package asked about.
        package: String,
        /// What the parser met.
        source: serde_json::Error,
    },
    /// A packument of something else.
    #[error(
        "the registry was asked about {package} and answered about `{found}`; check the option `npmRegistry`"
    )]
    OtherPackage {
        /// The package asked about.
        package: String,
        /// The name in the answer.
        found: String,
    },
    /// No such dist-tag.
    #[error(
        "the registry has no dist-tag `{tag}` for {package} (it has {known}); set the option `version` to one of those or to a full version"
    )]
    NoTag {
        /// The package.
        package: String,
        /// The tag asked for.
        tag: String,
        /// The tags there are.
        known: String,
    },
    /// A dist-tag that names no version.
    #[error("the registry's dist-tag `{tag}` of {package} points at `{found}`, which is not a version")]
    BadTag {
        /// The package.
        package: String,
        /// The tag asked for.
        tag: String,
        /// What it points at.
        found: String,
    },
    /// No such version.
    #[error(
        "the registry has no version {version} of {package}; set the option `version` to a published one"
    )]
    NoVersion {
        /// The package.
        package: String,
        /// The version asked for.
        version: Version,
    },
    /// Nothing to check a download against.
    #[error("the registry gives no integrity hash for {package} {version}; nothing unverified is installed")]
    NoIntegrity {
        /// The package.
        package: String,
        /// The version.
        version: Version,
    },
    /// A hash that proves too little.
    #[error(
        "the registry's integrity text for {package} {version} is of no use: {source}; nothing unverified is installed"
    )]
    Integrity {
        /// The package.
        package: String,
        /// The version.
        version: Version,
        /// What is wrong with it.
        source: IntegrityError,
    },
    /// A tarball URL that is not fetched.
    #[error("the registry sends to an unusable address for {package} {version}: {source}")]
    Tarball {
        /// The package.
        package: String,
        /// The version.
        version: Version,
        /// What is wrong with it.
        source: UrlError,
    },
}

#[derive(Deserialize)]
struct Packument {
    name: String,
    #[serde(default, rename = "dist-tags")]
    tags: BTreeMap<String, String>,
    versions: BTreeMap<String, Manifest>,
}

#[derive(Deserialize)]
struct Manifest {
    dist: Dist,
}

#[derive(Deserialize)]
struct Dist {
    tarball: String,
    integrity: Option<String>,
}

/// The npm package that holds the native binary for `platform`.
pub fn package_for(platform: Platform) -> String {
    format!("@anthropic-ai/claude-code-{platform}")
}

/// Where `registry` answers about `package`.
pub fn packument_url(registry: &Url, package: &str) -> Result<Url, UrlError> {
    // A scoped name is one path segment, so its slash is escaped.
    registry.join(&package.replace('/', "%2f"))
}

/// Picks the wanted release of `package` out of the registry's answer.
pub fn pick(packument: &[u8], package: &str, wanted: &Wanted) -> Result<Release, NpmError> {
    let package = package.to_owned();
    let packument: Packument = match serde_json::from_slice(packument) {
        Ok(packument) => packument,
        Err(source) => return Err(NpmError::NotAPackument { package, source }),
    };
    if packument.name != package {
        return Err(NpmError::OtherPackage { package, found: packument.name });
    }
    let version = match wanted {
        Wanted::Exact(version) => version.clone(),
        Wanted::Tag(tag) => resolve_tag(&packument.tags, &package, tag)?,
    };
    let Some(Manifest { dist }) = packument.versions.get(&version.to_string()) else {
        return Err(NpmError::NoVersion { package, version });
    };
    let Some(integrity) = &dist.integrity else {
        return Err(NpmError::NoIntegrity { package, version });
    };
    let integrity = match Integrity::from_sri(integrity) {
        Ok(integrity) => integrity,
        Err(source) => {
            return Err(NpmError::Integrity { package, version, source });
        }
    };
    let url = match Url::parse(&dist.tarball) {
        Ok(url) => url,
        Err(source) => {
            return Err(NpmError::Tarball { package, version, source });
        }
    };
    Ok(Release {
        package: Some(package),
        version,
        url,
        integrity,
        size: None,
        kind: Kind::Archive,
        signature: None,
    })
}

fn resolve_tag(tags: &BTreeMap<String, String>, package: &str, tag: &str) -> Result<Version, NpmError> {
    let Some(found) = tags.get(tag) else {
        let known: Vec<String> = tags.keys().map(|known| format!("`{known}`")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(NpmError::NoTag { package: package.to_owned(), tag: tag.to_owned(), known });
    };
    Version::parse(found).map_err(|_| NpmError::BadTag {
        package: package.to_owned(),
        tag: tag.to_owned(),
        found: found.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::platform::{Libc, Machine};

    const PACKAGE: &str = "@anthropic-ai/claude-code-linux-x64";

    fn packument() -> serde_json::Value {
        let sha512 = format!("sha512-{}==", "A".repeat(86));
        serde_json::json!({
            "name": PACKAGE,
            "dist-tags": {"latest": "2.1.330", "next": "2.2.0-beta.1", "odd": "soon"},
            "versions": {
                "2.1.330": {"dist": {"tarball": "https://r.example/a.tgz", "integrity": sha512}},
                "2.2.0-beta.1": {"dist": {"tarball": "https://cdn.example/b.tgz", "integrity": sha512}},
                "2.0.0": {"dist": {"tarball": "https://r.example/c.tgz"}},
                "2.0.1": {"dist": {"tarball": "https://r.example/c.tgz", "integrity": "sha1-AAAA"}},
                "2.0.2": {"dist": {"tarball": "http://r.example/c.tgz", "integrity": sha512}},
            },
        })
    }

    fn check(wanted: &str, want: Result<&str, &str>) {
        let body = packument().to_string();
        let wanted = Wanted::parse(wanted).unwrap();
        match (pick(body.as_bytes(), PACKAGE, &wanted), want) {
            (Ok(release), Ok(want)) => {
                assert_eq!(format!("{} {}", release.version, release.url), want);
            }
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{wanted}: {error}");
            }
            (got, want) => panic!("{wanted}: {got:?}, not {want:?}"),
        }
    }

    #[test]
    fn tags_and_versions() {
        check("latest", Ok("2.1.330 https://r.example/a.tgz"));
        check("2.1.330", Ok("2.1.330 https://r.example/a.tgz"));
        check("next", Ok("2.2.0-beta.1 https://cdn.example/b.tgz"));
        check(
            "stable",
            Err(
                "no dist-tag `stable` for @anthropic-ai/claude-code-linux-x64 (it has `latest`, `next`, `odd`)",
            ),
        );
        check("odd", Err("points at `soon`"));
        check("9.9.9", Err("no version 9.9.9"));
        check("2.0.0", Err("no integrity hash"));
        check("2.0.1", Err("no sha512"));
        check("2.0.2", Err("plain http"));
    }

    #[test]
    fn other_answers() {
        let latest = Wanted::parse("latest").unwrap();
        for (body, part) in [
            ("", "not what an npm registry sends"),
            ("<html>login</html>", "not what an npm registry sends"),
            ("{}", "not what an npm registry sends"),
            (r#"{"name":"left-pad","versions":{}}"#, "answered about `left-pad`"),
            (r#"{"name":"@anthropic-ai/claude-code-linux-x64","versions":{}}"#, "it has none"),
        ] {
            let error = pick(body.as_bytes(), PACKAGE, &latest).unwrap_err().to_string();
            assert!(error.contains(part), "{body}: {error}");
        }
    }

    #[test]
    fn the_scope_is_one_segment() {
        let platform = Platform { machine: Machine::X64, libc: Libc::Glibc };
        let registry = Url::parse("https://r.example/npm/").unwrap();
        let url = packument_url(&registry, &package_for(platform)).unwrap();
        assert_eq!(url.to_string(), "https://r.example/npm/@anthropic-ai%2fclaude-code-linux-x64");
    }
}
