//! Publishing to several registries at once: nothing is sent to any before all of them were looked at.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::{join_all, try_join_all};
use tokio::time::{Instant, timeout_at};

use crate::oci::transport::{Access, Client, Notes};
use crate::package::Packed;
use crate::progress;

use super::Destination;
use super::apply;
use super::error::{PublishError, Tally};
use super::plan::{self, Plan};
use super::together::Together;

/// Publishes what is packed; with `dry_run` only reads and says what it would do. Where one look ends in an error, that
/// is the answer and nothing was sent; afterwards each registry has an outcome of its own.
pub fn publish(
    destinations: &[Destination],
    packed: &Packed,
    dry_run: bool,
    limit: Duration,
    notes: &Notes,
) -> anyhow::Result<Vec<anyhow::Result<Plan>>> {
    let access = if dry_run { Access::Pull } else { Access::PullPush };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let clients = destinations
        .iter()
        .map(|to| Client::new(to.registry.clone(), access, &to.sources, Notes::clone(notes)))
        .collect::<Result<Vec<_>, _>>()?;
    runtime.block_on(async {
        let end = Instant::now() + limit;
        let out_of_time = |client: &Client, tally: Option<Tally>| {
            let (registry, last) = (client.registry().to_string(), client.last_trouble());
            PublishError::OutOfTime { registry, limit, last, tally }
        };
        let looks = clients.iter().zip(destinations).map(async |(client, to)| {
            let look = timeout_at(end, plan::make(client, &to.namespace, packed)).await;
            look.unwrap_or_else(|_| Err(out_of_time(client, None).into()))
        });
        let plans = try_join_all(looks).await?;
        if dry_run {
            return Ok(plans.into_iter().map(Ok).collect());
        }
        let together = Together::new(clients.len());
        let applied = clients.iter().zip(plans).map(async |(client, mut plan)| {
            match timeout_at(end, apply::apply(client, &mut plan, &together)).await {
                Ok(Ok(())) => Ok(plan),
                Ok(Err(why)) => Err(match plan.tally() {
                    Some(tally) => PublishError::BrokenOff { why, tally }.into(),
                    None => why,
                }),
                Err(_) => Err(out_of_time(client, plan.tally()).into()),
            }
        });
        let meters = clients.iter().map(Client::meter).collect();
        let mut outcomes = watched(join_all(applied), progress::draw(meters)).await;
        // Where one held back the others, that is the answer.
        if outcomes.iter().any(is_held_back)
            && let Some(place) =
                outcomes.iter().position(|outcome| outcome.is_err() && !is_held_back(outcome))
        {
            return outcomes.swap_remove(place).map(|plan| vec![Ok(plan)]);
        }
        Ok(outcomes)
    })
}

fn is_held_back(outcome: &anyhow::Result<Plan>) -> bool {
    let error = outcome.as_ref().err().and_then(|error| error.downcast_ref());
    matches!(error, Some(PublishError::HeldBack(_)))
}

/// Does some work while something is drawn.
async fn watched<T>(work: impl Future<Output = T>, drawn: impl Future<Output = Infallible>) -> T {
    tokio::select! {
        done = work => done,
        never = drawn => match never {},
    }
}
