//! devcontainer-collection.json: what the index of Features and editors read. Does no I/O.

use semver::Version;

use crate::feature::js_json;
use crate::feature::json::{self, Json, Object};

/// The file's name.
pub const FILE_NAME: &str = "devcontainer-collection.json";

/// The collection file of some Features' metadata, sorted by id.
pub fn render(mut features: Vec<Json>) -> String {
    features.sort_by(|a, b| id(a).cmp(&id(b)));
    let mut source = Object::default();
    // Readers know this value; naming another tool would gain nobody anything.
    source.set("source", Json::String("devcontainer-cli".to_owned()));
    let mut collection = Object::default();
    collection.set("sourceInformation", Json::Object(source));
    collection.set("features", Json::Array(features));
    js_json::stringify_pretty(&Json::Object(collection))
}

/// The Features of a published collection file.
pub fn parse(text: &str) -> Result<Vec<Json>, String> {
    let collection = json::parse(text).map_err(|error| error.to_string())?;
    let features = collection.as_object().and_then(|object| object.get("features"));
    features
        .and_then(Json::as_array)
        .map(<[Json]>::to_vec)
        .ok_or_else(|| "it has no list \"features\"".to_owned())
}

/// A published collection with some Features put in, or replaced where they supersede what is there.
pub fn merge(published: Vec<Json>, ours: Vec<Json>) -> Vec<Json> {
    let mut merged = published;
    for feature in ours {
        match merged.iter_mut().find(|known| id(known) == id(&feature)) {
            Some(known) if supersedes(&feature, known) => *known = feature,
            Some(_) => {}
            None => merged.push(feature),
        }
    }
    merged
}

/// Our Features alone, but where the published collection has a newer version of one: that stays.
pub fn keep_newer(published: &[Json], ours: Vec<Json>) -> Vec<Json> {
    let newest = |feature: Json| match published.iter().find(|known| id(known) == id(&feature)) {
        Some(known) if !supersedes(&feature, known) => known.clone(),
        _ => feature,
    };
    ours.into_iter().map(newest).collect()
}

/// Whether a Feature takes the place of one that is listed. A fix for an old major version must not
/// hide the newest one, and a pre-release none that is released.
fn supersedes(feature: &Json, known: &Json) -> bool {
    let rank = |feature| version(feature).map(|version| (version.pre.is_empty(), version));
    rank(feature) >= rank(known)
}

fn text<'a>(feature: &'a Json, name: &str) -> Option<&'a str> {
    feature.as_object()?.get(name)?.as_str()
}

fn id(feature: &Json) -> Option<&str> {
    text(feature, "id")
}

fn version(feature: &Json) -> Option<Version> {
    text(feature, "version").and_then(|version| Version::parse(version).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(id: &str, version: &str) -> Json {
        json::parse(&format!(r#"{{"id":"{id}","version":"{version}"}}"#)).unwrap()
    }

    #[test]
    fn renders_as_the_official_cli_does() {
        assert_eq!(
            render(vec![feature("a", "1.0.0")]),
            "{\n    \"sourceInformation\": {\n        \"source\": \"devcontainer-cli\"\n    },\n    \"features\": [\n        {\n            \"id\": \"a\",\n            \"version\": \"1.0.0\"\n        }\n    ]\n}"
        );
    }

    #[test]
    fn merging_keeps_the_others_and_never_goes_back() {
        let published = vec![feature("b", "1.0.0"), feature("a", "2.0.0")];
        let merged =
            merge(published, vec![feature("a", "1.9.0"), feature("b", "1.1.0"), feature("c", "0.1.0")]);
        assert_eq!(merged, [feature("b", "1.1.0"), feature("a", "2.0.0"), feature("c", "0.1.0")]);
        let again = parse(&render(merged.clone())).unwrap();
        assert_eq!(again, [feature("a", "2.0.0"), feature("b", "1.1.0"), feature("c", "0.1.0")]);
    }

    #[test]
    fn what_is_listed_is_the_highest_release() {
        for (known, new, listed) in [
            ("1.0.0", "1.0.1", "1.0.1"),
            ("2.0.0", "1.5.0", "2.0.0"),
            ("1.10.0", "1.9.0", "1.10.0"),
            ("1.0.0", "2.0.0-rc.1", "1.0.0"),
            ("2.0.0-rc.1", "1.0.0", "1.0.0"),
            ("2.0.0-rc.1", "2.0.0-rc.2", "2.0.0-rc.2"),
            ("2.0.0-rc.2", "2.0.0-rc.1", "2.0.0-rc.2"),
            ("nonsense", "0.0.1-a", "0.0.1-a"),
        ] {
            let (known, new) = ([feature("a", known)], vec![feature("a", new)]);
            assert_eq!(merge(known.to_vec(), new.clone()), [feature("a", listed)]);
            assert_eq!(keep_newer(&known, new), [feature("a", listed)]);
        }
        let ours = vec![feature("b", "1.0.0")];
        assert_eq!(keep_newer(&[feature("a", "1.0.0")], ours.clone()), ours);
    }

    #[test]
    fn a_broken_collection_says_why() {
        assert!(parse("{").unwrap_err().contains("line 1"));
        assert_eq!(parse("{}").unwrap_err(), "it has no list \"features\"");
    }
}
