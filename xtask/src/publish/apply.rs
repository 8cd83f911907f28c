//! Doing what the plan says, for all Features at once, step by step.
//!
//! OCI registries have no compare-and-swap: between a look at a tag and its write, another publish
//! may write it. Each tag is therefore looked at again right before it is written, and the
//! collection right after it too. That narrows the window to one request; it does not close it.
//!
//! A run may end after any request. Therefore tags move when everything that they lead to is there, the exact version
//! first and `latest` last, and the collection after all of them.
//!
//! What does not depend on another is asked at the same time, so that the run takes few round trips: places for the
//! blobs; the blobs; reading them back, with the manifests by their digests and a second look at what is published; the
//! exact versions, with a look at the floating tags; the floating tags; `latest` where something else may have it; the
//! collection.

use futures_util::future::{join_all, try_join_all};

use crate::oci::transport::Client;

use super::announce::announce;
use super::beside::{Gate, beside_the_rest};
use super::bring::{begin, bring, uploads};
use super::error::PublishError;
use super::plan::{CollectionPlan, Plan};
use super::set_tags::{self, Moved};
use super::settle::settle;
use super::together::Together;

/// Uploads everything, then sets the tags, and the collection last: who finds it finds its Features.
/// The plan's tags are afterwards those that were set. Nothing is sent before all registries have let us in.
pub async fn apply(client: &Client, plan: &mut Plan, together: &Together) -> anyhow::Result<()> {
    let Plan { releases, collection } = plan;
    let uploads = uploads(releases, collection);
    let begun = begin(client, &uploads).await;
    let all_begun = together.arrive(begun.is_ok()).await;
    let places = begun?;
    if !all_begun {
        join_all(places.into_iter().map(|places| places.cancel(client))).await;
        return Err(PublishError::HeldBack(client.registry().to_string()).into());
    }
    if uploads.is_empty() {
        return Ok(());
    }
    // What is sent may take long, so it is looked when that is done, beside reading it back.
    let sent = Gate::new(uploads.len());
    let look = async || set_tags::look(client, releases).await;
    let (brought, looks) = beside_the_rest(bring(client, &uploads, places, &sent), &sent, look).await;
    brought?;
    // Before the first tag moves, so that a conflict that arose meanwhile leaves nothing half done.
    let mut moved = Vec::new();
    let mut conflicts = Vec::new();
    for look in looks? {
        match look {
            Ok(free) => moved.push(free),
            Err(conflict) => conflicts.push(conflict),
        }
    }
    if !conflicts.is_empty() {
        return Err(PublishError::Conflict(conflicts).into());
    }
    let tags = move_tags(client, &mut moved, collection).await?;
    for (release, tags) in releases.iter_mut().filter(|release| !release.tags.is_empty()).zip(tags) {
        release.tags.retain(|tag| tags.contains(tag));
    }
    Ok(())
}

/// Sets the tags and pushes the collection. Returns which tags were set.
async fn move_tags(
    client: &Client,
    moved: &mut [Moved<'_>],
    collection: &mut CollectionPlan,
) -> anyhow::Result<Vec<Vec<String>>> {
    // All of them to their end, even if one fails: nothing is left half done that need not be.
    let now = set_tags::set(client, moved, collection).await;
    let mut first_error = None;
    for error in moved.iter_mut().filter_map(|moved| moved.failed.take()) {
        if first_error.is_some() {
            client.note(&format!("{error:#}"));
        } else {
            first_error = Some(error);
        }
    }
    if let Some(error) = first_error {
        return Err(error);
    }
    // Every tag was acknowledged before the collection's is written. A registry may lose what it acknowledged; so the
    // collection comes at the same time as the tags are read back only where the registry already lists each version.
    let is_listed = moved.iter().all(|moved| moved.is_listed);
    let settle = try_join_all(moved.iter_mut().map(|moved| settle(client, moved)));
    let announce = announce(client, collection, now?);
    if is_listed {
        let (settled, announced) = tokio::join!(settle, announce);
        settled?;
        announced?;
    } else {
        settle.await?;
        announce.await?;
    }
    Ok(moved.iter_mut().map(|moved| std::mem::take(&mut moved.set)).collect())
}
