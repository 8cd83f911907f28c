//! What the release host of Claude Code's maker answers: a version for a word, and a manifest for a version.
//!
//! A program from here is checked against the sha256 in the manifest, and the manifest against a detached
//! signature by a key whose fingerprint is known beforehand. Which version a word stands for is not signed: a
//! host gone bad can offer an old release for a new one, but none that its maker did not make.

use std::collections::BTreeMap;

use semver::Version;
use serde::Deserialize;

use super::integrity::{Integrity, IntegrityError};
use super::openpgp::Refusal;
use super::platform::Platform;
use super::source::{Kind, Release, Signature};
use super::url::{Url, UrlError};
use super::wanted::Wanted;

/// Below which address the releases lie.
pub const BASE: &str = "https://downloads.claude.ai/claude-code-releases";

/// The fingerprint of the key that the maker signs manifests with.
pub const KEY: &str = "31DDDE24DDFAB679F42D7BD2BAA929FF1A7ECACE";

/// Where the host has that key.
const KEY_PATH: &str = "/keys/claude-code.asc";

/// The first release with a signed manifest.
const FIRST_SIGNED: Version = Version::new(2, 1, 89);

/// The words that the host has a version for.
const CHANNELS: [&str; 2] = ["latest", "stable"];

/// Why no release can be taken from the host's answers.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseHostError {
    /// A word that only a registry may know.
    #[error(
        "the option `version` is `{0}`, and Claude Code's release host knows only `latest`, `stable` and full versions; set one of those, or the option `npmRegistry` to a registry with such a dist-tag"
    )]
    NoChannel(String),
    /// No such version.
    #[error("Claude Code's release host has no version {0}; set the option `version` to a published one")]
    NoVersion(Version),
    /// Something other than a version behind a word.
    #[error("{url} answered {found:?}, which is not a version; check the network of the build")]
    NotAVersion {
        /// What was asked for.
        url: Url,
        /// The answer.
        found: String,
    },
    /// Not a manifest.
    #[error(
        "the manifest of Claude Code {version} is not what the release host sends: {source}; check the network of the build"
    )]
    NotAManifest {
        /// The version asked about.
        version: Version,
        /// What the parser met.
        source: serde_json::Error,
    },
    /// A manifest of another release.
    #[error(
        "the release host was asked about Claude Code {version} and answered about {found:?}; try again or set the option `version` to another one"
    )]
    OtherVersion {
        /// The version asked about.
        version: Version,
        /// The version in the answer.
        found: String,
    },
    /// A release without a program for this platform.
    #[error("Claude Code {version} is not published for {platform}; set the option `version` to another one")]
    NoPlatform {
        /// The version.
        version: Version,
        /// The platform.
        platform: Platform,
    },
    /// A hash that proves nothing.
    #[error(
        "the manifest of Claude Code {version} is of no use for {platform}: {source}; nothing unverified is installed"
    )]
    Integrity {
        /// The version.
        version: Version,
        /// The platform.
        platform: Platform,
        /// What is wrong with the hash.
        source: IntegrityError,
    },
    /// A key or a signature that is not what it must be.
    #[error(
        "the manifest of Claude Code {version} cannot be trusted: {source}; nothing was installed, try again or another source in the option `npmRegistry`"
    )]
    Signature {
        /// The version.
        version: Version,
        /// What is wrong.
        source: Refusal,
    },
    /// No signature where there is one for every release.
    #[error(
        "the release host has no signature for the manifest of Claude Code {0}, and every release since {FIRST_SIGNED} has one; nothing unverified is installed"
    )]
    NotSigned(Version),
    /// A release without a signature that nobody asked for by its number.
    #[error(
        "the release host says that Claude Code {version} is `{word}`, and releases before {FIRST_SIGNED} are not signed; set the option `version` to {version} if that is what you want"
    )]
    NotSignedByWord {
        /// What was asked for.
        word: String,
        /// What was answered.
        version: Version,
    },
    /// An address that cannot be made from the host's.
    #[error("the release host has an unusable address: {0}")]
    Address(#[from] UrlError),
}

#[derive(Deserialize)]
struct Manifest {
    version: String,
    platforms: BTreeMap<String, Program>,
}

