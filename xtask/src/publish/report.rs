//! What is said about a publish: the official CLI's line of JSON, and sentences.

use serde_json::{Map, Value, json};

use crate::feature::kind::Kind;
use crate::oci::reference::Registry;

use super::plan::{Plan, Release};
use super::requests;

/// The official CLI's line: by id, what was published; an empty object where nothing was.
pub fn json_line(plan: &Plan) -> String {
    json(plan).to_string()
}

/// The same for several registries, by their names.
pub fn json_of_several(plans: &[(&Registry, Plan)]) -> String {
    let by_registry = plans.iter().map(|(registry, plan)| (registry.to_string(), json(plan)));
    Value::Object(by_registry.collect()).to_string()
}

fn json(plan: &Plan) -> Value {
    let mut line = Map::new();
    for release in &plan.releases {
        let entry = line.entry(release.id.clone()).or_insert_with(|| json!({}));
        let Value::Object(entry) = entry else {
            continue;
        };
        if release.tags.is_empty() {
            continue;
        }
        match &release.legacy_id {
            None => {
                entry.insert("publishedTags".to_owned(), json!(release.tags));
                entry.insert("digest".to_owned(), json!(release.artifact.digest.as_str()));
                entry.insert("version".to_owned(), json!(release.version.to_string()));
            }
            Some(id) => {
                let ids = entry.entry("publishedLegacyIds").or_insert_with(|| json!([]));
                if let Value::Array(ids) = ids {
                    ids.push(json!(id));
                }
            }
        }
    }
    Value::Object(line)
}

/// Everything that a publish would do, as lines for people.
pub fn plan_text(plans: &[(&Registry, Plan)]) -> String {
    let mut lines = Vec::new();
    for (registry, plan) in plans {
        lines.extend(sentences(registry, plan, true));
        let requests = requests::of(plan);
        if !requests.is_empty() {
            lines.push(format!("requests to {registry}, besides those that only read:"));
            lines.extend(requests.iter().map(|request| format!("  {}", requests::line(request))));
        }
    }
    lines.join("\n")
}

/// The same for programs.
pub fn plan_json(plans: &[(&Registry, Plan)]) -> String {
    let plans = plans.iter().map(|(registry, plan)| {
        let releases = plan.releases.iter().map(|release| {
            json!({
                "id": release.id,
                "legacyId": release.legacy_id,
                "repository": release.repository.as_str(),
                "version": release.version.to_string(),
                "digest": release.digest().as_str(),
                "published": release.present,
                "tags": release.tags,
            })
        });
        let collection = &plan.collection;
        json!({
            "registry": registry.to_string(),
            "releases": releases.collect::<Vec<_>>(),
            "collection": {
                "repository": collection.repository.as_str(),
                "digest": collection.artifact.digest.as_str(),
                "published": collection.present,
            },
            "requests": requests::of(plan).iter().map(requests::json).collect::<Vec<_>>(),
        })
    });
    json!({ "registries": plans.collect::<Vec<_>>() }).to_string()
}

/// One sentence for each repository.
pub fn sentences(registry: &Registry, plan: &Plan, dry_run: bool) -> Vec<String> {
    let mut sentences: Vec<String> =
        plan.releases.iter().map(|release| sentence(registry, release, dry_run)).collect();
    let at = format!("{registry}/{}", plan.collection.repository);
    sentences.push(match (plan.collection.present, dry_run) {
        (true, _) => format!("{at}: the collection is up to date"),
        (false, true) => format!("{at}: would push the collection"),
        (false, false) => format!("{at}: pushed the collection"),
    });
    sentences
}

fn sentence(registry: &Registry, release: &Release, dry_run: bool) -> String {
    let Release { repository, version, artifact, tags, present, repacked, .. } = release;
    let at = format!("{registry}/{repository}");
    if let Some(digest) = repacked {
        return format!(
            "{at}: {version} is already published with the same files, packed by another tool ({digest}); it is left as it is"
        );
    }
    let digest = &artifact.digest;
    let tags = tags.join(", ");
    match (present, tags.is_empty(), dry_run) {
        (true, true, _) => format!("{at}: {version} is already published with this content ({digest})"),
        (true, false, true) => {
            format!("{at}: {version} is there ({digest}); would set the missing tags {tags}")
        }
        (true, false, false) => format!("{at}: {version} was there ({digest}); set the missing tags {tags}"),
        (false, _, true) => format!("{at}: would push {version} ({digest}) with the tags {tags}"),
        (false, _, false) => format!("{at}: pushed {version} ({digest}) with the tags {tags}"),
    }
}

/// The line for devcontainer.json; for Templates, the commands that apply them.
pub fn paste_line(kind: Kind, registry: &str, plan: &Plan) -> String {
    let references: Vec<String> = plan
        .releases
        .iter()
        .filter(|release| release.legacy_id.is_none())
        .map(|release| {
            // A pre-release has no tag but its own.
            let tag = if release.version.pre.is_empty() {
                release.version.major.to_string()
            } else {
                release.version.to_string()
            };
            format!("{registry}/{}:{tag}", release.repository)
        })
        .collect();
    match kind {
        Kind::Feature => {
            let lines: Vec<String> =
                references.iter().map(|reference| format!("{}: {{}}", json!(reference))).collect();
            format!("\"features\": {{ {} }}", lines.join(", "))
        }
        Kind::Template => {
            let lines: Vec<String> = references
                .iter()
                .map(|reference| format!("devcontainer templates apply --template-id {reference}"))
                .collect();
            lines.join("\n")
        }
    }
}
