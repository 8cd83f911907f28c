//! Where a Feature comes from. Does no I/O.

use std::path::{Component, Path, PathBuf};

use crate::feature::json::{Json, Object};

use super::reference::FeatureRef;

/// The collection that the bare names of old configurations mean.
const OFFICIAL: &str = "ghcr.io/devcontainers/features";

/// Bare names that are still understood, each with the Feature that it means today.
const BARE_NAMES: [(&str, &str); 20] = [
    ("aws-cli", "aws-cli"),
    ("azure-cli", "azure-cli"),
    ("common", "common-utils"),
    ("desktop-lite", "desktop-lite"),
    ("docker-from-docker", "docker-from-docker"),
    ("docker-in-docker", "docker-in-docker"),
    ("dotnet", "dotnet"),
    ("git", "git"),
    ("git-lfs", "git-lfs"),
    ("github-cli", "github-cli"),
    ("golang", "go"),
    ("java", "java"),
    ("kubectl-helm-minikube", "kubectl-helm-minikube"),
    ("node", "node"),
    ("powershell", "powershell"),
    ("python", "python"),
    ("ruby", "ruby"),
    ("rust", "rust"),
    ("sshd", "sshd"),
    ("terraform", "terraform"),
];

/// The source of a Feature.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A registry.
    Registry {
        /// The reference.
        reference: Box<FeatureRef>,
        /// What is published there; nothing where a soft dependency is known by its name only.
        published: Option<Published>,
    },
    /// A folder of the workspace, by its absolute path.
    Folder(String),
    /// An archive, by its address.
    Archive(String),
    /// A release on GitHub, as Features were published before registries held them.
    Release {
        /// The owner of the repository.
        owner: String,
        /// The repository.
        repository: String,
        /// The tag, unless it is the latest release.
        tag: Option<String>,
    },
}

/// A published manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// The manifest.
    pub manifest: Json,
    /// Its digest.
    pub digest: String,
}

/// The reference that a bare name stands for, or the text itself.
pub fn expand(written: &str) -> String {
    match BARE_NAMES.iter().find(|(name, _)| *name == written) {
        Some((_, id)) => format!("{OFFICIAL}/{id}:1"),
        None => written.to_owned(),
    }
}

/// A reference without its tag or digest.
pub fn without_version(written: &str) -> &str {
    let start = written.rfind('/').map_or(0, |slash| slash + 1);
    // The official CLI looks for the first mark that has no slash behind it.
    written[start..].find([':', '@']).map_or(written, |mark| &written[..start + mark])
}

/// A reference in a message: an address may hold a password or a signature.
pub fn shown(written: &str) -> String {
    let Some(mut address) = reqwest::Url::parse(written).ok().filter(|url| url.scheme() == "https") else {
        return written.to_owned();
    };
    address.set_query(None);
    address.set_fragment(None);
    // An address with a host takes both.
    let _ = address.set_username("");
    let _ = address.set_password(None);
    address.to_string()
}

/// Whether a reference means a folder of the workspace.
pub fn is_path(written: &str) -> bool {
    ["./", "../", "/"].iter().any(|start| written.starts_with(start))
}

/// The folder that a relative path in a configuration file means, which must lie below `.devcontainer`.
pub fn folder(written: &str, config: &Path, workspace: &Path) -> Result<String, &'static str> {
    if written.starts_with('/') {
        return Err("the path of a local Feature must be relative to devcontainer.json");
    }
    let base = config.parent().unwrap_or(workspace);
    let mut folder = normalize(&base.join(written)).to_string_lossy().into_owned();
    let allowed = normalize(&workspace.join(".devcontainer"));
    // As the official CLI does it: two dots anywhere in what is left are too many.
    match Path::new(&folder).strip_prefix(&allowed) {
        Ok(rest) if !rest.to_string_lossy().contains("..") => {}
        _ => return Err("a local Feature must lie in the folder .devcontainer of the workspace"),
    }
    if written.ends_with('/') {
        folder.push('/');
    }
    Ok(folder)
}

/// A path without `.` and `..`, whatever is there.
pub fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

/// `owner/repository/id`, with `@tag` or without.
pub fn release(written: &str) -> Option<(Source, String)> {
    let mut parts = written.split('@');
    let (name, tag) = (parts.next()?, parts.next());
    let [owner, repository, id] = name.split('/').collect::<Vec<_>>()[..] else {
        return None;
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    // What has a host's name in front is meant for a registry, and a slip there is no release.
    let host = owner.contains(['.', ':']) || owner == "localhost";
    if parts.next().is_some()
        || host
        || owner.is_empty()
        || repository.is_empty()
        || id.is_empty()
        || !id.chars().all(word)
    {
        return None;
    }
    let tag = tag.filter(|tag| *tag != "latest").map(str::to_owned);
    let source = Source::Release { owner: owner.to_owned(), repository: repository.to_owned(), tag };
    Some((source, id.to_owned()))
}

/// The id in an archive's address, which is named `devcontainer-feature-<id>.tgz`.
pub fn archive_id(address: &reqwest::Url) -> Option<&str> {
    let file = address.path().rsplit('/').next()?;
    let (_, rest) = file.split_once("devcontainer-feature-")?;
    let id = &rest[..rest.rfind(".tgz")?];
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!id.is_empty() && id.chars().all(word)).then_some(id)
}

