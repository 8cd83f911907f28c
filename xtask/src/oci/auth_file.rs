//! The files in which Docker and podman keep credentials: one format, two habits of writing keys.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::credentials::Credentials;
use super::error::OciError;
use super::reference::{Registry, same_registry};
use super::secret::Secret;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A file that was read.
pub(super) struct AuthFile {
    path: PathBuf,
    content: Content,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content {
    auths: Option<BTreeMap<String, Option<Entry>>>,
    #[serde(rename = "credHelpers")]
    helpers: Option<BTreeMap<String, String>>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(rename = "identitytoken")]
    identity: Option<String>,
}

impl AuthFile {
    /// Reads a file; `None` where there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, OciError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => {
                return Err(OciError::Credentials(format!(
                    "credentials may be in {}, which cannot be read: {error}; correct it, or move it away",
                    path.display()
                )));
            }
        };
        let text = text.trim_start_matches('\u{feff}');
        let content =
            if text.trim().is_empty() { Ok(Content::default()) } else { serde_json::from_str(text) };
        // The reader's own words are not shown: they quote what stands there.
        let content = content.map_err(|error| {
            let what = if error.is_data() { "no file of credentials" } else { "not JSON" };
            OciError::Credentials(format!(
                "{} is {what}: line {}, column {}; correct it, or move it away",
                path.display(),
                error.line(),
                error.column()
            ))
        })?;
        Ok(Some(Self { path: path.to_owned(), content }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it says nothing about any registry.
    pub(super) fn is_empty(&self) -> bool {
        let Content { auths, helpers, .. } = &self.content;
        self.store().is_none()
            && auths.as_ref().is_none_or(BTreeMap::is_empty)
            && helpers.as_ref().is_none_or(BTreeMap::is_empty)
    }

    /// The helper for one registry.
    pub(super) fn helper_for(&self, registry: &Registry) -> Option<&str> {
        let mut helpers = self.content.helpers.iter().flatten();
        let helper = helpers.find(|(key, _)| place(key).is_some_and(|place| place.is_all_of(registry)));
        helper.map(|(_, name)| name.as_str())
    }

    /// The helper for every registry.
    pub(super) fn store(&self) -> Option<&str> {
        self.content.store.as_deref().filter(|name| !name.is_empty())
    }

    /// The entries for a registry, each with the path below it that it is for.
    pub(super) fn entries(&self, registry: &Registry) -> Result<Vec<(String, Credentials)>, OciError> {
        let mut found: Vec<(String, bool, Credentials)> = Vec::new();
        for (key, entry) in self.content.auths.iter().flatten() {
            let (Some(entry), Some(place)) = (entry, place(key)) else {
                continue;
            };
            if !same_registry(place.host, registry) {
                continue;
            }
            if let Some(credentials) = self.credentials(key, entry)? {
                found.push((place.path.to_lowercase(), place.scheme, credentials));
            }
        }
        // Of two keys for one place, the one without a scheme is the newer way to write it.
        found.sort_by_key(|(_, scheme, _)| *scheme);
        Ok(found.into_iter().map(|(path, _, credentials)| (path, credentials)).collect())
    }

    fn credentials(&self, key: &str, entry: &Entry) -> Result<Option<Credentials>, OciError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let from = format!("from {}", self.path.display());
        if let Some(token) = given(&entry.identity) {
            return Ok(Some(Credentials::Identity { token: Secret::new(token), from }));
        }
        if let Some(auth) = given(&entry.auth) {
            let pair = BASE64.decode(auth.trim()).ok().and_then(|pair| String::from_utf8(pair).ok());
            let pair = pair.as_deref().and_then(|pair| pair.split_once(':'));
            let (user, password) = pair.ok_or_else(|| {
                OciError::Credentials(format!(
                    "the \"auth\" of \"{key}\" in {} is not user:password in base64; log in again",
                    self.path.display()
                ))
            })?;
            // Docker pads short passwords with zeros.
            let password = Secret::new(password.trim_matches('\0'));
            return Ok(Some(Credentials::pair(user, &password, &from)));
        }
        Ok(match (given(&entry.username), &entry.password) {
            (Some(user), Some(password)) => {
                Some(Credentials::pair(&user, &Secret::new(password.as_str()), &from))
            }
            _ => None,
        })
    }
}

/// What a key stands for.
struct Place<'a> {
    host: &'a str,
    path: &'a str,
    scheme: bool,
}

impl Place<'_> {
    fn is_all_of(&self, registry: &Registry) -> bool {
        self.path.is_empty() && same_registry(self.host, registry)
    }
}

