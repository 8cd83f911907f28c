//! What there is to do: one look at the registry for each repository, and no change to it.
//!
//! A version that is there with another digest is a conflict, unless it holds the same files and another tool has
//! packed them: then it counts as published, has no tags to set and lacks nothing. Its floating tags are that tool's.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::try_join_all;

use crate::collection::{self, Entry};
use crate::oci::blob;
use crate::oci::digest::Digest;
use crate::oci::error::OciError;
use crate::oci::manifest::{Kind, Published};
use crate::oci::manifests::{self, Found};
use crate::oci::pace::MAX_REQUESTS;
use crate::oci::push::{self, Artifact, Lacks};
use crate::oci::reference::Repository;
use crate::oci::tag_list;
use crate::oci::tags;
use crate::oci::transport::Client;
use crate::package::{Packed, PackedFeature};

use super::compare;
use super::error::{Conflict, Differs, PublishError, Tally};
use super::listed;

/// Everything that a publish will do.
#[derive(Debug)]
pub struct Plan {
    /// One for each Feature or Template, and each of its former ids.
    pub releases: Vec<Release>,
    /// The collection file.
    pub collection: CollectionPlan,
}

/// One Feature or Template in one repository.
#[derive(Debug)]
pub struct Release {
    /// Its id.
    pub id: String,
    /// The former id that this release is for, if it is not for the id itself.
    pub legacy_id: Option<String>,
    /// The version.
    pub version: semver::Version,
    /// Where it goes.
    pub repository: Repository,
    /// What goes there.
    pub artifact: Artifact,
    /// Whether the version is there, with the same content.
    pub present: bool,
    /// The digest of what is there, where another tool has packed the same files. Then the repository is left as it is.
    pub repacked: Option<Digest>,
    /// Whether the repository held nothing at all.
    pub is_first: bool,
    /// What the repository lacks of it.
    pub lacks: Lacks,
    /// The tags to set, in the order of the official CLI's report.
    pub tags: Vec<String>,
    /// Whether this run has set any of them.
    pub is_out: AtomicBool,
}

impl Release {
    /// The digest of what is published when all is done.
    pub fn digest(&self) -> &Digest {
        self.repacked.as_ref().unwrap_or(&self.artifact.digest)
    }

    /// Whether the repository has the config that all artifacts of ours have.
    pub fn has_config(&self) -> bool {
        self.present && self.repacked.is_none() && !self.lacks.config
    }

    /// Whether this is the id's own release, and its repository has or gets our layer.
    pub fn has_layer_of(&self, former: &Self) -> bool {
        self.id == former.id && self.legacy_id.is_none() && self.repacked.is_none()
    }
}

impl Plan {
    /// How much is out, if this run has published anything.
    pub fn tally(&self) -> Option<Tally> {
        let is_out = |release: &&Release| release.is_out.load(Ordering::Relaxed);
        let out = self.releases.iter().filter(|release| release.present || is_out(release)).count();
        self.releases
            .iter()
            .any(|release| is_out(&release))
            .then_some(Tally { out, all: self.releases.len() })
    }
}

/// What happens to the collection file.
#[derive(Debug)]
pub struct CollectionPlan {
    /// Where it goes.
    pub repository: Repository,
    /// What goes there.
    pub artifact: Artifact,
    /// Whether just this is there.
    pub present: bool,
    /// What the repository lacks of it.
    pub lacks: Lacks,
    /// What it lists.
    pub features: Vec<Entry>,
    /// What the tag meant when the plan was made.
    pub seen: Option<Digest>,
}

/// The tag that a collection always has.
pub const COLLECTION_TAG: &str = "latest";

/// The most requests that a look at one release takes: the list, the version, three floating tags and two blobs.
const LOOK: usize = 7;

/// Looks at the registry and decides. Any conflict anywhere is an error here, before anything is sent.
pub async fn make(client: &Client, namespace: &Repository, packed: &Packed) -> anyhow::Result<Plan> {
    let wanted = packed.features.iter().flat_map(|feature| {
        let legacy = feature.metadata.legacy_ids.iter().map(Some);
        std::iter::once(None).chain(legacy).map(move |legacy_id| (feature, legacy_id))
    });
    let wanted: Vec<_> = wanted.collect();
    // As long as there is room, it is asked at once what would be asked next where something is published already. Of
    // many, that is only asked where something is.
    let at_once = are_few(wanted.len());
    let looks =
        wanted.iter().map(|(feature, legacy_id)| release(client, namespace, feature, *legacy_id, at_once));
    // The first failure ends all of it.
    let looks = async { anyhow::Ok(try_join_all(looks).await?) };
    let collection = collection_plan(client, namespace, packed, at_once);
    let (looked, collection) = tokio::try_join!(looks, collection)?;
    let mut releases = Vec::new();
    let mut conflicts = Vec::new();
    for release in looked {
        match release {
            Ok(release) => releases.push(release),
            Err(conflict) => conflicts.push(conflict),
        }
    }
    if !conflicts.is_empty() {
        return Err(PublishError::Conflict(conflicts).into());
    }
    Ok(Plan { releases, collection })
}

