//! Publishing, against the embedded registry and Debian's, as seen from outside.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use support::docker_registry::DockerRegistry;
use support::proxy::{Proxy, reply};
use support::{Collection, NAMESPACE, collection_of, destination, digest_of, push, push_to};
use xtask::exit::Exit;
use xtask::publish::report;
use xtask::registry::server::{Options, Serving, serve};

struct Embedded {
    serving: Serving,
    root: tempfile::TempDir,
}

fn embedded() -> Embedded {
    embedded_with(&Options::default())
}

fn embedded_with(options: &Options) -> Embedded {
    let root = tempfile::tempdir().unwrap();
    Embedded { serving: serve(root.path(), options).unwrap(), root }
}

impl Embedded {
    fn port(&self) -> u16 {
        self.serving.port()
    }
}

/// The whole life of a collection; every registry must agree.
fn life(port: u16) {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    collection.feature("b", "0.1.0", "");
    let first = collection.pack();
    let plan = push(port, &first).unwrap();
    let digest = plan.releases[0].artifact.digest.to_string();
    assert_eq!(
        report::json_line(&plan),
        format!(
            r#"{{"a":{{"publishedTags":["1","1.0","1.0.0","latest"],"digest":"{digest}","version":"1.0.0"}},"b":{{"publishedTags":["0","0.1","0.1.0","latest"],"digest":"{}","version":"0.1.0"}}}}"#,
            plan.releases[1].artifact.digest
        )
    );
    for tag in ["1", "1.0", "1.0.0", "latest"] {
        assert_eq!(digest_of(port, &format!("{NAMESPACE}/a"), tag).as_ref(), Some(&digest), "{tag}");
    }
    // The same again does nothing.
    assert_eq!(report::json_line(&push(port, &first).unwrap()), r#"{"a":{},"b":{}}"#);

    // A fix, alone: its tags move, and the collection keeps the other Feature.
    collection.feature("a", "1.0.1", "");
    let single = support::pack(&collection.path().join("a")).unwrap();
    let plan = push(port, &single).unwrap();
    assert_eq!(plan.releases[0].tags, ["1", "1.0", "1.0.1", "latest"]);
    assert_eq!(
        digest_of(port, &format!("{NAMESPACE}/a"), "1.0.0"),
        Some(digest),
        "a published version changed"
    );
    let listed = collection_of(port);
    let listed: Vec<_> = listed["features"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["id"].as_str().unwrap(), f["version"].as_str().unwrap()))
        .collect();
    assert_eq!(listed, [("a", "1.0.1"), ("b", "0.1.0")]);

    // A pre-release takes its own tag only.
    collection.feature("a", "2.0.0-rc.1", "");
    let plan = push(port, &collection.pack()).unwrap();
    assert_eq!(plan.releases[0].tags, ["2.0.0-rc.1"]);

    // Other bytes under a published version: an error, and nothing of the run is published.
    collection.feature("a", "1.0.1", r#","description":"changed""#);
    collection.feature("b", "0.2.0", "");
    let error = push(port, &collection.pack()).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::VersionConflict, "{error:#}");
    assert!(
        error.to_string().starts_with(&format!(
            "localhost:{port}/{NAMESPACE}/a:1.0.1 is already published with other content"
        )),
        "{error}"
    );
    assert_eq!(
        digest_of(port, &format!("{NAMESPACE}/b"), "0.2.0"),
        None,
        "a run that failed published something"
    );
}

#[test]
fn a_collection_lives_on_the_embedded_registry() {
    life(embedded().port());
}

#[test]
fn a_collection_lives_on_docker_registry() {
    if let Some(registry) = DockerRegistry::start() {
        life(registry.port);
    }
}

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

#[test]
fn a_dry_run_writes_nothing_and_plans_the_same() {
    let registry = embedded();
    let proxy = Proxy::start(registry.port(), |_| None);
    let collection = Collection::new();
    collection.feature("a", "1.2.3", "");
    let packed = collection.pack();
    let planned = push_to(&destination(proxy.port), &packed, true).0.unwrap();
    assert_eq!(proxy.writes(), Vec::<String>::new());
    let done = push(proxy.port, &packed).unwrap();
    assert_eq!(report::json_line(&planned), report::json_line(&done));
    assert!(!proxy.writes().is_empty());
}

