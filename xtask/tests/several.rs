//! Several registries at once, the limit of time, and the bar.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::proxy::{Proxy, Seen, reply};
use support::{Collection, Embedded, NAMESPACE, digest_of, embedded, push, run, xtask};

/// Publishes a collection to some ports.
fn publish(collection: &Collection, ports: &[u16]) -> Command {
    let mut command = xtask(collection.path());
    command.args(["publish", ".", "-n", NAMESPACE]);
    for port in ports {
        command.args(["-r", &format!("localhost:{port}")]);
    }
    command
}

fn published(port: u16) -> Option<String> {
    digest_of(port, &format!("{NAMESPACE}/a"), "latest")
}

fn one_feature() -> Collection {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    collection
}

#[test]
fn all_get_the_same() {
    let (first, second) = (embedded(), embedded());
    let collection = one_feature();
    let ports = [first.port(), second.port()];
    let (code, stdout, stderr) = run(publish(&collection, &ports).arg("--dry-run"));
    assert_eq!((code, published(ports[0]), published(ports[1])), (0, None, None), "{stdout}{stderr}");
    let (code, stdout, stderr) = run(&mut publish(&collection, &ports));
    assert_eq!(code, 0, "{stderr}");
    let digest = published(ports[0]).unwrap();
    assert_eq!(published(ports[1]).as_ref(), Some(&digest));
    let entry = format!(
        r#"{{"a":{{"publishedTags":["1","1.0","1.0.0","latest"],"digest":"{digest}","version":"1.0.0"}}}}"#
    );
    let [one, two] = ports;
    assert_eq!(stdout, format!("{{\"localhost:{one}\":{entry},\"localhost:{two}\":{entry}}}\n"));
    for port in ports {
        assert!(stderr.contains(&format!("localhost:{port}/{NAMESPACE}/a: pushed 1.0.0")), "{stderr}");
    }
}

#[test]
fn a_conflict_at_one_leaves_all_as_they_were() {
    let (first, second) = (embedded(), embedded());
    push(second.port(), &one_feature().pack()).unwrap();
    let collection = one_feature();
    collection.file("a/other", "", 0o644);
    let proxy = Proxy::start(first.port(), |_| None);
    let (code, stdout, stderr) = run(&mut publish(&collection, &[proxy.port, second.port()]));
    assert_eq!((code, stdout.as_str()), (4, ""), "{stderr}");
    assert!(
        stderr.contains(&format!("localhost:{}/{NAMESPACE}/a:1.0.0 is already", second.port())),
        "{stderr}"
    );
    assert_eq!(proxy.writes(), Vec::<String>::new());
}

