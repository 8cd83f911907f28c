//! The ordinary road: what is published, in which order, and what is said about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::docker_registry::DockerRegistry;
use crate::support::proxy::{Proxy, reply};
use crate::support::tls::Tls;
use crate::support::{
    Collection, NAMESPACE, collection_of, destination, digest_of, embedded, embedded_with, manifests_written,
    one_by_one, pack, push, push_to, xtask,
};
use xtask::exit::Exit;
use xtask::oci::secret::Secret;
use xtask::publish::report;
use xtask::registry::server::Options;
use xtask::registry::watch::{Moment, Verdict, Watch};

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
    let single = pack(&collection.path().join("a")).unwrap();
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
    let registry = one_by_one();
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
    let digest = format!("{base}/a/manifests/{}", plan.releases[0].artifact.digest);
    // Once to be there, and once with the question whether this registry sets tags so.
    assert_eq!(manifests.iter().filter(|path| **path == digest).count(), 2);
    assert_eq!(manifests.remove(0), digest);
    manifests.retain(|path| *path != digest);
    // What goes at the same time comes in any order.
    manifests[1..4].sort();
    assert_eq!(
        manifests,
        [
            format!("{base}/a/manifests/1.2.3"),
            format!("{base}/a/manifests/1"),
            format!("{base}/a/manifests/1.2"),
            format!("{base}/a/manifests/latest"),
            format!("{base}/manifests/latest"),
        ]
    );
    let first_manifest = proxy.writes().iter().position(|line| line.contains("/manifests/")).unwrap();
    assert!(proxy.writes()[..first_manifest].iter().filter(|line| line.contains("/blobs/")).count() >= 4);
    // Where something was, `latest` comes after the others.
    collection.feature("a", "1.2.4", "");
    proxy.forget();
    push(proxy.port, &collection.pack()).unwrap();
    let manifests = manifests_written(&proxy);
    let ends: Vec<&str> = manifests.iter().map(|path| path.rsplit('/').next().unwrap()).collect();
    let place = |tag: &str| ends.iter().position(|end| *end == tag).unwrap();
    assert!(place("1.2.4") < place("1").min(place("1.2")), "{ends:?}");
    assert!(place("1").max(place("1.2")) < place("latest"), "{ends:?}");
    assert!(manifests.last().unwrap().ends_with("features/manifests/latest"), "{manifests:?}");
    for seen in proxy.seen().iter().filter(|seen| seen.writes()) {
        assert!(seen.header("content-length").is_some(), "{} has no Content-Length", seen.line());
        assert_eq!(seen.header("transfer-encoding"), None, "{}", seen.line());
    }
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

#[test]
fn requests_share_connections_and_http_2_is_spoken_where_it_is_offered() {
    let collection = Collection::new();
    for id in ["a", "b", "c", "d"] {
        collection.feature(id, "1.0.0", "");
    }
    for (protocols, version) in [
        (&["h2", "http/1.1"][..], hyper::Version::HTTP_2),
        (&["http/1.1"], hyper::Version::HTTP_11),
        (&[], hyper::Version::HTTP_11),
    ] {
        let registry = embedded();
        let proxy = Proxy::start(registry.port(), |_| None);
        let front = Tls::speaking(proxy.port, protocols);
        let mut command = xtask(collection.path());
        command.args(["publish", ".", "-n", NAMESPACE, "-r", &front.host()]);
        command.env("SSL_CERT_FILE", front.ca()).env_remove("SSL_CERT_DIR");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{protocols:?}: {}", String::from_utf8_lossy(&output.stderr));
        let seen = proxy.seen();
        assert!(seen.len() > 60 && seen.iter().all(|seen| seen.version == version), "{protocols:?}");
        assert!(front.connections() * 2 < seen.len(), "{protocols:?}: {} connections", front.connections());
    }
}

/// How many requests come beside the first, and how many reads there are at once, at most.
fn first_looks(login: bool) -> (usize, usize) {
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let beside_the_first = Arc::new(AtomicUsize::new(0));
    let (now, highest, beside) = (Arc::clone(&under_way), Arc::clone(&most), Arc::clone(&beside_the_first));
    let (first_is_done, writes) = (AtomicBool::new(false), AtomicBool::new(false));
    let watch = Watch::new(move |seen| {
        match seen.moment {
            Moment::Arrived => {
                let count = now.fetch_add(1, Ordering::SeqCst) + 1;
                writes.fetch_or(seen.asked.method == "POST", Ordering::SeqCst);
                // The first looks count: what comes later goes together anyway.
                if !writes.load(Ordering::SeqCst) {
                    highest.fetch_max(count, Ordering::SeqCst);
                }
                if seen.number > 1 && !first_is_done.load(Ordering::SeqCst) {
                    beside.fetch_add(1, Ordering::SeqCst);
                }
                // Long enough for the others to arrive.
                std::thread::sleep(Duration::from_millis(20));
            }
            Moment::Served { .. } => {
                first_is_done.fetch_or(seen.number == 1, Ordering::SeqCst);
                now.fetch_sub(1, Ordering::SeqCst);
            }
        }
        Verdict::Go
    });
    let registry = embedded_with(&Options { watch, ..Options::default() });
    let collection = Collection::new();
    for index in 0..12 {
        collection.feature(&format!("f{index}"), "1.0.0", "");
    }
    let mut destination = destination(registry.port());
    if login {
        let auth = format!("{}|me|password", destination.registry);
        destination.sources.oci_auth = Some(Secret::new(auth));
    }
    push_to(&destination, &collection.pack(), false).0.unwrap();
    assert_eq!(under_way.load(Ordering::SeqCst), 0);
    (beside_the_first.load(Ordering::SeqCst), most.load(Ordering::SeqCst))
}

#[test]
fn with_a_password_the_first_request_goes_alone_and_the_others_together() {
    let (beside_the_first, most) = first_looks(true);
    assert_eq!(beside_the_first, 0);
    assert!(most >= 8, "{most} at once");
}

#[test]
fn without_a_password_all_go_together() {
    let (beside_the_first, most) = first_looks(false);
    assert!(beside_the_first > 0);
    assert!(most >= 8, "{most} at once");
}
