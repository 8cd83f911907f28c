//! Pushing one artifact: its blobs, then its manifest by digest, and tags when everything is there.
//!
//! In steps, so that many artifacts go through each of them together: a place for each missing blob (which shows that
//! we may write there), the bytes, and a look at what arrived.

use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};

use super::blob;
use super::digest::Digest;
use super::error::OciError;
use super::manifest::{self, Kind};
use super::manifests;
use super::reference::Repository;
use super::transport::Client;
use super::upload::{self, Begun, Session};
use crate::payload::Payload;

/// What is pushed to one repository.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// The config.
    pub config: Payload,
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
        let manifest: Bytes = manifest::render(kind, title, &layer, on_github).into();
        let config = Payload::from(Bytes::from_static(manifest::CONFIG));
        Self { digest: Digest::of(&manifest), config, layer, manifest }
    }

    fn blobs(&self) -> [&Payload; 2] {
        [&self.config, &self.layer]
    }
}

/// What is missing of an artifact, with a place for each part.
#[derive(Debug)]
pub struct Missing<'a> {
    repository: &'a Repository,
    blobs: Vec<(&'a Payload, Session)>,
}

/// What the registry is known to have already.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The repository holds nothing, so nothing is looked for.
    pub is_empty: bool,
    /// A repository that has the config.
    pub config: Option<&'a Repository>,
}

/// Asks for a place for each blob that is not there.
pub async fn prepare<'a>(
    client: &Client,
    repository: &'a Repository,
    artifact: &'a Artifact,
    known: Known<'_>,
) -> Result<Missing<'a>, OciError> {
    let place = |payload: &'a Payload| async move {
        if !known.is_empty && blob::size(client, repository, payload.digest()).await?.is_some() {
            return Ok(None);
        }
        let is_config = payload.digest() == artifact.config.digest();
        let from = known.config.filter(|from| is_config && *from != repository);
        Ok(match upload::begin(client, repository, payload.digest(), from).await? {
            Begun::Mounted => None,
            Begun::Session(session) => Some((payload, session)),
        })
    };
    let places = join_all(artifact.blobs().map(place)).await;
    let mut missing = Missing { repository, blobs: Vec::new() };
    let mut failed = None;
    for place in places {
        match place {
            Ok(place) => missing.blobs.extend(place),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        None => Ok(missing),
        Some(error) => {
            missing.cancel(client).await;
            Err(error)
        }
    }
}

impl Missing<'_> {
    /// Whether everything is there.
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    /// How many bytes are to be sent.
    pub fn size(&self) -> u64 {
        self.blobs.iter().map(|(payload, _)| payload.len()).sum()
    }

    /// Gives the places back.
    pub async fn cancel(self, client: &Client) {
        join_all(self.blobs.into_iter().map(|(_, session)| upload::cancel(client, self.repository, session)))
            .await;
    }

    /// Sends what is missing, or has it taken from a repository that has all of it.
    pub async fn send(self, client: &Client, from: Option<&Repository>) -> Result<(), OciError> {
        let sends = self
            .blobs
            .into_iter()
            .map(|(payload, session)| send(client, self.repository, payload, session, from));
        try_join_all(sends).await.map(drop)
    }
}

async fn send(
    client: &Client,
    repository: &Repository,
    payload: &Payload,
    session: Session,
    from: Option<&Repository>,
) -> Result<(), OciError> {
    if let Some(from) = from {
        match upload::begin(client, repository, payload.digest(), Some(from)).await? {
            Begun::Mounted => {
                upload::cancel(client, repository, session).await;
                return Ok(());
            }
            Begun::Session(unused) => upload::cancel(client, repository, unused).await,
        }
    }
    upload::send(client, repository, payload, session).await
}

/// Reads an artifact's blobs back, as a manifest will name them.
pub async fn verify(client: &Client, repository: &Repository, artifact: &Artifact) -> Result<(), OciError> {
    let blobs = artifact.blobs();
    try_join_all(blobs.map(|payload| blob::verify(client, repository, payload.digest()))).await.map(drop)
}

/// Uploads an artifact so that it can be had by its digest. Moves no tag.
pub async fn upload(client: &Client, repository: &Repository, artifact: &Artifact) -> Result<(), OciError> {
    let known = Known { is_empty: false, config: None };
    prepare(client, repository, artifact, known).await?.send(client, None).await?;
    verify(client, repository, artifact).await?;
    manifests::write(client, repository, artifact.digest.as_str(), &artifact.manifest).await
}
