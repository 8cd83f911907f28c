//! The manifest of a Feature in a registry, and the metadata that it carries or leads to.

use std::io::Read as _;

use crate::feature::json::{self, Json, Object};
use crate::feature::kind::Kind;
use crate::oci::blob;
use crate::oci::digest::Digest;
use crate::oci::error::OciError;
use crate::oci::manifest::CONFIG_MEDIA_TYPE;
use crate::oci::manifests;
use crate::oci::reference::Repository;
use crate::oci::transport::Client;

use super::reference::FeatureRef;
use super::source::Published;

const METADATA: &str = "dev.containers.metadata";
/// A larger archive is not read, neither for the metadata that its manifest should hold nor from behind an address.
pub(super) const MAX_LAYER: usize = 512 << 20;
const MAX_METADATA: u64 = 4 << 20;

/// What is under a reference.
#[derive(Debug)]
pub enum Lookup {
    /// A Feature.
    Found(Published),
    /// None, and why not.
    Missing(String),
}

/// Whether a text before the first slash means a registry, and not an owner on GitHub.
pub fn names_a_registry(registry: &str) -> bool {
    registry.contains('.') || registry.starts_with("localhost")
}

/// Reads a manifest by the digest that a lockfile holds, or by what the reference says.
///
/// A registry that cannot be reached, or that holds other bytes than were asked for, is an error;
/// whatever else it answers only says that there is no Feature.
pub async fn read(client: &Client, reference: &FeatureRef, locked: Option<&str>) -> Result<Lookup, OciError> {
    let repository = Repository::parse(&reference.path)?;
    let wanted: Option<Digest> = match locked.or(reference.digest.as_deref()).map(str::parse) {
        None => None,
        Some(Ok(digest)) => Some(digest),
        Some(Err(_)) => {
            return Ok(Lookup::Missing("what it asks for is no sha256 digest".to_owned()));
        }
    };
    let version = wanted.as_ref().map_or(reference.version.as_str(), Digest::as_str);
    let found = match manifests::read(client, &repository, version).await {
        Ok(found) => found,
        Err(error @ OciError::Unreachable { .. }) => return Err(error),
        Err(error) => return Ok(Lookup::Missing(error.to_string())),
    };
    let registry = client.registry();
    let Some(found) = found else {
        let repository = repository.as_str();
        return Ok(Lookup::Missing(format!("the registry {registry} has no {version} in {repository}")));
    };
    if let Some(wanted) = wanted.clone().filter(|wanted| *wanted != found.digest) {
        let what = format!("the manifest of {}", reference.resource);
        return Err(OciError::Mismatch { what, wanted, found: found.digest.to_string() });
    }
    let at = format!("{registry}/{repository}");
    let manifest = match strict(&found.bytes) {
        Ok(manifest) => manifest,
        Err(why) => return Ok(Lookup::Missing(format!("the manifest {version} of {at} is no JSON: {why}"))),
    };
    let media_type = property(&manifest, "config").and_then(|config| property(config, "mediaType"));
    if media_type.and_then(Json::as_str) != Some(CONFIG_MEDIA_TYPE) {
        return Ok(Lookup::Missing(format!(
            "{version} of {at} is no Feature: the type of its config is not {CONFIG_MEDIA_TYPE}"
        )));
    }
    Ok(Lookup::Found(Published { manifest, digest: found.digest.to_string() }))
}

