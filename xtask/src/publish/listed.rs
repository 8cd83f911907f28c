//! The collection that is published.

use crate::collection::{self, Entry};
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

/// What a published collection lists, by its manifest; `None` where its content is gone.
pub async fn read(
    client: &Client,
    namespace: &Repository,
    manifest: &[u8],
) -> anyhow::Result<Option<Vec<Entry>>> {
    let layer = layer(client, namespace, manifest)?;
    let Some(text) = blob::read(client, namespace, &layer, MAX_COLLECTION).await? else {
        return Ok(None);
    };
    let unreadable = |why| unreadable(client, namespace, why);
    let text = std::str::from_utf8(&text).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
    Ok(Some(collection::parse(text).map_err(unreadable)?))
}

/// What a collection lists when ours come to what is published: the others of a single one stay, those of a whole
/// collection go, those of the other kind stay, and no version goes back.
pub async fn with(
    client: &Client,
    namespace: &Repository,
    manifest: &[u8],
    ours: Vec<Entry>,
    single: bool,
) -> anyhow::Result<Vec<Entry>> {
    match (read(client, namespace, manifest).await, single) {
        (Ok(Some(published)), _) => {
            check_names(client, namespace, &published, &ours)?;
            Ok(if single {
                collection::merge(published, ours)
            } else {
                collection::replace(&published, ours)
            })
        }
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

/// A Feature and a Template of one name would move each other's tags.
fn check_names(
    client: &Client,
    namespace: &Repository,
    listed: &[Entry],
    ours: &[Entry],
) -> Result<(), PublishError> {
    match collection::clash(listed, ours) {
        Some((kind, id)) => Err(PublishError::Clash {
            kind,
            id: id.to_owned(),
            at: format!("{}/{namespace}:{COLLECTION_TAG}", client.registry()),
        }),
        None => Ok(()),
    }
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

/// Whether a list has all of some entries, or newer ones: merging them in would change nothing.
pub fn has_all(listed: &[Entry], wanted: &[Entry]) -> bool {
    let before = collection::render(listed.to_vec());
    collection::render(collection::merge(listed.to_vec(), wanted.to_vec())) == before
}
