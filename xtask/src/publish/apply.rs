//! Doing what the plan says.
//!
//! OCI registries have no compare-and-swap: between a look at a tag and its write, another publish
//! may write it. Each tag is therefore looked at again right before it is written, and the
//! collection right after it too. That narrows the window to one request; it does not close it.

use crate::oci::error::OciError;
use crate::oci::manifests;
use crate::oci::permission;
use crate::oci::push;
use crate::oci::reference::Repository;
use crate::oci::tag_list;
use crate::oci::tags;
use crate::oci::transport::Client;

use super::error::PublishError;
use super::listed;
use super::plan::{self, COLLECTION_TAG, CollectionPlan, Plan, Release};

/// How often the collection is pushed when others push it at the same time.
const MAX_PUSHES: usize = 5;

/// Uploads everything, then sets the tags, and the collection last: who finds it finds its Features.
/// The plan's tags are afterwards those that were set.
pub async fn apply(client: &Client, plan: &mut Plan) -> anyhow::Result<()> {
    permission::prove(client, &written(plan)).await?;
    let result = write(client, plan).await;
    permission::cancel(client).await;
    result
}

async fn write(client: &Client, plan: &mut Plan) -> anyhow::Result<()> {
    for release in &plan.releases {
        if release.present {
            push::restore(client, &release.repository, &release.artifact).await?;
        } else {
            push::upload(client, &release.repository, &release.artifact).await?;
        }
    }
    // Before the first tag moves, so that a conflict that arose meanwhile leaves nothing half done.
    let mut conflicts = Vec::new();
    for release in &plan.releases {
        conflicts.extend(plan::conflict(client, release).await?.err());
    }
    if !conflicts.is_empty() {
        return Err(PublishError::Conflict(conflicts).into());
    }
    for release in &mut plan.releases {
        release.tags = set_tags(client, release).await?;
    }
    collection(client, &mut plan.collection).await
}

/// The repositories in which something is to be written.
fn written(plan: &Plan) -> Vec<Repository> {
    let releases = plan.releases.iter().filter(|release| !release.present || !release.tags.is_empty());
    let mut repositories: Vec<_> = releases.map(|release| release.repository.clone()).collect();
    if !plan.collection.present {
        repositories.push(plan.collection.repository.clone());
    }
    repositories
}

/// Sets the exact version, then those floating tags that are still this version's to take.
async fn set_tags(client: &Client, release: &Release) -> anyhow::Result<Vec<String>> {
    let Release { repository, artifact, version, .. } = release;
    let exact = version.to_string();
    let mut set = Vec::new();
    match plan::conflict(client, release).await? {
        Err(conflict) => return Err(PublishError::Conflict(vec![conflict]).into()),
        Ok(true) => {}
        Ok(false) => {
            push::tag(client, repository, artifact, &exact).await?;
            set.push(exact.clone());
        }
    }
    if release.tags.iter().all(|tag| *tag == exact) {
        return Ok(set);
    }
    // The list may have grown by a newer version since the plan was made.
    let published = tag_list::list(client, repository).await?;
    let wanted = tags::for_version(version, &published);
    for tag in tags::in_push_order(&wanted, version) {
        // What the plan left alone stays alone.
        if tag != exact
            && release.tags.contains(&tag)
            && plan::is_free(client, repository, artifact, version, &tag).await?
        {
            push::tag(client, repository, artifact, &tag).await?;
            set.push(tag);
        }
    }
    Ok(wanted.into_iter().filter(|tag| set.contains(tag)).collect())
}

/// Pushes the collection until what is there lists what it should: ours, and what was there before.
async fn collection(client: &Client, plan: &mut CollectionPlan) -> anyhow::Result<()> {
    if plan.present {
        push::restore(client, &plan.repository, &plan.artifact).await?;
        return Ok(());
    }
    let mut seen = plan.seen.clone();
    let mut pushes = 0;
    loop {
        let now = manifests::read(client, &plan.repository, COLLECTION_TAG).await?;
        match now {
            Some(now) if now.digest == plan.artifact.digest => return Ok(()),
            // Somebody else pushed since we looked: what he lists stays.
            Some(now) if pushes > 0 || Some(&now.digest) != seen.as_ref() => {
                if let Some(found) = listed::read(client, &plan.repository, &now.bytes).await? {
                    if pushes > 0 && listed::has_all(&found, &plan.features) {
                        return Ok(());
                    }
                    plan.set_features(client, crate::collection::merge(found, plan.features.clone()));
                }
                seen = Some(now.digest);
            }
            _ => {}
        }
        if pushes == MAX_PUSHES {
            return Err(OciError::Mismatch {
                what: format!("{}:{COLLECTION_TAG}", plan.repository),
                wanted: plan.artifact.digest.clone(),
                found: seen.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string()),
            }
            .into());
        }
        push::upload(client, &plan.repository, &plan.artifact).await?;
        manifests::put(client, &plan.repository, COLLECTION_TAG, &plan.artifact.manifest).await?;
        pushes += 1;
    }
}
