//! Each fault of the embedded registry: the publish comes through it, or ends with one sentence and nothing half done.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use xtask::exit::Exit;
use xtask::package::Packed;
use xtask::publish::plan::Plan;
use xtask::registry::server::{Options, serve};
use xtask::registry::watch::{Moment, Verdict, Watch};

use crate::support::reader::{Reader, Tags};
use crate::support::{Collection, NAMESPACE, destination, fast_folder, push, push_to};

const IDS: [&str; 3] = ["a", "b", "old"];

/// What came of a publish to a registry with faults.
struct Outcome {
    result: anyhow::Result<Plan>,
    notes: Vec<String>,
    hits: Vec<u64>,
    /// What a reader saw afterwards.
    tags: Tags,
    /// Method, path and authorization of each request.
    requests: Vec<(String, String, bool)>,
    took: Duration,
}

fn two_features() -> Packed {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", r#","legacyIds":["old"]"#);
    collection.feature("b", "2.1.0", "");
    collection.pack()
}

/// Publishes to a registry with faults; what a reader then sees is whole, and a publish without faults completes it.
fn with(faults: &[&str], packed: &Packed) -> Outcome {
    after(None, faults, packed)
}

/// The same, where something is published already.
fn after(before: Option<&Packed>, faults: &[&str], packed: &Packed) -> Outcome {
    let root = fast_folder();
    let reader = Reader::over(root.path());
    if let Some(before) = before {
        push(reader.port(), before).unwrap();
    }
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let watch = Watch::new(move |request| {
        if matches!(request.moment, Moment::Arrived) {
            let asked = request.asked;
            let line = (asked.method.to_string(), asked.path.clone(), asked.authorization.is_some());
            seen.lock().unwrap().push(line);
        }
        Verdict::Go
    });
    let parsed = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let serving = serve(root.path(), &Options { faults: parsed, watch, ..Options::default() }).unwrap();
    let begun = Instant::now();
    let (result, notes) = push_to(&destination(serving.port()), packed, false);
    let took = begun.elapsed();
    let hits = serving.hits();
    serving.stop();
    let tags = reader.look(&IDS).unwrap_or_else(|what| panic!("{faults:?}: {what}"));
    let healed = push(reader.port(), packed).and_then(|_| reader.look(&IDS).map_err(anyhow::Error::msg));
    let healed = healed.unwrap_or_else(|error| panic!("{faults:?}, afterwards: {error:#}"));
    if result.is_ok() {
        assert_eq!(tags, healed, "{faults:?}: it said it was done, and was not");
    }
    assert!(healed.len() > 4 * (packed.features.len() + 1), "{healed:#?}");
    let requests = std::mem::take(&mut *requests.lock().unwrap());
    Outcome { result, notes, hits, tags, requests, took }
}

/// Plays cases, some at a time: most of them wait.
fn each<T: Sync>(cases: &[T], play: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    play(case);
                }
            });
        }
    });
}

