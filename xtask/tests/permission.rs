//! Who may not write learns it before the first byte is sent.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::guarded::{Guarded, challenge};
use support::proxy::{Seen, reply};
use support::{Collection, NAMESPACE, push, push_to};
use xtask::exit::Exit;
use xtask::oci::secret::Secret;
use xtask::registry::server::{Options, serve};

fn collection(count: usize) -> Collection {
    let collection = Collection::new();
    for index in 0..count {
        collection.feature(&format!("f{index:02}"), "1.0.0", "");
    }
    collection
}

fn uploads(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            if entry.file_type().unwrap().is_dir() {
                uploads(&entry.path())
            } else {
                usize::from(folder.ends_with("_uploads") || folder.ends_with("tmp"))
            }
        })
        .sum()
}

#[test]
fn thirty_features_without_the_right_are_one_sentence_and_no_byte() {
    for status in [401, 403] {
        let guarded = Guarded::start(move |seen, tokens| {
            (seen.writes() && tokens.shown(seen).is_some()).then(|| {
                let body = r#"{"errors":[{"code":"DENIED","message":"read only"}]}"#;
                if status == 401 { challenge(seen, "") } else { reply(403, &[], body) }
            })
        });
        let error = push_to(&guarded.destination(), &collection(30).pack(), false).0.unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Registry);
        let text = error.to_string();
        let said = if status == 401 { "UNAUTHORIZED (log in)" } else { "DENIED (read only)" };
        let expected = format!(
            "the registry localhost:{0} lets nothing be written to 31 of 31 repositories ({NAMESPACE}/f00, {NAMESPACE}/f01, {NAMESPACE}/f02 and 28 more) with the credentials from DEVCONTAINERS_OCI_AUTH: {said}; nothing was uploaded; log in with `docker login localhost:{0}` as somebody who may write there, or set DEVCONTAINERS_OCI_AUTH=\"localhost:{0}|user|token\"",
            guarded.proxy.port
        );
        assert_eq!(text, expected);
        assert!(guarded.proxy.writes().iter().all(|line| line.ends_with("/blobs/uploads/")));
    }
}

#[test]
fn one_repository_without_the_right_leaves_nothing_in_the_others() {
    let guarded = Guarded::start(|seen, tokens| {
        let hit = seen.method == "POST" && seen.path.contains("/f01/") && tokens.shown(seen).is_some();
        hit.then(|| reply(403, &[], ""))
    });
    let collection = collection(3);
    let error = push_to(&guarded.destination(), &collection.pack(), false).0.unwrap_err().to_string();
    assert!(error.contains(&format!("written to 1 of 4 repositories ({NAMESPACE}/f01) with")), "{error}");
    let seen = guarded.proxy.seen();
    let count = |method: &str| seen.iter().filter(|seen| seen.method == method).count();
    // The two uploads that were begun in each of them.
    assert_eq!((count("DELETE"), count("PUT"), count("PATCH")), (6, 0, 0));
    assert_eq!(support::digest_of(guarded.registry.port(), &format!("{NAMESPACE}/f00"), "latest"), None);
}

#[test]
fn the_proof_comes_first_and_is_used() {
    let guarded = Guarded::start(|_, _| None);
    let collection = collection(2);
    push_to(&guarded.destination(), &collection.pack(), false).0.unwrap();
    let writes: Vec<Seen> = guarded.requests().into_iter().filter(Seen::writes).collect();
    let first_bytes = writes.iter().position(|seen| matches!(seen.method.as_str(), "PUT" | "PATCH")).unwrap();
    for id in ["/f00/", "/f01/", "/features/blobs/"] {
        let posts =
            writes[..first_bytes].iter().filter(|seen| seen.method == "POST" && seen.path.contains(id));
        assert_eq!(posts.count(), 2, "{id}");
    }
    // One upload a blob: the configuration and the layer of three artifacts.
    let count = |method: &str| writes.iter().filter(|seen| seen.method == method).count();
    assert_eq!((count("POST"), count("DELETE")), (6, 0));
    // With nothing to write, nothing is proved.
    guarded.proxy.forget();
    push_to(&guarded.destination(), &collection.pack(), false).0.unwrap();
    assert!(guarded.proxy.writes().is_empty());
}

#[test]
fn no_upload_that_was_begun_stays() {
    let root = tempfile::tempdir().unwrap();
    let registry = serve(root.path(), &Options::default()).unwrap();
    push(registry.port(), &collection(2).pack()).unwrap();
    assert_eq!(uploads(root.path()), 0);
    // The count sees one that was not cancelled.
    let url = format!("http://localhost:{}/v2/x/blobs/uploads/", registry.port());
    assert_eq!(support::http("POST", &url, &[("content-length", "0")], b"").status, 202);
    assert!(uploads(root.path()) > 0);
}