#[derive(Deserialize)]
struct Program {
    checksum: String,
    size: Option<u64>,
}

/// Where the host tells which version `word` stands for.
pub fn channel_url(base: &Url, word: &str) -> Result<Url, ReleaseHostError> {
    if CHANNELS.contains(&word) {
        Ok(base.join(word)?)
    } else {
        Err(ReleaseHostError::NoChannel(word.to_owned()))
    }
}

/// Reads the answer from there, a version on a line of its own.
pub fn read_version(answer: &[u8], url: &Url) -> Result<Version, ReleaseHostError> {
    let text = String::from_utf8_lossy(answer);
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    Version::parse(line)
        .map_err(|_| ReleaseHostError::NotAVersion { url: url.clone(), found: line.to_owned() })
}

/// Where the manifest of `version` lies.
pub fn manifest_url(base: &Url, version: &Version) -> Result<Url, ReleaseHostError> {
    Ok(base.join(&format!("{version}/manifest.json"))?)
}

/// Where the signature of that manifest lies.
pub fn signature_url(base: &Url, version: &Version) -> Result<Url, ReleaseHostError> {
    Ok(base.join(&format!("{version}/manifest.json.sig"))?)
}

/// Where the host at `base` has the key that signs.
pub fn key_url(base: &Url) -> Result<Url, ReleaseHostError> {
    Ok(base.root()?.join(KEY_PATH)?)
}

/// Decides what it means that there is no signature for `version`, which was asked for as `wanted`.
pub fn without_signature(wanted: &Wanted, version: &Version) -> Result<(), ReleaseHostError> {
    match wanted {
        _ if *version >= FIRST_SIGNED => Err(ReleaseHostError::NotSigned(version.clone())),
        // Else a host gone bad would need no signature at all.
        Wanted::Tag(word) => {
            Err(ReleaseHostError::NotSignedByWord { word: word.clone(), version: version.clone() })
        }
        Wanted::Exact(_) => Ok(()),
    }
}

