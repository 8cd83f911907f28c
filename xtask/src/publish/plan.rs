//! What there is to do: one look at the registry for each repository, and no change to it.

use futures_util::future::try_join_all;

use crate::collection::{self, Entry};
use crate::oci::digest::Digest;
use crate::oci::error::OciError;
use crate::oci::manifest::{Kind, Published};
use crate::oci::manifests;
use crate::oci::push::Artifact;
use crate::oci::reference::Repository;
use crate::oci::tag_list;
use crate::oci::tags;
use crate::oci::transport::Client;
use crate::package::{Packed, PackedFeature};

use super::error::{Conflict, PublishError};
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
    /// Whether the repository held nothing at all.
    pub is_first: bool,
    /// The tags to set, in the order of the official CLI's report.
    pub tags: Vec<String>,
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
    /// What it lists.
    pub features: Vec<Entry>,
    /// What the tag meant when the plan was made.
    pub seen: Option<Digest>,
}

/// The tag that a collection always has.
pub const COLLECTION_TAG: &str = "latest";

/// Looks at the registry and decides. Any conflict anywhere is an error here, before anything is sent.
pub async fn make(client: &Client, namespace: &Repository, packed: &Packed) -> anyhow::Result<Plan> {
    let wanted = packed.features.iter().flat_map(|feature| {
        let legacy = feature.metadata.legacy_ids.iter().map(Some);
        std::iter::once(None).chain(legacy).map(move |legacy_id| (feature, legacy_id))
    });
    let looks = wanted.map(|(feature, legacy_id)| release(client, namespace, feature, legacy_id));
    // The first failure ends all of it.
    let looks = async { anyhow::Ok(try_join_all(looks).await?) };
    let (looked, collection) = tokio::try_join!(looks, collection_plan(client, namespace, packed))?;
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

async fn release(
    client: &Client,
    namespace: &Repository,
    feature: &PackedFeature,
    legacy_id: Option<&String>,
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
        is_first: false,
    };
    // The list may be stale or wrong; the manifest itself decides what is published.
    let (published, found) =
        tokio::try_join!(tag_list::list(client, &release.repository), conflict(client, &release))?;
    match found {
        Ok(present) => release.present = present,
        Err(conflict) => return Ok(Err(conflict)),
    }
    release.is_first = published.is_empty() && !release.present;
    release.tags = tags::for_version(&release.version, &published);
    let wanted = if release.is_first {
        // Looked at again before it is written.
        std::mem::take(&mut release.tags)
    } else {
        let floating: Vec<String> = release.tags.iter().filter(|tag| **tag != exact).cloned().collect();
        let free = free_tags(client, &release, &floating).await?;
        let is_wanted = |tag: &String| if *tag == exact { !release.present } else { free.contains(tag) };
        release.tags.iter().filter(|tag| is_wanted(tag)).cloned().collect()
    };
    release.tags = wanted;
    Ok(Ok(release))
}

/// Whether the version is there with our content; or with other content, which is a conflict.
pub(super) async fn conflict(client: &Client, release: &Release) -> Result<Result<bool, Conflict>, OciError> {
    let Release { repository, version, artifact, .. } = release;
    Ok(match manifests::read(client, repository, &version.to_string()).await? {
        Some(found) if found.digest != artifact.digest => Err(Conflict {
            reference: format!("{}/{repository}:{version}", client.registry()),
            published: found.digest,
            ours: artifact.digest.clone(),
        }),
        found => Ok(found.is_some()),
    })
}

/// Whether a floating tag has moved on to a newer version than ours.
pub(super) fn holds_newer(found: &[u8], version: &semver::Version) -> Option<semver::Version> {
    let held = serde_json::from_slice(found).ok().and_then(|found: Published| found.version())?;
    (held.pre.is_empty() && held > *version).then_some(held)
}

/// Whether a floating tag is to be set: not where it is set already, and never from a newer version
/// back to ours, whatever the list of tags said. Notes tell of the latter.
async fn is_free(
    client: &Client,
    repository: &Repository,
    artifact: &Artifact,
    version: &semver::Version,
    tag: &str,
) -> Result<bool, OciError> {
    let Some(found) = manifests::read(client, repository, tag).await? else {
        return Ok(true);
    };
    if found.digest == artifact.digest {
        return Ok(false);
    }
    let Some(newer) = holds_newer(&found.bytes, version) else {
        return Ok(true);
    };
    client.note_once(&format!(
        "{}/{repository}:{tag} is {newer}, which the list of tags does not have; it is not moved back to {version}",
        client.registry()
    ));
    Ok(false)
}

/// Those of some floating tags that are this version's to take.
pub(super) async fn free_tags(
    client: &Client,
    release: &Release,
    tags: &[String],
) -> Result<Vec<String>, OciError> {
    let Release { repository, artifact, version, .. } = release;
    let looks = tags.iter().map(|tag| async move {
        is_free(client, repository, artifact, version, tag).await.map(|free| free.then(|| tag.clone()))
    });
    Ok(try_join_all(looks).await?.into_iter().flatten().collect())
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
) -> anyhow::Result<CollectionPlan> {
    let existing = manifests::read(client, namespace, COLLECTION_TAG).await?;
    let mut features: Vec<Entry> = packed.features.iter().map(PackedFeature::entry).collect();
    // Where just this is published, nothing can be merged into it, nor need its content be there.
    if let Some(found) = &existing
        && found.digest != collection_artifact(client, &features).digest
    {
        features = listed::with(client, namespace, &found.bytes, features, packed.single).await?;
    }
    let artifact = collection_artifact(client, &features);
    let seen = existing.map(|found| found.digest);
    let present = seen.as_ref() == Some(&artifact.digest);
    Ok(CollectionPlan { repository: namespace.clone(), artifact, present, features, seen })
}

fn on_github(client: &Client) -> bool {
    client.registry().as_str() == "ghcr.io"
}
