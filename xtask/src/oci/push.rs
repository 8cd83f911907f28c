//! Pushing one artifact: its blobs, then its manifest by digest, and tags when everything is there.

use bytes::Bytes;

use super::blob;
use super::digest::Digest;
use super::error::OciError;
use super::manifest::{self, Kind};
use super::manifests;
use super::reference::Repository;
use super::transport::Client;
use crate::payload::Payload;

/// What is pushed to one repository.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// The layer.
    pub layer: Payload,
    /// The manifest.
    pub manifest: Bytes,
    /// The manifest's digest, which is the artifact's name for good.
    pub digest: Digest,
}

impl Artifact {
    /// Makes the manifest for a layer.
    pub fn new(kind: Kind<'_>, title: &str, layer: Payload, on_github: bool) -> Self {
        let manifest: Bytes = manifest::render(kind, title, layer.digest(), layer.len(), on_github).into();
        Self { digest: Digest::of(&manifest), layer, manifest }
    }
}

/// Uploads an artifact so that it can be had by its digest. Moves no tag.
pub async fn upload(client: &Client, repository: &Repository, artifact: &Artifact) -> Result<(), OciError> {
    blob::ensure(client, repository, &Bytes::from_static(manifest::CONFIG).into()).await?;
    blob::ensure(client, repository, &artifact.layer).await?;
    manifests::write(client, repository, artifact.digest.as_str(), &artifact.manifest).await
}

/// Uploads again what is gone of an artifact that was published before. Moves no tag.
pub async fn restore(client: &Client, repository: &Repository, artifact: &Artifact) -> Result<(), OciError> {
    let config = blob::restore(client, repository, &Bytes::from_static(manifest::CONFIG).into()).await?;
    let layer = blob::restore(client, repository, &artifact.layer).await?;
    if config || layer {
        // A registry that lost a blob may have dropped what links the manifest to it, too.
        manifests::write(client, repository, artifact.digest.as_str(), &artifact.manifest).await?;
        client.note(&format!(
            "{}/{repository}: a part of {} was gone from the registry and is uploaded again",
            client.registry(),
            artifact.digest
        ));
    }
    Ok(())
}

/// Sets a tag to an artifact that is uploaded.
pub async fn tag(
    client: &Client,
    repository: &Repository,
    artifact: &Artifact,
    tag: &str,
) -> Result<(), OciError> {
    manifests::write(client, repository, tag, &artifact.manifest).await
}