#[test]
fn nothing_is_uploaded_to_one_where_another_lets_nothing_be_written() {
    let (first, second) = (embedded(), embedded());
    let open = Proxy::start(first.port(), |_| None);
    let shut = Proxy::start(second.port(), |seen: &Seen| {
        seen.writes().then(|| reply(403, &[], r#"{"errors":[{"code":"DENIED","message":"read only"}]}"#))
    });
    let (code, stdout, stderr) = run(&mut publish(&one_feature(), &[open.port, shut.port]));
    assert_eq!((code, stdout.as_str()), (5, ""), "{stderr}");
    assert!(stderr.contains("nothing was uploaded") && stderr.contains("read only"), "{stderr}");
    let sent = open.writes();
    assert!(!sent.iter().any(|line| line.starts_with("PUT") || line.starts_with("PATCH")), "{sent:?}");
}

#[test]
fn one_that_breaks_off_does_not_keep_the_others_back() {
    let (first, second) = (embedded(), embedded());
    let breaks = Arc::new(AtomicBool::new(true));
    let broken = Arc::clone(&breaks);
    let proxy = Proxy::start(first.port(), move |seen: &Seen| {
        let hit = broken.load(Ordering::SeqCst) && seen.method == "PUT" && seen.path.contains("/manifests/");
        hit.then(|| reply(400, &[], "no"))
    });
    let collection = one_feature();
    let (code, stdout, stderr) = run(&mut publish(&collection, &[proxy.port, second.port()]));
    assert_eq!(code, 5, "{stderr}");
    assert!(stdout.starts_with(&format!("{{\"localhost:{}\":", second.port())), "{stdout}");
    assert!(!stdout.contains(&proxy.port.to_string()), "{stdout}");
    assert!(stderr.lines().any(|line| line.starts_with("error:") && line.contains("400")), "{stderr}");
    assert_eq!((published(first.port()), published(second.port()).is_some()), (None, true));
    breaks.store(false, Ordering::SeqCst);
    assert_eq!(run(&mut publish(&collection, &[proxy.port, second.port()])).0, 0);
    assert_eq!(published(first.port()), published(second.port()));
}

#[test]
fn a_registry_is_named_once() {
    let (code, stdout, stderr) = run(&mut publish(&one_feature(), &[1, 1]));
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    assert_eq!(stderr, "error: the registry localhost:1 is named twice; name each once with -r\n");
}

#[test]
fn what_takes_too_long_is_ended_and_can_be_finished() {
    let registry = embedded();
    let slow = Arc::new(AtomicBool::new(true));
    let is_slow = Arc::clone(&slow);
    let proxy = Proxy::start(registry.port(), move |seen: &Seen| {
        if is_slow.load(Ordering::SeqCst) && seen.method == "PUT" && seen.path.contains("/manifests/") {
            std::thread::sleep(Duration::from_secs(8));
        }
        None
    });
    let collection = one_feature();
    let (code, stdout, stderr) = run(publish(&collection, &[proxy.port]).args(["--timeout", "2"]));
    assert_eq!((code, stdout.as_str()), (5, ""), "{stderr}");
    let sentence = format!("error: publishing to localhost:{} was ended after 2 s (--timeout)", proxy.port);
    assert!(stderr.contains(&sentence), "{stderr}");
    slow.store(false, Ordering::SeqCst);
    let (code, _, stderr) = run(&mut publish(&collection, &[proxy.port]));
    assert_eq!(code, 0, "{stderr}");
    assert!(published(registry.port()).is_some());
    for value in ["0", "-1", "x", "86401"] {
        assert_eq!(run(publish(&collection, &[1]).args(["--timeout", value])).0, 2, "{value}");
    }
}

/// What is seen on a terminal; nothing where CI is set.
fn on_a_terminal(command: &Command, ci: Option<&str>) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-c", &line.join(" "), "/dev/null"]);
    script.current_dir(command.get_current_dir().unwrap()).env("TERM", "xterm");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    match ci {
        Some(value) => script.env("CI", value),
        None => script.env_remove("CI"),
    };
    let (code, stdout, stderr) = run(&mut script);
    assert_eq!(code, 0, "{stdout}{stderr}");
    stdout
}

#[test]
fn a_bar_is_for_those_who_look_at_it() {
    let collection = Collection::new();
    let folder = collection.feature("a", "1.0.0", "");
    std::fs::File::create(folder.join("large")).unwrap().set_len(8 << 20).unwrap();
    let bar = "of 8.0";
    for (ci, shown) in [(None, true), (Some("false"), true), (Some("true"), false), (Some("1"), false)] {
        let (_upstream, registry) = slow();
        let seen = on_a_terminal(&publish(&collection, &[registry.port]), ci);
        assert_eq!(seen.contains(bar), shown, "CI={ci:?}: {seen}");
        assert!(seen.contains("a: pushed 1.0.0"), "{seen}");
    }
    let (_upstream, registry) = slow();
    let (code, _, stderr) = run(publish(&collection, &[registry.port]).env_remove("CI"));
    assert!(code == 0 && !stderr.contains(bar) && !stderr.contains('\u{1b}'), "{stderr}");
    let (_upstream, registry) = slow();
    let small = on_a_terminal(&publish(&one_feature(), &[registry.port]), None);
    assert!(small.contains("a: pushed 1.0.0") && !small.contains("uploading"), "{small}");
}

/// A registry that takes its time for a blob, several times that between two drawings.
fn slow() -> (Embedded, Proxy) {
    let upstream = embedded();
    let proxy = Proxy::start(upstream.port(), |seen: &Seen| {
        if seen.method == "PUT" && seen.path.contains("/blobs/") {
            std::thread::sleep(Duration::from_millis(500));
        }
        None
    });
    (upstream, proxy)
}