/// The metadata of a published Feature: from the manifest's annotation, else out of the archive.
pub async fn metadata(
    client: &Client,
    reference: &FeatureRef,
    published: &Published,
) -> Result<Option<Object>, String> {
    let annotations = property(&published.manifest, "annotations");
    let annotation = annotations.and_then(|all| property(all, METADATA)).and_then(Json::as_str);
    if let Some(text) = annotation.filter(|text| !text.is_empty()) {
        return object(text.as_bytes()).map(Some).map_err(|why| format!("its annotation {METADATA}: {why}"));
    }
    let layers = property(&published.manifest, "layers").and_then(Json::as_array).unwrap_or_default();
    let digest = layers.first().and_then(|layer| property(layer, "digest")).and_then(Json::as_str);
    let digest: Digest = digest
        .and_then(|digest| digest.parse().ok())
        .ok_or("its manifest names no layer by a sha256 digest")?;
    let repository = Repository::parse(&reference.path).map_err(|error| error.to_string())?;
    let layer =
        blob::read(client, &repository, &digest, MAX_LAYER).await.map_err(|error| error.to_string())?;
    let layer = layer.ok_or("the layer that its manifest names is gone from the registry")?;
    in_archive(&layer)
}

/// The metadata in an archive, which may be compressed.
pub fn in_archive(archive: &[u8]) -> Result<Option<Object>, String> {
    let unreadable = |error: std::io::Error| format!("its archive cannot be read ({error})");
    let plain: Box<dyn std::io::Read> = if archive.starts_with(&[0x1f, 0x8b]) {
        // What is packed small may be large: an archive is read no further than it may weigh.
        Box::new(flate2::read::GzDecoder::new(archive).take(MAX_LAYER as u64))
    } else {
        Box::new(archive)
    };
    let file = Kind::Feature.metadata_file();
    let mut archive = tar::Archive::new(plain);
    for entry in archive.entries().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path_bytes();
        if path.strip_prefix(b"./").unwrap_or(&path) == file.as_bytes() {
            let mut text = Vec::new();
            entry.take(MAX_METADATA).read_to_end(&mut text).map_err(unreadable)?;
            return object(&text).map(Some).map_err(|why| format!("{file} in its archive: {why}"));
        }
    }
    Ok(None)
}

/// Metadata from its text.
pub fn object(text: &[u8]) -> Result<Object, String> {
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8".to_owned())?;
    match json::parse(text).map_err(|error| error.to_string())? {
        Json::Object(object) => Ok(object),
        other => Err(format!("an object was expected, and {} found", other.kind())),
    }
}

/// JSON without comments, and not nested deeper than a parser's stack is.
fn strict(text: &[u8]) -> Result<Json, String> {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).map_err(|error| error.to_string())?;
    object(text).map(Json::Object)
}

fn property<'a>(value: &'a Json, name: &str) -> Option<&'a Json> {
    value.as_object()?.get(name)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn archive(path: &str, text: &str) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.as_ustar_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(text.len() as u64);
        header.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&header, text.as_bytes()).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn metadata_is_found_in_any_archive_that_consumers_take() {
        let text = r#"{"id":"a"}"#;
        for path in ["./devcontainer-feature.json", "devcontainer-feature.json"] {
            let plain = archive(path, text);
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(&plain).unwrap();
            for bytes in [plain, packed.finish().unwrap()] {
                let found = in_archive(&bytes).unwrap().unwrap();
                assert_eq!(found.get("id").and_then(Json::as_str), Some("a"), "{path}");
            }
        }
        assert_eq!(in_archive(&archive("./a/devcontainer-feature.json", text)), Ok(None));
        for (bytes, why) in [
            (archive("./devcontainer-feature.json", "{"), "line 1, column 1"),
            (archive("./devcontainer-feature.json", "[]"), "an object was expected, and a list found"),
            (archive("./devcontainer-feature.json", &"[".repeat(1 << 20)), "line 1"),
            (archive("./devcontainer-feature.json", &r#"{"a":"#.repeat(1 << 18)), "line 1"),
            (vec![0x1f, 0x8b, 1, 2], "cannot be read"),
            (vec![b'x'; 700], "cannot be read"),
        ] {
            let error = in_archive(&bytes).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_manifest_is_strict_json() {
        assert!(strict(br#"{"a":1}"#).is_ok());
        for text in ["{\"a\":1,}", "{} // x", "[]", "", &"[".repeat(100_000)] {
            assert!(strict(text.as_bytes()).is_err(), "{}", &text[..text.len().min(20)]);
        }
    }
}
