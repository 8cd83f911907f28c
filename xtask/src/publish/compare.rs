//! A version that is published with another digest: is it other content, or the same files packed by another tool?
//!
//! Other tools write the time of the run into an archive, so each run of theirs makes another digest of the same files.
//! Only here is a published layer read, and only after a conflict.

use serde_json::Value;

use crate::contents::{self, Contents, Wanted, difference};
use crate::feature::assemble::is_always_executable;
use crate::feature::kind::Kind;
use crate::oci::blob;
use crate::oci::digest::Digest;
use crate::oci::manifest::Published;
use crate::oci::manifests;
use crate::oci::transport::Client;
use crate::payload::Payload;

use super::error::{Conflict, Differs};
use super::plan::Release;

/// A published archive may be so much larger than ours. No tool adds more to the same files.
const MORE: u64 = 64 << 20;

/// Nothing where the files are the same and a tool has only packed them otherwise; else the conflict with what differs.
pub(super) async fn judge(
    client: &Client,
    release: &Release,
    kind: Kind,
    conflict: Conflict,
) -> Option<Conflict> {
    let differs = match differs(client, release, kind, &conflict.published).await {
        Ok(differs) => differs?,
        // It is a conflict all the same.
        Err(why) => Differs::Unknown(why),
    };
    Some(Conflict { differs, ..conflict })
}

async fn differs(
    client: &Client,
    release: &Release,
    kind: Kind,
    published: &Digest,
) -> Result<Option<Differs>, String> {
    let repository = &release.repository;
    let found = manifests::read(client, repository, published.as_str()).await;
    let found = found.map_err(|error| error.to_string())?.ok_or("it is gone")?;
    let [theirs, ours] = [&found.bytes, &release.artifact.manifest].map(|manifest| manifest_of(manifest));
    let (theirs, ours) = (theirs?, ours?);
    let [layer] = &theirs.layers[..] else {
        return Err(format!("it has {} layers", theirs.layers.len()));
    };
    let layer: Digest =
        layer.digest.parse().map_err(|_| "it names no layer by a sha256 digest".to_owned())?;
    let payload = &release.artifact.layer;
    if layer != *payload.digest() {
        let wanted = Wanted {
            limit: payload.len().saturating_mul(4).saturating_add(MORE),
            keep: kind.metadata_file(),
        };
        let published = blob::contents(client, repository, &layer, wanted).await;
        let published = published.map_err(|error| error.to_string())?.ok_or("its layer is gone")?;
        let published = published.map_err(|error| error.to_string())?;
        let packed = own(payload.clone(), wanted).await?;
        let mut files = packed.differences(&published, |path| is_always_executable(kind, path));
        files.retain(|file| {
            file.path != wanted.keep || !is_same_metadata(kind, &packed.kept, &published.kept)
        });
        if !files.is_empty() {
            return Ok(Some(Differs::Files { files, kind }));
        }
    }
    // Readers take what the manifest repeats of the metadata for the metadata; older tools did not repeat it.
    let is_same = match (ours.metadata(), theirs.metadata()) {
        (Some(ours), Some(theirs)) => is_same_metadata(kind, ours.as_bytes(), theirs.as_bytes()),
        (_, theirs) => theirs.is_none(),
    };
    Ok((!is_same).then_some(Differs::Manifest))
}

fn manifest_of(bytes: &[u8]) -> Result<Published, String> {
    serde_json::from_slice(bytes).map_err(|_| "it is no image manifest".to_owned())
}

/// What our own archive holds.
async fn own(payload: Payload, wanted: Wanted) -> Result<Contents, String> {
    let wanted = Wanted { limit: u64::MAX, ..wanted };
    let read = tokio::task::spawn_blocking(move || contents::read(payload.reader(), &wanted));
    let read = read.await.map_err(|error| error.to_string())?;
    read.map_err(|error| format!("of what is here, {error}"))
}

/// Whether two texts say the same of a Feature or Template. The official CLI lists a Template's files in no order.
fn is_same_metadata(kind: Kind, ours: &[u8], theirs: &[u8]) -> bool {
    if ours == theirs {
        return true;
    }
    let parse = |text: &[u8]| -> Option<Value> {
        let mut value: Value = serde_json::from_slice(text).ok()?;
        if let Some(files) = value.get_mut("files").and_then(Value::as_array_mut)
            && kind == Kind::Template
        {
            files.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        }
        Some(value)
    };
    let (ours, theirs) = (parse(ours), parse(theirs));
    ours.is_some() && ours == theirs
}

/// Whether only what people read differs.
pub(super) fn is_documentation(files: &[difference::Difference]) -> bool {
    files.iter().all(|file| matches!(file.path.as_str(), "README.md" | "NOTES.md"))
}
