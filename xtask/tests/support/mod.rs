//! What the tests share: Feature folders, peers to publish to, and a proxy that sees every request.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part of this")]

pub mod docker_registry;
pub mod proxy;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use xtask::feature::binaries::Binaries;
use xtask::oci::credentials::Sources;
use xtask::oci::reference::{Registry, Repository};
use xtask::package::{self, Packed};
use xtask::publish::plan::Plan;
use xtask::publish::{self, Destination};

/// The namespace that tests publish to.
pub const NAMESPACE: &str = "owner/features";

/// A collection folder that is gone with the value.
pub struct Collection {
    temp: TempDir,
}

impl Collection {
    pub fn new() -> Self {
        Self { temp: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.temp.path()
    }

    /// Writes a minimal Feature; `more` are further properties, each with a comma before it.
    pub fn feature(&self, id: &str, version: &str, more: &str) -> PathBuf {
        self.json(id, &format!(r#"{{"id":"{id}","version":"{version}","name":"The {id}"{more}}}"#));
        self.file(&format!("{id}/install.sh"), "#!/bin/sh\n", 0o755);
        self.path().join(id)
    }

    pub fn json(&self, id: &str, text: &str) {
        self.file(&format!("{id}/devcontainer-feature.json"), text, 0o644);
    }

    pub fn file(&self, path: &str, text: &str, mode: u32) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn pack(&self) -> Packed {
        pack(self.path()).unwrap()
    }
}

pub fn pack(target: &Path) -> anyhow::Result<Packed> {
    package::with_binaries(target, &Binaries::new())
}

/// A destination on localhost without credentials.
pub fn destination(port: u16) -> Destination {
    Destination {
        registry: Registry::parse(&format!("localhost:{port}")).unwrap(),
        namespace: Repository::parse(NAMESPACE).unwrap(),
        sources: Sources::default(),
    }
}

/// Publishes, and throws away what the registry has to say.
pub fn push(port: u16, packed: &Packed) -> anyhow::Result<Plan> {
    publish::publish(&destination(port), packed, false, Arc::new(|_: &str| {}))
}

/// Publishes, and keeps what the registry has to say.
pub fn push_to(
    destination: &Destination,
    packed: &Packed,
    dry_run: bool,
) -> (anyhow::Result<Plan>, Vec<String>) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&notes);
    let result = publish::publish(
        destination,
        packed,
        dry_run,
        Arc::new(move |text: &str| sink.lock().unwrap().push(text.to_owned())),
    );
    let notes = notes.lock().unwrap().clone();
    (result, notes)
}

/// An answer to a plain request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of the first error.
    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }
}

/// One request, without any of the client under test.
pub fn http(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut request = client().request(method.parse().unwrap(), url).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    })
}

/// The same from within a runtime.
pub fn http_in_thread(method: &str, url: &str) -> Answer {
    std::thread::scope(|scope| scope.spawn(|| http(method, url, &[], b"")).join().unwrap())
}

/// The digest that a tag means, or nothing.
pub fn digest_of(port: u16, repository: &str, tag: &str) -> Option<String> {
    let url = format!("http://localhost:{port}/v2/{repository}/manifests/{tag}");
    let answer = http("GET", &url, &[("accept", "application/vnd.oci.image.manifest.v1+json")], b"");
    (answer.status == 200).then(|| xtask::oci::digest::Digest::of(&answer.body).to_string())
}

/// The collection file that is published.
pub fn collection_of(port: u16) -> serde_json::Value {
    let base = format!("http://localhost:{port}/v2/{NAMESPACE}");
    let manifest = http(
        "GET",
        &format!("{base}/manifests/latest"),
        &[("accept", "application/vnd.oci.image.manifest.v1+json")],
        b"",
    )
    .json();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    http("GET", &format!("{base}/blobs/{layer}"), &[], b"").json()
}

pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// Says aloud that something was not tested; in CI that is a failure.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}, and CI skips nothing");
    eprintln!("SKIPPED: {why}");
}
