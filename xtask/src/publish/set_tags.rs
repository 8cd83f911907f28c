//! Setting tags, those of all Features at once, step by step: the exact version, the floating tags, `latest`.

use std::sync::atomic::Ordering;

use futures_util::future::{join_all, try_join_all};
use tokio::sync::SetOnce;

use crate::oci::error::OciError;
use crate::oci::manifests::{self, Found};
use crate::oci::push::Artifact;
use crate::oci::tag_list;
use crate::oci::tags;
use crate::oci::transport::Client;

use super::announce;
use super::beside::{Gate, beside, beside_the_rest};
use super::error::Conflict;
use super::plan::{self, CollectionPlan, Release};

/// A version's tags on their way.
pub(super) struct Moved<'a> {
    pub(super) release: &'a Release,
    /// Those that are set.
    pub(super) set: Vec<String>,
    /// What was written, and is not read back yet.
    pub(super) unconfirmed: Vec<String>,
    /// Whether the registry says of itself that it has the exact version.
    pub(super) is_listed: bool,
    /// What went wrong.
    pub(super) failed: Option<anyhow::Error>,
    /// The exact version, if it is to be set.
    exact: Option<String>,
    /// The others that are to be set.
    floating: Vec<String>,
    /// Who asks whether the registry sets all tags in one request, and with which.
    in_one: Option<Vec<String>>,
}

/// Looks once more at what is published where tags are to move: is the version still free, and which of the others?
pub(super) async fn look<'a>(
    client: &Client,
    releases: &'a [Release],
) -> Result<Vec<Result<Moved<'a>, Conflict>>, OciError> {
    let asking = asking(releases);
    let asks = |release| asking.iter().any(|asking| std::ptr::eq(*asking, release));
    let looks = moving(releases).map(|release| look_at(client, release, asks(release)));
    try_join_all(looks).await
}

/// Those that have tags to set.
fn moving(releases: &[Release]) -> impl Iterator<Item = &Release> {
    releases.iter().filter(|release| !release.tags.is_empty())
}

/// Those that ask whether the registry sets all tags in one request. Of many, one asks for all: it costs a request that
/// most registries make nothing of.
pub(super) fn asking(releases: &[Release]) -> Vec<&Release> {
    let most = if plan::are_few(moving(releases).count()) { usize::MAX } else { 1 };
    moving(releases).filter(|release| !release.present).take(most).collect()
}

async fn look_at<'a>(
    client: &Client,
    release: &'a Release,
    asks: bool,
) -> Result<Result<Moved<'a>, Conflict>, OciError> {
    let Release { repository, version, .. } = release;
    let exact = version.to_string();
    let floating: Vec<String> = release.tags.iter().filter(|tag| **tag != exact).cloned().collect();
    let wanted = async {
        // It may have grown by a newer version since the plan was made. Where nothing was, a look at each tag is enough.
        if floating.is_empty() || release.is_first {
            return Ok(release.tags.clone());
        }
        Ok(tags::for_version(version, &tag_list::list(client, repository).await?))
    };
    let free =
        async { if asks { plan::free_tags(client, release, &floating).await } else { Ok(Vec::new()) } };
    let (found, wanted, free) = tokio::try_join!(plan::conflict(client, release), wanted, free)?;
    let is_wanted = |tag: &String| wanted.contains(tag);
    Ok(found.map(|is_there| Moved {
        release,
        set: Vec::new(),
        unconfirmed: (!release.present).then(|| release.artifact.digest.to_string()).into_iter().collect(),
        is_listed: is_there,
        failed: None,
        exact: (!is_there).then_some(exact),
        floating: floating.iter().filter(|tag| is_wanted(tag)).cloned().collect(),
        in_one: asks.then(|| free.into_iter().filter(is_wanted).collect()),
    }))
}

