//! Manifests: read, and put when everything that they name is there.

use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::Value;

use super::body::{self, Answer, RequestBody};
use super::error::Refusal;
use super::name::{Name, Reference};
use super::route;
use super::server::{DIGEST_HEADER, Reply, State, respond};
use crate::feature::grammar;
use crate::oci::digest::Digest;

/// The header that confirms a tag of the parameter `tag`.
pub const TAG_HEADER: &str = "oci-tag";
/// What the specification wants at least.
const MAX_SIZE: usize = 4 << 20;

/// `GET` and `HEAD` of a manifest.
pub fn get(state: &State, name: &Name, reference: &Reference, head: bool) -> Reply {
    let manifest = state.store.manifest(name, reference)?.ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "MANIFEST_UNKNOWN",
            format!("there is no manifest {reference} in {name}"),
        )
    })?;
    let builder = Response::builder()
        .status(StatusCode::OK)
        .header(CONTENT_TYPE, manifest.media_type)
        .header(DIGEST_HEADER, manifest.digest.as_str())
        .header(CONTENT_LENGTH, manifest.bytes.len());
    respond(builder, if head { Answer::empty() } else { Answer::bytes(manifest.bytes) })
}

/// `PUT` of a manifest.
pub async fn put(
    state: &State,
    name: &Name,
    reference: &Reference,
    query: Option<&str>,
    headers: &HeaderMap,
    body: RequestBody,
) -> Reply {
    let bytes = body::collect(body, MAX_SIZE).await?;
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    check(state, name, media_type, &bytes)?;
    let more = tags_of(query);
    let tags = match reference {
        Reference::Tag(tag) => std::slice::from_ref(tag),
        Reference::Digest(digest) if *digest == Digest::of(&bytes) => more.as_slice(),
        Reference::Digest(_) => return Err(Refusal::digest_invalid("the manifest has another digest")),
    };
    if let Some(tag) = tags.iter().find(|tag| !grammar::is_tag(tag)) {
        let why = format!("\"{tag}\" is no tag");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", why));
    }
    let digest = state.store.put_manifest(name, media_type, &bytes, tags)?;
    let mut builder = Response::builder()
        .status(StatusCode::CREATED)
        .header(LOCATION, format!("/v2/{name}/manifests/{digest}"))
        .header(DIGEST_HEADER, digest.as_str());
    // Only where they were asked for by the parameter.
    for tag in tags.iter().filter(|_| matches!(reference, Reference::Digest(_))) {
        builder = builder.header(TAG_HEADER, tag);
    }
    respond(builder, Answer::empty())
}

/// The tags that a manifest takes when it is put under its digest, by the parameter `tag`.
pub fn tags_of(query: Option<&str>) -> Vec<String> {
    route::queries(query, "tag")
}

fn check(state: &State, name: &Name, media_type: &str, bytes: &[u8]) -> Result<(), Refusal> {
    let invalid = |what: &str| Refusal::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", what);
    if media_type.is_empty() || media_type.len() > 255 {
        return Err(invalid("the header Content-Type is missing"));
    }
    let manifest: Value = serde_json::from_slice(bytes).map_err(|_| invalid("the manifest is not JSON"))?;
    if manifest["schemaVersion"] != 2 {
        return Err(invalid("the schemaVersion is not 2"));
    }
    if manifest["mediaType"].as_str().is_some_and(|inner| inner != media_type) {
        return Err(invalid("the mediaType differs from the Content-Type"));
    }
    let list = |key: &str| manifest[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let config = manifest.get("config").into_iter();
    for descriptor in config.chain(list("layers")) {
        // A foreign layer is fetched from elsewhere.
        let foreign = descriptor["urls"].as_array().is_some_and(|urls| !urls.is_empty());
        let digest = digest_of(descriptor)?;
        if !foreign && state.store.blob_size(name, &digest)?.is_none() {
            return Err(unknown(&digest));
        }
    }
    for descriptor in list("manifests") {
        let digest = digest_of(descriptor)?;
        if state.store.manifest(name, &Reference::Digest(digest.clone()))?.is_none() {
            return Err(unknown(&digest));
        }
    }
    Ok(())
}

fn digest_of(descriptor: &Value) -> Result<Digest, Refusal> {
    descriptor["digest"].as_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        Refusal::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", "a descriptor has no sha256 digest")
    })
}

fn unknown(digest: &Digest) -> Refusal {
    Refusal::new(
        StatusCode::BAD_REQUEST,
        "MANIFEST_BLOB_UNKNOWN",
        format!("the manifest names {digest}, which is not in the repository"),
    )
}
