//! What a registry holds of a namespace, as seen without either program.

use std::collections::BTreeMap;

use serde_json::Value;

use super::packed::{self, Archive};
use crate::support::http;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A namespace's content, by repository below it; the empty name is the collection's.
#[derive(Debug, PartialEq, Eq)]
pub struct Published(BTreeMap<String, BTreeMap<String, Manifest>>);

/// What a tag means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub media_type: String,
    pub text: String,
    pub config: Vec<u8>,
    pub layer: Vec<u8>,
}

impl Published {
    /// Reads some repositories of a namespace, and the collection.
    pub fn read(port: u16, namespace: &str, repositories: &[&str]) -> Self {
        let all = repositories.iter().copied().chain([""]);
        Self(all.map(|name| (name.to_owned(), repository(port, namespace, name))).collect())
    }

    /// The tags of a repository.
    pub fn tags(&self, repository: &str) -> Vec<&str> {
        self.0[repository].keys().map(String::as_str).collect()
    }

    pub fn manifest(&self, repository: &str, tag: &str) -> &Manifest {
        &self.0[repository][tag]
    }

    /// The collection's Features as `id version`.
    pub fn listed(&self) -> Vec<String> {
        let collection: Value = serde_json::from_slice(&self.manifest("", "latest").layer).unwrap();
        let features = collection["features"].as_array().unwrap();
        let text = |feature: &Value, name: &str| feature[name].as_str().unwrap().to_owned();
        features
            .iter()
            .map(|feature| format!("{} {}", text(feature, "id"), text(feature, "version")))
            .collect()
    }
}

impl Manifest {
    pub fn digest(&self) -> String {
        xtask::oci::digest::Digest::of(self.text.as_bytes()).to_string()
    }

    /// The text without what follows from the archive's bytes.
    fn without_archive(&self) -> String {
        let json: Value = serde_json::from_str(&self.text).unwrap();
        let layer = &json["layers"][0];
        let named = format!("\"digest\":{},\"size\":{}", layer["digest"], layer["size"]);
        assert_eq!(layer["size"].as_u64().unwrap(), self.layer.len() as u64);
        assert_eq!(self.text.matches(&named).count(), 1, "{}", self.text);
        self.text.replace(&named, "ARCHIVE")
    }
}

fn repository(port: u16, namespace: &str, name: &str) -> BTreeMap<String, Manifest> {
    let base = format!("http://localhost:{port}/v2/{namespace}/{name}");
    let base = base.trim_end_matches('/');
    let list = http("GET", &format!("{base}/tags/list"), &[], b"");
    if list.status == 404 {
        return BTreeMap::new();
    }
    let list = list.json();
    let tags = list["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tags = tags.iter().map(|tag| tag.as_str().unwrap().to_owned());
    tags.map(|tag| (tag.clone(), manifest(base, &tag))).collect()
}

fn manifest(base: &str, tag: &str) -> Manifest {
    let answer = http("GET", &format!("{base}/manifests/{tag}"), &[("accept", MANIFEST)], b"");
    assert_eq!(answer.status, 200, "{base}:{tag}");
    let json = answer.json();
    let blob = |digest: &Value| {
        let blob = http("GET", &format!("{base}/blobs/{}", digest.as_str().unwrap()), &[], b"");
        assert_eq!(blob.status, 200, "{base}:{tag}");
        blob.body
    };
    Manifest {
        media_type: answer.header("content-type").to_owned(),
        config: blob(&json["config"]["digest"]),
        layer: blob(&json["layers"][0]["digest"]),
        text: String::from_utf8(answer.body).unwrap(),
    }
}

/// Fails where two namespaces differ in anything but what follows from the archives' bytes.
pub fn compare(official: &Published, ours: &Published) {
    assert!(official.0.keys().eq(ours.0.keys()));
    for ((name, official), ours) in official.0.iter().zip(ours.0.values()) {
        assert!(official.keys().eq(ours.keys()), "{name}: {:?} {:?}", official.keys(), ours.keys());
        let mut compared = Vec::new();
        for ((tag, official), ours) in official.iter().zip(ours.values()) {
            assert_eq!(official.media_type, ours.media_type, "{name}:{tag}");
            assert_eq!(official.config, ours.config, "{name}:{tag}");
            if name.is_empty() {
                let listed = [official, ours].map(|manifest| String::from_utf8_lossy(&manifest.layer));
                assert_eq!(listed[0], listed[1]);
                assert_eq!(official.text, ours.text);
                continue;
            }
            assert_eq!(official.without_archive(), ours.without_archive(), "{name}:{tag}");
            if !compared.contains(&official.text) {
                compared.push(official.text.clone());
                let [official, ours] = [official, ours].map(|manifest| Archive::read(manifest.layer.clone()));
                packed::compare_archives(&official, &ours, &[]);
            }
        }
    }
}

/// The line on standard output, with each digest compared with what the registry has, and left out.
pub fn line(stdout: &str, published: &Published) -> String {
    let line: Value = serde_json::from_str(stdout).unwrap_or_else(|_| panic!("no line of JSON: {stdout}"));
    let mut text = stdout.to_owned();
    for (id, entry) in line.as_object().unwrap() {
        if let Some(digest) = entry.get("digest") {
            let version = entry["version"].as_str().unwrap();
            assert_eq!(*digest, published.manifest(id, version).digest(), "{id}");
            text = text.replace(digest.as_str().unwrap(), "DIGEST");
        }
    }
    text
}