#[test]
fn blobs_come_before_manifests_and_latest_and_the_collection_last() {
    let registry = embedded();
    let proxy = Proxy::start(registry.port(), |_| None);
    let collection = Collection::new();
    collection.feature("a", "1.2.3", "");
    let plan = push(proxy.port, &collection.pack()).unwrap();
    let base = format!("/v2/{NAMESPACE}");
    let mut manifests: Vec<String> = proxy
        .seen()
        .iter()
        .filter(|seen| seen.method == "PUT" && seen.path.contains("/manifests/"))
        .map(|seen| seen.path.clone())
        .collect();
    // These two go at the same time.
    manifests[2..4].sort_by_key(|path| std::cmp::Reverse(path.len()));
    assert_eq!(
        manifests,
        [
            format!("{base}/a/manifests/{}", plan.releases[0].artifact.digest),
            format!("{base}/a/manifests/1.2.3"),
            format!("{base}/a/manifests/1.2"),
            format!("{base}/a/manifests/1"),
            format!("{base}/a/manifests/latest"),
            format!("{base}/manifests/latest"),
        ]
    );
    let first_manifest = proxy.writes().iter().position(|line| line.contains("/manifests/")).unwrap();
    assert!(proxy.writes()[..first_manifest].iter().filter(|line| line.contains("/blobs/")).count() >= 4);
    for seen in proxy.seen().iter().filter(|seen| seen.writes()) {
        assert!(seen.header("content-length").is_some(), "{} has no Content-Length", seen.line());
        assert_eq!(seen.header("transfer-encoding"), None, "{}", seen.line());
    }
}

#[test]
fn a_publish_that_broke_off_is_finished_by_the_next() {
    let registry = embedded();
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
            "the registry localhost:{} answered 500 to PUT /v2/{NAMESPACE}/a/manifests/1.0: <html>out of order</html> (tried 6 times)",
            proxy.port
        )
    );
    assert!(digest_of(proxy.port, &format!("{NAMESPACE}/a"), "1.0.0").is_some());
    assert!(digest_of(proxy.port, &format!("{NAMESPACE}/a"), "latest").is_none());
    broken.store(false, Ordering::SeqCst);
    let plan = push(proxy.port, &packed).unwrap();
    // `1` goes at the same time as `1.0`.
    assert_eq!(plan.releases[0].tags, ["1.0", "latest"]);
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
}

#[test]
fn tags_on_later_pages_count() {
    let registry = embedded_with(&Options { max_page: 2, ..Options::default() });
    let collection = Collection::new();
    for version in ["1.0.0", "1.1.0", "3.0.0", "2.0.0"] {
        collection.feature("a", version, "");
        push(registry.port(), &collection.pack()).unwrap();
    }
    collection.feature("a", "2.1.0", "");
    let plan = push(registry.port(), &collection.pack()).unwrap();
    assert_eq!(
        plan.releases[0].tags,
        ["2", "2.1", "2.1.0"],
        "latest belongs to 3.0.0, which is on a later page"
    );
}

