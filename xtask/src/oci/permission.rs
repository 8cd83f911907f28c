//! The right to write, proved before the first byte is sent.
//!
//! A token's own words are no proof: registries grant tokens that are good for less than was asked
//! for. An upload that is begun is one, and the blobs go there.

use futures_util::future::join_all;

use super::error::OciError;
use super::push::{self, Places, Wish};
use super::reference::Repository;
use super::transport::Client;

/// How many repositories an error names.
const NAMED: usize = 3;

/// Begins all uploads, which proves that every repository may be written to; where one may not be, none is left begun.
pub async fn prove<'a>(client: &Client, wishes: &[Wish<'a>]) -> Result<Vec<Places<'a>>, OciError> {
    let answers = join_all(wishes.iter().map(|wish| push::begin(client, wish))).await;
    let (mut places, mut refused, mut failed) = (Vec::new(), Vec::new(), None);
    for (wish, answer) in wishes.iter().zip(answers) {
        match answer {
            Ok(place) => places.push(place),
            Err(OciError::Unauthorized { with, detail, .. }) => refused.push((wish.repository, with, detail)),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let Some(error) = refusal(client, &refused, wishes.len()).or(failed) else {
        return Ok(places);
    };
    join_all(places.into_iter().map(|places| places.cancel(client))).await;
    Err(error)
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
