//! The faults of the embedded registry, met by requests that no client of ours sends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::support::{Answer, http, xtask};
use super::{Peer, manifest_of};
use xtask::oci::digest::Digest;
use xtask::registry::server::{Options, serve};
use xtask::registry::watch::{Moment, Verdict, Watch};

/// Everything that comes for some bytes, until the registry ends the connection.
fn raw(peer: &Peer, request: &str) -> String {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", peer.serving.port())).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A connection that is reset ends the answer just as well.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// A repository with some tags.
fn fill(peer: &Peer, name: &str, tags: &[&str]) -> String {
    let text = manifest_of(&peer.blob(name, b"{}"), &peer.blob(name, b"x"));
    for tag in tags {
        assert_eq!(peer.manifest(name, tag, &text).status, 201);
    }
    text
}

fn tags(peer: &Peer, query: &str) -> Answer {
    peer.call("GET", &format!("/v2/a/tags/list{query}"), b"")
}

/// The tags that an answer confirms.
fn confirmed(answer: &Answer) -> String {
    let tags = answer.headers.get_all("oci-tag").iter().map(|tag| tag.to_str().unwrap());
    tags.collect::<Vec<_>>().join(" ")
}

fn start(peer: &Peer) -> Answer {
    peer.call("POST", "/v2/a/blobs/uploads/", b"")
}

#[test]
fn errors_come_where_and_as_often_as_they_were_asked_for() {
    let peer = Peer::with(&[
        "status=429,retry-after=0.5,method=GET,path=/v2/,from=2,count=1",
        "status=503,retry-after=date:5,body=empty,method=GET,path=/v2/,from=2,count=1",
        "status=502,body=html,path=/v2/a/*,method=DELETE",
        "status=401,method=PUT",
    ]);
    let base = || peer.call("GET", "/v2/", b"");
    assert_eq!(base().status, 200);
    let answer = base();
    assert_eq!((answer.status, answer.header("retry-after")), (429, "0.5"));
    assert_eq!(answer.code(), "UNAVAILABLE");
    // The first fault took the second request away from the second fault, whose second is the third.
    let answer = base();
    assert_eq!((answer.status, answer.body.len()), (503, 0));
    assert!(answer.header("retry-after").ends_with(" GMT"), "{}", answer.header("retry-after"));
    assert_eq!(base().status, 200);
    let answer = peer.call("DELETE", "/v2/a/manifests/1", b"");
    assert_eq!((answer.status, answer.header("content-type")), (502, "text/html"));
    let answer = peer.call("PUT", "/v2/a/manifests/1", "x".repeat(100_000).as_bytes());
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Basic realm=\"embedded\""));
    assert_eq!(peer.serving.hits(), [1, 1, 1, 1]);
}

#[test]
fn connections_are_cut_where_it_was_asked_for() {
    let peer =
        Peer::with(&["cut-answer=9,path=/v2/", "cut-request=3,method=PUT", "cut-answer=0,method=POST"]);
    assert_eq!(raw(&peer, &get("/v2/")), "HTTP/1.1 ");
    let put = "PUT /v2/a/manifests/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n123";
    assert_eq!(raw(&peer, put), "");
    let digest = Digest::of(b"x");
    let post = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
    );
    assert_eq!(raw(&peer, &post), "");
    // It was done all the same.
    assert_eq!(peer.call("HEAD", &format!("/v2/a/blobs/{digest}"), b"").status, 200);
    assert_eq!(peer.serving.hits(), [1, 1, 1]);
}

#[test]
fn bodies_are_short_wrong_or_slow() {
    let peer = Peer::with(&[
        "truncate=4,method=GET,path=*/blobs/*,count=1",
        "wrong-content,path=*/blobs/*,from=2,count=1",
        "drip=0.02,path=*/blobs/*,method=GET,from=3",
    ]);
    let path = format!("/v2/a/blobs/{}", peer.blob("a", b"0123456789"));
    let answer = peer.call("GET", &path, b"");
    assert_eq!((answer.header("content-length"), answer.body.as_slice()), ("4", &b"0123"[..]));
    assert_eq!(peer.call("GET", &path, b"").body, b"1032547698");
    let before = Instant::now();
    let answer = peer.call("GET", &path, b"");
    assert_eq!((answer.header("content-length"), answer.body.as_slice()), ("10", &b"0123456789"[..]));
    assert!(before.elapsed() >= Duration::from_millis(200));
    assert_eq!(peer.serving.hits(), [1, 1, 1]);
}

