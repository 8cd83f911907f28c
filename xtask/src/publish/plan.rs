//! What there is to do: one look at the registry for each repository, and no change to it.

use crate::collection;
use crate::feature::json::Json;
use crate::oci::blob;
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

/// Everything that a publish will do.
#[derive(Debug)]
pub struct Plan {
    /// One for each Feature and each of its former ids.
    pub releases: Vec<Release>,
    /// The collection file.
    pub collection: CollectionPlan,
}

/// One Feature in one repository.
#[derive(Debug)]
pub struct Release {
    /// The Feature's id.
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
}

/// The tag that a collection always has.
pub const COLLECTION_TAG: &str = "latest";
/// What a published collection may weigh.
const MAX_COLLECTION: usize = 64 << 20;

/// Looks at the registry and decides. Any conflict anywhere is an error here, before anything is sent.
pub async fn make(client: &Client, namespace: &Repository, packed: &Packed) -> anyhow::Result<Plan> {
    let mut releases = Vec::new();
    let mut conflicts = Vec::new();
    for feature in &packed.features {
        let legacy = feature.metadata.legacy_ids.iter().map(Some);
        for legacy_id in std::iter::once(None).chain(legacy) {
            match release(client, namespace, feature, legacy_id).await? {
                Ok(release) => releases.push(release),
                Err(conflict) => conflicts.push(conflict),
            }
        }
    }
    if !conflicts.is_empty() {
        return Err(PublishError::Conflict(conflicts).into());
    }
    let collection = collection_plan(client, namespace, packed).await?;
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
        Kind::Feature { metadata: &annotation },
        &feature.file_name(),
        feature.archive.clone(),
        on_github(client),
    );
    let published = tag_list::list(client, &repository).await?;
    let version = metadata.version.clone();
    // The list may be stale or wrong; the manifest itself decides what is published.
    let existing = manifests::read(client, &repository, &version.to_string()).await?;
    let present = match existing {
        Some(found) if found.digest != artifact.digest => {
            return Ok(Err(Conflict {
                reference: format!("{}/{repository}:{version}", client.registry()),
                published: found.digest,
                ours: artifact.digest,
            }));
        }
        found => found.is_some(),
    };
    let mut wanted = tags::for_version(&version, &published);
    if present {
        wanted = missing(client, &repository, &artifact, wanted).await?;
    }
    Ok(Ok(Release {
        id: metadata.id.clone(),
        legacy_id: legacy_id.cloned(),
        version,
        repository,
        artifact,
        present,
        tags: wanted,
    }))
}

/// The tags that a run which broke off did not get to.
async fn missing(
    client: &Client,
    repository: &Repository,
    artifact: &Artifact,
    wanted: Vec<String>,
) -> Result<Vec<String>, OciError> {
    let mut missing = Vec::new();
    for tag in wanted {
        let found = manifests::read(client, repository, &tag).await?;
        if found.is_none_or(|found| found.digest != artifact.digest) {
            missing.push(tag);
        }
    }
    Ok(missing)
}

async fn collection_plan(
    client: &Client,
    namespace: &Repository,
    packed: &Packed,
) -> anyhow::Result<CollectionPlan> {
    let existing = manifests::read(client, namespace, COLLECTION_TAG).await?;
    let ours: Vec<Json> = packed.features.iter().map(|feature| feature.metadata.json.clone()).collect();
    let text = match &existing {
        // One Feature of a collection: the others stay listed.
        Some(found) if packed.single => {
            match published_features(client, namespace, &found.bytes, &ours).await? {
                Some(others) => collection::render(collection::merge(others, ours)),
                None => collection::render(ours),
            }
        }
        _ => collection::render(ours),
    };
    let artifact =
        Artifact::new(Kind::Collection, collection::FILE_NAME, text.into_bytes().into(), on_github(client));
    let present = existing.is_some_and(|found| found.digest == artifact.digest);
    Ok(CollectionPlan { repository: namespace.clone(), artifact, present })
}

/// What a published collection lists. `None` where its content is gone, and was just ours.
async fn published_features(
    client: &Client,
    namespace: &Repository,
    manifest: &[u8],
    ours: &[Json],
) -> anyhow::Result<Option<Vec<Json>>> {
    let unreadable = |why: String| PublishError::Collection {
        at: format!("{}/{namespace}:{COLLECTION_TAG}", client.registry()),
        why,
    };
    let manifest: Published = serde_json::from_slice(manifest)
        .map_err(|_| unreadable("its manifest is not an image manifest".to_owned()))?;
    let layer = manifest.layers.first().and_then(|layer| layer.digest.parse::<Digest>().ok());
    let layer = layer.ok_or_else(|| unreadable("its manifest names no layer".to_owned()))?;
    let text = blob::read(client, namespace, &layer, MAX_COLLECTION).await?;
    let Some(text) = text else {
        if Digest::of(collection::render(ours.to_vec()).as_bytes()) == layer {
            return Ok(None);
        }
        return Err(unreadable("its content is gone from the registry".to_owned()).into());
    };
    let text = std::str::from_utf8(&text).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
    Ok(Some(collection::parse(text).map_err(unreadable)?))
}

fn on_github(client: &Client) -> bool {
    client.registry().as_str() == "ghcr.io"
}
