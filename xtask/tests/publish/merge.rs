//! The collection: what it lists when somebody publishes a part of it, an older version, or at the same time.

use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use xtask::registry::server::{Options, serve};
use xtask::registry::watch::{Moment, Verdict, Watch};

use crate::support::{
    Collection, NAMESPACE, collection_of, digest_of, embedded, fast_folder, http, pack, push,
};

/// What is listed, as in `a 1.0.0, b 0.1.0`.
fn listed(port: u16) -> String {
    let collection = collection_of(port);
    let features = collection["features"].as_array().unwrap().iter();
    let text = |feature: &serde_json::Value, name: &str| feature[name].as_str().unwrap().to_owned();
    features
        .map(|feature| format!("{} {}", text(feature, "id"), text(feature, "version")))
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn one_feature_leaves_the_others_as_they_are() {
    let registry = embedded();
    let port = registry.port();
    let collection = Collection::new();
    collection.feature("a", "1.0.0", r#","options":{"z":{"type":"string","default":"é"}}"#);
    let b = collection.feature("b", "1.0.0", "");
    collection.feature("c", "1.0.0", r#","legacyIds":["old"],"keywords":["x"]"#);
    push(port, &collection.pack()).unwrap();
    let before = collection_of(port);
    collection.feature("b", "1.1.0", "");
    push(port, &pack(&b).unwrap()).unwrap();
    let after = collection_of(port);
    assert_eq!(listed(port), "a 1.0.0, b 1.1.0, c 1.0.0");
    for others in [0, 2] {
        assert_eq!(before["features"][others].to_string(), after["features"][others].to_string());
    }
    // A new one comes to them.
    push(port, &pack(&collection.feature("ab", "0.0.1", "")).unwrap()).unwrap();
    assert_eq!(listed(port), "a 1.0.0, ab 0.0.1, b 1.1.0, c 1.0.0");
}

#[test]
fn a_back_port_leaves_the_highest_release_listed() {
    let registry = embedded();
    let port = registry.port();
    let collection = Collection::new();
    let a = collection.feature("a", "2.0.0", "");
    collection.feature("b", "1.0.0", "");
    push(port, &collection.pack()).unwrap();
    let newest = digest_of(port, &format!("{NAMESPACE}/a"), "2.0.0");
    // Alone, and with the whole collection as it was on an old branch.
    collection.feature("a", "1.5.0", "");
    let plan = push(port, &pack(&a).unwrap()).unwrap();
    assert_eq!(plan.releases[0].tags, ["1", "1.5", "1.5.0"]);
    assert_eq!(listed(port), "a 2.0.0, b 1.0.0");
    collection.feature("a", "1.5.1", "");
    collection.feature("b", "1.0.1", "");
    let plan = push(port, &collection.pack()).unwrap();
    assert_eq!(plan.releases[0].tags, ["1", "1.5", "1.5.1"]);
    assert_eq!(listed(port), "a 2.0.0, b 1.0.1");
    assert_eq!(digest_of(port, &format!("{NAMESPACE}/a"), "latest"), newest);
    // Nor does a pre-release hide what is released.
    collection.feature("a", "3.0.0-rc.1", "");
    push(port, &pack(&a).unwrap()).unwrap();
    assert_eq!(listed(port), "a 2.0.0, b 1.0.1");
    push(port, &collection.pack()).unwrap();
    assert_eq!(listed(port), "a 2.0.0, b 1.0.1");
}

#[test]
fn a_collection_that_is_none_is_replaced_by_the_whole_and_by_no_part() {
    let registry = embedded();
    let port = registry.port();
    let collection = Collection::new();
    let a = collection.feature("a", "1.0.0", "");
    // Somebody else's artifact has the tag.
    let base = format!("http://localhost:{port}/v2/{NAMESPACE}");
    let digest = xtask::oci::digest::Digest::of(b"not JSON");
    let upload = format!("{base}/blobs/uploads/?digest={digest}");
    assert_eq!(http("POST", &upload, &[], b"not JSON").status, 201);
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{{"mediaType":"a/b","digest":"{digest}","size":8}},"layers":[{{"mediaType":"a/b","digest":"{digest}","size":8}}]}}"#
    );
    let put = http(
        "PUT",
        &format!("{base}/manifests/latest"),
        &[("content-type", media_type)],
        manifest.as_bytes(),
    );
    assert_eq!(put.status, 201);
    let error = push(port, &pack(&a).unwrap()).unwrap_err().to_string();
    assert!(error.contains("cannot be read") && error.contains("publish the whole collection"), "{error}");
    push(port, &collection.pack()).unwrap();
    assert_eq!(listed(port), "a 1.0.0");
}