#[test]
fn what_passes_is_waited_for_and_what_can_be_done_otherwise_is() {
    let packed = two_features();
    let cases: &[&[&str]] = &[
        // Errors that pass.
        &["status=408,method=GET,count=2"],
        &["status=425,method=GET,from=3,count=1"],
        &["status=429,method=PUT,count=3,retry-after=0"],
        &["status=429,method=PUT,path=*/blobs/*,count=1"],
        &["status=500,path=*/manifests/1.0.0,count=2"],
        &["status=502,body=html,method=POST,count=2"],
        &["status=503,body=empty,path=*/tags/list,count=1"],
        &["status=504,method=GET,path=*/blobs/*,count=1"],
        &["status=503,method=PUT,path=*/manifests/latest,count=2"],
        // Connections that end.
        &["cut-request=0,count=1"],
        &["cut-request=0,method=POST,count=2"],
        &["cut-request=0,method=GET,from=2,count=3"],
        &["cut-request=1,method=PUT,path=*/uploads/*,count=2"],
        &["cut-request=100,method=PUT,path=*/manifests/*,count=1"],
        &["cut-answer=0,method=POST,count=1"],
        &["cut-answer=0,method=PUT,path=*/uploads/*,count=3"],
        &["cut-answer=0,method=PUT,path=*/manifests/*,count=3"],
        &["cut-answer=0,path=*/tags/list,count=2"],
        &["cut-answer=20,method=GET,path=*/manifests/*,from=4,count=2"],
        &["cut-answer=500,method=GET,path=*/blobs/*,count=2"],
        // Slow, and of another habit.
        &["drip=0.001,method=GET,path=*/manifests/*,count=2"],
        &["page=1"],
        &["tags-null"],
        &["no-mount"],
        &["no-tag-parameter"],
        &["location=absolute"],
        &["location=query"],
        &["chunk-min=16"],
        &["token=60"],
        // All at once.
        &[
            "page=1",
            "no-tag-parameter",
            "location=query",
            "no-mount",
            "status=503,from=20,count=2",
            "cut-answer=0,from=30,count=2",
        ],
    ];
    each(cases, |faults| {
        let outcome = with(faults, &packed);
        assert!(outcome.hits.iter().all(|hits| *hits > 0), "{faults:?} met {:?}", outcome.hits);
        assert!(outcome.result.is_ok(), "{faults:?}: {:#}", outcome.result.unwrap_err());
        assert_eq!(outcome.tags.len(), 13);
    });
}

#[test]
fn what_does_not_pass_is_said_in_one_sentence() {
    let packed = two_features();
    let cases: &[(&[&str], &str)] = &[
        (&["status=400,method=PUT,path=*/manifests/*"], "answered 400 to PUT /v2/owner/features/"),
        (
            &["status=400,method=PUT,path=*/manifests/*,body=html"],
            ": <html><body><h1>Bad Request</h1></body></html>",
        ),
        (&["status=400,method=POST"], ": UNAVAILABLE (bad request)"),
        (&["status=501,method=POST,body=empty"], "answered 501 to POST /v2/owner/features/"),
        (&["status=405,path=*/tags/list"], "answered 405 to GET /v2/owner/features/"),
        (
            &["status=429,retry-after=600,method=POST"],
            ": UNAVAILABLE (too many requests); it wants to be left alone for 10 minutes, so try again then",
        ),
        (&["status=401"], "refused access to GET /v2/owner/features/"),
        (&["status=403,method=POST"], "lets nothing be written to "),
        (&["token=0"], "refused access to GET /v2/owner/features/"),
        (&["token=60,login=me:secret"], "refused access to GET /token without credentials"),
        (&["location=missing"], ": the header Location is missing"),
        (&["location=http://registry.invalid"], ": its Location leads away from HTTPS"),
        (&["lost,path=*/uploads/*"], "holds nothing where sha256:"),
        (&["lost,path=*/a/manifests/*"], "holds nothing where sha256:"),
        (&["lost,path=*/manifests/*", "no-tag-parameter"], "holds nothing where sha256:"),
        (&["wrong-content,path=*/blobs/*"], "where sha256:"),
        (&["wrong-content,path=*/a/manifests/*"], ": its content has another digest than it should have"),
        (&["truncate=1,method=GET,path=*/blobs/*"], "where sha256:"),
        (&["truncate=20,method=GET,path=*/manifests/1.0.0,from=2"], ": its content has another digest"),
        (&["truncate=9,path=*/tags/list"], ": the list of tags is no JSON"),
    ];
    each(cases, |(faults, sentence)| {
        let outcome = with(faults, &packed);
        assert!(outcome.hits[0] > 0, "{faults:?} met nothing");
        let error = outcome.result.map(drop).expect_err(sentence);
        let text = format!("{error:#}");
        assert_eq!((Exit::of(&error), text.lines().count()), (Exit::Registry, 1), "{faults:?}: {text}");
        assert!(text.starts_with("the registry ") && text.contains(sentence), "{faults:?}: {text}");
    });
}

