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

/// Which blobs of an artifact a repository lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lacks {
    /// The config.
    pub config: bool,
    /// The layer.
    pub layer: bool,
}

impl Lacks {
    /// It has nothing of it.
    pub const ALL: Self = Self { config: true, layer: true };
    /// It has all of it.
    pub const NOTHING: Self = Self { config: false, layer: false };

    /// Whether it lacks any of them.
    pub fn anything(self) -> bool {
        self.config || self.layer
    }
}

/// What is to be brought to a repository.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Where.
    pub repository: &'a Repository,
    /// What.
    pub artifact: &'a Artifact,
    /// What of it.
    pub lacks: Lacks,
    /// Another repository that has the config.
    pub config_from: Option<&'a Repository>,
}

/// A place for each blob that is missing. That a registry gives them lets us write there.
#[derive(Debug)]
pub struct Places<'a> {
    repository: &'a Repository,
    blobs: Vec<(&'a Payload, Session)>,
    /// Where nothing is missing, a place that nothing will go to.
    proof: Option<Session>,
}

/// Asks which blobs are not there.
pub async fn lacks(client: &Client, repository: &Repository, artifact: &Artifact) -> Result<Lacks, OciError> {
    let [config, layer] = artifact.blobs().map(|payload| blob::exists(client, repository, payload.digest()));
    let (config, layer) = tokio::try_join!(config, layer)?;
    Ok(Lacks { config: !config, layer: !layer })
}

/// Asks for a place for each missing blob, or, where none is missing, for one that shows that we may write there.
pub(super) async fn begin<'a>(client: &Client, wish: &Wish<'a>) -> Result<Places<'a>, OciError> {
    let Wish { repository, artifact, lacks, config_from } = *wish;
    let from = config_from.filter(|from| *from != repository);
    let mut wanted = Vec::new();
    wanted.extend(lacks.config.then_some((&artifact.config, from)));
    wanted.extend(lacks.layer.then_some((&artifact.layer, None)));
    let mut places = Places { repository, blobs: Vec::new(), proof: None };
    if wanted.is_empty() {
        let begun = upload::begin(client, repository, artifact.config.digest(), None).await?;
        places.proof = match begun {
            Begun::Session(session) => Some(session),
            Begun::Mounted => None,
        };
        return Ok(places);
    }
    let begun = wanted.into_iter().map(|(payload, from)| async move {
        (payload, upload::begin(client, repository, payload.digest(), from).await)
    });
    let mut failed = None;
    for (payload, begun) in join_all(begun).await {
        match begun {
            Ok(Begun::Session(session)) => places.blobs.push((payload, session)),
            Ok(Begun::Mounted) => {}
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        None => Ok(places),
        Some(error) => {
            places.cancel(client).await;
            Err(error)
        }
    }
}

impl Places<'_> {
    /// How many bytes are to be sent.
    pub fn size(&self) -> u64 {
        self.blobs.iter().map(|(payload, _)| payload.len()).sum()
    }

    /// Gives the places back.
    pub async fn cancel(self, client: &Client) {
        let blobs = self.blobs.into_iter().map(|(_, session)| session);
        join_all(blobs.chain(self.proof).map(|session| upload::cancel(client, self.repository, session)))
            .await;
    }

    /// Sends what is missing, or has it taken from a repository that has all of it.
    pub async fn send(self, client: &Client, from: Option<&Repository>) -> Result<(), OciError> {
        let proof = async {
            if let Some(proof) = self.proof {
                upload::cancel(client, self.repository, proof).await;
            }
            Ok(())
        };
        let sends = self
            .blobs
            .into_iter()
            .map(|(payload, session)| send(client, self.repository, payload, session, from));
        tokio::try_join!(try_join_all(sends), proof).map(drop)
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
    let lacks = lacks(client, repository, artifact).await?;
    if lacks.anything() {
        let wish = Wish { repository, artifact, lacks, config_from: None };
        begin(client, &wish).await?.send(client, None).await?;
    }
    verify(client, repository, artifact).await?;
    manifests::write(client, repository, artifact.digest.as_str(), &artifact.manifest).await
}
