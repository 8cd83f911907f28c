//! Authentication: who gets to see which credentials.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use base64::Engine as _;
use support::proxy::{Proxy, Seen, reply};
use support::{Collection, NAMESPACE, destination, push_to};
use xtask::exit::Exit;
use xtask::oci::credentials::Sources;
use xtask::oci::secret::Secret;
use xtask::publish::Destination;
use xtask::registry::server::{Options, serve};

const PASSWORD: &str = "s3cr3t-passw0rd";
const TOKEN: &str = "t0ken-for-one-run";

fn basic() -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("me:{PASSWORD}")))
}

/// A registry's front that wants a token; `realm` is where it sends for it.
fn guarded(
    realm: impl Fn(&str) -> String + Send + Sync + 'static,
) -> (Proxy, xtask::registry::server::Serving, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    let registry = serve(root.path(), &Options::default()).unwrap();
    let proxy = Proxy::start(registry.port(), move |seen| {
        if seen.path == "/token" {
            return Some(token_server(seen));
        }
        if seen.header("authorization") == Some(&format!("Bearer {TOKEN}")) {
            return None;
        }
        let challenge = format!(
            "Bearer realm=\"{}\",service=\"the service\",scope=\"x\"",
            realm(seen.header("host").unwrap())
        );
        Some(reply(
            401,
            &[("www-authenticate", &challenge)],
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"log in"}]}"#,
        ))
    });
    (proxy, registry, root)
}

