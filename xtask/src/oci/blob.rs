//! Blobs: is it there, read it, put it there.

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};

use super::digest::Digest;
use super::error::OciError;
use super::permission;
use super::reference::Repository;
use super::transport::{Call, Client, Reply, Take};

/// The size of a blob at the registry, if it is there.
pub async fn size(
    client: &Client,
    repository: &Repository,
    digest: &Digest,
) -> Result<Option<u64>, OciError> {
    let url = client.url(repository, &format!("blobs/{digest}"))?;
    let reply = client.send(repository, Call::new(Method::HEAD, url)).await?;
    match reply.status {
        StatusCode::OK => {
            let length =
                reply.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
            length.map(Some).ok_or_else(|| client.protocol(&reply, "the header Content-Length is missing"))
        }
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(client.refused(&reply)),
    }
}

/// Reads a blob into memory, up to a size, and checks that it is the one that was asked for; `None` if it is gone.
pub async fn read(
    client: &Client,
    repository: &Repository,
    digest: &Digest,
    limit: usize,
) -> Result<Option<Bytes>, OciError> {
    let mut call = Call::new(Method::GET, client.url(repository, &format!("blobs/{digest}"))?);
    call.take = Take::Memory(limit);
    let reply = client.send(repository, call).await?;
    match reply.status {
        StatusCode::OK => {
            check(digest, &Digest::of(&reply.body), &format!("a blob of {repository}"))?;
            Ok(Some(reply.body))
        }
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(client.refused(&reply)),
    }
}

/// Uploads a blob unless it is there. Either way it is read back, because a manifest will name it.
pub async fn ensure(client: &Client, repository: &Repository, data: &Bytes) -> Result<(), OciError> {
    let digest = Digest::of(data);
    if size(client, repository, &digest).await?.is_none() {
        upload(client, repository, &digest, data).await?;
    }
    verify(client, repository, &digest).await
}

/// Uploads a blob that a published manifest names and that is gone; says whether it was.
pub async fn restore(client: &Client, repository: &Repository, data: &Bytes) -> Result<bool, OciError> {
    let digest = Digest::of(data);
    if size(client, repository, &digest).await?.is_some() {
        return Ok(false);
    }
    upload(client, repository, &digest, data).await?;
    verify(client, repository, &digest).await?;
    Ok(true)
}

/// Reads a blob back, as a stream, and compares it with its name.
async fn verify(client: &Client, repository: &Repository, digest: &Digest) -> Result<(), OciError> {
    let mut call = Call::new(Method::GET, client.url(repository, &format!("blobs/{digest}"))?);
    call.take = Take::Digest;
    let reply = client.send(repository, call).await?;
    let what = format!("a blob of {repository}");
    match (reply.status, &reply.digest) {
        (StatusCode::OK, Some(found)) => check(digest, found, &what),
        (StatusCode::NOT_FOUND, _) => {
            Err(OciError::Mismatch { what, wanted: digest.clone(), found: "nothing".to_owned() })
        }
        _ => Err(client.refused(&reply)),
    }
}

/// POST for a place, then all of it in one PUT: every registry takes that.
async fn upload(
    client: &Client,
    repository: &Repository,
    digest: &Digest,
    data: &Bytes,
) -> Result<(), OciError> {
    if let Some(begun) = client.take_begun(repository) {
        let reply = put(client, repository, &begun, digest, data).await?;
        match reply.status {
            StatusCode::CREATED => return Ok(()),
            // Begun too long ago: the registry has forgotten it.
            StatusCode::NOT_FOUND => {}
            _ => return Err(client.refused(&reply)),
        }
    }
    let begun = permission::begin(client, repository).await?;
    let reply = put(client, repository, &begun, digest, data).await?;
    if reply.status == StatusCode::CREATED { Ok(()) } else { Err(client.refused(&reply)) }
}

async fn put(
    client: &Client,
    repository: &Repository,
    begun: &Reply,
    digest: &Digest,
    data: &Bytes,
) -> Result<Reply, OciError> {
    let mut url = client.location(begun)?;
    url.query_pairs_mut().append_pair("digest", digest.as_str());
    let mut put = Call::new(Method::PUT, url);
    put.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    put.body = Some(data.clone());
    client.send(repository, put).await
}

/// Compares what was read back with what was sent.
pub(super) fn check(wanted: &Digest, found: &Digest, what: &str) -> Result<(), OciError> {
    if wanted == found {
        return Ok(());
    }
    Err(OciError::Mismatch { what: what.to_owned(), wanted: wanted.clone(), found: found.to_string() })
}
