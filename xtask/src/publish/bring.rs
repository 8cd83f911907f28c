//! Bringing what repositories lack. Moves no tag.

use futures_util::future::try_join_all;

use crate::oci::error::OciError;
use crate::oci::manifests;
use crate::oci::permission;
use crate::oci::push::{self, Artifact, Lacks, Places, Wish};
use crate::oci::reference::Repository;
use crate::oci::transport::Client;

use super::beside::Gate;
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
    let has_config = releases.iter().find(|release| release.has_config());
    let config_from = has_config.map(|release| &release.repository);
    let mut uploads = Vec::new();
    for release in releases {
        if release.present && release.tags.is_empty() && !release.lacks.anything() {
            continue;
        }
        let main = releases.iter().find(|main| main.has_layer_of(release));
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

/// An upload, and where it goes.
type Way<'a, 'b> = (&'b Upload<'a>, Places<'a>);

/// Asks for a place for all that is to be brought. Nothing is sent before every repository has let us in.
pub(super) async fn begin<'a>(client: &Client, uploads: &[Upload<'a>]) -> Result<Vec<Places<'a>>, OciError> {
    let wishes: Vec<Wish<'_>> = uploads
        .iter()
        .map(|upload| Wish {
            repository: upload.repository,
            artifact: upload.artifact,
            lacks: upload.lacks,
            config_from: upload.config_from,
        })
        .collect();
    permission::prove(client, &wishes).await
}

/// Sends the blobs, reads them back, and puts the manifests by their digests, which nobody is led to before a tag is.
/// Each upload passes the gate when it is sent.
pub(super) async fn bring(
    client: &Client,
    uploads: &[Upload<'_>],
    places: Vec<Places<'_>>,
    sent: &Gate,
) -> Result<(), OciError> {
    let (mut formers, own): (Vec<_>, Vec<_>) =
        uploads.iter().zip(places).partition(|(upload, _)| upload.same_as.is_some());
    let mut ways = Vec::new();
    for (upload, places) in own {
        let is_former = |former: &mut Way<'_, '_>| former.0.same_as == Some(upload.repository);
        let formers: Vec<_> = formers.extract_if(.., is_former).collect();
        ways.push(async move {
            places.send(client, None).await?;
            sent.pass();
            // Former ids take their blobs from the Feature's own repository.
            tokio::try_join!(finish(client, upload), bring_formers(client, formers, sent)).map(drop)
        });
    }
    // What is left has its Feature's own repository complete already.
    let outcome = tokio::try_join!(try_join_all(ways), bring_formers(client, formers, sent)).map(drop);
    sent.open();
    outcome
}

async fn bring_formers(client: &Client, formers: Vec<Way<'_, '_>>, sent: &Gate) -> Result<(), OciError> {
    let ways = formers.into_iter().map(async |(upload, places)| {
        places.send(client, upload.same_as).await?;
        sent.pass();
        finish(client, upload).await
    });
    try_join_all(ways).await.map(drop)
}

/// Reads back what was sent.
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