#[test]
fn an_upload_that_the_registry_forgot_is_begun_again() {
    let forgotten = AtomicUsize::new(0);
    let guarded = Guarded::start(move |seen, _| {
        let first = seen.method == "PUT" && seen.path.contains("/uploads/");
        (first && forgotten.fetch_add(1, Ordering::Relaxed) == 0)
            .then(|| reply(404, &[], r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"gone"}]}"#))
    });
    push_to(&guarded.destination(), &collection(1).pack(), false).0.unwrap();
    let posts = guarded.proxy.writes().into_iter().filter(|line| line.starts_with("POST"));
    assert_eq!(posts.count(), 5);
}

#[test]
fn a_proof_that_no_blob_needs_is_taken_back() {
    let guarded = Guarded::start(|_, _| None);
    let collection = collection(1);
    push(guarded.registry.port(), &collection.pack()).unwrap();
    // Only a tag is missing.
    let missing = Guarded::start(|_, _| None);
    let base = format!("http://localhost:{}/v2/{NAMESPACE}/f00", guarded.registry.port());
    let accept = [("accept", "application/vnd.oci.image.manifest.v1+json")];
    let manifest = support::http("GET", &format!("{base}/manifests/1.0.0"), &accept, b"");
    let there = format!("http://localhost:{}/v2/{NAMESPACE}/f00", missing.registry.port());
    for digest in
        [manifest.json()["config"]["digest"].clone(), manifest.json()["layers"][0]["digest"].clone()]
    {
        let digest = digest.as_str().unwrap();
        let blob = support::http("GET", &format!("{base}/blobs/{digest}"), &[], b"");
        let url = format!("{there}/blobs/uploads/?digest={digest}");
        assert_eq!(support::http("POST", &url, &[], &blob.body).status, 201);
    }
    let put = [("content-type", "application/vnd.oci.image.manifest.v1+json")];
    assert_eq!(support::http("PUT", &format!("{there}/manifests/1.0.0"), &put, &manifest.body).status, 201);
    push_to(&missing.destination(), &collection.pack(), false).0.unwrap();
    let deleted: Vec<String> =
        missing.proxy.writes().into_iter().filter(|line| line.starts_with("DELETE")).collect();
    assert!(deleted.len() == 1 && deleted[0].contains("/f00/blobs/uploads/"), "{deleted:?}");
}

#[test]
fn a_registry_that_cancels_nothing_changes_no_error() {
    for status in [401, 404, 405, 500] {
        let guarded = Guarded::start(move |seen, tokens| {
            let refused =
                seen.method == "POST" && seen.path.contains("/f01/") && tokens.shown(seen).is_some();
            match seen.method.as_str() {
                "DELETE" => Some(reply(status, &[], "no")),
                _ => refused.then(|| reply(403, &[], "")),
            }
        });
        let error = push_to(&guarded.destination(), &collection(2).pack(), false).0.unwrap_err().to_string();
        assert!(error.contains("lets nothing be written to 1 of 3 repositories"), "{error}");
        let tried = guarded.proxy.writes().into_iter().filter(|line| line.starts_with("DELETE"));
        // Two repositories, and two uploads in each.
        assert_eq!(tried.count(), 4, "each is tried once");
    }
}

#[test]
fn other_failures_keep_their_words() {
    let guarded = Guarded::start(|seen, tokens| {
        let body = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"create it first"}]}"#;
        (seen.method == "POST" && tokens.shown(seen).is_some()).then(|| reply(404, &[], body))
    });
    let error = push_to(&guarded.destination(), &collection(1).pack(), false).0.unwrap_err().to_string();
    assert!(
        error.contains(
            "answered 404 to POST /v2/owner/features/f00/blobs/uploads/: NAME_UNKNOWN (create it first)"
        ),
        "{error}"
    );
    assert!(guarded.proxy.writes().iter().all(|line| line.starts_with("POST")));
}

#[test]
fn the_error_names_where_the_credentials_came_from() {
    let guarded = Guarded::start(|seen, tokens| {
        (seen.writes() && tokens.shown(seen).is_some()).then(|| reply(403, &[], ""))
    });
    let mut destination = guarded.destination();
    destination.sources.oci_auth = None;
    destination.sources.login = Some(("me".to_owned(), Secret::new("p")));
    let error = push_to(&destination, &collection(1).pack(), false).0.unwrap_err().to_string();
    assert!(
        error.contains("with the credentials from --password-stdin; nothing was uploaded; log in with"),
        "{error}"
    );
}
