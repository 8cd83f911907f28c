//! The collection, which names the Features and so is pushed when they are there.

use std::time::{Duration, Instant};

use crate::oci::error::OciError;
use crate::oci::manifests::{self, Found};
use crate::oci::push;
use crate::oci::transport::Client;

use super::listed;
use super::plan::{COLLECTION_TAG, CollectionPlan};

/// How often the collection is made or pushed anew when others push it at the same time.
const MAX_TURNS: usize = 10;
/// How long the collection is left alone before it is read back, at least.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// What the collection's tag means, where that matters.
pub(super) async fn look(client: &Client, plan: &CollectionPlan) -> Result<Option<Found>, OciError> {
    if plan.present {
        return Ok(None);
    }
    manifests::read(client, &plan.repository, COLLECTION_TAG).await
}

/// Pushes the collection until what is there lists what it should: ours, and what was there before.
pub(super) async fn announce(
    client: &Client,
    plan: &mut CollectionPlan,
    now: Option<Found>,
) -> anyhow::Result<()> {
    if plan.present {
        return Ok(());
    }
    let mut now = now;
    let mut seen = plan.seen.clone();
    let mut uploaded = plan.artifact.digest.clone();
    let mut pushed = false;
    let mut turns = 0..MAX_TURNS;
    loop {
        match now {
            Some(now) if now.digest == plan.artifact.digest => return Ok(()),
            // Somebody else pushed since we looked: what he lists stays.
            Some(now) if pushed || Some(&now.digest) != seen.as_ref() => {
                if let Some(found) = listed::read(client, &plan.repository, &now.bytes).await? {
                    if pushed && listed::has_all(&found, &plan.features) {
                        return Ok(());
                    }
                    plan.set_features(client, crate::collection::merge(found, plan.features.clone()));
                }
                seen = Some(now.digest);
            }
            _ => {}
        }
        if turns.next().is_none() {
            return Err(OciError::Mismatch {
                what: format!("{}:{COLLECTION_TAG}", plan.repository),
                wanted: plan.artifact.digest.clone(),
                found: seen.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string()),
            }
            .into());
        }
        if uploaded != plan.artifact.digest {
            push::upload(client, &plan.repository, &plan.artifact).await?;
            uploaded = plan.artifact.digest.clone();
            // That took a while, in which somebody else may have pushed.
            now = manifests::read(client, &plan.repository, COLLECTION_TAG).await?;
            continue;
        }
        let begun = Instant::now();
        manifests::put(client, &plan.repository, COLLECTION_TAG, &plan.artifact.manifest).await?;
        pushed = true;
        // Who looked before our push may push after it, without ours: he takes about as long as we did.
        tokio::time::sleep(begun.elapsed().max(SHORTEST_WAIT)).await;
        now = manifests::read(client, &plan.repository, COLLECTION_TAG).await?;
    }
}