#[test]
fn versions_that_are_tagged_with_a_v_count() {
    let registry = embedded();
    let port = registry.port();
    let collection = Collection::new();
    let a = collection.feature("a", "2.0.0", "");
    let newest = push(port, &collection.pack()).unwrap().releases[0].artifact.digest.to_string();
    // As a tool that tags so would have left it: `v2.0.0`, `latest`, and nothing else.
    let repository = format!("{NAMESPACE}/a");
    let base = format!("http://localhost:{port}/v2/{repository}/manifests");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = http("GET", &format!("{base}/latest"), &[], b"").body;
    assert_eq!(
        http("PUT", &format!("{base}/v2.0.0"), &[("content-type", media_type)], &manifest).status,
        201
    );
    for tag in ["2", "2.0", "2.0.0"] {
        std::fs::remove_file(registry.root.path().join(format!("repositories/{repository}/_tags/{tag}")))
            .unwrap();
    }
    collection.feature("a", "1.5.0", "");
    let plan = push(port, &pack(&a).unwrap()).unwrap();
    assert_eq!(plan.releases[0].tags, ["1", "1.5", "1.5.0"]);
    assert_eq!(digest_of(port, &repository, "latest"), Some(newest));
    collection.feature("a", "2.0.1", "");
    let plan = push(port, &pack(&a).unwrap()).unwrap();
    assert_eq!(plan.releases[0].tags, ["2", "2.0", "2.0.1", "latest"]);
}

/// Somebody looks before our push, and pushes after it what he saw.
#[test]
fn an_entry_that_somebody_overwrites_comes_back() {
    let root = fast_folder();
    let collection = Collection::new();
    let [a, b] = ["a", "b"].map(|id| pack(&collection.feature(id, "1.0.0", "")).unwrap());
    let port = Arc::new(AtomicU16::new(0));
    let (pushes, ours) = (AtomicUsize::new(0), Mutex::new(Some(a)));
    let (ours_is_there, wait) = std::sync::mpsc::channel();
    let (wait, running) = (Mutex::new(wait), Arc::new(Mutex::new(None)));
    let (to, handle) = (Arc::clone(&port), Arc::clone(&running));
    let watch = Watch::new(move |seen| {
        if seen.asked.method != "PUT" || seen.asked.path != format!("/v2/{NAMESPACE}/manifests/latest") {
            return Verdict::Go;
        }
        match (seen.moment, pushes.load(Ordering::SeqCst)) {
            (Moment::Arrived, 0) => {
                // He has looked. Now we look and push, and then it is his turn.
                pushes.store(1, Ordering::SeqCst);
                let (port, ours) = (to.load(Ordering::SeqCst), ours.lock().unwrap().take().unwrap());
                *handle.lock().unwrap() = Some(std::thread::spawn(move || push(port, &ours).map(drop)));
                wait.lock().unwrap().recv().unwrap();
                std::thread::sleep(Duration::from_millis(30));
            }
            (Moment::Arrived, 1) => {
                pushes.store(2, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(200));
            }
            (Moment::Served { .. }, 2) => {
                pushes.store(3, Ordering::SeqCst);
                ours_is_there.send(()).unwrap();
            }
            _ => {}
        }
        Verdict::Go
    });
    let serving = serve(root.path(), &Options { watch, ..Options::default() }).unwrap();
    port.store(serving.port(), Ordering::SeqCst);
    push(serving.port(), &b).unwrap();
    let ours = running.lock().unwrap().take().unwrap();
    ours.join().unwrap().unwrap();
    assert_eq!(listed(serving.port()), "a 1.0.0, b 1.0.0");
}

#[test]
fn many_publishers_at_once_are_healed_by_the_next() {
    let registry = embedded();
    let port = registry.port();
    let collection = Collection::new();
    let ids = ["a", "b", "c", "d", "e"];
    for round in 0..3 {
        let packs: Vec<_> = ids
            .iter()
            .map(|id| pack(&collection.feature(id, &format!("1.0.{round}"), "")).unwrap())
            .collect();
        std::thread::scope(|scope| {
            for packed in &packs {
                scope.spawn(move || match push(port, packed) {
                    Ok(_) => {}
                    Err(error) => {
                        assert!(error.to_string().contains("something else writes there"), "{error:#}");
                    }
                });
            }
        });
        for packed in &packs {
            push(port, packed).unwrap();
        }
        let all: Vec<String> = ids.iter().map(|id| format!("{id} 1.0.{round}")).collect();
        assert_eq!(listed(port), all.join(", "));
    }
}