#[test]
fn a_list_of_tags_that_is_null_is_empty() {
    let registry = embedded();
    let proxy = Proxy::start(registry.port(), |seen| {
        seen.path.ends_with("/tags/list").then(|| reply(200, &[], r#"{"name":"x","tags":null}"#))
    });
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    assert_eq!(push(proxy.port, &collection.pack()).unwrap().releases[0].tags.len(), 4);
}

#[test]
fn an_endless_list_of_tags_ends() {
    let registry = embedded();
    let proxy = Proxy::start(registry.port(), |seen| {
        let link = format!("<{}?{}>; rel=\"next\"", seen.path, seen.query);
        seen.path.ends_with("/tags/list").then(|| reply(200, &[("link", &link)], r#"{"tags":["1.0.0"]}"#))
    });
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let error = push(proxy.port, &collection.pack()).unwrap_err().to_string();
    assert!(error.ends_with("the next page of tags is the same page"), "{error}");
}

#[test]
fn a_registry_that_swallows_a_tag_is_found_out() {
    let registry = embedded();
    let proxy = Proxy::start(registry.port(), |seen| {
        (seen.method == "PUT" && seen.path.ends_with("/manifests/latest")).then(|| reply(201, &[], ""))
    });
    let collection = Collection::new();
    let found_out = |there: &str| {
        let error = push(proxy.port, &collection.pack()).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Registry);
        let text = error.to_string();
        let expected = format!("the registry holds {there} where sha256:");
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.contains(&format!("for {NAMESPACE}/a:latest")), "{text}");
    };
    collection.feature("a", "1.0.0", "");
    found_out("nothing");
    // The tag is there, and means what it meant before.
    let before = push(registry.port(), &collection.pack()).unwrap();
    collection.feature("a", "1.0.1", "");
    found_out(before.releases[0].artifact.digest.as_str());
}

#[test]
fn warnings_of_the_registry_are_shown() {
    let registry = embedded();
    let proxy = Proxy::start(registry.port(), |seen| {
        seen.path
            .ends_with("/tags/list")
            .then(|| reply(404, &[("warning", "299 - \"read only from\u{9} Friday\"")], "{}"))
    });
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let (result, notes) = push_to(&destination(proxy.port), &collection.pack(), false);
    result.unwrap();
    assert_eq!(notes, [format!("the registry localhost:{} warns: read only from  Friday", proxy.port)]);
}

#[test]
fn nobody_there_is_one_sentence() {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let error = push(port, &collection.pack()).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Registry);
    let text = format!("{error:#}");
    assert!(
        text.starts_with(&format!("cannot reach the registry localhost:{port}: Connection refused")),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);
}

/// The tags and manifests that were written.
fn manifests_written(proxy: &Proxy) -> Vec<String> {
    proxy.writes().into_iter().filter(|line| line.contains("/manifests/")).collect()
}

#[test]
fn a_layer_that_arrives_changed_is_never_named() {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let packed = collection.pack();
    let layer = packed.features[0].archive.bytes().unwrap();
    let path = format!("/blobs/{}", xtask::oci::digest::Digest::of(&layer));
    // Uploaded by this run, or there before it: neither is believed.
    for uploaded_before in [false, true] {
        let registry = embedded();
        if uploaded_before {
            push(registry.port(), &packed).unwrap();
        }
        let (path, wrong) = (path.clone(), "x".repeat(layer.len()));
        let proxy = Proxy::start(registry.port(), move |seen| {
            let manifest = seen.method == "GET" && seen.path.contains("/manifests/");
            if manifest && uploaded_before {
                return Some(reply(404, &[], ""));
            }
            (seen.method == "GET" && seen.path.ends_with(&path)).then(|| reply(200, &[], &wrong))
        });
        let error = push(proxy.port, &packed).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Registry, "{error:#}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("for a blob of {NAMESPACE}/a")) && text.lines().count() == 1,
            "{text}"
        );
        assert_eq!(manifests_written(&proxy), Vec::<String>::new());
    }
}

