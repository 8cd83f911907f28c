//! Doing what the plan says, for all Features at once, step by step.
//!
//! OCI registries have no compare-and-swap: between a look at a tag and its write, another publish
//! may write it. Each tag is therefore looked at again right before it is written, and the
//! collection right after it too. That narrows the window to one request; it does not close it.
//!
//! A run may end after any request. Therefore tags move when everything that they lead to is there, the exact version
//! first and `latest` last, and the collection after all of them.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};

use crate::oci::error::OciError;
use crate::oci::manifests::{self, Found};
use crate::oci::permission;
use crate::oci::push::{self, Artifact, Known, Missing};
use crate::oci::reference::Repository;
use crate::oci::tag_list;
use crate::oci::tags;
use crate::oci::transport::Client;

use super::error::PublishError;
use super::listed;
use super::plan::{self, COLLECTION_TAG, CollectionPlan, Plan, Release};

/// How often the collection is made or pushed anew when others push it at the same time.
const MAX_TURNS: usize = 10;
/// How long the collection is left alone before it is read back, at least.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);
/// How long a look at a tag is good for.
const FRESH: Duration = Duration::from_secs(1);

/// Uploads everything, then sets the tags, and the collection last: who finds it finds its Features.
/// The plan's tags are afterwards those that were set.
pub async fn apply(client: &Client, plan: &mut Plan) -> anyhow::Result<()> {
    permission::prove(client, &written(plan)).await?;
    let result = write(client, plan).await;
    permission::cancel(client).await;
    result
}

async fn write(client: &Client, plan: &mut Plan) -> anyhow::Result<()> {
    upload(client, plan).await?;
    // Before the first tag moves, so that a conflict that arose meanwhile leaves nothing half done.
    let looks = try_join_all(plan.releases.iter().map(|release| look(client, release))).await?;
    let mut conflicts = Vec::new();
    let mut free = Vec::new();
    for look in looks {
        match look {
            Ok(tags) => free.push(tags),
            Err(conflict) => conflicts.push(conflict),
        }
    }
    if !conflicts.is_empty() {
        return Err(PublishError::Conflict(conflicts).into());
    }
    // All of them to their end, even if one fails: nothing is left half done that need not be.
    let outcomes =
        join_all(plan.releases.iter().zip(&free).map(|(release, free)| set_tags(client, release, free)))
            .await;
    let mut moved = Vec::new();
    let mut first_error = None;
    for outcome in outcomes {
        match outcome {
            Ok(tags) => moved.push(tags),
            Err(error) if first_error.is_some() => client.note(&format!("{error:#}")),
            Err(error) => first_error = Some(error),
        }
    }
    if let Some(error) = first_error {
        return Err(error);
    }
    let settle = plan.releases.iter().zip(&mut moved).map(|(release, moved)| settle(client, release, moved));
    let collection_now = manifests::read(client, &plan.collection.repository, COLLECTION_TAG);
    let (_, now) = tokio::try_join!(try_join_all(settle), collection_now)?;
    for (release, moved) in plan.releases.iter_mut().zip(moved) {
        release.tags.retain(|tag| moved.set.contains(tag));
    }
    collection(client, &mut plan.collection, now).await
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

/// One artifact's way to the registry.
struct Upload<'a> {
    repository: &'a Repository,
    artifact: &'a Artifact,
    /// Where its layer is, too.
    same_as: Option<&'a Repository>,
    /// Whether it was published before, and only parts of it may be gone.
    present: bool,
    known: Known<'a>,
}

