//! Manifests: read one, put one.

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};

use super::digest::Digest;
use super::error::OciError;
use super::manifest::MEDIA_TYPE;
use super::reference::Repository;
use super::transport::{Call, Client, Take};

/// Also the types that no Feature has: a tag that holds one of them is taken, and not free.
const ANY_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// Registries take manifests of 4 MiB; twice that is read.
const MAX_MANIFEST: usize = 8 << 20;

/// A manifest as the registry gave it; its digest is computed from its bytes, not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The bytes.
    pub bytes: Bytes,
    /// Their digest.
    pub digest: Digest,
}

/// Reads the manifest under a tag or digest, if there is one.
pub async fn read(
    client: &Client,
    repository: &Repository,
    reference: &str,
) -> Result<Option<Found>, OciError> {
    let url = client.url(repository, &format!("manifests/{reference}"))?;
    let mut call = Call::new(Method::GET, url);
    call.take = Take::Memory(MAX_MANIFEST);
    call.headers.insert(ACCEPT, HeaderValue::from_static(ANY_MANIFEST));
    let reply = client.send(repository, call).await?;
    match reply.status {
        StatusCode::OK => Ok(Some(Found { digest: Digest::of(&reply.body), bytes: reply.body })),
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(client.refused(&reply)),
    }
}

/// Puts a manifest under a tag or its digest.
pub async fn put(
    client: &Client,
    repository: &Repository,
    reference: &str,
    manifest: &Bytes,
) -> Result<(), OciError> {
    let url = client.url(repository, &format!("manifests/{reference}"))?;
    let mut call = Call::new(Method::PUT, url).with(manifest.clone());
    call.headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    let reply = client.send(repository, call).await?;
    if reply.status != StatusCode::CREATED {
        return Err(client.refused(&reply));
    }
    Ok(())
}

/// Puts a manifest under its digest, and wishes for tags in the same request (`end-7b` of the distribution
/// specification). Returns the tags that the registry says it has set: many know nothing of this, and set none.
pub async fn put_tagged(
    client: &Client,
    repository: &Repository,
    digest: &Digest,
    manifest: &Bytes,
    tags: &[String],
) -> Result<Vec<String>, OciError> {
    let mut url = client.url(repository, &format!("manifests/{digest}"))?;
    if !tags.is_empty() {
        url.query_pairs_mut().extend_pairs(tags.iter().map(|tag| ("tag", tag)));
    }
    let mut call = Call::new(Method::PUT, url).with(manifest.clone());
    call.headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    let reply = client.send(repository, call).await?;
    match reply.status {
        StatusCode::CREATED => {
            let said: Vec<&str> = reply
                .headers
                .get_all("oci-tag")
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','))
                .map(str::trim)
                .collect();
            Ok(tags.iter().filter(|tag| said.contains(&tag.as_str())).cloned().collect())
        }
        // It takes offence at the query.
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND if !tags.is_empty() => {
            put(client, repository, digest.as_str(), manifest).await.map(|()| Vec::new())
        }
        _ => Err(client.refused(&reply)),
    }
}

/// Reads a manifest back that was put.
pub async fn confirm(
    client: &Client,
    repository: &Repository,
    reference: &str,
    wanted: &Digest,
) -> Result<(), OciError> {
    let what = format!("{repository}:{reference}");
    match read(client, repository, reference).await? {
        Some(found) => super::blob::check(wanted, &found.digest, &what),
        None => Err(OciError::Mismatch { what, wanted: wanted.clone(), found: "nothing".to_owned() }),
    }
}

/// Puts a manifest under a tag or its digest, and reads it back.
pub async fn write(
    client: &Client,
    repository: &Repository,
    reference: &str,
    manifest: &Bytes,
) -> Result<(), OciError> {
    put(client, repository, reference, manifest).await?;
    confirm(client, repository, reference, &Digest::of(manifest)).await
}
