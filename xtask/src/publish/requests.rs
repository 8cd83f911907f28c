//! The requests with which a plan is carried out. Pure.
//!
//! These are the writes on the ordinary road: where nobody else publishes, nothing fails, and the registry sets one tag a
//! request. Reading back is not listed, nor what `apply` looks at again.

use serde_json::{Value, json};

use crate::oci::push::{Artifact, Lacks};
use crate::oci::reference::Repository;
use crate::oci::tags;
use crate::payload::Payload;

use super::plan::{COLLECTION_TAG, Plan, Release};
use super::set_tags;

/// A request that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// The path, with a query; of an upload the registry says where it goes, and then only the query is known.
    pub path: String,
    /// Bytes of its body.
    pub bytes: u64,
    /// When it is left out.
    pub unless: Option<&'static str>,
}

/// What the registry may do on its own.
const MOUNTED: &str = "the registry takes the blob from the other repository";
const TAGGED: &str = "the registry has set the tags with the digest";

/// All requests of a plan, in about the order in which they are sent.
pub fn of(plan: &Plan) -> Vec<Request> {
    let mut requests = Vec::new();
    let changed = || plan.releases.iter().filter(|release| is_written(release));
    let config_from = plan.releases.iter().find(|release| release.has_config());
    let config_from = config_from.map(|release| &release.repository);
    for release in changed() {
        let from = config_from.filter(|_| !release.present);
        let main = plan.releases.iter().find(|main| main.has_layer_of(release));
        let same_as = release.legacy_id.as_ref().and(main).map(|main| &main.repository);
        blobs(&mut requests, &release.repository, &release.artifact, release.lacks, from, same_as);
    }
    let collection = &plan.collection;
    let is_collection_written = !collection.present || collection.lacks.anything();
    if is_collection_written {
        blobs(
            &mut requests,
            &collection.repository,
            &collection.artifact,
            collection.lacks,
            config_from,
            None,
        );
    }
    for release in changed().filter(|release| !release.present || release.lacks.anything()) {
        requests.push(manifest(release, release.artifact.digest.as_str()));
    }
    for asks in set_tags::asking(&plan.releases) {
        let all = tags::in_push_order(&asks.tags, &asks.version);
        let query: Vec<String> = all.iter().map(|tag| format!("tag={tag}")).collect();
        requests.push(manifest(asks, &format!("{}?{}", asks.artifact.digest, query.join("&"))));
    }
    for release in changed() {
        let exact = release.version.to_string();
        for tag in tags::in_push_order(&release.tags, &release.version) {
            let unless = (tag != exact).then_some(TAGGED);
            requests.push(Request { unless, ..manifest(release, &tag) });
        }
    }
    if !collection.present {
        let artifact = &collection.artifact;
        requests.push(put_manifest(&collection.repository, artifact, COLLECTION_TAG));
    }
    requests
}

/// As JSON.
pub fn json(request: &Request) -> Value {
    let Request { method, path, bytes, unless } = request;
    let mut json = json!({ "method": method, "path": path, "bytes": bytes });
    if let (Some(unless), Value::Object(object)) = (unless, &mut json) {
        object.insert("unless".to_owned(), json!(unless));
    }
    json
}

/// For people.
pub fn line(request: &Request) -> String {
    let Request { method, path, bytes, unless } = request;
    let size = if *bytes > 0 { format!(" ({bytes} bytes)") } else { String::new() };
    let unless = unless.map(|unless| format!(", unless {unless}")).unwrap_or_default();
    format!("{method} {path}{size}{unless}")
}

fn is_written(release: &Release) -> bool {
    !release.present || !release.tags.is_empty() || release.lacks.anything()
}

/// A place for each missing blob, and the blob; where none is missing, a place that is given back, which shows that we
/// may write there.
fn blobs(
    requests: &mut Vec<Request>,
    repository: &Repository,
    artifact: &Artifact,
    lacks: Lacks,
    config_from: Option<&Repository>,
    same_as: Option<&Repository>,
) {
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    let begin = |query: String, unless| Request {
        method: "POST",
        path: format!("{uploads}{query}"),
        bytes: 0,
        unless,
    };
    let mount = |payload: &Payload, from: &Repository| {
        begin(format!("?mount={}&from={from}", payload.digest()), None)
    };
    if !lacks.anything() {
        requests.extend([begin(String::new(), None), give_back()]);
        return;
    }
    let config = lacks.config.then_some((&artifact.config, config_from.filter(|from| *from != repository)));
    let layer = lacks.layer.then_some((&artifact.layer, None));
    for (payload, from) in config.into_iter().chain(layer) {
        requests.push(match from {
            Some(from) => mount(payload, from),
            None => begin(String::new(), None),
        });
        let mut unless = from.map(|_| MOUNTED);
        if let Some(same_as) = same_as {
            requests.push(Request { unless, ..mount(payload, same_as) });
            // One of the two places is given back, whatever the registry says to the second.
            requests.push(give_back());
            unless = Some(MOUNTED);
        }
        requests.push(Request {
            method: "PUT",
            path: format!("(the place given)?digest={}", payload.digest()),
            bytes: payload.len(),
            unless,
        });
    }
}

fn give_back() -> Request {
    Request { method: "DELETE", path: "(the place given)".to_owned(), bytes: 0, unless: None }
}

fn manifest(release: &Release, reference: &str) -> Request {
    put_manifest(&release.repository, &release.artifact, reference)
}

fn put_manifest(repository: &Repository, artifact: &Artifact, reference: &str) -> Request {
    let path = format!("/v2/{repository}/manifests/{reference}");
    Request { method: "PUT", path, bytes: artifact.manifest.len() as u64, unless: None }
}
