//! Bearer tokens: what they are asked for, how long they are used, and what ends a run.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use support::guarded::{Guarded, challenge};
use support::proxy::{Seen, reply};
use support::{Collection, NAMESPACE, push_to};
use xtask::exit::Exit;
use xtask::oci::reference::Repository;
use xtask::oci::secret::Secret;
use xtask::oci::transport::{Access, Call, Client};
use xtask::package::Packed;

fn features(count: usize) -> Packed {
    let collection = Collection::new();
    for index in 0..count {
        collection.feature(&format!("f{index}"), "1.0.0", "");
    }
    collection.pack()
}

/// Requests of one client, all at once.
fn at_once(guarded: &Guarded, access: Access, calls: usize, call: impl Fn(&Client) -> Call) -> Vec<u16> {
    let destination = guarded.destination();
    let client =
        Client::new(destination.registry, access, &destination.sources, Arc::new(|_: &str| {})).unwrap();
    let repository = Repository::parse("a/b").unwrap();
    let calls = (0..calls).map(|_| client.send(&repository, call(&client)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let replies = runtime.block_on(futures_util::future::join_all(calls));
    replies.into_iter().map(|reply| reply.unwrap().status.as_u16()).collect()
}

fn tags(client: &Client) -> Call {
    Call::new(Method::GET, client.url(&Repository::parse("a/b").unwrap(), "tags/list").unwrap())
}

#[test]
fn one_refusal_is_enough_for_a_whole_run() {
    let guarded = Guarded::start(|_, _| None);
    push_to(&guarded.destination(), &features(4), false).0.unwrap();
    let bare = guarded.requests().iter().filter(|seen| seen.header("authorization").is_none()).count();
    assert_eq!(bare, 1, "later repositories are not refused first");
    let asked = guarded.asked();
    assert_eq!(asked.len(), 5, "{asked:?}");
    // They are asked for at the same time, in any order.
    for index in 0..4 {
        let query = format!("scope=repository:{NAMESPACE}/f{index}:pull,push");
        assert_eq!(asked.iter().filter(|asked| **asked == query).count(), 1, "{asked:?}");
    }
}

#[test]
fn a_token_is_replaced_before_it_expires() {
    let (late, counted) = (Arc::new(AtomicUsize::new(0)), Mutex::new(HashMap::new()));
    let too_late = Arc::clone(&late);
    let guarded = Guarded::start(move |seen, tokens| {
        let mut counted = counted.lock().unwrap();
        if seen.path == "/token" {
            let token = tokens.make();
            counted.insert(token.clone(), Instant::now());
            return Some(reply(200, &[], &format!(r#"{{"access_token":"{token}","expires_in":1}}"#)));
        }
        let shown = tokens.shown(seen)?;
        if counted[&shown].elapsed() >= Duration::from_secs(1) {
            too_late.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(Duration::from_millis(40));
        None
    });
    push_to(&guarded.destination(), &features(1), false).0.unwrap();
    assert!(guarded.tokens.made() > 3, "{}", guarded.tokens.made());
    assert_eq!(late.load(Ordering::Relaxed), 0);
}

#[test]
fn a_token_is_used_as_long_as_it_is_good() {
    for expires in ["3600", "\"3600\"", "null", "1e9"] {
        let guarded = Guarded::start(move |seen, tokens| {
            let answer = || format!(r#"{{"access_token":"{}","expires_in":{expires}}}"#, tokens.make());
            (seen.path == "/token").then(|| reply(200, &[], &answer()))
        });
        push_to(&guarded.destination(), &features(1), false).0.unwrap();
        assert_eq!(guarded.tokens.made(), 2, "expires_in {expires}");
    }
}

#[test]
fn a_token_that_is_revoked_at_any_request_is_replaced_once() {
    let whole = Guarded::start(|_, _| None);
    push_to(&whole.destination(), &features(1), false).0.unwrap();
    let requests = whole.requests().len();
    assert!(requests > 10, "{requests}");
    for revoked_at in 1..requests {
        let count = AtomicUsize::new(0);
        let guarded = Guarded::start(move |seen, tokens| {
            if seen.path != "/token" && count.fetch_add(1, Ordering::Relaxed) == revoked_at {
                tokens.revoke_all();
            }
            None
        });
        push_to(&guarded.destination(), &features(1), false).0.unwrap();
        // The tokens of both repositories are revoked.
        assert!(guarded.tokens.made() <= whole.tokens.made() + 2, "revoked at {revoked_at}");
        assert_eq!(
            support::digest_of(guarded.registry.port(), &format!("{NAMESPACE}/f0"), "latest"),
            support::digest_of(whole.registry.port(), &format!("{NAMESPACE}/f0"), "latest"),
        );
    }
}

#[test]
fn refusals_without_end_end() {
    for status in [401, 403] {
        let guarded = Guarded::start(move |seen, _| {
            let header = format!(
                "Bearer realm=\"http://{}/token\",error=\"insufficient_scope\"",
                seen.header("host").unwrap()
            );
            (seen.path != "/token").then(|| reply(status, &[("www-authenticate", &header)], "<h1>no</h1>"))
        });
        let error = push_to(&guarded.destination(), &features(3), false).0.unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Registry);
        let text = error.to_string();
        assert!(text.contains("with the credentials from DEVCONTAINERS_OCI_AUTH: <h1>no</h1>"), "{text}");
        assert!(guarded.requests().len() <= 3 && guarded.tokens.made() <= 2, "{:?}", guarded.proxy.seen());
    }
    // A password that is wrong is not tried again: its user might be locked out.
    let guarded = Guarded::start(|_, _| Some(reply(401, &[("www-authenticate", "Basic realm=\"r\"")], "")));
    push_to(&guarded.destination(), &features(3), false).0.unwrap_err();
    let shown = guarded.requests().iter().filter(|seen| seen.header("authorization").is_some()).count();
    assert_eq!(shown, 1);
}

#[test]
fn a_place_for_tokens_that_fails_for_the_moment_is_asked_again() {
    for (status, more) in [(503, &[][..]), (429, &[("retry-after", "0.1")]), (500, &[])] {
        for identity in [false, true] {
            let asked = AtomicUsize::new(0);
            let guarded = Guarded::start(move |seen, _| {
                let fails = seen.path == "/token" && asked.fetch_add(1, Ordering::Relaxed) < 2;
                fails.then(|| reply(status, more, "busy"))
            });
            let mut destination = guarded.destination();
            if identity {
                let login = format!("localhost:{}|<token>|s3cr3t-token", guarded.proxy.port);
                destination.sources.oci_auth = Some(Secret::new(login));
            }
            push_to(&destination, &features(1), false).0.unwrap();
            // One for the Feature, one for the collection, and two in vain.
            assert_eq!(guarded.asked().len(), 4, "{status}");
        }
    }
    let guarded = Guarded::start(|seen, _| (seen.path == "/token").then(|| reply(503, &[], "busy")));
    let error = push_to(&guarded.destination(), &features(1), false).0.unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Registry);
    let text = error.to_string();
    assert!(text.ends_with("answered 503 to GET /token: busy (tried 6 times)"), "{text}");
}

#[test]
fn what_is_no_token_is_one_sentence() {
    let huge = format!(r#"{{"token":"{}"}}"#, "x".repeat(100_000));
    for (body, expected) in [
        ("<html><body>Sign in</body></html>", "it is no JSON, and so has no token in it"),
        ("", "it is no JSON, and so has no token in it"),
        ("{}", "there is no token in it"),
        ("[]", "there is no token in it"),
        (r#"{"token":""}"#, "there is no token in it"),
        (r#"{"token":null,"access_token":7}"#, "there is no token in it"),
        (r#"{"token":"a\nb"}"#, "its token holds characters that no header may hold"),
        (r#"{"token":"a b"}"#, "its token holds characters that no header may hold"),
        (huge.as_str(), "its token is larger than 64 KiB"),
    ] {
        let answer = body.to_owned();
        let guarded =
            Guarded::start(move |seen, _| (seen.path == "/token").then(|| reply(200, &[], &answer)));
        let error = push_to(&guarded.destination(), &features(1), false).0.unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Registry);
        let text = error.to_string();
        assert!(
            text.ends_with(&format!("broke the protocol in its answer to GET /token: {expected}")),
            "{text}"
        );
        assert_eq!(guarded.proxy.seen().len(), 2, "{body}");
    }
    let endless = "x".repeat(2 << 20);
    let guarded = Guarded::start(move |seen, _| (seen.path == "/token").then(|| reply(200, &[], &endless)));
    let error = push_to(&guarded.destination(), &features(1), false).0.unwrap_err().to_string();
    assert!(error.ends_with("the answer is larger than 1 MiB"), "{error}");
    // A realm that sends elsewhere is not followed.
    let thief = Guarded::start(|_, _| None);
    let there = format!("http://localhost:{}/token", thief.proxy.port);
    let guarded = Guarded::start(move |seen, _| {
        (seen.path == "/token").then(|| reply(307, &[("location", &there)], ""))
    });
    let error = push_to(&guarded.destination(), &features(1), false).0.unwrap_err().to_string();
    assert!(error.contains("answered 307 to GET /token"), "{error}");
    assert!(thief.proxy.seen().is_empty());
}

#[test]
fn a_token_for_more_is_asked_for_where_the_registry_says_so() {
    for status in [401, 403] {
        let guarded = Guarded::start(move |seen, tokens| {
            if seen.path == "/token" || tokens.shown(seen).is_none() {
                return None;
            }
            // Known here by another name; only the second token is good for that.
            if seen.header("authorization") != Some("Bearer token-1")
                || seen.path.ends_with("/features/tags/list")
            {
                return None;
            }
            let more =
                ",error=\"insufficient_scope\",scope=\"repository:mapped/f0:pull,push registry:catalog:*\"";
            let header = format!("Bearer realm=\"http://{}/token\"{more}", seen.header("host").unwrap());
            Some(reply(status, &[("www-authenticate", &header)], ""))
        });
        push_to(&guarded.destination(), &features(1), false).0.unwrap();
        let asked = guarded.asked();
        let first = format!("scope=repository:{NAMESPACE}/f0:pull,push");
        assert_eq!(asked[..2], [first.clone(), format!("{first}&scope=repository:mapped/f0:pull,push")]);
    }
}

#[test]
fn challenges_in_every_shape_are_answered() {
    for (challenges, service) in [
        (&["Bearer realm=\"http://HOST/token\""][..], ""),
        (&["Bearer realm=\"http://HOST/token\",service=\"a b&c\""], "&service=a+b%26c"),
        (&["Basic realm=\"r\"", "Bearer realm=\"http://HOST/token\""], ""),
        (&["Negotiate, Basic realm=\"r\", Bearer realm=\"http://HOST/token\", service=s"], "&service=s"),
        (&["Bearer realm=\"https://elsewhere.example/token\", Bearer realm=\"http://HOST/token\""], ""),
        (&["Bearer realm=\"http://u:p@HOST/token#x\""], ""),
    ] {
        let guarded = Guarded::start(move |seen, tokens| {
            if seen.path == "/token" || tokens.shown(seen).is_some() {
                return None;
            }
            let host = seen.header("host").unwrap();
            let headers: Vec<String> = challenges.iter().map(|text| text.replace("HOST", host)).collect();
            let headers: Vec<_> = headers.iter().map(|text| ("www-authenticate", text.as_str())).collect();
            Some(reply(401, &headers, ""))
        });
        push_to(&guarded.destination(), &features(1), false).0.unwrap();
        let query = format!("scope=repository:{NAMESPACE}/f0:pull,push{service}");
        assert_eq!(guarded.asked()[0], query, "{challenges:?}");
        let token = guarded.proxy.seen().into_iter().find(|seen| seen.path == "/token").unwrap();
        assert_eq!(token.header("authorization"), Some("Basic bWU6czNjcjN0LXBhc3N3MHJk"), "{challenges:?}");
    }
    // A realm has a query of its own, which stays.
    let guarded = Guarded::start(|seen, tokens| {
        (seen.path != "/token" && tokens.shown(seen).is_none()).then(|| {
            let header = format!("Bearer realm=\"http://{}/token?x=1,2\"", seen.header("host").unwrap());
            reply(401, &[("www-authenticate", &header)], "")
        })
    });
    push_to(&guarded.destination(), &features(1), false).0.unwrap();
    assert!(guarded.asked()[0].starts_with("x=1,2&scope="), "{:?}", guarded.asked());
}

#[test]
fn requests_at_once_share_one_token() {
    let guarded = Guarded::start(|_, _| None);
    assert_eq!(at_once(&guarded, Access::PullPush, 20, tags), vec![404; 20]);
    assert_eq!(guarded.tokens.made(), 1);
}

#[test]
fn what_is_printed_for_debugging_has_no_secrets() {
    let guarded = Guarded::start(|seen, tokens| {
        let echo = format!("{:?}", seen.headers);
        (seen.path != "/token" && tokens.shown(seen).is_some())
            .then(|| reply(200, &[("x-echo", &echo)], &echo))
    });
    let destination = guarded.destination();
    let client =
        Client::new(destination.registry.clone(), Access::Pull, &destination.sources, Arc::new(|_: &str| {}))
            .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let repository = Repository::parse("a/b").unwrap();
    let reply = runtime.block_on(client.send(&repository, tags(&client))).unwrap();
    assert!(String::from_utf8_lossy(&reply.body).contains("token-1"), "nothing was echoed");
    let text = format!("{client:?} {reply:?} {destination:?}");
    for secret in ["token-1", "s3cr3t", "bWU6czNjcjN0"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn a_mount_is_allowed_to_read_where_it_mounts_from() {
    let mount = |client: &Client| {
        let mut call = tags(client);
        call.mount_from = Some(Repository::parse("other/c").unwrap());
        call
    };
    let guarded = Guarded::start(|_, _| None);
    assert_eq!(at_once(&guarded, Access::PullPush, 2, mount), [404, 404]);
    assert_eq!(guarded.asked(), ["scope=repository:a/b:pull,push&scope=repository:other/c:pull"]);
    // Who may not read there can still upload here.
    let guarded = Guarded::start(|seen, _| {
        (seen.path == "/token" && seen.query.contains("other")).then(|| reply(403, &[], ""))
    });
    assert_eq!(at_once(&guarded, Access::PullPush, 1, mount), [404]);
    assert_eq!(guarded.asked()[1..], ["scope=repository:a/b:pull,push"]);
}

#[test]
fn an_old_login_does_not_keep_from_reading_what_is_public() {
    let policy = |seen: &Seen| {
        let refused = seen.path == "/token" && seen.header("authorization").is_some();
        refused.then(|| reply(401, &[], r#"{"details":"expired"}"#))
    };
    let guarded = Guarded::start(move |seen, _| policy(seen));
    let (result, notes) = push_to(&guarded.destination(), &features(3), true);
    result.unwrap();
    let said = "refused access with the credentials from DEVCONTAINERS_OCI_AUTH, so it is read without them";
    assert!(notes.len() == 1 && notes[0].ends_with(said), "{notes:?}");
    let shown = guarded
        .proxy
        .seen()
        .iter()
        .filter(|seen| seen.path == "/token" && seen.header("authorization").is_some())
        .count();
    assert_eq!(shown, 1, "what was refused was shown again");
    // To publish is another matter.
    let guarded = Guarded::start(move |seen, _| policy(seen));
    let error = push_to(&guarded.destination(), &features(1), false).0.unwrap_err().to_string();
    assert!(error.contains("refused access to GET /token") && error.contains(": expired;"), "{error}");
    assert_eq!(guarded.asked().len(), 1);
}

#[test]
fn who_may_only_read_learns_that_nothing_is_new() {
    let guarded = Guarded::start(|seen, tokens| {
        if seen.path == "/token" && seen.query.contains("push") {
            return Some(reply(403, &[], r#"{"errors":[{"code":"DENIED","message":"read only"}]}"#));
        }
        (seen.writes() && tokens.shown(seen).is_some()).then(|| challenge(seen, ""))
    });
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    support::push(guarded.registry.port(), &collection.pack()).unwrap();
    push_to(&guarded.destination(), &collection.pack(), false).0.unwrap();
    assert!(guarded.proxy.writes().is_empty());
    collection.feature("a", "1.0.1", "");
    let error = push_to(&guarded.destination(), &collection.pack(), false).0.unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Registry);
    assert!(error.to_string().contains("lets nothing be written to 2 of 2 repositories"), "{error}");
    assert!(
        guarded.proxy.writes().iter().all(|line| line.starts_with("POST")),
        "{:?}",
        guarded.proxy.writes()
    );
}
