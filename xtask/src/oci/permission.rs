//! The right to write, proved before the first byte is sent.
//!
//! A token's own words are no proof: registries grant tokens that are good for less than was asked
//! for. An upload that is begun is one. The repository's first blob goes there.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::StreamExt as _;
use reqwest::header::{CONTENT_LENGTH, HeaderValue};
use reqwest::{Method, StatusCode, Url};

use super::error::OciError;
use super::grants::Scope;
use super::reference::Repository;
use super::transport::{Call, Client, Reply};

/// How many uploads are begun or cancelled at a time.
const AT_A_TIME: usize = 64;
/// How many repositories an error names.
const NAMED: usize = 3;

/// Uploads that were begun, one a repository, and that nothing was sent to yet.
pub(super) type Begun = HashMap<Repository, Reply>;

/// Proves that every repository may be written to; where one may not be, no upload is left begun.
pub async fn prove(client: &Client, repositories: &[Repository]) -> Result<(), OciError> {
    let mut answers: Vec<_> = futures_util::stream::iter(repositories.iter().enumerate())
        .map(async |(index, repository)| (index, repository, begin(client, repository).await))
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    answers.sort_by_key(|(index, ..)| *index);
    let (mut refused, mut failed) = (Vec::new(), None);
    for (_, repository, answer) in answers {
        match answer {
            Ok(reply) => client.keep_begun(repository, reply),
            Err(OciError::Unauthorized { with, detail, .. }) => refused.push((repository, with, detail)),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let Some(error) = refusal(client, &refused, repositories.len()).or(failed) else {
        return Ok(());
    };
    cancel(client).await;
    Err(error)
}

/// Cancels the uploads that were begun as a proof and that no blob went to.
pub async fn cancel(client: &Client) {
    let left = client.take_all_begun().into_iter();
    futures_util::stream::iter(left)
        .for_each_concurrent(AT_A_TIME, async |(repository, reply)| {
            let Ok(url) = client.location(&reply) else { return };
            // What storage elsewhere keeps of an upload is the registry's to cancel.
            if client.may_see(&url) {
                // One that stays is empty, and the registry ends it by itself. Some want the right
                // to delete for this, which is not worth another token.
                let scope = Scope { repository, from: None };
                let _ = client.follow(&scope, &empty(Method::DELETE, url)).await;
            }
        })
        .await;
}

/// Begins an upload.
pub(super) async fn begin(client: &Client, repository: &Repository) -> Result<Reply, OciError> {
    let url = client.url(repository, "blobs/uploads/")?;
    let reply = client.send(repository, empty(Method::POST, url)).await?;
    if reply.status == StatusCode::ACCEPTED { Ok(reply) } else { Err(client.refused(&reply)) }
}

/// A write without a body, which says so.
fn empty(method: Method, url: Url) -> Call {
    // Nobody waits for a cancelled upload.
    let again = method != Method::DELETE;
    let mut call = Call { again, ..Call::new(method, url).with(Bytes::new()) };
    call.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    call
}

fn refusal(client: &Client, refused: &[(&Repository, String, String)], all: usize) -> Option<OciError> {
    let (_, with, detail) = refused.first()?;
    let names: Vec<&str> = refused.iter().take(NAMED).map(|(repository, ..)| repository.as_str()).collect();
    let names = names.join(", ");
    let repositories = match refused.len() {
        1 if all == 1 => names,
        count if count <= NAMED => format!("{count} of {all} repositories ({names})"),
        count => format!("{count} of {all} repositories ({names} and {} more)", count - NAMED),
    };
    let registry = client.registry().to_string();
    let hint = hint(with, &registry);
    Some(OciError::Permission {
        registry: registry.into(),
        repositories,
        with: with.clone(),
        detail: detail.clone(),
        hint,
    })
}

/// What somebody with such credentials can do.
fn hint(with: &str, registry: &str) -> String {
    if with.ends_with("GITHUB_TOKEN") {
        "give the job `permissions: packages: write`, and each package that is there already access for this repository".to_owned()
    } else {
        format!(
            "log in with `docker login {registry}` as somebody who may write there, or set DEVCONTAINERS_OCI_AUTH=\"{registry}|user|token\""
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_told_what_a_job_needs() {
        // Only ghcr.io is ever shown GITHUB_TOKEN, so no test on this machine gets there.
        let job = hint("with the credentials from GITHUB_TOKEN", "ghcr.io");
        assert!(job.contains("permissions: packages: write"), "{job}");
        assert!(hint("without credentials", "ghcr.io").starts_with("log in with `docker login ghcr.io`"));
    }
}