#[test]
fn a_registry_is_left_alone_as_long_as_it_wants() {
    let packed = two_features();
    let cases = [
        ("0.7", 700),
        ("1", 1000),
        ("700ms", 700),
        // A date has no fractions: one that is two seconds ahead is more than one second ahead.
        ("date:2", 1000),
    ];
    each(&cases, |(wanted, least)| {
        let fault = format!("status=429,method=PUT,path=*/a/manifests/*,count=1,retry-after={wanted}");
        let outcome = with(&[&fault], &packed);
        outcome.result.unwrap();
        assert_eq!(outcome.hits, [1]);
        assert!(outcome.took >= Duration::from_millis(*least), "{wanted}: {:?}", outcome.took);
        assert!(outcome.took < Duration::from_secs(30), "{wanted}: {:?}", outcome.took);
    });
}

#[test]
fn a_registry_that_knows_no_head_is_asked_otherwise() {
    let packed = two_features();
    for status in [405, 501] {
        let fault = format!("status={status},method=HEAD");
        let outcome = after(Some(&packed), &[&fault], &packed);
        outcome.result.unwrap();
        assert!(outcome.hits[0] > 0);
        // What is there is found, so nothing is sent and nothing was lost.
        assert!(outcome.requests.iter().all(|(method, ..)| matches!(method.as_str(), "GET" | "HEAD")));
        assert_eq!(outcome.notes, Vec::<String>::new());
    }
}

#[test]
fn a_token_that_runs_out_is_replaced() {
    // Each is good for a second, and each look at a manifest takes longer.
    let outcome =
        with(&["token=1", "drip=0.002,method=GET,path=*/manifests/*,from=3,count=4"], &two_features());
    outcome.result.unwrap();
    // It says how long it is good for, so it is replaced before it is refused; the first request always is.
    assert!(outcome.hits[0] >= 1 && outcome.hits[1] == 4, "{:?}", outcome.hits);
    assert_eq!(outcome.tags.len(), 13);
}

#[test]
fn every_body_has_its_length() {
    let outcome = with(&["length-required"], &two_features());
    outcome.result.unwrap();
    assert_eq!(outcome.hits, [0]);
    let with_a_body =
        outcome.requests.iter().filter(|(method, ..)| matches!(method.as_str(), "PUT" | "POST"));
    assert!(with_a_body.count() > 10);
}

