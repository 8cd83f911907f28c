//! The image manifest of a Feature, a Template or a collection, byte for byte as the official CLI writes it.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use crate::feature::kind;
use crate::payload::Payload;

/// The media type of the manifest itself.
pub const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of the config, by which consumers know what it is.
pub const CONFIG_MEDIA_TYPE: &str = "application/vnd.devcontainers";
/// The config: some registries refuse an empty blob.
pub const CONFIG: &[u8] = b"{}";

const METADATA: &str = "dev.containers.metadata";
const PACKAGE_TYPE: &str = "com.github.package.type";
const TITLE: &str = "org.opencontainers.image.title";

/// What a manifest is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A Feature with its metadata annotation.
    Feature {
        /// `JSON.stringify` of its metadata.
        metadata: &'a str,
    },
    /// A Template with its metadata annotation.
    Template {
        /// `JSON.stringify` of its metadata.
        metadata: &'a str,
    },
    /// A collection file.
    Collection,
}

impl<'a> Kind<'a> {
    /// The kind of manifest for a kind of thing and its metadata.
    pub const fn of(kind: kind::Kind, metadata: &'a str) -> Self {
        match kind {
            kind::Kind::Feature => Self::Feature { metadata },
            kind::Kind::Template => Self::Template { metadata },
        }
    }

    const fn layer_media_type(self) -> &'static str {
        match self {
            Self::Feature { .. } | Self::Template { .. } => "application/vnd.devcontainers.layer.v1+tar",
            Self::Collection => "application/vnd.devcontainers.collection.layer.v1+json",
        }
    }

    const fn package_type(self) -> &'static str {
        match self {
            Self::Feature { .. } => "devcontainer_feature",
            Self::Template { .. } => "devcontainer_template",
            Self::Collection => "devcontainer_collection",
        }
    }
}

// The order of the fields is the order of the bytes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: Descriptor<'a>,
    layers: [Descriptor<'a>; 1],
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    annotations: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'a str,
    digest: &'a str,
    size: u64,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    annotations: serde_json::Map<String, serde_json::Value>,
}

/// Writes a manifest. `on_github` adds the annotation by which GitHub names the package's type.
pub fn render(kind: Kind<'_>, title: &str, layer: &Payload, on_github: bool) -> Vec<u8> {
    render_named(kind, title, layer.digest(), layer.len(), on_github)
}

/// The same for a layer by its digest and size.
fn render_named(kind: Kind<'_>, title: &str, layer: &Digest, size: u64, on_github: bool) -> Vec<u8> {
    let config_digest = Digest::of(CONFIG);
    let text = |value: &str| serde_json::Value::String(value.to_owned());
    let mut layer_annotations = serde_json::Map::new();
    layer_annotations.insert(TITLE.to_owned(), text(title));
    let mut annotations = serde_json::Map::new();
    if let Kind::Feature { metadata } | Kind::Template { metadata } = kind {
        annotations.insert(METADATA.to_owned(), text(metadata));
    }
    if on_github {
        annotations.insert(PACKAGE_TYPE.to_owned(), text(kind.package_type()));
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: MEDIA_TYPE,
        config: Descriptor {
            media_type: CONFIG_MEDIA_TYPE,
            digest: config_digest.as_str(),
            size: CONFIG.len() as u64,
            annotations: serde_json::Map::new(),
        },
        layers: [Descriptor {
            media_type: kind.layer_media_type(),
            digest: layer.as_str(),
            size,
            annotations: layer_annotations,
        }],
        annotations,
    };
    serde_json::to_vec(&manifest).unwrap_or_else(|_| unreachable!("strings and numbers always serialise"))
}

/// What a consumer needs of a manifest that somebody published.
#[derive(Debug, Clone, Deserialize)]
pub struct Published {
    /// The layers in order.
    #[serde(default)]
    pub layers: Vec<PublishedLayer>,
    /// What is said about it.
    #[serde(default)]
    annotations: serde_json::Value,
}

impl Published {
    /// The metadata that it carries, as text.
    pub fn metadata(&self) -> Option<&str> {
        self.annotations.get(METADATA)?.as_str()
    }

    /// The version in its metadata, if it says so.
    pub fn version(&self) -> Option<semver::Version> {
        let metadata = self.metadata()?;
        let metadata: serde_json::Value = serde_json::from_str(metadata).ok()?;
        semver::Version::parse(metadata.get("version")?.as_str()?).ok()
    }
}

/// A layer of a published manifest.
#[derive(Debug, Clone, Deserialize)]
pub struct PublishedLayer {
    /// The digest as written, not yet checked.
    pub digest: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ghcr.io/codspace/non-empty-config-layer/color`, as the official CLI published it.
    #[test]
    fn a_published_manifest_is_reproduced_byte_for_byte() {
        let metadata = concat!(
            r#"{"id":"color","version":"1.0.0","name":"A feature to remind you of your favorite color","#,
            r#""options":{"favorite":{"type":"string","enum":["red","gold","green"],"default":"red","#,
            r#""description":"Choose your favorite color."}}}"#,
        );
        let layer = "sha256:0bb92d2da46d760c599d0a41ed88d52521209408b529761417090b62ee16dfd1";
        let manifest = render_named(
            Kind::Feature { metadata },
            "devcontainer-feature-color.tgz",
            &layer.parse().unwrap(),
            3584,
            true,
        );
        assert_eq!(
            Digest::of(&manifest).as_str(),
            "sha256:dd328c25cc7382aaf4e9ee10104425d9a2561b47fe238407f6c0f77b3f8409fc"
        );
    }

    #[test]
    fn what_github_calls_each() {
        for (kind, expected) in [
            (Kind::of(kind::Kind::Feature, "{}"), "devcontainer_feature"),
            (Kind::of(kind::Kind::Template, "{}"), "devcontainer_template"),
            (Kind::Collection, "devcontainer_collection"),
        ] {
            let manifest: serde_json::Value =
                serde_json::from_slice(&render(kind, "t", &Payload::from(bytes::Bytes::new()), true))
                    .unwrap();
            assert_eq!(manifest["annotations"][PACKAGE_TYPE], expected);
            assert_eq!(manifest["annotations"].get(METADATA).is_some(), kind != Kind::Collection);
        }
    }

    #[test]
    fn a_collection_off_github_has_no_annotations() {
        let manifest = render(
            Kind::Collection,
            "devcontainer-collection.json",
            &Payload::from(bytes::Bytes::from_static(b"{}")),
            false,
        );
        assert_eq!(
            String::from_utf8(manifest).unwrap(),
            concat!(
                r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                r#""config":{"mediaType":"application/vnd.devcontainers","#,
                r#""digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"#,
                r#""layers":[{"mediaType":"application/vnd.devcontainers.collection.layer.v1+json","#,
                r#""digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"#,
                r#""annotations":{"org.opencontainers.image.title":"devcontainer-collection.json"}}]}"#,
            )
        );
    }
}