/// Sets the exact versions, then the floating tags, then `latest`. Returns what the collection's tag means, as seen
/// beside the last of these.
pub(super) async fn set(
    client: &Client,
    moved: &mut [Moved<'_>],
    collection: &CollectionPlan,
) -> Result<Option<Found>, OciError> {
    let (exact_are_set, in_one) = (Gate::new(moved.len()), SetOnce::new());
    if moved.iter().all(|moved| moved.in_one.is_none()) {
        // Nobody asks, so nobody need wait for the answer.
        let _ = in_one.set(false);
    }
    let ways = moved.iter().map(|moved| set_all_but_last(client, moved, collection, &exact_are_set, &in_one));
    let look = async || {
        let last = join_all(moved.iter().map(|moved| free(client, moved, true)));
        tokio::join!(last, announce::look(client, collection))
    };
    let (set, (last, now)) = beside_the_rest(join_all(ways), &exact_are_set, look).await;
    for ((moved, set), last) in moved.iter_mut().zip(set).zip(last) {
        moved.is_listed |= set.as_ref().is_ok_and(|(_, is_listed)| *is_listed);
        moved.floating = Vec::new();
        match last {
            Ok(last) => moved.floating = last,
            Err(error) => moved.fail(error),
        }
        moved.take(set.map(|(set, _)| set));
    }
    if moved.iter().all(|moved| moved.floating.is_empty()) {
        return now;
    }
    let in_one = in_one.get().is_some_and(|in_one| *in_one);
    let puts = join_all(moved.iter().map(|moved| put(client, moved.release, moved.floating.clone(), in_one)));
    let (puts, now) = beside(puts, async || announce::look(client, collection).await).await;
    for (moved, put) in moved.iter_mut().zip(puts) {
        moved.take(put);
    }
    now
}

/// Sets the exact version and then what need not wait for the others. Returns which tags are set, and whether the
/// registry lists the exact version.
async fn set_all_but_last(
    client: &Client,
    moved: &Moved<'_>,
    collection: &CollectionPlan,
    exact_are_set: &Gate,
    in_one: &SetOnce<bool>,
) -> Result<(Vec<String>, bool), OciError> {
    // While one is written, the next are looked at. They are read back when all are set: a registry may stumble over
    // reads of a manifest while that is written (Debian's answers 500).
    let (put_exact, free) =
        beside(Box::pin(put_exact(client, moved)), async || free(client, moved, false).await).await;
    // Whatever came of it, the others wait for this.
    exact_are_set.pass();
    if moved.in_one.is_some() {
        let _ = in_one.set(put_exact.as_ref().is_ok_and(|set| set.len() > 1));
    }
    let mut set = put_exact?;
    let rest: Vec<String> = free?.into_iter().filter(|tag| !set.contains(tag)).collect();
    let rest = async {
        let in_one = rest.len() > 1 && *in_one.wait().await;
        put(client, moved.release, rest, in_one).await
    };
    let (rest, is_listed) = tokio::join!(rest, is_listed(client, moved, collection));
    set.extend(rest?);
    Ok((set, is_listed))
}

async fn put_exact(client: &Client, moved: &Moved<'_>) -> Result<Vec<String>, OciError> {
    let Release { repository, artifact, version, .. } = moved.release;
    let exact = version.to_string();
    let alone = async {
        match &moved.exact {
            Some(exact) => {
                manifests::put(client, repository, exact, &artifact.manifest).await?;
                moved.release.is_out.store(true, Ordering::Relaxed);
                Ok::<(), OciError>(())
            }
            None => Ok(()),
        }
    };
    // A registry that sets all tags in one request leaves no moment at which half of them are set. One that knows
    // nothing of this sets none, and the exact version is set without waiting for that answer.
    let in_one = async {
        let Some(free) = &moved.in_one else { return Ok(Vec::new()) };
        let mut all = tags::in_push_order(free, version);
        all.insert(0, exact.clone());
        let set =
            manifests::put_tagged(client, repository, &artifact.digest, &artifact.manifest, &all).await?;
        moved.release.is_out.fetch_or(!set.is_empty(), Ordering::Relaxed);
        Ok(set)
    };
    let ((), mut set) = tokio::try_join!(alone, in_one)?;
    set.extend(moved.exact.clone().filter(|exact| !set.contains(exact)));
    Ok(set)
}

/// Which of the tags that are still to be set are this version's to take: what comes last, or the others.
async fn free(client: &Client, moved: &Moved<'_>, last: bool) -> Result<Vec<String>, OciError> {
    let next: Vec<String> = moved.floating.iter().filter(|tag| moved.is_last(tag) == last).cloned().collect();
    plan::free_tags(client, moved.release, &next).await
}

/// Sets some tags.
async fn put(
    client: &Client,
    release: &Release,
    tags: Vec<String>,
    in_one: bool,
) -> Result<Vec<String>, OciError> {
    let Release { repository, artifact, version, .. } = release;
    let Artifact { digest, manifest, .. } = artifact;
    let tags = tags::in_push_order(&tags, version);
    let mut set = Vec::new();
    if in_one && tags.len() > 1 {
        set = manifests::put_tagged(client, repository, digest, manifest, &tags).await?;
    }
    let rest: Vec<String> = tags.into_iter().filter(|tag| !set.contains(tag)).collect();
    // All of them to their end, even if one is refused.
    let puts = join_all(rest.iter().map(|tag| manifests::put(client, repository, tag, manifest))).await;
    puts.into_iter().collect::<Result<(), _>>()?;
    set.extend(rest);
    Ok(set)
}

/// Whether the list of tags has the exact version that was just set. It says nothing where it has not: lists may be old.
async fn is_listed(client: &Client, moved: &Moved<'_>, collection: &CollectionPlan) -> bool {
    if moved.is_listed || collection.present {
        return moved.is_listed;
    }
    let exact = moved.release.version.to_string();
    let list = tag_list::list(client, &moved.release.repository).await;
    list.is_ok_and(|list| list.contains(&exact))
}

impl Moved<'_> {
    /// Whether a tag waits for the other floating ones: `latest`, but not where nothing was, so that nothing that a
    /// reader may have seen can go back.
    fn is_last(&self, tag: &str) -> bool {
        tag == "latest" && !self.release.is_first
    }

    /// Takes note of tags that were set.
    fn take(&mut self, set: Result<Vec<String>, OciError>) {
        match set {
            Ok(set) => {
                self.release.is_out.fetch_or(!set.is_empty(), Ordering::Relaxed);
                self.floating.retain(|tag| !set.contains(tag));
                self.unconfirmed.extend(set.iter().cloned());
                self.set.extend(set);
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: OciError) {
        // What would come after it is left.
        self.floating.clear();
        self.failed.get_or_insert(error.into());
    }
}