/// Reads a key. Docker writes `https://host/v1/`, whose path says nothing; podman writes
/// `host/path`, whose path is a namespace or a repository.
fn place(key: &str) -> Option<Place<'_>> {
    let bare = ["https://", "http://"].into_iter().find_map(|scheme| {
        let start = key.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then(|| &key[scheme.len()..])
    });
    let (host, path) = bare.unwrap_or(key).split_once('/').unwrap_or((bare.unwrap_or(key), ""));
    let path = if bare.is_some() { "" } else { path.trim_matches('/') };
    (!host.is_empty()).then_some(Place { host, path, scheme: bare.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<AuthFile>, OciError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        std::fs::write(&path, text).unwrap();
        AuthFile::read(&path)
    }

    #[test]
    fn keys_in_every_way_they_are_written() {
        for (key, registry, expected) in [
            ("ghcr.io", "ghcr.io", Some("")),
            ("GHCR.IO", "ghcr.io", Some("")),
            ("https://ghcr.io", "ghcr.io", Some("")),
            ("HTTPS://ghcr.io/", "ghcr.io", Some("")),
            ("https://ghcr.io/v1/", "ghcr.io", Some("")),
            ("https://ghcr.io/v2/some/path", "ghcr.io", Some("")),
            ("http://localhost:5000", "localhost:5000", Some("")),
            ("ghcr.io/", "ghcr.io", Some("")),
            ("ghcr.io/Owner", "ghcr.io", Some("owner")),
            ("ghcr.io/owner/repo/", "ghcr.io", Some("owner/repo")),
            ("https://index.docker.io/v1/", "docker.io", Some("")),
            ("registry-1.docker.io", "index.docker.io", Some("")),
            ("docker.io/library", "docker.io", Some("library")),
            ("ghcr.io.evil.example", "ghcr.io", None),
            ("localhost:5001", "localhost:5000", None),
            ("localhost", "localhost:5000", None),
            ("", "ghcr.io", None),
            ("https://", "ghcr.io", None),
        ] {
            let text = format!(r#"{{"auths":{{"{key}":{{"auth":"eDp5"}}}}}}"#);
            let found = read(&text).unwrap().unwrap().entries(&Registry::parse(registry).unwrap()).unwrap();
            let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
            assert_eq!(paths, expected.into_iter().collect::<Vec<_>>(), "{key} for {registry}");
        }
    }

    #[test]
    fn entries_in_every_way_they_are_written() {
        let basic = |encoded: &str| format!("Basic {encoded}");
        for (entry, expected) in [
            (r#"{"auth":"eDp5"}"#, Some(basic("eDp5"))),
            (r#"{"auth":"eDp5OnoK"}"#, Some(basic("eDp5OnoK"))),
            // "x:y" with two zeros of padding, and base64 without its own.
            (r#"{"auth":"eDp5AAA="}"#, Some(basic("eDp5"))),
            (r#"{"auth":"eDp5eg"}"#, Some(basic("eDp5eg=="))),
            (r#"{"username":"x","password":"y"}"#, Some(basic("eDp5"))),
            (r#"{"username":"x","password":"y","auth":""}"#, Some(basic("eDp5"))),
            (r#"{"username":"<token>","password":"i"}"#, Some("Identity i".to_owned())),
            // "<token>:i"
            (r#"{"auth":"PHRva2VuPjpp"}"#, Some("Identity i".to_owned())),
            (r#"{"auth":"eDp5","identitytoken":"i"}"#, Some("Identity i".to_owned())),
            (r#"{"username":"x"}"#, None),
            ("{}", None),
            ("null", None),
            (r#"{"email":"a@example.com"}"#, None),
        ] {
            let file = read(&format!(r#"{{"auths":{{"h.example":{entry}}}}}"#)).unwrap().unwrap();
            let found = file.entries(&Registry::parse("h.example").unwrap()).unwrap();
            let found = found.first().map(|(_, credentials)| match credentials {
                Credentials::Basic { encoded, .. } => format!("Basic {}", encoded.expose()),
                Credentials::Identity { token, .. } => format!("Identity {}", token.expose()),
                Credentials::Anonymous => "nothing".to_owned(),
            });
            assert_eq!(found, expected, "{entry}");
        }
    }

    #[test]
    fn the_plain_key_comes_first() {
        let text = r#"{"auths":{"https://h.example":{"auth":"bzpsZA=="},"h.example":{"auth":"bjp3"}}}"#;
        let found = read(text).unwrap().unwrap().entries(&Registry::parse("h.example").unwrap()).unwrap();
        assert!(matches!(&found[0].1, Credentials::Basic { encoded, .. } if encoded.expose() == "bjp3"));
    }

    #[test]
    fn broken_files_are_one_sentence_that_quotes_nothing() {
        for (text, expected) in [
            ("{", "not JSON: line 1, column 1"),
            ("{\"auths\":\n \"t0ps3cret\"}", "no file of credentials: line 2, column 12"),
            (r#"{"auths":{"h.example":"t0ps3cret"}}"#, "no file of credentials: line 1"),
            (r#"{"credHelpers":["t0ps3cret"]}"#, "no file of credentials: line 1"),
        ] {
            let error = read(text).err().unwrap().to_string();
            assert!(error.contains(expected) && !error.contains("t0ps3cret"), "{error}");
        }
        for auth in ["t0ps3cret", "dDBwczNjcmV0", "/////"] {
            let file = read(&format!(r#"{{"auths":{{"h.example":{{"auth":"{auth}"}}}}}}"#)).unwrap().unwrap();
            let error = file.entries(&Registry::parse("h.example").unwrap()).unwrap_err().to_string();
            assert!(error.contains("the \"auth\" of \"h.example\"") && !error.contains(auth), "{error}");
            // Another registry's entry is none of our business.
            assert_eq!(file.entries(&Registry::parse("other.example").unwrap()).unwrap(), []);
        }
        for text in ["", " \n", "{}", "\u{feff}{}", r#"{"auths":null}"#, r#"{"psFormat":"x"}"#] {
            assert!(read(text).unwrap().unwrap().is_empty(), "{text}");
        }
    }
}