#[test]
fn lists_of_tags_are_paged_null_or_stale() {
    let peer = Peer::with(&["page=2", "tags-null,from=4,count=1", "hide-tags=2*,from=5,count=1"]);
    fill(&peer, "a", &["1", "2", "2.0", "3"]);
    let answer = tags(&peer, "?n=1000");
    assert_eq!(answer.json()["tags"], serde_json::json!(["1", "2"]));
    assert_eq!(answer.header("link"), "</v2/a/tags/list?n=2&last=2>; rel=\"next\"");
    assert_eq!(tags(&peer, "").json()["tags"], serde_json::json!(["1", "2"]));
    assert_eq!(tags(&peer, "?n=1").json()["tags"], serde_json::json!(["1"]));
    assert_eq!(tags(&peer, "").json(), serde_json::json!({"name": "a", "tags": null}));
    assert_eq!(tags(&peer, "?n=2").json()["tags"], serde_json::json!(["1"]));
    assert_eq!(peer.serving.hits(), [5, 1, 1]);
    let peer = Peer::with(&["hide-tags=2*"]);
    fill(&peer, "a", &["1", "2", "2.0", "3"]);
    assert_eq!(tags(&peer, "").json()["tags"], serde_json::json!(["1", "3"]));
}

#[test]
fn writes_are_lost() {
    let peer = Peer::with(&[
        "lost,path=*/manifests/latest",
        "lost,path=*/manifests/sha256:*",
        "lost,path=*/uploads/*",
    ]);
    let text = fill(&peer, "a", &["1"]);
    let digest = Digest::of(text.as_bytes()).to_string();
    let answer = peer.manifest("a", "latest", &text);
    assert_eq!((answer.status, answer.header("docker-content-digest")), (201, digest.as_str()));
    assert_eq!(peer.call("GET", "/v2/a/manifests/latest", b"").status, 404);
    let answer = peer.manifest("a", &format!("{digest}?tag=2&tag=3"), &text);
    let confirmed = confirmed(&answer);
    assert_eq!((answer.status, confirmed), (201, "2 3".to_owned()));
    assert_eq!(tags(&peer, "").json()["tags"], serde_json::json!(["1"]));
    let location = start(&peer).header("location").to_owned();
    let digest = Digest::of(b"never");
    assert_eq!(peer.call("PUT", &format!("{location}?digest={digest}"), b"never").status, 201);
    assert_eq!(peer.call("HEAD", &format!("/v2/a/blobs/{digest}"), b"").status, 404);
    assert_eq!(peer.serving.hits(), [1, 1, 1]);
}

#[test]
fn several_tags_go_with_one_manifest_or_do_not() {
    for faults in [&[][..], &["no-tag-parameter"][..]] {
        let peer = Peer::with(faults);
        let text = fill(&peer, "a", &[]);
        let digest = Digest::of(text.as_bytes()).to_string();
        let answer = peer.manifest("a", &format!("{digest}?tag=1.0.0&tag=1&tag=latest"), &text);
        let confirmed = confirmed(&answer);
        let list = tags(&peer, "").json();
        if faults.is_empty() {
            assert_eq!((answer.status, confirmed), (201, "1.0.0 1 latest".to_owned()));
            assert_eq!(list["tags"], serde_json::json!(["1", "1.0.0", "latest"]));
            assert_eq!(peer.manifest("a", &format!("{digest}?tag=..%2Fx"), &text).code(), "MANIFEST_INVALID");
        } else {
            assert_eq!((answer.status, confirmed), (201, String::new()));
            assert_eq!(list["tags"], serde_json::json!([]));
            assert_eq!(peer.serving.hits(), [1]);
        }
    }
}

