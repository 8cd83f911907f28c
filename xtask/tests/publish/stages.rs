//! How many round trips a publish takes, whatever a round trip takes: each request is held until no other comes, so that
//! those that wait for no answer are one stage.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use xtask::package::Packed;
use xtask::registry::server::{Options, serve};
use xtask::registry::watch::{Moment, Verdict, Watch};

use crate::support::{Collection, NAMESPACE, fast_folder, pack, push};

/// After so much silence nothing more is thought to come. On a busy machine something may come later and is counted as a
/// stage of its own, so the fewest stages of some runs count: who waits for an answer never comes before it.
const SILENCE: Duration = Duration::from_millis(150);
const RUNS: usize = 5;

/// The requests of each stage, as `PUT a manifests`: what, where, and which kind.
type Stages = Vec<Vec<String>>;

#[derive(Default)]
struct Held {
    stages: Stages,
    /// The stage that is held.
    under_way: Vec<String>,
    last: Option<Instant>,
}

/// Holds requests, stage by stage.
#[derive(Default)]
struct Holder {
    held: Mutex<Held>,
    released: Condvar,
}

impl Holder {
    fn hold(&self, line: String) {
        let mut held = self.held.lock().unwrap();
        held.under_way.push(line);
        held.last = Some(Instant::now());
        let stage = held.stages.len();
        while held.stages.len() == stage {
            if held.last.is_some_and(|last| last.elapsed() >= SILENCE) {
                let under_way = std::mem::take(&mut held.under_way);
                held.stages.push(under_way);
                self.released.notify_all();
                return;
            }
            held = self.released.wait_timeout(held, SILENCE / 4).unwrap().0;
        }
    }
}

/// What a request is about, without what differs from run to run.
fn line(method: &str, path: &str) -> String {
    let path = path.trim_start_matches("/v2/").trim_start_matches(NAMESPACE).trim_start_matches('/');
    let (repository, rest) = match path.split_once('/') {
        Some((id, rest)) if !matches!(id, "blobs" | "manifests" | "tags") => (id, rest),
        _ => ("collection", path),
    };
    let what = match rest.split('/').collect::<Vec<_>>()[..] {
        ["blobs", "uploads", ..] => "upload",
        ["blobs", ..] => "blob",
        ["manifests", reference] if reference.starts_with("sha256:") => "digest",
        ["manifests", reference] => reference,
        _ => "tags",
    };
    format!("{method} {repository} {what}")
}

/// The stages of a publish after others: as few as are expected, or the fewest of some runs.
fn stages(expected: usize, before: &[&Packed], faults: &[&str], packed: &Packed) -> Stages {
    let attempt = || {
        let root: TempDir = fast_folder();
        let serving = serve(root.path(), &Options::default()).unwrap();
        for before in before {
            push(serving.port(), before).unwrap();
        }
        serving.stop();
        let holder = Arc::new(Holder::default());
        let watching = Arc::clone(&holder);
        let watch = Watch::new(move |seen| {
            if matches!(seen.moment, Moment::Arrived) {
                watching.hold(line(seen.asked.method.as_str(), &seen.asked.path));
            }
            Verdict::Go
        });
        let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        let serving = serve(root.path(), &Options { watch, faults, ..Options::default() }).unwrap();
        push(serving.port(), packed).unwrap();
        std::mem::take(&mut holder.held.lock().unwrap().stages)
    };
    let mut fewest = attempt();
    for _ in 1..RUNS {
        if fewest.len() <= expected {
            break;
        }
        fewest = std::cmp::min_by_key(fewest, attempt(), Vec::len);
    }
    fewest
}

/// The requests of a stage, each kind once, in order.
fn kinds(stage: &[String]) -> Vec<&str> {
    let mut kinds: Vec<&str> = stage.iter().map(String::as_str).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn features(count: usize) -> Collection {
    let collection = Collection::new();
    for index in 0..count {
        collection.feature(&format!("f{index:02}"), "1.0.0", "");
    }
    collection
}

#[test]
fn a_first_publish_takes_eight_stages() {
    let packed = features(1).pack();
    let expected = [
        &[
            "GET collection latest",
            "GET f00 1",
            "GET f00 1.0",
            "GET f00 1.0.0",
            "GET f00 latest",
            "GET f00 tags",
            "HEAD collection blob",
            "HEAD f00 blob",
        ][..],
        &["POST collection upload", "POST f00 upload"],
        &["PUT collection upload", "PUT f00 upload"],
        &[
            "GET collection blob",
            "GET f00 1",
            "GET f00 1.0",
            "GET f00 1.0.0",
            "GET f00 blob",
            "GET f00 latest",
            "PUT f00 digest",
        ],
        &["GET f00 1", "GET f00 1.0", "GET f00 latest", "PUT f00 1.0.0", "PUT f00 digest"],
        &["GET collection latest", "GET f00 tags", "PUT f00 1", "PUT f00 1.0", "PUT f00 latest"],
        &[
            "GET f00 1",
            "GET f00 1.0",
            "GET f00 1.0.0",
            "GET f00 digest",
            "GET f00 latest",
            "GET f00 tags",
            "PUT collection latest",
        ],
        &["GET collection latest"],
    ];
    let one_by_one = stages(8, &[], &["no-tag-parameter"], &packed);
    let seen: Vec<Vec<&str>> = one_by_one.iter().map(|stage| kinds(stage)).collect();
    assert_eq!(seen, expected);
    // A registry that sets all tags in one request is asked for none of them alone but the exact version.
    let in_one = stages(8, &[], &[], &packed);
    assert_eq!(in_one.len(), 8);
    let tags =
        in_one.iter().flatten().filter(|line| line.starts_with("PUT f00 1") || *line == "PUT f00 latest");
    assert_eq!(tags.collect::<Vec<_>>(), ["PUT f00 1.0.0"]);
}

#[test]
fn many_features_take_as_many_stages_as_one() {
    let first = stages(8, &[], &["no-tag-parameter"], &features(9).pack());
    assert_eq!(first.len(), 8, "{first:#?}");
    // Of many, only what is published is looked at closely.
    assert_eq!(first[0].len(), 2 * 9 + 1);
}

#[test]
fn where_nothing_is_new_one_look_is_enough_and_two_at_many() {
    for (count, expected) in [(1, 1), (7, 1), (9, 2)] {
        let packed = features(count).pack();
        let again = stages(expected, &[&packed], &[], &packed);
        assert_eq!(again.len(), expected, "{count}: {again:#?}");
        // The list, the version, three floating tags and two blobs of each, and the collection with its two.
        assert_eq!(again.iter().flatten().count(), 7 * count + 3, "{again:#?}");
        assert!(again.iter().flatten().all(|line| line.starts_with("GET") || line.starts_with("HEAD")));
    }
}

#[test]
fn what_is_not_new_costs_one_look() {
    let collection = features(9);
    let before = collection.pack();
    collection.feature("f05", "1.0.1", "");
    let update = stages(10, &[&before], &["no-tag-parameter"], &collection.pack());
    for index in (0..9).filter(|index| *index != 5) {
        let id = format!(" f{index:02} ");
        let requests: Vec<&String> = update.iter().flatten().filter(|line| line.contains(&id)).collect();
        assert_eq!(requests.len(), 7, "{requests:?}");
    }
    // Two looks since what is published is read, too; and `latest` after the other floating tags.
    assert_eq!(update.len(), 10, "{update:#?}");
    let alone = pack(&collection.path().join("f05")).unwrap();
    assert_eq!(stages(10, &[&before], &["no-tag-parameter"], &alone).len(), 10);
}
