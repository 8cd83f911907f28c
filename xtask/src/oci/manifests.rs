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
    let mut call = Call::new(Method::PUT, url);
    call.headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    call.body = Some(manifest.clone());
    let reply = client.send(repository, call).await?;
    if reply.status != StatusCode::CREATED {
        return Err(client.refused(&reply));
    }
    Ok(())
}

/// Puts a manifest under a tag or its digest, and reads it back.
pub async fn write(
    client: &Client,
    repository: &Repository,
    reference: &str,
    manifest: &Bytes,
) -> Result<(), OciError> {
    put(client, repository, reference, manifest).await?;
    let wanted = Digest::of(manifest);
    let what = format!("{repository}:{reference}");
    match read(client, repository, reference).await? {
        Some(found) => super::blob::check(&wanted, &found.digest, &what),
        None => Err(OciError::Mismatch { what, wanted, found: "nothing".to_owned() }),
    }
}
