//! What is published already, and what others publish meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::proxy::{Proxy, reply};
use crate::support::{
    Collection, NAMESPACE, collection_of, destination, digest_of, embedded, http, manifests_written,
    one_by_one, pack, push, push_to,
};
use xtask::exit::Exit;

#[test]
fn nothing_is_written_when_any_version_conflicts() {
    let registry = embedded();
    let collection = Collection::new();
    collection.feature("z", "1.0.0", "");
    push(registry.port(), &collection.pack()).unwrap();
    let proxy = Proxy::start(registry.port(), |_| None);
    collection.feature("a", "1.0.0", "");
    collection.feature("z", "1.0.0", r#","description":"other""#);
    let error = push(proxy.port, &collection.pack()).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::VersionConflict, "{error:#}");
    assert_eq!(proxy.writes(), Vec::<String>::new());
    assert!(!proxy.seen().is_empty());
}

/// A proxy that does something once, before it passes on the first request that begins with a line.
fn meanwhile(upstream: u16, line: String, act: impl Fn() + Send + Sync + 'static) -> Proxy {
    let done = AtomicBool::new(false);
    Proxy::start(upstream, move |seen| {
        if seen.line().starts_with(&line) && !done.swap(true, Ordering::SeqCst) {
            // The proxy's own thread has a runtime, and a publish starts one.
            std::thread::scope(|scope| scope.spawn(&act).join().unwrap());
        }
        None
    })
}

#[test]
fn a_version_that_somebody_publishes_meanwhile_is_a_conflict() {
    let registry = embedded();
    let port = registry.port();
    let collection = Collection::new();
    collection.feature("a", "1.0.0", r#","description":"theirs""#);
    let theirs = collection.pack();
    collection.feature("a", "1.0.0", "");
    collection.feature("b", "1.0.0", "");
    let line = format!("GET /v2/{NAMESPACE}/a/blobs/sha256:");
    let proxy = meanwhile(port, line, move || drop(push(port, &theirs).unwrap()));
    let error = push(proxy.port, &collection.pack()).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::VersionConflict, "{error:#}");
    assert!(
        manifests_written(&proxy).iter().all(|line| line.contains("/manifests/sha256:")),
        "a tag moved: {:?}",
        manifests_written(&proxy)
    );
    assert_eq!(collection_of(port)["features"][0]["description"], "theirs");
}

#[test]
fn a_newer_version_that_somebody_publishes_meanwhile_keeps_its_tags() {
    let registry = one_by_one();
    let port = registry.port();
    let collection = Collection::new();
    let folder = collection.feature("a", "1.1.0", "");
    let newer = collection.pack();
    let digest = push_to(&destination(port), &newer, true).0.unwrap().releases[0].artifact.digest.to_string();
    collection.feature("a", "1.0.0", "");
    let line = format!("PUT /v2/{NAMESPACE}/a/manifests/1.0.0");
    let proxy = meanwhile(port, line, move || drop(push(port, &newer).unwrap()));
    let plan = push(proxy.port, &pack(&folder).unwrap()).unwrap();
    assert_eq!(plan.releases[0].tags, ["1.0", "1.0.0"]);
    for tag in ["1", "1.1", "latest"] {
        assert_eq!(digest_of(port, &format!("{NAMESPACE}/a"), tag).as_ref(), Some(&digest), "{tag}");
    }
    assert_eq!(collection_of(port)["features"][0]["version"], "1.1.0");
}

#[test]
fn two_publishes_at_once_both_stay_in_the_collection() {
    let registry = embedded();
    let port = registry.port();
    let listed = || {
        let listed = collection_of(port);
        let features = listed["features"].as_array().unwrap().iter();
        features.map(|feature| feature["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let collection = Collection::new();
    let [a, b, c] = ["a", "b", "c"].map(|id| pack(&collection.feature(id, "1.0.0", "")).unwrap());
    push(port, &a).unwrap();
    // Theirs comes after we looked and before we push.
    let theirs = b;
    let line = format!("POST /v2/{NAMESPACE}/c/blobs");
    let proxy = meanwhile(port, line, move || drop(push(port, &theirs).unwrap()));
    push(proxy.port, &c).unwrap();
    assert_eq!(listed(), "a b c");
    // Theirs replaces ours just after it was pushed: the tag means again what it meant before.
    let base = format!("http://localhost:{port}/v2/{NAMESPACE}/manifests/latest");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let before = http("GET", &base, &[("accept", media_type)], b"").body;
    let (pushed, replaced) = (AtomicBool::new(false), AtomicBool::new(false));
    let proxy = Proxy::start(port, move |seen| {
        if seen.path != format!("/v2/{NAMESPACE}/manifests/latest") {
            return None;
        }
        if seen.method == "PUT" {
            pushed.store(true, Ordering::SeqCst);
        } else if pushed.load(Ordering::SeqCst) && !replaced.swap(true, Ordering::SeqCst) {
            let put = || http("PUT", &base, &[("content-type", media_type)], &before);
            std::thread::scope(|scope| assert_eq!(scope.spawn(put).join().unwrap().status, 201));
        }
        None
    });
    push(proxy.port, &pack(&collection.feature("d", "1.0.0", "")).unwrap()).unwrap();
    assert_eq!(listed(), "a b c d");
    let tag = format!("PUT /v2/{NAMESPACE}/manifests/latest");
    assert_eq!(proxy.writes().into_iter().filter(|line| *line == tag).count(), 2);
}

#[test]
fn a_floating_tag_never_moves_back() {
    let registry = embedded();
    let collection = Collection::new();
    collection.feature("a", "1.2.0", "");
    push(registry.port(), &collection.pack()).unwrap();
    collection.feature("a", "2.0.0", "");
    let newest = push(registry.port(), &collection.pack()).unwrap().releases[0].artifact.digest.to_string();
    // The list is stale.
    let proxy = Proxy::start(registry.port(), |seen| {
        seen.path.ends_with("/tags/list").then(|| reply(200, &[], r#"{"tags":["1.2.0"]}"#))
    });
    collection.feature("a", "1.3.0", "");
    let (result, notes) = push_to(&destination(proxy.port), &collection.pack(), false);
    assert_eq!(result.unwrap().releases[0].tags, ["1", "1.3", "1.3.0"]);
    let at = format!("localhost:{}/{NAMESPACE}/a:latest", proxy.port);
    assert_eq!(
        notes,
        [format!("{at} is 2.0.0, which the list of tags does not have; it is not moved back to 1.3.0")]
    );
    assert_eq!(digest_of(registry.port(), &format!("{NAMESPACE}/a"), "latest"), Some(newest));
}