/// Whether so many releases are so few that there is room for more requests than each of them needs.
pub(super) fn are_few(releases: usize) -> bool {
    (releases + 1) * LOOK <= MAX_REQUESTS
}

async fn release(
    client: &Client,
    namespace: &Repository,
    feature: &PackedFeature,
    legacy_id: Option<&String>,
    at_once: bool,
) -> Result<Result<Release, Conflict>, OciError> {
    let metadata = &feature.metadata;
    let repository = namespace.join(legacy_id.unwrap_or(&metadata.id))?;
    let annotation = metadata.annotation();
    let artifact = Artifact::new(
        Kind::of(metadata.kind, &annotation),
        &feature.file_name(),
        feature.archive.clone(),
        on_github(client),
    );
    let version = metadata.version.clone();
    let exact = version.to_string();
    let mut release = Release {
        id: metadata.id.clone(),
        legacy_id: legacy_id.cloned(),
        tags: Vec::new(),
        version,
        repository,
        artifact,
        present: false,
        repacked: None,
        is_first: false,
        lacks: Lacks::ALL,
        is_out: AtomicBool::new(false),
    };
    let floating = |published: &[String]| -> Vec<String> {
        tags::for_version(&release.version, published).into_iter().filter(|tag| *tag != exact).collect()
    };
    let guessed = if at_once { floating(&[]) } else { Vec::new() };
    // The list may be stale or wrong; the manifest itself decides what is published.
    let (published, found, mut held, lacks) = tokio::try_join!(
        tag_list::list(client, &release.repository),
        conflict(client, &release),
        held(client, &release.repository, guessed),
        lacks_early(client, &release.repository, &release.artifact, at_once),
    )?;
    let present = match found {
        Ok(present) => present,
        Err(conflict) => {
            let repacked = Some(conflict.published.clone());
            // It is seldom needed, and needs much room.
            let judged = Box::pin(compare::judge(client, &release, metadata.kind, conflict)).await;
            return Ok(judged.map_or_else(
                || Ok(Release { present: true, repacked, lacks: Lacks::NOTHING, ..release }),
                Err,
            ));
        }
    };
    let is_first = published.is_empty() && !present && held.iter().all(|(_, held)| held.is_none());
    let mut wanted = tags::for_version(&release.version, &published);
    if is_first {
        // What is held is looked at before it is written.
        release.lacks = lacks.unwrap_or(Lacks::ALL);
    } else {
        let unknown = floating(&published).into_iter().filter(|tag| held.iter().all(|(held, _)| held != tag));
        let (more, lacks) =
            tokio::try_join!(self::held(client, &release.repository, unknown.collect()), async {
                match lacks {
                    Some(lacks) => Ok(lacks),
                    None => push::lacks(client, &release.repository, &release.artifact).await,
                }
            })?;
        held.extend(more);
        release.lacks = lacks;
        let is_free = |tag: &String| {
            let found = held.iter().find(|(held, _)| held == tag).and_then(|(_, found)| found.as_ref());
            is_free(client, &release, tag, found)
        };
        wanted.retain(|tag| if *tag == exact { !present } else { is_free(tag) });
    }
    Ok(Ok(Release { present, is_first, tags: wanted, ..release }))
}

/// What some tags mean, each with the tag.
async fn held(
    client: &Client,
    repository: &Repository,
    tags: Vec<String>,
) -> Result<Vec<(String, Option<Found>)>, OciError> {
    let looks = tags.into_iter().map(|tag| async move {
        let found = manifests::read(client, repository, &tag).await?;
        Ok((tag, found))
    });
    try_join_all(looks).await
}

