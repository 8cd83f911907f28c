//! The embedded registry, spoken to as the specification says.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod faults;
#[path = "../support/mod.rs"]
mod support;

use std::io::{Read as _, Write as _};

use support::{Answer, http};
use xtask::oci::digest::Digest;
use xtask::registry::server::{Options, ServeError, Serving, serve};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

struct Peer {
    serving: Serving,
    root: tempfile::TempDir,
}

impl Peer {
    fn start() -> Self {
        Self::with(&[])
    }

    /// One that misbehaves.
    fn with(faults: &[&str]) -> Self {
        let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        let root = tempfile::tempdir().unwrap();
        Self { serving: serve(root.path(), &Options { faults, ..Options::default() }).unwrap(), root }
    }

    fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.serving.port())
    }

    fn call(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        http(method, &self.url(path), &[], body)
    }

    fn blob(&self, name: &str, data: &[u8]) -> String {
        let digest = Digest::of(data).to_string();
        let answer = self.call("POST", &format!("/v2/{name}/blobs/uploads/?digest={digest}"), data);
        assert_eq!(answer.status, 201);
        digest
    }

    fn manifest(&self, name: &str, reference: &str, text: &str) -> Answer {
        http(
            "PUT",
            &self.url(&format!("/v2/{name}/manifests/{reference}")),
            &[("content-type", MANIFEST_TYPE)],
            text.as_bytes(),
        )
    }
}

fn manifest_of(config: &str, layer: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{{"mediaType":"a/b","digest":"{config}","size":2}},"layers":[{{"mediaType":"a/b","digest":"{layer}","size":1}}]}}"#
    )
}

#[test]
fn blobs_arrive_by_every_way() {
    let peer = Peer::start();
    let data = b"some content";
    let digest = Digest::of(data).to_string();
    // In one request.
    let answer = peer.call("POST", &format!("/v2/one/blobs/uploads/?digest={digest}"), data);
    assert_eq!((answer.status, answer.header("docker-content-digest")), (201, digest.as_str()));
    // In two.
    let start = peer.call("POST", "/v2/two/blobs/uploads/", b"");
    assert_eq!(start.status, 202);
    let location = start.header("location").to_owned();
    let answer = peer.call("PUT", &format!("{location}?digest={digest}"), data);
    assert_eq!((answer.status, answer.header("location")), (201, format!("/v2/two/blobs/{digest}").as_str()));
    // In chunks, one of them in the wrong place.
    let location = peer.call("POST", "/v2/chunks/blobs/uploads/", b"").header("location").to_owned();
    let url = peer.url(&location);
    let first = http("PATCH", &url, &[("content-range", "0-4")], &data[..5]);
    assert_eq!((first.status, first.header("range")), (202, "0-4"));
    let wrong = http("PATCH", &url, &[("content-range", "7-8")], &data[7..9]);
    assert_eq!((wrong.status, wrong.header("range")), (416, "0-4"));
    let status = http("GET", &url, &[], b"");
    assert_eq!((status.status, status.header("range")), (204, "0-4"));
    assert_eq!(http("PATCH", &url, &[("content-range", "5-9")], &data[5..10]).status, 202);
    assert_eq!(http("PUT", &format!("{url}?digest={digest}"), &[], &data[10..]).status, 201);
    // From another repository; from one that has it not, an upload is opened instead.
    let mount = |from: &str| {
        peer.call("POST", &format!("/v2/mounted-{from}/blobs/uploads/?mount={digest}&from={from}"), b"")
            .status
    };
    assert_eq!((mount("one"), mount("nobody")), (201, 202));
    for name in ["one", "two", "chunks", "mounted-one"] {
        let answer = peer.call("GET", &format!("/v2/{name}/blobs/{digest}"), b"");
        assert_eq!((answer.status, answer.body.as_slice()), (200, &data[..]), "{name}");
        let head = peer.call("HEAD", &format!("/v2/{name}/blobs/{digest}"), b"");
        assert_eq!((head.status, head.header("content-length")), (200, "12"));
    }
    let missing = peer.call("GET", &format!("/v2/mounted-nobody/blobs/{digest}"), b"");
    assert_eq!((missing.status, missing.code().as_str()), (404, "BLOB_UNKNOWN"));
}