#[test]
fn chunks_are_refused() {
    let patch = |peer: &Peer, location: &str, range: &str, data: &[u8]| {
        http("PATCH", &peer.url(location), &[("content-range", range)], data)
    };
    let peer = Peer::with(&["partial-chunk,count=1", "not-satisfiable,count=1", "patch-limit=4"]);
    let location = start(&peer).header("location").to_owned();
    let answer = patch(&peer, &location, "0-3", b"0123");
    assert_eq!((answer.status, answer.header("range")), (416, "0-1"));
    let answer = patch(&peer, &location, "2-4", b"234");
    assert_eq!((answer.status, answer.header("range")), (416, "0-1"));
    assert_eq!(patch(&peer, &location, "2-6", b"23456").status, 416);
    assert_eq!(patch(&peer, &location, "2-5", b"2345").status, 202);
    assert_eq!(peer.serving.hits(), [1, 1, 1]);
    let digest = Digest::of(b"012345");
    assert_eq!(peer.call("PUT", &format!("{location}?digest={digest}"), b"").status, 201);

    let peer = Peer::with(&["chunk-min=3"]);
    let answer = start(&peer);
    assert_eq!(answer.header("oci-chunk-min-length"), "3");
    let location = answer.header("location");
    assert_eq!(patch(&peer, location, "0-2", b"012").status, 202);
    assert_eq!(patch(&peer, location, "3-4", b"34").status, 202);
    assert_eq!(patch(&peer, location, "5-7", b"567").code(), "BLOB_UPLOAD_INVALID");
    assert_eq!(peer.serving.hits(), [1]);
}

#[test]
fn a_body_of_no_length_is_refused() {
    let peer = Peer::with(&["length-required"]);
    let chunked = "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    assert!(raw(&peer, chunked).starts_with("HTTP/1.1 411 "), "{}", raw(&peer, chunked));
    let hits = peer.serving.hits();
    peer.blob("a", b"x");
    assert_eq!((hits[0], peer.serving.hits()), (1, hits));
}

#[test]
fn an_upload_goes_on_wherever_it_is_said() {
    let digest = Digest::of(b"x");
    let peer = Peer::with(&[
        "location=missing,count=1",
        "location=absolute,from=2,count=1",
        "location=query,from=3,count=1",
        "location=http://localhost:1/,from=4",
    ]);
    assert!(!start(&peer).headers.contains_key("location"));
    let answer = start(&peer);
    let location = answer.header("location");
    assert!(location.starts_with(&peer.url("/v2/a/blobs/uploads/")), "{location}");
    assert_eq!(http("PUT", &format!("{location}?digest={digest}"), &[], b"x").status, 201);
    let answer = start(&peer);
    let location = answer.header("location");
    let (plain, _) = location.split_once("?_state=").unwrap();
    assert_eq!(peer.call("PUT", &format!("{plain}?digest={digest}"), b"x").code(), "BLOB_UPLOAD_INVALID");
    assert_eq!(peer.call("PUT", &format!("{location}&digest={digest}"), b"x").status, 201);
    let elsewhere = start(&peer).header("location").to_owned();
    assert!(elsewhere.starts_with("http://localhost:1/v2/a/blobs/uploads/"), "{elsewhere}");
    assert_eq!(peer.serving.hits(), [1, 1, 1, 1]);
}

#[test]
fn nothing_is_mounted_and_users_are_warned() {
    let peer = Peer::with(&["no-mount", "warning=read only from Friday,method=POST"]);
    let digest = peer.blob("a", b"x");
    let answer = peer.call("POST", &format!("/v2/b/blobs/uploads/?mount={digest}&from=a"), b"");
    assert_eq!((answer.status, answer.header("warning")), (202, "299 - \"read only from Friday\""));
    assert_eq!(peer.call("HEAD", &format!("/v2/b/blobs/{digest}"), b"").status, 404);
    assert_eq!(peer.serving.hits(), [1, 2]);
}