/// What a repository lacks, if it is to be asked before it is known whether there is such a repository: then a refusal
/// means nothing.
async fn lacks_early(
    client: &Client,
    repository: &Repository,
    artifact: &Artifact,
    ask: bool,
) -> Result<Option<Lacks>, OciError> {
    Ok(if ask { push::lacks(client, repository, artifact).await.ok() } else { None })
}

/// Whether the version is there with our content; or with other content, which is a conflict.
pub(super) async fn conflict(client: &Client, release: &Release) -> Result<Result<bool, Conflict>, OciError> {
    let Release { repository, version, artifact, .. } = release;
    Ok(match manifests::read(client, repository, &version.to_string()).await? {
        Some(found) if found.digest != artifact.digest => Err(Conflict {
            reference: format!("{}/{repository}:{version}", client.registry()),
            published: found.digest,
            ours: artifact.digest.clone(),
            differs: Differs::Somehow,
        }),
        found => Ok(found.is_some()),
    })
}

/// Whether a floating tag has moved on to a newer version than ours.
pub(super) fn holds_newer(found: &[u8], version: &semver::Version) -> Option<semver::Version> {
    let held = serde_json::from_slice(found).ok().and_then(|found: Published| found.version())?;
    (held.pre.is_empty() && held > *version).then_some(held)
}

/// Whether a floating tag is to be set, by what it means: not where it is set already, and never from a newer version
/// back to ours, whatever the list of tags said. Notes tell of the latter.
fn is_free(client: &Client, release: &Release, tag: &str, found: Option<&Found>) -> bool {
    let Release { repository, artifact, version, .. } = release;
    let Some(found) = found else {
        return true;
    };
    if found.digest == artifact.digest {
        return false;
    }
    let Some(newer) = holds_newer(&found.bytes, version) else {
        return true;
    };
    client.note_once(&format!(
        "{}/{repository}:{tag} is {newer}, which the list of tags does not have; it is not moved back to {version}",
        client.registry()
    ));
    false
}

/// Those of some floating tags that are this version's to take.
pub(super) async fn free_tags(
    client: &Client,
    release: &Release,
    tags: &[String],
) -> Result<Vec<String>, OciError> {
    let held = held(client, &release.repository, tags.to_vec()).await?.into_iter();
    let free = held.filter(|(tag, found)| is_free(client, release, tag, found.as_ref()));
    Ok(free.map(|(tag, _)| tag).collect())
}

impl CollectionPlan {
    /// Changes what is listed.
    pub(super) fn set_features(&mut self, client: &Client, features: Vec<Entry>) {
        self.artifact = collection_artifact(client, &features);
        self.features = features;
    }
}

fn collection_artifact(client: &Client, features: &[Entry]) -> Artifact {
    let text = collection::render(features.to_vec());
    let text = text.into_bytes().into();
    Artifact::new(Kind::Collection, collection::FILE_NAME, text, on_github(client))
}

async fn collection_plan(
    client: &Client,
    namespace: &Repository,
    packed: &Packed,
    at_once: bool,
) -> anyhow::Result<CollectionPlan> {
    let mut features: Vec<Entry> = packed.features.iter().map(PackedFeature::entry).collect();
    let mut artifact = collection_artifact(client, &features);
    let (existing, lacks) = tokio::try_join!(
        manifests::read(client, namespace, COLLECTION_TAG),
        lacks_early(client, namespace, &artifact, at_once),
    )?;
    let lacks = match (&existing, lacks) {
        (None, lacks) => lacks.unwrap_or(Lacks::ALL),
        // Where just this is published, nothing can be merged into it, nor need its content be there.
        (Some(found), Some(lacks)) if found.digest == artifact.digest => lacks,
        (Some(found), None) if found.digest == artifact.digest => {
            push::lacks(client, namespace, &artifact).await?
        }
        (Some(found), _) => {
            let config =
                async { anyhow::Ok(blob::exists(client, namespace, artifact.config.digest()).await?) };
            let listed = listed::with(client, namespace, &found.bytes, features, packed.single);
            let (config, listed) = tokio::try_join!(config, listed)?;
            features = listed;
            artifact = collection_artifact(client, &features);
            // What is there was just read; and what is not there is new.
            Lacks { config: !config, layer: found.digest != artifact.digest }
        }
    };
    let seen = existing.map(|found| found.digest);
    let present = seen.as_ref() == Some(&artifact.digest);
    Ok(CollectionPlan { repository: namespace.clone(), artifact, present, lacks, features, seen })
}

fn on_github(client: &Client) -> bool {
    client.registry().as_str() == "ghcr.io"
}