#[test]
fn a_blob_is_what_its_digest_says() {
    let peer = Peer::start();
    let digest = Digest::of(b"one");
    for body in [&b"two"[..], b""] {
        let answer = peer.call("POST", &format!("/v2/a/blobs/uploads/?digest={digest}"), body);
        assert_eq!((answer.status, answer.code().as_str()), (400, "DIGEST_INVALID"));
    }
    let location = peer.call("POST", "/v2/a/blobs/uploads/", b"").header("location").to_owned();
    assert_eq!(peer.call("PUT", &location, b"one").code(), "DIGEST_INVALID");
    assert_eq!(peer.call("PUT", &format!("{location}?digest=md5:00"), b"").code(), "DIGEST_INVALID");
    assert_eq!(peer.call("DELETE", &location, b"").status, 204);
    assert_eq!(
        peer.call("PUT", &format!("{location}?digest={digest}"), b"one").code(),
        "BLOB_UPLOAD_UNKNOWN"
    );
    assert_eq!(peer.call("HEAD", &format!("/v2/a/blobs/{digest}"), b"").status, 404);
}

#[test]
fn a_manifest_needs_what_it_names() {
    let peer = Peer::start();
    let (config, layer) = (peer.blob("a", b"{}"), peer.blob("a", b"x"));
    let text = manifest_of(&config, &layer);
    let digest = Digest::of(text.as_bytes()).to_string();
    let answer = peer.manifest("a", "1.0.0", &text);
    assert_eq!((answer.status, answer.header("docker-content-digest")), (201, digest.as_str()));
    for reference in ["1.0.0", &digest] {
        let answer = peer.call("GET", &format!("/v2/a/manifests/{reference}"), b"");
        assert_eq!(
            (answer.status, answer.header("content-type"), answer.body.as_slice()),
            (200, MANIFEST_TYPE, text.as_bytes())
        );
        assert_eq!(answer.header("docker-content-digest"), digest);
        assert_eq!(
            peer.call("HEAD", &format!("/v2/a/manifests/{reference}"), b"").header("content-length"),
            text.len().to_string()
        );
    }
    let nobody = Digest::of(b"nobody").to_string();
    for (name, reference, text, code) in [
        ("a", "2", manifest_of(&config, &nobody), "MANIFEST_BLOB_UNKNOWN"),
        ("a", "2", manifest_of(&nobody, &layer), "MANIFEST_BLOB_UNKNOWN"),
        // The blobs are there, but not in this repository.
        ("b", "2", text.clone(), "MANIFEST_BLOB_UNKNOWN"),
        ("a", nobody.as_str(), text.clone(), "DIGEST_INVALID"),
        ("a", "2", "{".to_owned(), "MANIFEST_INVALID"),
        ("a", "2", r#"{"schemaVersion":1}"#.to_owned(), "MANIFEST_INVALID"),
        ("a", "2", r#"{"schemaVersion":2,"mediaType":"other/type"}"#.to_owned(), "MANIFEST_INVALID"),
        (
            "a",
            "2",
            r#"{"schemaVersion":2,"config":{"digest":"../../etc/passwd"}}"#.to_owned(),
            "MANIFEST_INVALID",
        ),
        ("a", "2", " ".repeat(5 << 20), "SIZE_INVALID"),
    ] {
        assert_eq!(peer.manifest(name, reference, &text).code(), code, "{name} {reference}");
    }
    assert_eq!(peer.call("GET", "/v2/a/manifests/2", b"").code(), "MANIFEST_UNKNOWN");
    assert_eq!(peer.call("DELETE", "/v2/a/manifests/1.0.0", b"").code(), "UNSUPPORTED");
}

#[test]
fn tags_come_in_pages() {
    let peer = Peer::start();
    assert_eq!(peer.call("GET", "/v2/a/tags/list", b"").code(), "NAME_UNKNOWN");
    let text = manifest_of(&peer.blob("a", b"{}"), &peer.blob("a", b"x"));
    for tag in ["c", "a", "b", "e", "d"] {
        assert_eq!(peer.manifest("a", tag, &text).status, 201);
    }
    let page = |query: &str| {
        let answer = peer.call("GET", &format!("/v2/a/tags/list{query}"), b"");
        let tags: Vec<String> = serde_json::from_value(answer.json()["tags"].clone()).unwrap();
        (tags.join(""), answer.headers.get("link").map(|link| link.to_str().unwrap().to_owned()))
    };
    assert_eq!(page(""), ("abcde".to_owned(), None));
    assert_eq!(
        page("?n=2"),
        ("ab".to_owned(), Some("</v2/a/tags/list?n=2&last=b>; rel=\"next\"".to_owned()))
    );
    assert_eq!(page("?n=2&last=b").0, "cd");
    assert_eq!(page("?n=2&last=d"), ("e".to_owned(), None));
    assert_eq!(page("?n=5"), ("abcde".to_owned(), None));
    assert_eq!(peer.call("GET", "/v2/a/tags/list?n=x", b"").code(), "PAGINATION_NUMBER_INVALID");
}

/// A request whose path is sent as it stands: a proper client would tidy it up first.
fn raw(port: u16, path: &str, host: &str) -> String {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn no_path_leaves_the_folder_and_no_other_name_gets_in() {
    let peer = Peer::start();
    let secret = peer.root.path().parent().unwrap().join(format!("secret-{}", peer.serving.port()));
    std::fs::write(&secret, "secret").unwrap();
    let name = secret.file_name().unwrap().to_str().unwrap();
    for path in [
        format!("/v2/a/manifests/../../../../{name}"),
        format!("/v2/a/manifests/..%2f..%2f..%2f{name}"),
        format!("/v2/../{name}"),
        format!("/v2/a/../../{name}/tags/list"),
        format!("/v2/a/blobs/sha256:../../../{name}"),
        format!("/v2/a/blobs/uploads/../../../../{name}"),
    ] {
        let answer = raw(peer.serving.port(), &path, "localhost");
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        assert!(!answer.contains("secret\r\n"));
    }
    std::fs::remove_file(secret).unwrap();
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
    ] {
        let answer = raw(peer.serving.port(), "/v2/", host);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {answer}");
    }
}

#[test]
fn no_web_page_reads_or_writes() {
    let peer = Peer::start();
    let upload = peer.url(&format!("/v2/a/blobs/uploads/?digest={}", Digest::of(b"x")));
    for (header, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost:3000"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let answer = http("POST", &upload, &[(header, value)], b"x");
        assert_eq!((answer.status, answer.code().as_str()), (403, "DENIED"), "{header}: {value}");
        assert_eq!(http("GET", &peer.url("/v2/"), &[(header, value)], b"").status, 403);
    }
    assert_eq!(peer.call("GET", "/v2/a/tags/list", b"").code(), "NAME_UNKNOWN");
    // Typed into a browser's address line.
    assert_eq!(http("GET", &peer.url("/v2/"), &[("sec-fetch-site", "none")], b"").status, 200);
    assert_eq!(http("POST", &upload, &[], b"x").status, 201);
}

#[test]
fn content_outlives_the_process_and_a_port_is_owned_by_one() {
    let peer = Peer::start();
    let digest = peer.blob("a", b"kept");
    let options = Options { port: peer.serving.port(), ..Options::default() };
    let other = tempfile::tempdir().unwrap();
    let error = serve(other.path(), &options).unwrap_err();
    assert!(matches!(error, ServeError::PortInUse(port) if port == options.port), "{error}");
    let Peer { serving, root } = peer;
    serving.stop();
    assert!(std::net::TcpStream::connect(("127.0.0.1", options.port)).is_err(), "it serves after its stop");
    let again = Peer { serving: serve(root.path(), &Options::default()).unwrap(), root };
    assert_eq!(again.call("GET", &format!("/v2/a/blobs/{digest}"), b"").body, b"kept");
}

#[test]
fn both_addresses_of_localhost_answer() {
    let peer = Peer::start();
    let v4 = http("GET", &format!("http://127.0.0.1:{}/v2/", peer.serving.port()), &[], b"");
    assert_eq!(v4.status, 200);
    assert_eq!(v4.header("docker-distribution-api-version"), "registry/2.0");
    // There are machines without IPv6, and then nobody reaches it that way.
    if std::net::TcpListener::bind(("::1", 0)).is_ok() {
        let v6 = http("GET", &format!("http://[::1]:{}/v2/", peer.serving.port()), &[], b"");
        assert_eq!(v6.status, 200);
    }
}
