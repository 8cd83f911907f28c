//! References to Features in registries, taken apart as the official CLI does it. Does no I/O.

use reqwest::Url;

use crate::feature::grammar;
use crate::feature::json::{Json, Object};

/// A reference and its parts. All of it is in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureRef {
    /// How the registry is spoken to: part of what graphs show, and nothing else.
    pub scheme: &'static str,
    /// The last part of the path.
    pub id: String,
    /// The first part of the path.
    pub owner: String,
    /// The path without the last part.
    pub namespace: String,
    /// The host and port.
    pub registry: String,
    /// Everything before the tag or digest.
    pub resource: String,
    /// The repository.
    pub path: String,
    /// The digest, else the tag.
    pub version: String,
    /// The tag: `latest` where neither a tag nor a digest is written.
    pub tag: Option<String>,
    /// The digest.
    pub digest: Option<String>,
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It has not the form of one.
    #[error(
        "{0}; write a Feature as in \"ghcr.io/owner/features/id:1\", with a tag or \"@sha256:…\" at its end"
    )]
    Form(&'static str),
    /// What stands before the first slash names no host.
    #[error("\"{0}\" cannot be the host of a registry; write one as in \"ghcr.io\" or \"localhost:5000\"")]
    Host(String),
}

impl FeatureRef {
    /// Takes a reference apart.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let text = text.to_lowercase();
        if text.starts_with('.') {
            return Err(ReferenceError::Form("a path on this machine is no reference to a registry"));
        }
        let (resource, tag, digest) = split_version(&text)?;
        let mut parts: Vec<&str> = resource.split('/').collect();
        // That collection moved, and the official CLI follows.
        if parts.get(1) == Some(&"devcontainers-contrib") {
            parts[1] = "devcontainers-extra";
        }
        let ([registry, middle @ .., id], Some(owner)) = (parts.as_slice(), parts.get(1)) else {
            return Err(ReferenceError::Form("the reference has no registry"));
        };
        let namespace = middle.join("/");
        let path = format!("{namespace}/{id}");
        if !grammar::is_repository_path(&path) {
            return Err(ReferenceError::Form(
                "the path of the reference is not two or more parts of letters and digits with single \".\", \"_\" or \"-\" between them",
            ));
        }
        let host = Url::parse(&format!("https://{registry}/")).ok();
        let Some(host) = host.as_ref().and_then(Url::host_str) else {
            return Err(ReferenceError::Host((*registry).to_owned()));
        };
        let named = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Ok(Self {
            scheme: if host == "localhost" { "http" } else { "https" },
            id: (*id).to_owned(),
            owner: (*owner).to_owned(),
            namespace,
            registry: (*registry).to_owned(),
            resource: resource.to_owned(),
            path,
            version: named(&digest).or_else(|| named(&tag)).unwrap_or_else(|| "latest".to_owned()),
            tag,
            digest,
        })
    }

    /// As the official CLI keeps it.
    pub fn to_json(&self) -> Json {
        let mut object = Object::default();
        for (name, value) in [
            ("scheme", Some(self.scheme)),
            ("id", Some(self.id.as_str())),
            ("owner", Some(&self.owner)),
            ("namespace", Some(&self.namespace)),
            ("registry", Some(&self.registry)),
            ("resource", Some(&self.resource)),
            ("path", Some(&self.path)),
            ("version", Some(&self.version)),
            ("tag", self.tag.as_deref()),
            ("digest", self.digest.as_deref()),
        ] {
            if let Some(value) = value {
                object.set(name, Json::String(value.to_owned()));
            }
        }
        Json::Object(object)
    }

    /// Registry and namespace: Features with the same have ids that can be compared.
    pub fn collection(&self) -> String {
        format!("{}/{}", self.registry, self.namespace)
    }
}

type Split<'a> = (&'a str, Option<String>, Option<String>);

/// The reference without its version, the tag and the digest.
fn split_version(text: &str) -> Result<Split<'_>, ReferenceError> {
    if let Some((resource, digest)) = text.rsplit_once('@') {
        let parts: Vec<&str> = digest.split(':').collect();
        if parts.len() != 2 || parts[0] != "sha256" {
            return Err(ReferenceError::Form("what follows the \"@\" is not a sha256 digest"));
        }
        return Ok((resource, None, Some(digest.to_owned())));
    }
    let (resource, tag) = match text.rsplit_once(':') {
        Some((resource, tag)) if !tag.contains('/') => (resource, tag),
        _ => (text, "latest"),
    };
    if !tag.is_empty() && !grammar::is_tag(tag) {
        return Err(ReferenceError::Form("what follows the last \":\" is not a tag"));
    }
    Ok((resource, Some(tag.to_owned()), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        for (text, resource, path, version, tag) in [
            ("ghcr.io/a/b/c", "ghcr.io/a/b/c", "a/b/c", "latest", Some("latest")),
            ("GHCR.io/A/b/c:1.2", "ghcr.io/a/b/c", "a/b/c", "1.2", Some("1.2")),
            ("localhost:5000/a/b", "localhost:5000/a/b", "a/b", "latest", Some("latest")),
            ("localhost:5000/a/b:", "localhost:5000/a/b", "a/b", "latest", Some("")),
            ("ghcr.io/a/b@sha256:12", "ghcr.io/a/b", "a/b", "sha256:12", None),
            (
                "ghcr.io/devcontainers-contrib/features/x:1",
                "ghcr.io/devcontainers-contrib/features/x",
                "devcontainers-extra/features/x",
                "1",
                Some("1"),
            ),
        ] {
            let reference = FeatureRef::parse(text).unwrap();
            assert_eq!(
                (
                    reference.resource.as_str(),
                    reference.path.as_str(),
                    reference.version.as_str(),
                    reference.tag.as_deref()
                ),
                (resource, path, version, tag),
                "{text}"
            );
        }
        let scheme = |text: &str| FeatureRef::parse(text).unwrap().scheme;
        assert_eq!((scheme("localhost:1/a/b"), scheme("127.0.0.1:1/a/b")), ("http", "https"));
    }

    #[test]
    fn what_is_no_reference() {
        for text in [
            "",
            "a",
            "a/b",
            "./a/b/c",
            "ghcr.io/a/b@1",
            "ghcr.io/a/b@sha512:12",
            "ghcr.io/a/b@sha256:1:2",
            "ghcr.io/a/b:1@sha256:12",
            "ghcr.io/a/b:-x",
            "ghcr.io/a/b c",
            "ghcr.io/a//b",
            "https://ghcr.io/a/b",
            "user:pass@ghcr.io/a/b",
        ] {
            assert!(matches!(FeatureRef::parse(text), Err(ReferenceError::Form(_))), "{text}");
        }
        for text in ["a b/c/d", "ghcr.io:99999/c/d"] {
            assert!(matches!(FeatureRef::parse(text), Err(ReferenceError::Host(_))), "{text}");
        }
    }
}