/// Whether a registry has everything that a Feature's tag or a collection names.
fn complete(port: u16, repository: &str, layer: &[u8]) -> bool {
    [layer, b"{}".as_slice()].iter().all(|data| {
        let digest = xtask::oci::digest::Digest::of(data);
        support::http("GET", &format!("http://localhost:{port}/v2/{repository}/blobs/{digest}"), &[], b"")
            .status
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
    let listed = &plan.collection.artifact.layer.read().unwrap();
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
    push(registry.port(), &support::pack(&folder).unwrap()).unwrap();
    assert!(complete(registry.port(), NAMESPACE, listed));
    // And where it was more, the sentence says the way out, which works.
    collection.feature("b", "1.0.0", "");
    let plan = push(registry.port(), &collection.pack()).unwrap();
    lose(registry.root.path(), &plan.collection.artifact.layer.read().unwrap());
    let error = push(registry.port(), &support::pack(&folder).unwrap()).unwrap_err().to_string();
    assert!(
        error.contains("(its content is gone from the registry); publish the whole collection"),
        "{error}"
    );
    push(registry.port(), &collection.pack()).unwrap();
    assert!(complete(registry.port(), NAMESPACE, &plan.collection.artifact.layer.read().unwrap()));
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
    let registry = embedded();
    let port = registry.port();
    let collection = Collection::new();
    let folder = collection.feature("a", "1.1.0", "");
    let newer = collection.pack();
    let digest = push_to(&destination(port), &newer, true).0.unwrap().releases[0].artifact.digest.to_string();
    collection.feature("a", "1.0.0", "");
    let line = format!("PUT /v2/{NAMESPACE}/a/manifests/1.0.0");
    let proxy = meanwhile(port, line, move || drop(push(port, &newer).unwrap()));
    let plan = push(proxy.port, &support::pack(&folder).unwrap()).unwrap();
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
    let [a, b, c] = ["a", "b", "c"].map(|id| support::pack(&collection.feature(id, "1.0.0", "")).unwrap());
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
    let before = support::http("GET", &base, &[("accept", media_type)], b"").body;
    let (pushed, replaced) = (AtomicBool::new(false), AtomicBool::new(false));
    let proxy = Proxy::start(port, move |seen| {
        if seen.path != format!("/v2/{NAMESPACE}/manifests/latest") {
            return None;
        }
        if seen.method == "PUT" {
            pushed.store(true, Ordering::SeqCst);
        } else if pushed.load(Ordering::SeqCst) && !replaced.swap(true, Ordering::SeqCst) {
            let put = || support::http("PUT", &base, &[("content-type", media_type)], &before);
            std::thread::scope(|scope| assert_eq!(scope.spawn(put).join().unwrap().status, 201));
        }
        None
    });
    push(proxy.port, &support::pack(&collection.feature("d", "1.0.0", "")).unwrap()).unwrap();
    assert_eq!(listed(), "a b c d");
    let tag = format!("PUT /v2/{NAMESPACE}/manifests/latest");
    assert_eq!(proxy.writes().into_iter().filter(|line| *line == tag).count(), 2);
}

#[test]
fn an_answer_without_tags_is_not_an_empty_list() {
    let registry = embedded();
    let collection = Collection::new();
    collection.feature("a", "2.0.0", "");
    push(registry.port(), &collection.pack()).unwrap();
    let proxy = Proxy::start(registry.port(), |seen| {
        seen.path.ends_with("/tags/list").then(|| reply(200, &[], r#"{"errors":[{"code":"BUSY"}]}"#))
    });
    collection.feature("a", "1.0.0", "");
    let error = push(proxy.port, &collection.pack()).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Registry);
    assert!(error.to_string().ends_with("there is no list \"tags\" in it"), "{error}");
    assert_eq!(proxy.writes(), Vec::<String>::new());
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

#[test]
fn answers_are_bounded() {
    let registry = embedded();
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let packed = collection.pack();
    let says = |end: &str, body: String, status: u16, path: &'static str| {
        let proxy = Proxy::start(registry.port(), move |seen| {
            let link = format!("<{}?last={}0>; rel=\"next\"", seen.path, seen.query.len());
            let headers = [("link", link.as_str())];
            (seen.method == "GET" && seen.path.contains(path)).then(|| reply(status, &headers, &body))
        });
        let error = push(proxy.port, &packed).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Registry);
        assert!(error.to_string().ends_with(end), "{error}");
        assert_eq!(proxy.writes(), Vec::<String>::new());
    };
    let padding = |mib: usize| " ".repeat(mib << 20);
    says("the answer is larger than 4 MiB", format!("{{\"tags\":[]}}{}", padding(4)), 200, "/tags/list");
    says("the answer is larger than 4 MiB", padding(5), 500, "/tags/list");
    says("the answer is larger than 8 MiB", padding(9), 200, "/manifests/");
    let many = format!("{{\"tags\":[{}\"x\"]}}", "\"x\",".repeat(60_000));
    says("there are more than 100000 tags", many, 200, "/tags/list");
}

/// The program in a folder, with nothing of the machine's own logins.
fn xtask(folder: &std::path::Path) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.current_dir(folder).env("DOCKER_CONFIG", folder);
    for name in ["CARGO_MANIFEST_DIR", "DEVCONTAINERS_OCI_AUTH", "GITHUB_TOKEN"] {
        command.env_remove(name);
    }
    command
}

#[test]
fn a_local_publish_looks_at_no_credentials() {
    let checkout = Collection::new();
    checkout.file("xtask/Cargo.toml", "", 0o644);
    checkout.file(
        "Cargo.toml",
        "[package]\nname = \"x\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[lib]\npath = \"x.rs\"\n",
        0o644,
    );
    checkout.file("x.rs", "", 0o644);
    checkout.json("features/a", r#"{"id":"a","version":"1.0.0","name":"A"}"#);
    checkout.file("features/a/install.sh", "", 0o755);
    // Looking would run this, or fail at it.
    checkout.file("config.json", r#"{"credsStore":"that-does-not-exist"}"#, 0o644);
    let output = xtask(checkout.path()).args(["publish", "features", "--local"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn output_that_nobody_takes_is_no_panic() {
    let registry = embedded();
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let publish = || {
        let mut command = xtask(collection.path());
        command.args(["publish", ".", "-n", NAMESPACE, "-r", &format!("localhost:{}", registry.port())]);
        command
    };
    let output = publish().stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().starts_with(r#"{"a":{"publishedTags""#));
    let output = publish().stdout(full()).stderr(std::process::Stdio::piped()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(last.starts_with("error: cannot write to the standard output: No space left"), "{stderr}");
}
