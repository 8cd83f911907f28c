//! A reader of a registry that somebody else writes to: he looks through the HTTP API alone, at a
//! server of his own over the same folder, and remembers what he saw.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use semver::Version;
use serde_json::Value;
use xtask::oci::digest::Digest;
use xtask::registry::server::{Options, Serving, serve};

use super::NAMESPACE;

/// What each tag of each repository means, as in `owner/features/a:1.0` → digest.
pub type Tags = BTreeMap<String, String>;

pub struct Reader {
    serving: Serving,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Manifests whose every part was there.
    complete: HashSet<String>,
    /// What exact versions mean, for good.
    published: Tags,
    /// The newest version that each floating tag and each entry of the collection was seen at.
    newest: BTreeMap<String, Version>,
    /// Two publish at once.
    two: bool,
}

impl Reader {
    pub fn over(root: &Path) -> Self {
        Self {
            serving: serve(root, &Options::default()).unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            client: super::client(),
            seen: Mutex::default(),
        }
    }

    pub fn port(&self) -> u16 {
        self.serving.port()
    }

    /// Two publishers who look before either writes may move a tag or an entry back until one of them notices: OCI has
    /// no compare-and-swap. So this is not wrong while they do.
    pub fn two_at_once(&self, two: bool) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).two = two;
    }

    /// Looks at everything; the first thing that must not be seen is an error.
    pub fn look(&self, ids: &[&str]) -> Result<Tags, String> {
        // A look that failed is told about; the next one may go on.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tags = Tags::new();
        for id in ids {
            self.feature(&mut seen, &mut tags, &format!("{NAMESPACE}/{id}"))?;
        }
        self.collection(&mut seen, &mut tags)?;
        Ok(tags)
    }

    fn feature(&self, seen: &mut Seen, tags: &mut Tags, repository: &str) -> Result<(), String> {
        for tag in self.tags(repository)? {
            let at = format!("{repository}:{tag}");
            let (digest, manifest) = self.complete(seen, repository, &tag)?;
            let version = version_of(&manifest).ok_or_else(|| format!("{at} has no version"))?;
            if tag == version.to_string() {
                let before = seen.published.entry(at.clone()).or_insert_with(|| digest.clone());
                if *before != digest {
                    return Err(format!("{at} was {before} and is {digest}"));
                }
            } else {
                let two = seen.two;
                let known = seen.newest.entry(at.clone()).or_insert_with(|| version.clone());
                if *known > version && !two {
                    return Err(format!("{at} went back from {known} to {version}"));
                }
                known.clone_from(&version);
                let (exact, _) = self.complete(seen, repository, &version.to_string())?;
                if exact != digest {
                    return Err(format!("{at} is not what {version} is"));
                }
            }
            tags.insert(at, digest);
        }
        Ok(())
    }

    fn collection(&self, seen: &mut Seen, tags: &mut Tags) -> Result<(), String> {
        for tag in self.tags(NAMESPACE)? {
            let (digest, manifest) = self.complete(seen, NAMESPACE, &tag)?;
            let layer = manifest["layers"][0]["digest"].as_str().unwrap_or_default();
            let (_, bytes) = self.get(&format!("{NAMESPACE}/blobs/{layer}"))?;
            let listed: Value = serde_json::from_slice(&bytes).map_err(|_| "the collection is no JSON")?;
            for feature in listed["features"].as_array().ok_or("the collection lists nothing")? {
                let text = |name: &str| feature[name].as_str().unwrap_or_default();
                let (id, version) = (text("id"), text("version"));
                // Who finds it there finds it.
                self.complete(seen, &format!("{NAMESPACE}/{id}"), version)?;
                let version = Version::parse(version).map_err(|error| error.to_string())?;
                let two = seen.two;
                let known = seen.newest.entry(format!("listed {id}")).or_insert_with(|| version.clone());
                if *known > version && !two {
                    return Err(format!("the collection's {id} went back from {known} to {version}"));
                }
                *known = version;
            }
            tags.insert(format!("{NAMESPACE}:{tag}"), digest);
        }
        Ok(())
    }

    /// A tag's manifest, when all that it names is there.
    fn complete(&self, seen: &mut Seen, repository: &str, tag: &str) -> Result<(String, Value), String> {
        let at = format!("{repository}:{tag}");
        let (status, bytes) = self.get(&format!("{repository}/manifests/{tag}"))?;
        if status != 200 {
            return Err(format!("{at} is {status}"));
        }
        let digest = Digest::of(&bytes).to_string();
        let manifest: Value = serde_json::from_slice(&bytes).map_err(|_| format!("{at} is no JSON"))?;
        if seen.complete.contains(&format!("{repository}@{digest}")) {
            return Ok((digest, manifest));
        }
        let layers = manifest["layers"].as_array().filter(|layers| layers.len() == 1);
        let layers = layers.ok_or_else(|| format!("{at} has not one layer"))?;
        for part in layers.iter().chain([&manifest["config"]]) {
            let wanted =
                part["digest"].as_str().ok_or_else(|| format!("{at} names a part without a digest"))?;
            let (status, bytes) = self.get(&format!("{repository}/blobs/{wanted}"))?;
            if status != 200 || Digest::of(&bytes).to_string() != wanted || part["size"] != bytes.len() {
                return Err(format!("{at} names {wanted}, which is {status} with {} bytes", bytes.len()));
            }
        }
        seen.complete.insert(format!("{repository}@{digest}"));
        Ok((digest, manifest))
    }

    fn tags(&self, repository: &str) -> Result<Vec<String>, String> {
        let (status, bytes) = self.get(&format!("{repository}/tags/list"))?;
        if status == 404 {
            return Ok(Vec::new());
        }
        let list: Value = serde_json::from_slice(&bytes).map_err(|_| "the list of tags is no JSON")?;
        let tags = list["tags"].as_array().ok_or("there is no list of tags")?;
        Ok(tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect())
    }

    fn get(&self, path: &str) -> Result<(u16, bytes::Bytes), String> {
        let url = format!("http://127.0.0.1:{}/v2/{path}", self.port());
        self.runtime.block_on(async {
            let failed = |error: reqwest::Error| format!("the reader reads nothing: {error:?}");
            let response = self.client.get(url).send().await.map_err(failed)?;
            let status = response.status().as_u16();
            Ok((status, response.bytes().await.map_err(failed)?))
        })
    }
}

fn version_of(manifest: &Value) -> Option<Version> {
    let metadata = manifest["annotations"]["dev.containers.metadata"].as_str()?;
    let metadata: Value = serde_json::from_str(metadata).ok()?;
    Version::parse(metadata["version"].as_str()?).ok()
}
