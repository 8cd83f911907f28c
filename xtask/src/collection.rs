//! devcontainer-collection.json: what the index of Features and Templates, and editors, read. Does no I/O.

use semver::Version;

use crate::feature::js_json;
use crate::feature::json::{self, Json, Object};
use crate::feature::kind::Kind;

/// The file's name.
pub const FILE_NAME: &str = "devcontainer-collection.json";

/// What a collection lists: one Feature or Template.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Which of the two.
    pub kind: Kind,
    /// Its metadata.
    pub json: Json,
}

/// The collection file of some entries, each list sorted by id.
pub fn render(mut entries: Vec<Entry>) -> String {
    entries.sort_by(|a, b| a.id().cmp(&b.id()));
    let mut source = Object::default();
    // Readers know this value; naming another tool would gain nobody anything.
    source.set("source", Json::String("devcontainer-cli".to_owned()));
    let mut collection = Object::default();
    collection.set("sourceInformation", Json::Object(source));
    for kind in Kind::ALL {
        let list = entries.iter().filter(|entry| entry.kind == kind).map(|entry| entry.json.clone());
        let list: Vec<Json> = list.collect();
        if !list.is_empty() {
            collection.set(kind.plural(), Json::Array(list));
        }
    }
    js_json::stringify_pretty(&Json::Object(collection))
}

/// What a published collection file lists.
pub fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let collection = json::parse(text).map_err(|error| error.to_string())?;
    let list = |kind: Kind| collection.as_object()?.get(kind.plural())?.as_array().map(|list| (kind, list));
    let lists: Vec<(Kind, &[Json])> = Kind::ALL.into_iter().filter_map(list).collect();
    if lists.is_empty() {
        return Err("it has no list \"features\" or \"templates\"".to_owned());
    }
    let entries = lists
        .into_iter()
        .flat_map(|(kind, list)| list.iter().map(move |json| Entry { kind, json: json.clone() }));
    Ok(entries.collect())
}

/// A published collection with some entries put in, or replaced where they supersede what is there.
pub fn merge(published: Vec<Entry>, ours: Vec<Entry>) -> Vec<Entry> {
    let mut merged = published;
    for entry in ours {
        match merged.iter_mut().find(|known| known.is_same(&entry)) {
            Some(known) if entry.supersedes(known) => *known = entry,
            Some(_) => {}
            None => merged.push(entry),
        }
    }
    merged
}

/// A whole collection of one kind, with what is published of the other kind. Where the published collection has a newer
/// version of something, that stays.
pub fn replace(published: &[Entry], ours: Vec<Entry>) -> Vec<Entry> {
    let is_other = |known: &&Entry| ours.iter().all(|entry| entry.kind != known.kind);
    let mut all: Vec<Entry> = published.iter().filter(is_other).cloned().collect();
    all.extend(ours.into_iter().map(|entry| match published.iter().find(|known| known.is_same(&entry)) {
        Some(known) if !entry.supersedes(known) => known.clone(),
        _ => entry,
    }));
    all
}

/// An id that is of one kind there and of the other here: both would be in one repository.
pub fn clash<'a>(published: &[Entry], ours: &'a [Entry]) -> Option<(Kind, &'a str)> {
    ours.iter().find_map(|entry| {
        let others = published.iter().filter(|known| known.kind != entry.kind);
        let taken: Vec<&str> = others.flat_map(Entry::names).collect();
        entry.names().into_iter().find(|name| taken.contains(name)).map(|name| (entry.kind, name))
    })
}

impl Entry {
    /// Whether it is some version of the same.
    fn is_same(&self, entry: &Self) -> bool {
        self.kind == entry.kind && self.id() == entry.id()
    }

    /// Whether it takes the place of one that is listed. A fix for an old major version must not hide the newest one,
    /// and a pre-release none that is released.
    fn supersedes(&self, known: &Self) -> bool {
        let rank = |entry: &Self| entry.version().map(|version| (version.pre.is_empty(), version));
        rank(self) >= rank(known)
    }