/// Picks the program for `platform` out of the manifest of `version`.
pub fn pick(
    manifest: &[u8],
    base: &Url,
    version: &Version,
    platform: Platform,
    signature: Signature,
) -> Result<Release, ReleaseHostError> {
    let version = version.clone();
    let manifest: Manifest = match serde_json::from_slice(manifest) {
        Ok(manifest) => manifest,
        Err(source) => return Err(ReleaseHostError::NotAManifest { version, source }),
    };
    if manifest.version != version.to_string() {
        return Err(ReleaseHostError::OtherVersion { version, found: manifest.version });
    }
    let Some(program) = manifest.platforms.get(&platform.to_string()) else {
        return Err(ReleaseHostError::NoPlatform { version, platform });
    };
    let integrity = match Integrity::from_sha256_hex(&program.checksum) {
        Ok(integrity) => integrity,
        Err(source) => return Err(ReleaseHostError::Integrity { version, platform, source }),
    };
    let url = base.join(&format!("{version}/{platform}/claude"))?;
    Ok(Release {
        package: None,
        version,
        url,
        integrity,
        size: program.size,
        kind: Kind::Plain,
        signature: Some(signature),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::platform::{Libc, Machine};

    const MUSL: Platform = Platform { machine: Machine::Arm64, libc: Libc::Musl };

    fn base() -> Url {
        Url::parse("https://h.example/releases/").unwrap()
    }

    #[test]
    fn two_words() {
        for word in ["latest", "stable"] {
            let url = channel_url(&base(), word).unwrap();
            assert_eq!(url.to_string(), format!("https://h.example/releases/{word}"));
        }
        for word in ["next", "Latest", "latest2", ""] {
            let error = channel_url(&base(), word).unwrap_err().to_string();
            assert!(error.contains(&format!("`version` is `{word}`")), "{error}");
        }
    }

    #[test]
    fn a_version_on_a_line() {
        for text in ["2.1.330", "2.1.330\n", "2.1.330\r\n"] {
            assert_eq!(read_version(text.as_bytes(), &base()).unwrap(), Version::new(2, 1, 330));
        }
        for (text, shown) in [
            ("", r#""""#),
            ("2.1", r#""2.1""#),
            ("v2.1.330", r#""v2.1.330""#),
            (" 2.1.330", r#"" 2.1.330""#),
            ("2.1.330\n\n", r#""2.1.330\n""#),
            ("2.1.330/../x", r#""2.1.330/../x""#),
            ("<html>\x1b[31m", r#""<html>\u{1b}[31m""#),
        ] {
            let error = read_version(text.as_bytes(), &base()).unwrap_err().to_string();
            assert!(error.contains(&format!("answered {shown}, which")), "{error}");
        }
        assert!(read_version(b"2.1.330\xff", &base()).is_err());
    }

    fn picked(manifest: &str) -> Result<Release, String> {
        let version = Version::new(2, 1, 330);
        pick(manifest.as_bytes(), &base(), &version, MUSL, Signature::None).map_err(|error| error.to_string())
    }

    #[test]
    fn a_manifest() {
        let checksum = "0f".repeat(32);
        let with = |rest: &str| {
            format!(
                r#"{{"version":"2.1.330","buildDate":"x","platforms":{{
                    "linux-x64":{{"checksum":"x"}},"linux-arm64-musl":{{"checksum":"{checksum}"{rest}}}}}}}"#
            )
        };
        for (rest, size) in
            [("", None), (r#","size":null"#, None), (r#","binary":"claude","size":7"#, Some(7))]
        {
            let release = picked(&with(rest)).unwrap();
            assert_eq!(release.size, size);
            assert_eq!(release.integrity.to_string(), format!("sha256:{checksum}"));
            let url = "https://h.example/releases/2.1.330/linux-arm64-musl/claude";
            assert_eq!(release.url.to_string(), url);
            assert_eq!((release.kind, release.package), (Kind::Plain, None));
        }
        let version = Version::new(2, 1, 330);
        let url = manifest_url(&base(), &version).unwrap().to_string();
        assert_eq!(url, "https://h.example/releases/2.1.330/manifest.json");
        assert_eq!(signature_url(&base(), &version).unwrap().to_string(), url + ".sig");
        assert_eq!(key_url(&base()).unwrap().to_string(), "https://h.example/keys/claude-code.asc");
    }

    #[test]
    fn which_releases_need_no_signature() {
        for (wanted, version, part) in [
            ("2.1.88", "2.1.88", None),
            ("2.0.0", "2.0.0", None),
            ("2.1.89", "2.1.89", Some("every release since 2.1.89")),
            ("2.1.330", "2.1.330", Some("every release since 2.1.89")),
            ("latest", "2.1.330", Some("every release since 2.1.89")),
            ("latest", "2.1.88", Some("says that Claude Code 2.1.88 is `latest`")),
            ("stable", "1.0.0", Some("says that Claude Code 1.0.0 is `stable`")),
        ] {
            let wanted = Wanted::parse(wanted).unwrap();
            let got = without_signature(&wanted, &Version::parse(version).unwrap());
            let error = got.map_err(|error| error.to_string()).err().unwrap_or_default();
            assert!(part.map_or(error.is_empty(), |part| error.contains(part)), "{version}: {error}");
        }
    }

    #[test]
    fn other_answers() {
        for (manifest, part) in [
            ("", "not what the release host sends"),
            ("<html>login</html>", "not what the release host sends"),
            ("{}", "not what the release host sends"),
            (r#"{"version":"2.1.330"}"#, "not what the release host sends"),
            (
                r#"{"version":"2.1.330","platforms":{"linux-arm64-musl":{"checksum":"x","size":-1}}}"#,
                "not what the release host sends",
            ),
            (r#"{"version":"2.1.331","platforms":{}}"#, r#"answered about "2.1.331""#),
            (r#"{"version":"2.1.330 ","platforms":{}}"#, r#"answered about "2.1.330 ""#),
            (
                r#"{"version":"2.1.330","platforms":{"linux-arm64":{"checksum":"x"}}}"#,
                "not published for linux-arm64-musl",
            ),
            (
                r#"{"version":"2.1.330","platforms":{"linux-arm64-musl":{"checksum":"x"}}}"#,
                "`x` is not a sha256 hash",
            ),
        ] {
            let error = picked(manifest).unwrap_err();
            assert!(error.contains(part), "{manifest}: {error}");
        }
    }
}
