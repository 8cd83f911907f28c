//! Blobs: is it there, and what is it.

use bytes::Bytes;
use reqwest::{Method, StatusCode};

use super::digest::Digest;
use super::error::OciError;
use super::reference::Repository;
use super::transport::{Call, Client, Take};
use crate::contents::{Contents, ContentsError, Wanted};

/// Whether a blob is at the registry.
pub async fn exists(client: &Client, repository: &Repository, digest: &Digest) -> Result<bool, OciError> {
    let url = client.url(repository, &format!("blobs/{digest}"))?;
    let reply = client.send(repository, Call::new(Method::HEAD, url)).await?;
    match reply.status {
        StatusCode::OK => Ok(true),
        StatusCode::NOT_FOUND => Ok(false),
        // It does not know the question, so the blob itself is the answer.
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
            match verify(client, repository, digest).await {
                Ok(()) => Ok(true),
                Err(OciError::Mismatch { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        }
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

/// Reads a blob back, as a stream, and compares it with its name.
pub async fn verify(client: &Client, repository: &Repository, digest: &Digest) -> Result<(), OciError> {
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

/// Reads what an archive holds while it arrives; `None` if it is gone. What was read to its end is what was asked for.
pub async fn contents(
    client: &Client,
    repository: &Repository,
    digest: &Digest,
    wanted: Wanted,
) -> Result<Option<Result<Contents, ContentsError>>, OciError> {
    let mut call = Call::new(Method::GET, client.url(repository, &format!("blobs/{digest}"))?);
    call.take = Take::Contents(wanted);
    let reply = client.send(repository, call).await?;
    match (reply.status, &reply.digest) {
        (StatusCode::OK, Some(found)) => {
            if matches!(reply.contents, Some(Ok(_))) {
                check(digest, found, &format!("a blob of {repository}"))?;
            }
            Ok(reply.contents)
        }
        (StatusCode::NOT_FOUND, _) => Ok(None),
        _ => Err(client.refused(&reply)),
    }
}

/// Compares what was read back with what was sent.
pub(super) fn check(wanted: &Digest, found: &Digest, what: &str) -> Result<(), OciError> {
    if wanted == found {
        return Ok(());
    }
    Err(OciError::Mismatch { what: what.to_owned(), wanted: wanted.clone(), found: found.to_string() })
}
