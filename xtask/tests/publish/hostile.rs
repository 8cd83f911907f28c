//! Answers that no registry should give.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use crate::support::proxy::{Proxy, reply};
use crate::support::{Collection, NAMESPACE, embedded, http, manifests_written, one_by_one, push, xtask};
use xtask::exit::Exit;
use xtask::oci::blob;
use xtask::oci::credentials::Sources;
use xtask::oci::digest::Digest;
use xtask::oci::reference::{Registry, Repository};
use xtask::oci::transport::{Access, Client};

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
    assert!(error.ends_with("the next page of tags is one that was read already"), "{error}");
    assert_eq!(proxy.seen().iter().filter(|seen| seen.path.ends_with("/tags/list")).count(), 1);
    // Two pages, each of which names the other as the next.
    let proxy = Proxy::start(registry.port(), |seen| {
        let other = if seen.query == "last=a" { "b" } else { "a" };
        let link = format!("<{}?last={other}>; rel=\"next\"", seen.path);
        seen.path.ends_with("/tags/list").then(|| reply(200, &[("link", &link)], r#"{"tags":["1.0.0"]}"#))
    });
    let error = push(proxy.port, &collection.pack()).unwrap_err().to_string();
    assert!(error.ends_with("the next page of tags is one that was read already"), "{error}");
    assert_eq!(proxy.seen().iter().filter(|seen| seen.path.ends_with("/tags/list")).count(), 3);
}

#[test]
fn what_can_be_no_tag_is_none() {
    let registry = embedded();
    let proxy = Proxy::start(registry.port(), |seen| {
        let tags = r#"{"tags":["2.0.0+x","1.0.0+x","\u001b[2J","../x","","0.9.0"]}"#;
        seen.path.ends_with("/tags/list").then(|| reply(200, &[], tags))
    });
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let plan = push(proxy.port, &collection.pack()).unwrap();
    assert_eq!(plan.releases[0].tags, ["1", "1.0", "1.0.0", "latest"]);
    let reference = format!("localhost:{}/{NAMESPACE}/a", proxy.port);
    let output = xtask(collection.path()).args(["info", "tags", &reference]).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.ends_with("┘\n0.9.0\n"), "{stdout:?}");
}

#[test]
fn a_blob_is_there_though_nobody_says_its_length() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let registry = format!("localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap();
            assert!(request[..read].starts_with(b"HEAD /v2/a/b/blobs/sha256:"));
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").unwrap();
        }
    });
    let registry = Registry::parse(&registry).unwrap();
    let client = Client::new(registry, Access::Pull, &Sources::default(), Arc::new(|_: &str| {})).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (repository, digest) = (Repository::parse("a/b").unwrap(), Digest::of(b"x"));
    assert!(runtime.block_on(blob::exists(&client, &repository, &digest)).unwrap());
}

#[test]
fn a_registry_that_swallows_a_tag_is_found_out() {
    let registry = one_by_one();
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
fn no_tag_leads_to_a_layer_that_arrives_changed() {
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
        // Its manifest is put while it is read back, by a digest that nobody was told.
        assert!(manifests_written(&proxy).iter().all(|line| line.contains("/a/manifests/sha256:")));
        let tags = http(
            "GET",
            &format!("http://localhost:{}/v2/{NAMESPACE}/a/tags/list", registry.port()),
            &[],
            b"",
        );
        let tags = tags.json()["tags"].as_array().map_or(0, Vec::len);
        assert_eq!(tags, if uploaded_before { 4 } else { 0 });
    }
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