fn token_server(seen: &Seen) -> hyper::Response<http_body_util::Full<bytes::Bytes>> {
    if seen.method == "POST" || seen.header("authorization") == Some(&basic()) {
        reply(200, &[], &format!(r#"{{"token":"{TOKEN}"}}"#))
    } else {
        reply(401, &[], r#"{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}"#)
    }
}

fn with_variable(port: u16, password: &str) -> Destination {
    let sources = Sources {
        oci_auth: Some(Secret::new(format!("ghcr.io|x|y,localhost:{port}|me|{password}"))),
        ..Sources::default()
    };
    Destination { sources, ..destination(port) }
}

fn one_feature() -> xtask::package::Packed {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    collection.pack()
}

#[test]
fn a_token_is_fetched_once_for_each_repository() {
    let (proxy, _registry, _root) = guarded(|host| format!("http://{host}/token"));
    push_to(&with_variable(proxy.port, PASSWORD), &one_feature(), false).0.unwrap();
    let tokens: Vec<Seen> = proxy.seen().into_iter().filter(|seen| seen.path == "/token").collect();
    let mut scopes: Vec<&str> = tokens.iter().map(|seen| seen.query.as_str()).collect();
    // The repositories are looked at together; which is first is chance.
    scopes.sort_by_key(|scope| std::cmp::Reverse(scope.len()));
    let ns = NAMESPACE.replace('/', "%2F");
    assert_eq!(
        scopes,
        [
            format!("scope=repository%3A{ns}%2Fa%3Apull%2Cpush&service=the+service"),
            format!("scope=repository%3A{ns}%3Apull%2Cpush&service=the+service"),
        ]
    );
    for seen in proxy.seen().iter().filter(|seen| seen.path != "/token") {
        assert_ne!(
            seen.header("authorization"),
            Some(basic().as_str()),
            "the password went to the registry: {}",
            seen.line()
        );
    }
}

#[test]
fn a_dry_run_asks_for_no_right_to_write() {
    let (proxy, _registry, _root) = guarded(|host| format!("http://{host}/token"));
    push_to(&with_variable(proxy.port, PASSWORD), &one_feature(), true).0.unwrap();
    assert!(proxy.seen().iter().any(|seen| seen.path == "/token"));
    assert!(proxy.seen().iter().all(|seen| !seen.query.contains("push")));
}

#[test]
fn wrong_credentials_are_one_sentence_without_them() {
    let (proxy, _registry, _root) = guarded(|host| format!("http://{host}/token"));
    let (result, notes) = push_to(&with_variable(proxy.port, "wr0ng"), &one_feature(), false);
    let error = result.unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Registry);
    let text = format!("{error:#} {error:?} {notes:?}");
    assert!(
        text.contains("with the credentials from DEVCONTAINERS_OCI_AUTH: UNAUTHORIZED (wrong password)"),
        "{text}"
    );
    assert!(!text.contains("wr0ng"), "{text}");
    assert!(proxy.writes().is_empty());
}

#[test]
fn a_realm_elsewhere_gets_nothing() {
    let thief = Proxy::start(1, |seen| Some(token_server(seen)));
    let realm = format!("http://localhost:{}/token", thief.port);
    let (proxy, _registry, _root) = guarded(move |_| realm.clone());
    let (result, _) = push_to(&with_variable(proxy.port, PASSWORD), &one_feature(), false);
    let error = result.unwrap_err().to_string();
    let pair = format!("localhost:{}=localhost:{}", proxy.port, thief.port);
    assert!(error.contains(&format!("set DEVCONTAINERS_OCI_AUTH_HOSTS=\"{pair}\"")), "{error}");
    assert!(error.contains(&format!("--allow-auth-host {pair}")), "{error}");
    assert!(thief.seen().is_empty(), "a realm that nobody trusts was asked");
    // Named by the user, it is fine.
    let mut trusting = with_variable(proxy.port, PASSWORD);
    trusting.sources.trusted_hosts = pair;
    push_to(&trusting, &one_feature(), false).0.unwrap();
    let shown = |seen: &Seen| seen.header("authorization") == Some(&basic());
    assert!(thief.seen().iter().any(shown), "the test would not see a leak");
    // Where the realm is not to be trusted and the registry takes the password itself, it gets it.
    let realm = format!("http://localhost:{}/token", thief.port);
    let root = tempfile::tempdir().unwrap();
    let registry = serve(root.path(), &Options::default()).unwrap();
    let both = Proxy::start(registry.port(), move |seen| {
        let headers = [
            ("www-authenticate", format!("Bearer realm=\"{realm}\"")),
            ("www-authenticate", "Basic realm=\"r\"".to_owned()),
        ];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        (seen.header("authorization") != Some(&basic())).then(|| reply(401, &headers, ""))
    });
    thief.forget();
    push_to(&with_variable(both.port, PASSWORD), &one_feature(), false).0.unwrap();
    assert!(thief.seen().is_empty());
}

/// A registry that sends uploads and reads of blobs to another host; and that host.
fn with_storage(
    registry: u16,
    storage_answers: impl Fn(&Seen) -> Option<hyper::Response<http_body_util::Full<bytes::Bytes>>>
    + Send
    + Sync
    + 'static,
) -> (Proxy, Proxy) {
    let storage = Proxy::start(registry, storage_answers);
    let elsewhere = format!("http://localhost:{}", storage.port);
    let front = Proxy::start(registry, move |seen| {
        if seen.header("authorization") != Some(&basic()) {
            return Some(reply(401, &[("www-authenticate", "Basic realm=\"r\"")], ""));
        }
        if seen.method == "GET" && seen.path.contains("/blobs/sha256:") {
            return Some(reply(307, &[("location", &format!("{elsewhere}{}", seen.path))], ""));
        }
        if seen.method == "POST" {
            let answer = support::http_in_thread("POST", &format!("{elsewhere}{}", seen.path));
            return Some(reply(
                202,
                &[("location", &format!("{elsewhere}{}?state=a%2Fb", answer.header("location")))],
                "",
            ));
        }
        None
    });
    (front, storage)
}

#[test]
fn authorization_stays_with_the_registry() {
    // As it is; and with the storage's host allowed, which shows that the test would see a leak.
    for allowed in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let registry = serve(root.path(), &Options::default()).unwrap();
        let (front, storage) = with_storage(registry.port(), |_| None);
        let collection = Collection::new();
        let folder = collection.feature("a", "1.0.0", "");
        let mut to = with_variable(front.port, PASSWORD);
        if allowed {
            to.sources.trusted_hosts = format!("localhost:{}", storage.port);
        }
        push_to(&to, &collection.pack(), false).0.unwrap();
        // Alone, so that the published collection is read and merged.
        collection.feature("a", "1.0.1", "");
        push_to(&to, &support::pack(&folder).unwrap(), false).0.unwrap();
        let seen = storage.seen();
        let uploads: Vec<&Seen> = seen.iter().filter(|seen| seen.method == "PUT").collect();
        assert!(
            !uploads.is_empty()
                && uploads.iter().all(|seen| seen.query.starts_with("state=a%2Fb&digest=sha256%3A")),
            "{uploads:?}"
        );
        let reads: Vec<&Seen> = seen.iter().filter(|seen| seen.method == "GET").collect();
        assert!(!reads.is_empty(), "no blob was read from elsewhere");
        for seen in uploads.into_iter().chain(reads) {
            let expected = allowed.then(basic);
            assert_eq!(seen.header("authorization"), expected.as_deref(), "{}", seen.line());
        }
    }
}

#[test]
fn storage_that_wants_a_login_gets_none() {
    for status in [401, 403] {
        let root = tempfile::tempdir().unwrap();
        let registry = serve(root.path(), &Options::default()).unwrap();
        let (front, storage) = with_storage(registry.port(), move |seen| {
            (seen.method == "PUT")
                .then(|| reply(status, &[("www-authenticate", "Basic realm=\"r\"")], "<b>log in</b>"))
        });
        let error = push_to(&with_variable(front.port, PASSWORD), &one_feature(), false).0.unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Registry);
        let text = error.to_string();
        let (registry, host) = (format!("localhost:{}", front.port), format!("localhost:{}", storage.port));
        assert!(
            text.starts_with(&format!(
                "{host}, where the registry {registry} sends this request, refused PUT /"
            )),
            "{text}"
        );
        assert!(text.contains(": <b>log in</b>; it was shown no credentials"), "{text}");
        assert!(text.ends_with(&format!("allow it with --allow-auth-host {registry}={host}")), "{text}");
        assert!(storage.seen().iter().all(|seen| seen.header("authorization").is_none()));
    }
}