#[test]
fn tokens_are_for_one_repository_and_one_while() {
    let peer = Peer::with(&["token=1,login=me:secret"]);
    let answer = peer.call("GET", "/v2/a/tags/list", b"");
    let realm = peer.url("/token");
    assert_eq!(
        (answer.status, answer.header("www-authenticate")),
        (401, format!("Bearer realm=\"{realm}\",service=\"embedded\",scope=\"repository:a:pull\"").as_str())
    );
    let write = peer.call("POST", "/v2/a/blobs/uploads/", b"");
    assert!(write.header("www-authenticate").ends_with("scope=\"repository:a:pull,push\""));
    let scope = "scope=repository:a:pull&service=embedded";
    let wrong = http("GET", &format!("{realm}?{scope}"), &[("authorization", "Basic bWU6d3Jvbmc=")], b"");
    assert_eq!((wrong.status, wrong.code().as_str()), (401, "UNAUTHORIZED"));
    let basic = ("authorization", "Basic bWU6c2VjcmV0");
    let given = http("GET", &format!("{realm}?{scope}"), &[basic], b"").json();
    let form = format!("{scope}&grant_type=refresh_token&refresh_token=secret");
    let bought = http("POST", &realm, &[], form.as_bytes());
    assert_eq!(bought.status, 200);
    let bearer = format!("Bearer {}", given["token"].as_str().unwrap());
    let call =
        |method: &str, path: &str| http(method, &peer.url(path), &[("authorization", &bearer)], b"").status;
    assert_eq!(call("GET", "/v2/a/tags/list"), 404);
    assert_eq!(call("GET", "/v2/b/tags/list"), 401);
    assert_eq!(call("POST", "/v2/a/blobs/uploads/"), 401);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(call("GET", "/v2/a/tags/list"), 401);
    assert_eq!(peer.serving.hits(), [5]);
    // Each is refused, whatever was paid for it.
    let peer = Peer::with(&["token=0,realm=https://tokens.invalid/of"]);
    let given = http("GET", &peer.url("/token?scope=repository:a:pull"), &[], b"").json();
    let bearer = format!("Bearer {}", given["token"].as_str().unwrap());
    let answer = http("GET", &peer.url("/v2/a/tags/list"), &[("authorization", &bearer)], b"");
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").starts_with("Bearer realm=\"https://tokens.invalid/of\""));
}

#[test]
fn a_watcher_sees_each_request_twice_and_may_cut_it() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let watch = Watch::new(move |seen| {
        let what = match seen.moment {
            Moment::Arrived => "arrived".to_owned(),
            Moment::Served { status, met } => format!("{status:?} {}", met.join(" ")),
        };
        notes.lock().unwrap().push(format!("{} {} {what}", seen.number, seen.asked.path));
        match (seen.number, seen.moment) {
            (3, Moment::Arrived) | (4, Moment::Served { .. }) => Verdict::Cut,
            _ => Verdict::Go,
        }
    });
    let root = tempfile::tempdir().unwrap();
    let faults = vec!["status=503,count=1".parse().unwrap()];
    let peer =
        Peer { serving: serve(root.path(), &Options { faults, watch, ..Options::default() }).unwrap(), root };
    assert_eq!(peer.call("GET", "/v2/", b"").status, 503);
    assert_eq!(peer.call("GET", "/v2/", b"").status, 200);
    for _ in 3..=4 {
        assert_eq!(raw(&peer, &get("/v2/")), "");
    }
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "1 /v2/ arrived",
            "1 /v2/ Some(503) status=503,count=1",
            "2 /v2/ arrived",
            "2 /v2/ Some(200) ",
            "3 /v2/ arrived",
            "4 /v2/ arrived",
            "4 /v2/ Some(200) ",
        ]
    );
}

#[test]
fn the_command_line_takes_faults_and_says_what_they_met() {
    let root = tempfile::tempdir().unwrap();
    let fault = "status=503,path=/v2/,count=1";
    let mut child = xtask(root.path())
        .args(["registry", "serve", "--root", ".", "--port", "0", "--fault", fault, "--fault", "page=1"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let serving = lines.next().unwrap();
    let port = serving.split("localhost:").nth(1).unwrap().split(';').next().unwrap();
    for expected in [503, 200] {
        assert_eq!(http("GET", &format!("http://localhost:{port}/v2/"), &[], b"").status, expected);
    }
    assert_eq!(lines.next().unwrap(), format!("fault {fault} met GET /v2/"));
    child.kill().unwrap();
    child.wait().unwrap();

    let wrong = xtask(root.path()).args(["registry", "serve", "--fault", "slow"]).output().unwrap();
    let stderr = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("there is no fault \"slow\""), "{stderr}");
    let help = xtask(root.path()).args(["registry", "serve", "--help"]).output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("status=N             answer N and do nothing"));
}