impl Source {
    /// As the official CLI keeps it; `written` is what the user wrote.
    pub fn to_json(&self, written: &str) -> Json {
        let mut object = Object::default();
        let mut set = |name: &str, value: &str| object.set(name, Json::String(value.to_owned()));
        match self {
            Self::Registry { reference, published } => {
                set("type", "oci");
                if let Some(Published { manifest, digest }) = published {
                    object.set("manifest", manifest.clone());
                    object.set("manifestDigest", Json::String(digest.clone()));
                }
                object.set("featureRef", reference.to_json());
            }
            Self::Folder(path) => {
                set("type", "file-path");
                set("resolvedFilePath", path);
            }
            Self::Archive(address) => {
                set("type", "direct-tarball");
                set("tarballUri", address);
            }
            Self::Release { owner, repository, tag } => {
                let (api, download) = match tag {
                    None => ("latest".to_owned(), "latest/download".to_owned()),
                    Some(tag) => (format!("tags/{tag}"), format!("download/{tag}")),
                };
                set("type", "github-repo");
                set("apiUri", &format!("https://api.github.com/repos/{owner}/{repository}/releases/{api}"));
                set(
                    "unauthenticatedUri",
                    &format!("https://github.com/{owner}/{repository}/releases/{download}"),
                );
                set("owner", owner);
                set("repo", repository);
                if let Some(tag) = tag {
                    set("tag", tag);
                }
                object.set("isLatest", Json::Bool(tag.is_none()));
            }
        }
        object.set("userFeatureId", Json::String(written.to_owned()));
        let plain = match self {
            Self::Registry { .. } => Some(without_version(written)),
            Self::Release { .. } => written.split('@').next(),
            Self::Folder(_) | Self::Archive(_) => None,
        };
        if let Some(plain) = plain {
            object.set("userFeatureIdWithoutVersion", Json::String(plain.to_owned()));
        }
        Json::Object(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_cut_off() {
        for (written, expected) in [
            ("ghcr.io/a/b/c:1", "ghcr.io/a/b/c"),
            ("localhost:5000/a/b", "localhost:5000/a/b"),
            ("localhost:5000/a/b@sha256:12", "localhost:5000/a/b"),
            ("a", "a"),
        ] {
            assert_eq!(without_version(written), expected, "{written}");
        }
    }

    #[test]
    fn folders_lie_below_devcontainer() {
        let workspace = Path::new("/w");
        let nested = Path::new("/w/.devcontainer/devcontainer.json");
        for (written, config, expected) in [
            ("./a", nested, Some("/w/.devcontainer/a")),
            ("./a/../b/", nested, Some("/w/.devcontainer/b/")),
            ("./.devcontainer/a", Path::new("/w/.devcontainer.json"), Some("/w/.devcontainer/a")),
            ("./a", Path::new("/w/.devcontainer.json"), None),
            ("../a", nested, None),
            ("./a..b", nested, None),
            ("/w/.devcontainer/a", nested, None),
        ] {
            assert_eq!(folder(written, config, workspace).ok().as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn releases_are_three_plain_parts() {
        for (written, tag) in [("a/b/c", None), ("a/b/c@v1", Some("v1")), ("a/b/c@latest", None)] {
            let (source, id) = release(written).unwrap();
            assert!(matches!(source, Source::Release { tag: found, .. } if found.as_deref() == tag));
            assert_eq!(id, "c");
        }
        for written in ["a/b", "a/b/c/d", "ghcr.io/b/c", "localhost:1/b/c", "a/b/c@1@2", "a//c", "a/b/c:1"] {
            assert!(release(written).is_none(), "{written}");
        }
    }

    #[test]
    fn bare_names_and_archives() {
        assert_eq!(expand("golang"), "ghcr.io/devcontainers/features/go:1");
        assert_eq!(expand("common-utils"), "common-utils");
        let id = |address: &str| archive_id(&reqwest::Url::parse(address).unwrap()).map(str::to_owned);
        assert_eq!(id("https://a/x/devcontainer-feature-go.tgz").as_deref(), Some("go"));
        assert_eq!(id("https://a/devcontainer-feature-.tgz"), None);
        assert_eq!(id("https://a/go.tgz"), None);
        assert_eq!(shown("https://u:p@a/x.tgz?sig=secret#x"), "https://a/x.tgz");
        assert_eq!(shown("localhost:5000/a/b:1"), "localhost:5000/a/b:1");
    }
}