/// Uploads all blobs that are not there. Nothing is sent before every repository has let us in.
async fn upload(client: &Client, plan: &Plan) -> anyhow::Result<()> {
    // What is published has the config, which is always the same.
    let config = plan.releases.iter().find(|release| release.present).map(|release| &release.repository);
    let mut uploads: Vec<Upload<'_>> = Vec::new();
    for release in &plan.releases {
        let main = plan.releases.iter().find(|main| main.id == release.id && main.legacy_id.is_none());
        uploads.push(Upload {
            repository: &release.repository,
            artifact: &release.artifact,
            same_as: release.legacy_id.as_ref().and(main).map(|main| &main.repository),
            present: release.present,
            known: Known { is_empty: release.is_first, config: config.filter(|_| !release.present) },
        });
    }
    let collection = &plan.collection;
    uploads.push(Upload {
        repository: &collection.repository,
        artifact: &collection.artifact,
        same_as: None,
        present: collection.present,
        known: Known { is_empty: collection.seen.is_none(), config },
    });
    let places =
        uploads.iter().map(|upload| push::prepare(client, upload.repository, upload.artifact, upload.known));
    let mut missing = Vec::new();
    let mut refused = None;
    for place in join_all(places).await {
        match place {
            Ok(place) => missing.push(place),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    if let Some(error) = refused {
        join_all(missing.into_iter().map(|missing| missing.cancel(client))).await;
        return Err(error.into());
    }
    let (first, second): (Vec<_>, Vec<_>) =
        uploads.iter().zip(missing).partition(|(upload, _)| upload.same_as.is_none());
    // Former ids take their blobs from the Feature's own repository.
    for wave in [first, second] {
        try_join_all(wave.into_iter().map(|(upload, missing)| bring(client, upload, missing))).await?;
    }
    Ok(())
}

async fn bring(client: &Client, upload: &Upload<'_>, missing: Missing<'_>) -> Result<(), OciError> {
    let Upload { repository, artifact, .. } = upload;
    let was_missing = !missing.is_empty();
    missing.send(client, upload.same_as).await?;
    if !upload.present {
        return push::verify(client, repository, artifact).await;
    }
    if was_missing {
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

type Free = Result<Vec<String>, super::error::Conflict>;

/// Looks once more at what is published: which of the planned tags are still this version's to take?
async fn look(client: &Client, release: &Release) -> Result<Free, OciError> {
    let Release { repository, version, .. } = release;
    let exact = version.to_string();
    let floating: Vec<String> = release.tags.iter().filter(|tag| **tag != exact).cloned().collect();
    if floating.is_empty() {
        return Ok(plan::conflict(client, release).await?.map(|_| Vec::new()));
    }
    let (conflict, published, free) = tokio::try_join!(
        plan::conflict(client, release),
        // It may have grown by a newer version since the plan was made.
        tag_list::list(client, repository),
        plan::free_tags(client, release, &floating),
    )?;
    let wanted = tags::for_version(version, &published);
    Ok(conflict.map(|_| free.into_iter().filter(|tag| wanted.contains(tag)).collect()))
}

/// What became of a version's tags.
struct Moved {
    set: Vec<String>,
    /// Written, and not read back yet.
    unconfirmed: Vec<String>,
}

/// Sets the exact version, then those floating tags that are still this version's to take, `latest` last.
async fn set_tags(client: &Client, release: &Release, free: &[String]) -> anyhow::Result<Moved> {
    let Release { repository, artifact, version, .. } = release;
    let Artifact { digest, manifest, .. } = artifact;
    let exact = version.to_string();
    let mut wanted = tags::in_push_order(free, version);
    let (mut set, mut unconfirmed) = (Vec::new(), Vec::new());
    if !release.present {
        wanted.insert(0, exact.clone());
        // A registry that sets all tags in one request leaves no moment at which half of them are set.
        let put = manifests::put_tagged(client, repository, digest, manifest, &wanted);
        let (tagged, found) = tokio::try_join!(put, plan::conflict(client, release))?;
        let is_there = found.map_err(|conflict| PublishError::Conflict(vec![conflict]))?;
        unconfirmed.push(digest.to_string());
        unconfirmed.extend(tagged.iter().cloned());
        wanted.retain(|tag| !(tagged.contains(tag) || is_there && *tag == exact));
        set = tagged;
    }
    let (latest, rest): (Vec<String>, Vec<String>) = wanted.into_iter().partition(|tag| tag == "latest");
    let (exact, floating): (Vec<String>, Vec<String>) = rest.into_iter().partition(|tag| *tag == exact);
    let mut free_now = exact.clone();
    for (step, next) in [(&exact, &floating), (&floating, &latest), (&latest, &Vec::new())] {
        // While one step's tags are written, the next are looked at. They are read back when all are set: a registry may
        // stumble over reads of a manifest while that is written (Debian's answers 500).
        let begun = Instant::now();
        let put = step.iter().filter(|tag| free_now.contains(tag)).map(|tag| async move {
            manifests::put(client, repository, tag, manifest).await.map(|()| tag.clone())
        });
        let (put, free) = tokio::try_join!(try_join_all(put), plan::free_tags(client, release, next))?;
        // A look is no good for long.
        free_now = if begun.elapsed() > FRESH { plan::free_tags(client, release, next).await? } else { free };
        unconfirmed.extend(put.iter().cloned());
        set.extend(put);
    }
    Ok(Moved { set, unconfirmed })
}

/// Reads the tags back, and gives those up that a newer version was to have: its publisher and we may both have
/// looked before either wrote.
async fn settle(client: &Client, release: &Release, moved: &mut Moved) -> Result<(), OciError> {
    let Release { repository, artifact, version, .. } = release;
    if moved.set.is_empty() {
        return Ok(());
    }
    let (published, ()) =
        tokio::try_join!(tag_list::list(client, repository), confirm(client, release, &moved.unconfirmed))?;
    let ours = tags::for_version(version, &published);
    let exact = version.to_string();
    let (kept, lost): (Vec<String>, Vec<String>) =
        moved.set.drain(..).partition(|tag| *tag == exact || ours.contains(tag));
    moved.set = kept;
    for tag in lost {
        let Some(newer) = tags::newest(&tag, &published) else {
            continue;
        };
        let is_ours = |found: &Found| found.digest == artifact.digest;
        let (now, newer_one) = tokio::try_join!(
            manifests::read(client, repository, &tag),
            manifests::read(client, repository, &newer)
        )?;
        if let (true, Some(newer_one)) = (now.as_ref().is_some_and(is_ours), newer_one) {
            manifests::write(client, repository, &tag, &newer_one.bytes).await?;
            client.note(&format!(
                "{}/{repository}: {newer} was published at the same time, so {tag} is {newer}",
                client.registry()
            ));
        }
    }
    Ok(())
}

/// Reads tags back. A floating tag that somebody moved on to a newer version meanwhile is his.
async fn confirm(client: &Client, release: &Release, references: &[String]) -> Result<(), OciError> {
    let Release { repository, artifact, version, .. } = release;
    let exact = version.to_string();
    let read = |reference: &String| {
        let reference = reference.clone();
        let may_move = reference != exact && reference != artifact.digest.as_str();
        async move {
            match manifests::read(client, repository, &reference).await? {
                Some(found) if found.digest == artifact.digest => Ok(()),
                Some(found) if may_move && plan::holds_newer(&found.bytes, version).is_some() => Ok(()),
                found => Err(OciError::Mismatch {
                    what: format!("{repository}:{reference}"),
                    wanted: artifact.digest.clone(),
                    found: found.map_or_else(|| "nothing".to_owned(), |found| found.digest.to_string()),
                }),
            }
        }
    };
    try_join_all(references.iter().map(read)).await.map(drop)
}

/// Pushes the collection until what is there lists what it should: ours, and what was there before.
async fn collection(client: &Client, plan: &mut CollectionPlan, now: Option<Found>) -> anyhow::Result<()> {
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
