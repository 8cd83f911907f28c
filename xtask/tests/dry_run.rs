//! What a dry run says is what a run does, and it sends nothing but reads.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use support::docker_registry::DockerRegistry;
use support::proxy::{Proxy, Seen};
use support::{Collection, NAMESPACE, embedded, one_by_one, run, xtask};

fn publish(collection: &Collection, port: u16) -> Command {
    let mut command = xtask(collection.path());
    command.args(["publish", ".", "-n", NAMESPACE, "-r", &format!("localhost:{port}")]);
    command
}

fn plan(collection: &Collection, port: u16) -> Value {
    let (code, stdout, stderr) = run(publish(collection, port).args(["--dry-run", "--json"]));
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    serde_json::from_str::<Value>(&stdout).unwrap()["registries"][0].take()
}

/// Method and path, with what of the query a plan can know.
fn line(seen: &Seen) -> String {
    let query = seen.query.replace("%3A", ":").replace("%2F", "/");
    match seen.method.as_str() {
        "DELETE" => "DELETE (the place given)".to_owned(),
        "PUT" if seen.path.contains("/blobs/") => {
            let digest = query.split('&').find(|pair| pair.starts_with("digest=")).unwrap();
            format!("PUT (the place given)?{digest}")
        }
        method if query.is_empty() => format!("{method} {}", seen.path),
        method => format!("{method} {}?{query}", seen.path),
    }
}

/// Compares a plan with what happens.
fn same(what: &str, collection: &Collection, proxy: &Proxy, tags_in_one: bool) {
    proxy.forget();
    let plan = plan(collection, proxy.port);
    assert_eq!(proxy.writes(), Vec::<String>::new(), "{what}: a dry run only reads");
    let (code, _, stderr) = run(&mut publish(collection, proxy.port));
    assert_eq!(code, 0, "{what}: {stderr}");
    let mut sent: Vec<String> = proxy.seen().iter().filter(|seen| seen.writes()).map(line).collect();
    let requests = plan["requests"].as_array().unwrap();
    let (maybe, surely): (Vec<_>, Vec<_>) =
        requests.iter().partition(|request| request.get("unless").is_some());
    for request in surely.into_iter().chain(maybe) {
        let text = |name: &str| request.get(name).map(|text| text.as_str().unwrap());
        let line = format!("{} {}", text("method").unwrap(), text("path").unwrap());
        match (sent.iter().position(|sent| *sent == line), text("unless")) {
            (Some(place), _) => drop(sent.swap_remove(place)),
            (None, Some(unless)) => {
                assert!(unless.contains("blob") || tags_in_one, "{what}: {line} is missing");
            }
            (None, None) => panic!("{what}: {line} was planned and not sent; left: {sent:#?}"),
        }
    }
    assert_eq!(sent, Vec::<String>::new(), "{what}: sent and not planned");
    for release in plan["releases"].as_array().unwrap() {
        let digest = release["digest"].as_str().unwrap();
        for tag in release["tags"].as_array().unwrap() {
            let repository = release["repository"].as_str().unwrap();
            let found = support::digest_of(proxy.port, repository, tag.as_str().unwrap());
            assert_eq!(found.as_deref(), Some(digest), "{what}: {repository}:{tag}");
        }
    }
}

/// Publishing from nothing to a back-port, with what may get lost in between.
fn story(upstream: u16, root: Option<PathBuf>, tags_in_one: bool) {
    let proxy = Proxy::of_everything(upstream);
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    collection.feature("b", "1.0.0", r#","legacyIds":["old-b"]"#);
    same("first", &collection, &proxy, tags_in_one);
    same("nothing new", &collection, &proxy, tags_in_one);
    assert_eq!(proxy.writes(), Vec::<String>::new());
    collection.feature("a", "1.1.0", "");
    collection.feature("c", "2.0.0-rc.1", "");
    same("one new version, one new Feature", &collection, &proxy, tags_in_one);
    collection.feature("a", "1.0.1", "");
    same("a back-port", &collection, &proxy, tags_in_one);
    if let Some(root) = root {
        let blobs: Vec<PathBuf> = walkdir::WalkDir::new(root)
            .into_iter()
            .map(|entry| entry.unwrap().into_path())
            .filter(|path| path.is_file() && std::fs::metadata(path).unwrap().len() >= 2048)
            .collect();
        assert!(!blobs.is_empty());
        std::fs::remove_file(&blobs[0]).unwrap();
        same("a lost blob", &collection, &proxy, tags_in_one);
    }
}

#[test]
fn a_plan_is_what_happens() {
    let registry = one_by_one();
    story(registry.port(), Some(registry.root.path().to_owned()), false);
}

#[test]
fn a_plan_is_what_happens_where_tags_are_set_in_one_request() {
    let registry = embedded();
    story(registry.port(), None, true);
}

#[test]
fn a_plan_is_what_happens_on_docker_registry() {
    if let Some(registry) = DockerRegistry::start() {
        story(registry.port, None, false);
    }
}

#[test]
fn the_plan_for_people() {
    let registry = embedded();
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let (code, stdout, stderr) = run(publish(&collection, registry.port()).arg("--dry-run"));
    assert_eq!((code, stderr.as_str()), (0, ""));
    let host = format!("localhost:{}", registry.port());
    let starts = [
        format!("{host}/{NAMESPACE}/a: would push 1.0.0 (sha256:"),
        format!("{host}/{NAMESPACE}: would push the collection"),
        format!("requests to {host}, besides those that only read:"),
        format!("  POST /v2/{NAMESPACE}/a/blobs/uploads/"),
        "  PUT (the place given)?digest=sha256:".to_owned(),
    ];
    for (line, start) in stdout.lines().zip(&starts) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
    assert_eq!(
        stdout.lines().last().map(|line| line.starts_with("  PUT /v2/owner/features/manifests/latest (")),
        Some(true)
    );
    run(&mut publish(&collection, registry.port()));
    let (_, stdout, _) = run(publish(&collection, registry.port()).arg("--dry-run"));
    assert_eq!(stdout.lines().count(), 2, "{stdout}");
}
