//! Bringing what repositories lack. Moves no tag.

use futures_util::future::try_join_all;

use crate::oci::error::OciError;
use crate::oci::manifests;
use crate::oci::permission;
use crate::oci::push::{self, Artifact, Lacks, Places, Wish};
use crate::oci::reference::Repository;
use crate::oci::transport::Client;

use super::plan::{CollectionPlan, Release};

/// One artifact's way to the registry.
pub(super) struct Upload<'a> {
    repository: &'a Repository,
    artifact: &'a Artifact,
    lacks: Lacks,
    /// Where its layer is, too.
    same_as: Option<&'a Repository>,
    /// Where its config is, too.
    config_from: Option<&'a Repository>,
    /// Whether it was published before, and only parts of it may be gone.
    present: bool,
    /// The collection's manifest comes with its tag.
    is_collection: bool,
}

/// What is to be written to, each with what is to be brought there, if anything.
pub(super) fn uploads<'a>(releases: &'a [Release], collection: &'a CollectionPlan) -> Vec<Upload<'a>> {
    // The config is always the same.
    let has_config = releases.iter().find(|release| release.present && !release.lacks.config);
    let config_from = has_config.map(|release| &release.repository);
    let mut uploads = Vec::new();
    for release in releases {
        if release.present && release.tags.is_empty() && !release.lacks.anything() {
            continue;
        }
        let main = releases.iter().find(|main| main.id == release.id && main.legacy_id.is_none());
        uploads.push(Upload {
            repository: &release.repository,
            artifact: &release.artifact,
            lacks: release.lacks,
            same_as: release.legacy_id.as_ref().and(main).map(|main| &main.repository),
            config_from: config_from.filter(|_| !release.present),
            present: release.present,
            is_collection: false,
        });
    }
    if !collection.present || collection.lacks.anything() {
        uploads.push(Upload {
            repository: &collection.repository,
            artifact: &collection.artifact,
            lacks: collection.lacks,
            same_as: None,
            config_from,
            present: collection.present,
            is_collection: true,
        });
    }
    uploads
}

/// Sends all blobs that are not there. Nothing is sent before every repository has let us in.
pub(super) async fn send(client: &Client, uploads: &[Upload<'_>]) -> Result<(), OciError> {
    let wishes: Vec<Wish<'_>> = uploads
        .iter()
        .map(|upload| Wish {
            repository: upload.repository,
            artifact: upload.artifact,
            lacks: upload.lacks,
            config_from: upload.config_from,
        })
        .collect();
    let places = permission::prove(client, &wishes).await?;
    let (first, second): (Vec<(_, Places<'_>)>, Vec<_>) =
        uploads.iter().zip(places).partition(|(upload, _)| upload.same_as.is_none());
    // Former ids take their blobs from the Feature's own repository.
    for wave in [first, second] {
        try_join_all(wave.into_iter().map(|(upload, places)| places.send(client, upload.same_as))).await?;
    }
    Ok(())
}

/// Reads the blobs back, and puts the manifests by their digests: nobody is led to one before a tag is.
pub(super) async fn complete(client: &Client, uploads: &[Upload<'_>]) -> Result<(), OciError> {
    try_join_all(uploads.iter().map(|upload| finish(client, upload))).await.map(drop)
}

async fn finish(client: &Client, upload: &Upload<'_>) -> Result<(), OciError> {
    let Upload { repository, artifact, lacks, .. } = upload;
    if !upload.present {
        let read_back = push::verify(client, repository, artifact);
        if upload.is_collection {
            return read_back.await;
        }
        let put = manifests::put(client, repository, artifact.digest.as_str(), &artifact.manifest);
        let (read_back, put) = tokio::join!(read_back, put);
        // A registry that lost a blob takes no manifest that names it: the loss is what went wrong.
        return read_back.and(put);
    }
    if lacks.anything() {
        push::verify(client, repository, artifact).await?;
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
