//! Doing what the plan says.

use crate::oci::error::OciError;
use crate::oci::push;
use crate::oci::tags;
use crate::oci::transport::Client;

use super::plan::{COLLECTION_TAG, Plan};

/// Uploads everything, then sets the tags, and the collection last: who finds it finds its Features.
pub async fn apply(client: &Client, plan: &Plan) -> Result<(), OciError> {
    for release in &plan.releases {
        if release.present {
            push::restore(client, &release.repository, &release.artifact).await?;
        } else {
            push::upload(client, &release.repository, &release.artifact).await?;
        }
        for tag in tags::in_push_order(&release.tags, &release.version) {
            push::tag(client, &release.repository, &release.artifact, &tag).await?;
        }
    }
    let collection = &plan.collection;
    if collection.present {
        push::restore(client, &collection.repository, &collection.artifact).await?;
    } else {
        push::upload(client, &collection.repository, &collection.artifact).await?;
        push::tag(client, &collection.repository, &collection.artifact, COLLECTION_TAG).await?;
    }
    Ok(())
}