#[test]
fn a_large_blob_goes_in_the_chunks_that_the_registry_takes() {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", r#","legacyIds":["old"]"#);
    // What is small is there already, so that the large blob is the only one that is sent.
    let before = collection.pack();
    collection.feature("a", "1.1.0", r#","legacyIds":["old"]"#);
    let bytes: Vec<u8> = (0..1_500_000_u64).flat_map(u64::to_be_bytes).filter(u8::is_ascii).collect();
    collection.file("a/large", std::str::from_utf8(&bytes).unwrap(), 0o644);
    let packed = collection.pack();
    let first = "status=413,method=PUT,path=*/features/a/blobs/uploads/*,from=1,count=1";
    let cases: &[(&[&str], &[bool])] = &[
        (&[first], &[true]),
        // GitHub's: it is never met, because no chunk is larger.
        (&[first, "patch-limit=4MiB"], &[true, false]),
        (&[first, "partial-chunk,from=2,count=1"], &[true, true]),
        (&[first, "not-satisfiable,count=2"], &[true, true]),
        (&[first, "chunk-min=5MiB"], &[true, true]),
        (&[first, "cut-request=1000,method=PATCH,from=2,count=1"], &[true, true]),
        (&[first, "cut-answer=0,method=PATCH,count=1"], &[true, true]),
        (&[first, "status=503,method=PATCH,count=1"], &[true, true]),
        (&[first, "location=query"], &[true, true]),
        // Two cuts in the middle show that one request does not get through.
        (&["cut-request=3000000,method=PUT,path=*/features/a/blobs/uploads/*,count=3"], &[true]),
    ];
    each(cases, |(faults, met)| {
        let outcome = after(Some(&before), faults, &packed);
        outcome.result.unwrap_or_else(|error| panic!("{faults:?}: {error:#}"));
        let hits: Vec<bool> = outcome.hits.iter().map(|hits| *hits > 0).collect();
        assert_eq!(hits, *met, "{faults:?}");
        let chunks = outcome.requests.iter().filter(|(method, ..)| method == "PATCH").count();
        assert!(chunks >= 2, "{faults:?}: {chunks} chunks");
    });
}

#[test]
fn warnings_are_shown_once() {
    let outcome = with(&["warning=read only from Friday"], &two_features());
    outcome.result.unwrap();
    assert!(outcome.hits[0] > 10);
    let shown = outcome.notes.iter().filter(|note| note.ends_with("warns: read only from Friday")).count();
    assert_eq!((shown, outcome.notes.len()), (1, 1), "{:?}", outcome.notes);
}

#[test]
fn a_blob_is_taken_from_where_it_is() {
    let packed = two_features();
    let uploads = |outcome: &Outcome| {
        let old = format!("/v2/{NAMESPACE}/old/blobs/uploads/");
        outcome.requests.iter().filter(|(method, path, _)| method == "PUT" && path.starts_with(&old)).count()
    };
    let mounted = with(&[], &packed);
    let not_mounted = with(&["no-mount"], &packed);
    assert!(uploads(&mounted) < uploads(&not_mounted), "{} {}", uploads(&mounted), uploads(&not_mounted));
    assert!(not_mounted.hits[0] > 0);
}

#[test]
fn no_token_goes_where_an_upload_is_sent() {
    // Another registry over the same folder stands for the host that takes the bytes.
    let packed = two_features();
    let root = fast_folder();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let watch = Watch::new(move |request| {
        notes.lock().unwrap().push((request.asked.method.to_string(), request.asked.authorization.is_some()));
        Verdict::Go
    });
    let other = serve(root.path(), &Options { watch, ..Options::default() }).unwrap();
    let faults = [format!("location=http://localhost:{}", other.port()), "token=60".to_owned()];
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let serving = serve(root.path(), &Options { faults, ..Options::default() }).unwrap();
    push(serving.port(), &packed).unwrap();
    assert!(serving.hits().iter().all(|hits| *hits > 0), "{:?}", serving.hits());
    let seen = seen.lock().unwrap();
    assert!(seen.iter().any(|(method, _)| method == "PUT"), "{seen:?}");
    assert!(seen.iter().all(|(_, authorized)| !authorized), "{seen:?}");
    assert_eq!(Reader::over(root.path()).look(&IDS).unwrap().len(), 13);
}

#[test]
fn no_token_is_asked_for_at_a_foreign_place() {
    let foreign = std::net::TcpListener::bind(("127.0.0.2", 0)).unwrap();
    foreign.set_nonblocking(true).unwrap();
    let at = foreign.local_addr().unwrap();
    let fault = format!("token=60,realm=http://{at}/token");
    let outcome = with(&[&fault], &two_features());
    let error = outcome.result.map(drop).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Registry);
    assert!(
        error.to_string().contains(&format!("asks for authentication at {at}, which is not known")),
        "{error}"
    );
    assert!(outcome.hits[0] > 0);
    assert!(foreign.accept().is_err(), "somebody came");
    assert!(outcome.requests.iter().all(|(method, ..)| method == "GET" || method == "HEAD"));
}

#[test]
fn a_stale_list_moves_nothing_back() {
    let collection = Collection::new();
    let folder = collection.feature("a", "2.0.0", "");
    let newest = collection.pack();
    let root = fast_folder();
    let reader = Reader::over(root.path());
    push(reader.port(), &newest).unwrap();
    let before = reader.look(&IDS).unwrap();
    collection.feature("a", "1.5.0", "");
    let older = crate::support::pack(&folder).unwrap();
    for fault in ["hide-tags=2*", "hide-tags=*", "tags-null", "page=1"] {
        let faults = vec![fault.parse().unwrap()];
        let serving = serve(root.path(), &Options { faults, ..Options::default() }).unwrap();
        push(serving.port(), &older).unwrap();
        assert!(serving.hits()[0] > 0);
        let after = reader.look(&IDS).unwrap();
        for (tag, digest) in &before {
            assert_eq!(after.get(tag), Some(digest), "{fault}: {tag}");
        }
    }
}
