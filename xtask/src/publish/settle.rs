//! Reading tags back, and making peace with who published at the same time.

use futures_util::future::try_join_all;

use crate::oci::error::OciError;
use crate::oci::manifests::{self, Found};
use crate::oci::tag_list;
use crate::oci::tags;
use crate::oci::transport::Client;

use super::plan::{self, Release};
use super::set_tags::Moved;

/// Reads the tags back, and gives those up that a newer version was to have: its publisher and we may both have
/// looked before either wrote.
pub(super) async fn settle(client: &Client, moved: &mut Moved<'_>) -> Result<(), OciError> {
    let release = moved.release;
    let Release { repository, artifact, version, .. } = release;
    if moved.set.is_empty() {
        return Ok(());
    }
    let (published, ()) =
        tokio::try_join!(tag_list::list(client, repository), confirm(client, release, &moved.unconfirmed))?;
    let ours = tags::for_version(version, &published);
    let exact = version.to_string();
    let (kept, lost): (Vec<String>, Vec<String>) =
        moved.set.drain(..).partition(|tag| *tag == exact || ours.contains(tag));
    moved.set = kept;
    for tag in lost {
        let Some(newer) = tags::newest(&tag, &published) else {
            continue;
        };
        let is_ours = |found: &Found| found.digest == artifact.digest;
        let (now, newer_one) = tokio::try_join!(
            manifests::read(client, repository, &tag),
            manifests::read(client, repository, &newer)
        )?;
        if let (true, Some(newer_one)) = (now.as_ref().is_some_and(is_ours), newer_one) {
            manifests::write(client, repository, &tag, &newer_one.bytes).await?;
            client.note(&format!(
                "{}/{repository}: {newer} was published at the same time, so {tag} is {newer}",
                client.registry()
            ));
        }
    }
    Ok(())
}

/// Reads tags back. A floating tag that somebody moved on to a newer version meanwhile is his.
async fn confirm(client: &Client, release: &Release, references: &[String]) -> Result<(), OciError> {
    let Release { repository, artifact, version, .. } = release;
    let exact = version.to_string();
    let read = |reference: &String| {
        let reference = reference.clone();
        let may_move = reference != exact && reference != artifact.digest.as_str();
        async move {
            match manifests::read(client, repository, &reference).await? {
                Some(found) if found.digest == artifact.digest => Ok(()),
                Some(found) if may_move && plan::holds_newer(&found.bytes, version).is_some() => Ok(()),
                found => Err(OciError::Mismatch {
                    what: format!("{repository}:{reference}"),
                    wanted: artifact.digest.clone(),
                    found: found.map_or_else(|| "nothing".to_owned(), |found| found.digest.to_string()),
                }),
            }
        }
    };
    try_join_all(references.iter().map(read)).await.map(drop)
}