#[test]
fn an_identity_token_buys_a_token() {
    let (proxy, _registry, _root) = guarded(|host| format!("http://{host}/token"));
    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join("config.json"),
        format!(r#"{{"auths":{{"localhost:{}":{{"identitytoken":"id&=%"}}}}}}"#, proxy.port),
    )
    .unwrap();
    let sources = Sources { docker_config: Some(home.path().to_owned()), ..Sources::default() };
    push_to(&Destination { sources, ..destination(proxy.port) }, &one_feature(), false).0.unwrap();
    let asked = proxy.seen().into_iter().find(|seen| seen.path == "/token").unwrap();
    assert_eq!(
        (asked.method.as_str(), asked.header("content-type")),
        ("POST", Some("application/x-www-form-urlencoded"))
    );
    assert_eq!(asked.query, "", "a secret was in an address");
}

#[test]
fn what_a_registry_repeats_of_the_credentials_is_not_shown() {
    let encoded = basic().split_off("Basic ".len());
    let alone = base64::engine::general_purpose::STANDARD.encode(PASSWORD);
    let all = format!("{PASSWORD} me:{PASSWORD} {encoded} {alone} s3cr3t%2Dpassw0rd Bearer {TOKEN}");
    // The secret stands where the text is cut, too.
    let long = format!("{}{PASSWORD}", "x".repeat(195));
    for (status, body) in [
        (500, format!(r#"{{"errors":[{{"code":"X","message":"{all}"}}]}}"#)),
        (403, all.clone()),
        (500, long.clone()),
        (403, format!(r#"{{"errors":[{{"code":"X","message":"{long}"}}]}}"#)),
    ] {
        let root = tempfile::tempdir().unwrap();
        let registry = serve(root.path(), &Options::default()).unwrap();
        let warning = format!("299 - \"{all}\"");
        let proxy = Proxy::start(registry.port(), move |seen| {
            if seen.path == "/token" {
                return Some(token_server(seen));
            }
            let challenge = format!("Bearer realm=\"http://{}/token\"", seen.header("host").unwrap());
            Some(match seen.header("authorization") {
                None => reply(401, &[("www-authenticate", &challenge)], ""),
                Some(_) => reply(status, &[("warning", &warning)], &body),
            })
        });
        let (result, notes) = push_to(&with_variable(proxy.port, PASSWORD), &one_feature(), false);
        let error = result.unwrap_err();
        let text = format!("{error:#} {error:?} {notes:?}");
        // What is waited for is told besides.
        let warnings = notes.iter().filter(|note| note.contains(" warns: ")).count();
        assert!(text.contains("[secret]") && warnings == 1, "{text}");
        for secret in ["s3cr3", TOKEN, encoded.trim_end_matches('='), alone.trim_end_matches('=')] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn plain_http_does_not_leave_this_machine() {
    let packed = one_feature();
    for method in ["POST", "GET"] {
        let root = tempfile::tempdir().unwrap();
        let registry = serve(root.path(), &Options::default()).unwrap();
        // Not the loopback address that plain HTTP is for; somebody listens there nonetheless.
        let listener = std::net::TcpListener::bind(("127.0.0.2", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let elsewhere = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Proxy::start(registry.port(), move |seen| {
            let status = if method == "POST" { 202 } else { 307 };
            let hit = seen.method == method && seen.path.contains("/blobs/");
            hit.then(|| reply(status, &[("location", &format!("{elsewhere}{}", seen.path))], ""))
        });
        let error = push_to(&destination(proxy.port), &packed, false).0.unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Registry);
        assert!(error.to_string().ends_with("its Location leads away from HTTPS"), "{error}");
        assert!(listener.accept().is_err(), "somebody else was asked");
    }
}