    /// Its id and those that it had before.
    fn names(&self) -> Vec<&str> {
        let former = self.json.as_object().and_then(|object| object.get("legacyIds")?.as_array());
        let former = former.unwrap_or_default().iter().filter_map(Json::as_str);
        self.id().into_iter().chain(former).collect()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.json.as_object()?.get(name)?.as_str()
    }

    fn id(&self) -> Option<&str> {
        self.text("id")
    }

    fn version(&self) -> Option<Version> {
        self.text("version").and_then(|version| Version::parse(version).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: Kind, id: &str, version: &str) -> Entry {
        let json = json::parse(&format!(r#"{{"id":"{id}","version":"{version}"}}"#)).unwrap();
        Entry { kind, json }
    }

    fn feature(id: &str, version: &str) -> Entry {
        entry(Kind::Feature, id, version)
    }

    fn template(id: &str, version: &str) -> Entry {
        entry(Kind::Template, id, version)
    }

    #[test]
    fn renders_as_the_official_cli_does() {
        for kind in Kind::ALL {
            let list = kind.plural();
            assert_eq!(
                render(vec![entry(kind, "a", "1.0.0")]),
                format!(
                    "{{\n    \"sourceInformation\": {{\n        \"source\": \"devcontainer-cli\"\n    }},\n    \"{list}\": [\n        {{\n            \"id\": \"a\",\n            \"version\": \"1.0.0\"\n        }}\n    ]\n}}"
                )
            );
        }
    }

    #[test]
    fn merging_keeps_the_others_and_never_goes_back() {
        let published = vec![feature("b", "1.0.0"), feature("a", "2.0.0"), template("a", "1.0.0")];
        let merged =
            merge(published, vec![feature("a", "1.9.0"), feature("b", "1.1.0"), feature("c", "0.1.0")]);
        assert_eq!(
            merged,
            [feature("b", "1.1.0"), feature("a", "2.0.0"), template("a", "1.0.0"), feature("c", "0.1.0")]
        );
        let again = parse(&render(merged.clone())).unwrap();
        assert_eq!(
            again,
            [feature("a", "2.0.0"), feature("b", "1.1.0"), feature("c", "0.1.0"), template("a", "1.0.0")]
        );
        assert_eq!(
            replace(&again, vec![template("z", "0.1.0")]),
            [feature("a", "2.0.0"), feature("b", "1.1.0"), feature("c", "0.1.0"), template("z", "0.1.0")]
        );
    }

    #[test]
    fn one_name_is_of_one_kind() {
        let mut renamed = feature("new", "1.0.0");
        if let Json::Object(object) = &mut renamed.json {
            object.set("legacyIds", Json::Array(vec![Json::String("old".to_owned())]));
        }
        let published = [renamed.clone(), template("t", "1.0.0")];
        assert_eq!(clash(&published, &[template("t", "2.0.0"), feature("new", "2.0.0")]), None);
        assert_eq!(clash(&published, &[template("old", "1.0.0")]), Some((Kind::Template, "old")));
        assert_eq!(
            clash(&published, &[feature("f", "1.0.0"), feature("t", "1.0.0")]),
            Some((Kind::Feature, "t"))
        );
        assert_eq!(clash(&[template("old", "1.0.0")], &[renamed]), Some((Kind::Feature, "old")));
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
            assert_eq!(replace(&known, new), [feature("a", listed)]);
        }
        let ours = vec![feature("b", "1.0.0")];
        assert_eq!(replace(&[feature("a", "1.0.0")], ours.clone()), ours);
    }

    #[test]
    fn a_broken_collection_says_why() {
        assert!(parse("{").unwrap_err().contains("line 1"));
        assert_eq!(parse("{}").unwrap_err(), "it has no list \"features\" or \"templates\"");
    }
}
