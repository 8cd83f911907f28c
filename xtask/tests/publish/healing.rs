//! What broke off, and what a registry lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::proxy::{Proxy, reply};
use crate::support::{
    Collection, NAMESPACE, collection_of, destination, digest_of, embedded, http, one_by_one, pack, push,
    push_to,
};
use xtask::exit::Exit;
use xtask::publish::report;

#[test]
fn a_publish_that_broke_off_is_finished_by_the_next() {
    let registry = one_by_one();
    let broken = Arc::new(AtomicBool::new(true));
    let breaks = Arc::clone(&broken);
    let proxy = Proxy::start(registry.port(), move |seen| {
        let hit =
            seen.method == "PUT" && seen.path.ends_with("/a/manifests/1.0") && breaks.load(Ordering::SeqCst);
        hit.then(|| reply(500, &[], "<html>out of order</html>"))
    });
    let collection = Collection::new();
    collection.feature("a", "1.0.0", r#","legacyIds":["old"]"#);
    let packed = collection.pack();
    let error = push(proxy.port, &packed).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Registry);
    assert_eq!(
        error.to_string(),
        format!(
            "the registry localhost:{} answered 500 to PUT /v2/{NAMESPACE}/a/manifests/1.0: <html>out of order</html> (tried 6 times); every version is out, but not all that leads to it, and the same command does the rest",
            proxy.port
        )
    );
    assert!(digest_of(proxy.port, &format!("{NAMESPACE}/a"), "1.0.0").is_some());
    // Nothing was there before, so `latest` goes at the same time as `1.0`; nothing is announced.
    assert!(digest_of(proxy.port, NAMESPACE, "latest").is_none());
    broken.store(false, Ordering::SeqCst);
    let plan = push(proxy.port, &packed).unwrap();
    assert_eq!(plan.releases[0].tags, ["1.0"]);
    assert!(plan.releases[0].present);
    for repository in ["a", "old"] {
        for tag in ["1", "1.0", "1.0.0", "latest"] {
            let found = digest_of(proxy.port, &format!("{NAMESPACE}/{repository}"), tag);
            assert_eq!(found, Some(plan.releases[0].artifact.digest.to_string()), "{repository}:{tag}");
        }
    }
    assert_eq!(collection_of(proxy.port)["features"][0]["currentId"], "a");
    // The former id had all it needs in the first run.
    assert!(!report::json_line(&plan).contains("publishedLegacyIds"));
    // Where something was, `latest` waits for the others.
    let before = digest_of(proxy.port, &format!("{NAMESPACE}/a"), "latest");
    collection.feature("a", "1.0.1", r#","legacyIds":["old"]"#);
    broken.store(true, Ordering::SeqCst);
    push(proxy.port, &collection.pack()).unwrap_err();
    assert!(digest_of(proxy.port, &format!("{NAMESPACE}/a"), "1.0.1").is_some());
    assert_eq!(digest_of(proxy.port, &format!("{NAMESPACE}/a"), "latest"), before);
    broken.store(false, Ordering::SeqCst);
    let plan = push(proxy.port, &collection.pack()).unwrap();
    assert_eq!(plan.releases[0].tags, ["1.0", "latest"]);
}

/// Whether a registry has everything that a Feature's tag or a collection names.
fn complete(port: u16, repository: &str, layer: &[u8]) -> bool {
    [layer, b"{}".as_slice()].iter().all(|data| {
        let digest = xtask::oci::digest::Digest::of(data);
        http("GET", &format!("http://localhost:{port}/v2/{repository}/blobs/{digest}"), &[], b"").status
            == 200
    })
}

/// Removes every blob's bytes of a repository's registry that are this content.
fn lose(root: &std::path::Path, content: &[u8]) {
    let mut folders = vec![root.to_owned()];
    let mut lost = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read(&path).unwrap() == content {
                std::fs::remove_file(path).unwrap();
                lost += 1;
            }
        }
    }
    assert!(lost > 0, "nothing was lost");
}

#[test]
fn what_a_registry_lost_is_uploaded_again() {
    let registry = embedded();
    let collection = Collection::new();
    let folder = collection.feature("a", "1.0.0", "");
    let packed = collection.pack();
    let plan = push(registry.port(), &packed).unwrap();
    let layer = &packed.features[0].archive.bytes().unwrap();
    let listed = &plan.collection.artifact.layer.bytes().unwrap();
    for lost in [layer.as_ref(), listed.as_ref(), b"{}"] {
        lose(registry.root.path(), lost);
        let (result, notes) = push_to(&destination(registry.port()), &packed, false);
        result.unwrap();
        assert!(notes.iter().any(|note| note.contains("gone from the registry")), "{notes:?}");
        assert!(complete(registry.port(), &format!("{NAMESPACE}/a"), layer));
        assert!(complete(registry.port(), NAMESPACE, listed));
    }
    // One Feature alone: the collection was just this one.
    lose(registry.root.path(), listed);
    push(registry.port(), &pack(&folder).unwrap()).unwrap();
    assert!(complete(registry.port(), NAMESPACE, listed));
    // And where it was more, the sentence says the way out, which works.
    collection.feature("b", "1.0.0", "");
    let plan = push(registry.port(), &collection.pack()).unwrap();
    lose(registry.root.path(), &plan.collection.artifact.layer.bytes().unwrap());
    let error = push(registry.port(), &pack(&folder).unwrap()).unwrap_err().to_string();
    assert!(
        error.contains("(its content is gone from the registry); publish the whole collection"),
        "{error}"
    );
    push(registry.port(), &collection.pack()).unwrap();
    assert!(complete(registry.port(), NAMESPACE, &plan.collection.artifact.layer.bytes().unwrap()));
}
