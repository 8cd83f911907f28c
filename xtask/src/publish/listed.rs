//! The collection that is published.

use crate::collection;
use crate::feature::json::Json;
use crate::oci::blob;
use crate::oci::digest::Digest;
use crate::oci::error::OciError;
use crate::oci::manifest::Published;
use crate::oci::reference::Repository;
use crate::oci::transport::Client;

use super::error::PublishError;
use super::plan::COLLECTION_TAG;

/// What a published collection may weigh.
const MAX_COLLECTION: usize = 64 << 20;

/// The Features that a published collection lists, by its manifest; `None` where its content is gone.
pub async fn read(
    client: &Client,
    namespace: &Repository,
    manifest: &[u8],
) -> anyhow::Result<Option<Vec<Json>>> {
    let layer = layer(client, namespace, manifest)?;
    let Some(text) = blob::read(client, namespace, &layer, MAX_COLLECTION).await? else {
        return Ok(None);
    };
    let unreadable = |why| unreadable(client, namespace, why);
    let text = std::str::from_utf8(&text).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
    Ok(Some(collection::parse(text).map_err(unreadable)?))
}

/// What a collection lists when ours come to what is published: one Feature's others stay, a whole
/// collection's go, and no version goes back.
pub async fn with(
    client: &Client,
    namespace: &Repository,
    manifest: &[u8],
    ours: Vec<Json>,
    single: bool,
) -> anyhow::Result<Vec<Json>> {
    match (read(client, namespace, manifest).await, single) {
        (Ok(Some(published)), true) => Ok(collection::merge(published, ours)),
        (Ok(Some(published)), false) => Ok(collection::keep_newer(&published, ours)),
        (Ok(None), true) => {
            let why = "its content is gone from the registry".to_owned();
            Err(unreadable(client, namespace, why).into())
        }
        // To publish the whole is the way out that the error names, so what is unreadable is replaced.
        (Ok(None), false) => Ok(ours),
        (Err(error), false) if is_broken(&error) => Ok(ours),
        (Err(error), _) => Err(error),
    }
}

/// Whether an error says that what is published is no collection, and not that it could not be had.
fn is_broken(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(PublishError::Collection { .. }))
        || matches!(error.downcast_ref(), Some(OciError::Mismatch { .. }))
}

/// The layer that a collection's manifest names.
fn layer(client: &Client, namespace: &Repository, manifest: &[u8]) -> Result<Digest, PublishError> {
    let unreadable = |why: &str| unreadable(client, namespace, why.to_owned());
    let manifest: Published =
        serde_json::from_slice(manifest).map_err(|_| unreadable("its manifest is not an image manifest"))?;
    let layer = manifest.layers.first().and_then(|layer| layer.digest.parse::<Digest>().ok());
    layer.ok_or_else(|| unreadable("its manifest names no layer"))
}

/// The error for a collection that cannot be kept because it cannot be read.
fn unreadable(client: &Client, namespace: &Repository, why: String) -> PublishError {
    PublishError::Collection { at: format!("{}/{namespace}:{COLLECTION_TAG}", client.registry()), why }
}

/// Whether a list has all of some Features, or newer ones: merging them in would change nothing.
pub fn has_all(listed: &[Json], wanted: &[Json]) -> bool {
    let before = collection::render(listed.to_vec());
    collection::render(collection::merge(listed.to_vec(), wanted.to_vec())) == before
}
