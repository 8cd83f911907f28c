//! When two Features are one and the same, when one fulfils a soft dependency on another, and which
//! of two comes first. Does no I/O.

use std::cmp::Ordering;

use crate::feature::json::{Json, Object};

use super::collate::compare as collate;
use super::node::Node;
use super::reference::FeatureRef;
use super::source::{Source, without_version};

/// Whether two nodes are one Feature with the same options, which is installed once.
pub fn equal(a: &Node, b: &Node) -> bool {
    kind(&a.source) == kind(&b.source) && order(a, b) == Ordering::Equal
}

/// Whether a node is what a soft dependency names: versions and options do not matter.
pub fn fulfils(node: &Node, wanted: &Node) -> bool {
    match (&node.source, &wanted.source) {
        (Source::Registry { reference: node, .. }, Source::Registry { reference, .. }) => {
            let mut aliases = wanted.aliases.iter().flatten();
            node.resource == reference.resource
                || aliases.any(|alias| format!("{}/{alias}", reference.collection()) == node.resource)
        }
        (Source::Folder(node), Source::Folder(wanted)) | (Source::Archive(node), Source::Archive(wanted)) => {
            node == wanted
        }
        (Source::Release { .. }, Source::Release { .. }) => release_name(node) == release_name(wanted),
        _ => false,
    }
}

/// Which of two nodes of one round comes first.
pub fn order(a: &Node, b: &Node) -> Ordering {
    let options = || order_of_options(&a.options, &b.options);
    match (&a.source, &b.source) {
        (
            Source::Registry { reference: in_a, published: published_a },
            Source::Registry { reference: in_b, published: published_b },
        ) => {
            let digest = |published: &Option<super::source::Published>| {
                published.as_ref().map(|published| published.digest.clone()).unwrap_or_default()
            };
            let (digest_a, digest_b) = (digest(published_a), digest(published_b));
            // Copies under other names are the same Feature.
            if digest_a == digest_b && options() == Ordering::Equal {
                return Ordering::Equal;
            }
            order_of_names((in_a, a), (in_b, b))
                .then_with(|| match (tag(in_a), tag(in_b)) {
                    (Some(a), Some(b)) => collate(a, b),
                    _ => Ordering::Equal,
                })
                .then_with(options)
                .then_with(|| collate(&digest_a, &digest_b))
        }
        (Source::Folder(in_a), Source::Folder(in_b)) | (Source::Archive(in_a), Source::Archive(in_b)) => {
            collate(in_a, in_b).then_with(options)
        }
        (Source::Release { .. }, Source::Release { .. }) => {
            collate(release_name(a), release_name(b)).then_with(options)
        }
        _ => collate(&a.written, &b.written),
    }
}

fn kind(source: &Source) -> std::mem::Discriminant<Source> {
    std::mem::discriminant(source)
}

fn tag(reference: &FeatureRef) -> Option<&str> {
    reference.tag.as_deref().filter(|tag| !tag.is_empty())
}

fn release_name(node: &Node) -> &str {
    node.written.split('@').next().filter(|name| !name.is_empty()).unwrap_or(without_version(&node.written))
}

/// By collection, then by id; two Features that share an id, old or new, are equal.
fn order_of_names(a: (&FeatureRef, &Node), b: (&FeatureRef, &Node)) -> Ordering {
    let ids = |(reference, node): (&FeatureRef, &Node)| {
        node.aliases.clone().unwrap_or_else(|| vec![reference.id.clone()])
    };
    collate(&a.0.collection(), &b.0.collection()).then_with(|| {
        let known = ids(b);
        if ids(a).iter().any(|id| known.contains(id)) { Ordering::Equal } else { collate(&a.0.id, &b.0.id) }
    })
}

/// Options are texts, booleans or objects of these; other values are not told apart.
pub fn order_of_options(a: &Json, b: &Json) -> Ordering {
    match (a, b) {
        (Json::String(a), Json::String(b)) => collate(a, b),
        (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
        (Json::Number(_), Json::Number(_)) => Ordering::Equal,
        _ if type_of(a) == "object" && type_of(b) == "object" => order_of_objects(&named(a), &named(b)),
        _ => type_of(a).cmp(type_of(b)),
    }
}

fn order_of_objects(a: &Object, b: &Object) -> Ordering {
    let sorted = |object: &Object| {
        let mut pairs: Vec<(String, Json)> =
            object.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
        pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        pairs
    };
    let pairs = || sorted(a).into_iter().zip(sorted(b));
    a.len().cmp(&b.len()).then_with(|| {
        pairs()
            .map(|((name_a, a), (name_b, b))| {
                if name_a != name_b {
                    return collate(&name_a, &name_b);
                }
                match (&a, &b) {
                    (Json::String(_), Json::String(_)) | (Json::Bool(_), Json::Bool(_)) => {
                        order_of_options(&a, &b)
                    }
                    _ => Ordering::Equal,
                }
            })
            .find(|ordering| *ordering != Ordering::Equal)
            .unwrap_or(Ordering::Equal)
    })
}

/// The properties of what JavaScript calls an object.
fn named(value: &Json) -> Object {
    match value {
        Json::Object(object) => object.clone(),
        Json::Array(items) => {
            let mut object = Object::default();
            for (index, item) in items.iter().enumerate() {
                object.set(&index.to_string(), item.clone());
            }
            object
        }
        _ => Object::default(),
    }
}

fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Null | Json::Array(_) | Json::Object(_) => "object",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::feature::json;
    use crate::resolve::node::Asked;
    use crate::resolve::source::Published;

    /// A Feature of a registry; what stands before the space is its reference, and behind it its digest.
    pub(in crate::resolve) fn published(text: &str, options: &str) -> Node {
        let (written, digest) = text.split_once(' ').unwrap();
        let reference = Box::new(FeatureRef::parse(written).unwrap());
        let id = reference.id.clone();
        let published = Some(Published { manifest: Json::Null, digest: digest.to_owned() });
        let found = (Source::Registry { reference, published }, id);
        Node::new(Asked::ByUser, written, written, json::parse(options).unwrap(), found)
    }

    fn folder(path: &str) -> Node {
        let found = (Source::Folder(path.to_owned()), "x".to_owned());
        Node::new(Asked::ByUser, path, path, Json::Object(Object::default()), found)
    }

    #[test]
    fn options_are_compared_by_their_texts_and_booleans() {
        for (a, b, expected) in [
            ("\"1\"", "\"1\"", Ordering::Equal),
            ("\"a\"", "\"B\"", Ordering::Less),
            ("false", "true", Ordering::Less),
            ("true", "\"true\"", Ordering::Less),
            ("{}", "\"x\"", Ordering::Less),
            ("{}", "null", Ordering::Equal),
            ("1", "2", Ordering::Equal),
            (r#"{"a":"x","b":true}"#, r#"{"b":true,"a":"x"}"#, Ordering::Equal),
            (r#"{"a":"x"}"#, r#"{"a":"x","b":true}"#, Ordering::Less),
            (r#"{"a":"x"}"#, r#"{"b":"x"}"#, Ordering::Less),
            (r#"{"a":"x","b":true}"#, r#"{"a":"y","b":false}"#, Ordering::Less),
            (r#"{"a":1}"#, r#"{"a":2}"#, Ordering::Equal),
            (r#"["a"]"#, r#"["b"]"#, Ordering::Less),
        ] {
            let (a, b) = (json::parse(a).unwrap(), json::parse(b).unwrap());
            assert_eq!(order_of_options(&a, &b), expected, "{a:?} {b:?}");
            assert_eq!(order_of_options(&b, &a), expected.reverse(), "{b:?} {a:?}");
        }
    }

    #[test]
    fn features_are_equal_by_digest_and_options() {
        for (a, b, options, expected) in [
            ("g.io/a/x:1 d1", "g.io/a/x:1.0 d1", "{}", true),
            ("g.io/a/x:1 d1", "g.io/a/old-x:1 d1", "{}", true),
            ("g.io/a/x:1 d1", "g.io/a/x:1 d2", "{}", false),
            ("g.io/a/x:1 d1", "g.io/a/x:1 d1", r#"{"v":"1"}"#, false),
        ] {
            assert_eq!(equal(&published(a, "{}"), &published(b, options)), expected, "{a} {b} {options}");
        }
        assert!(!equal(&published("g.io/a/x:1 d1", "{}"), &folder("/w/x")));
        assert!(equal(&folder("/w/x"), &folder("/w/x")) && !equal(&folder("/w/x"), &folder("/w/y")));
    }

    #[test]
    fn a_soft_dependency_is_fulfilled_under_any_of_its_names() {
        let mut wanted = published("g.io/a/x:2 d2", r#"{"v":"1"}"#);
        wanted.aliases = Some(vec!["x".to_owned(), "old-x".to_owned()]);
        for (node, expected) in [
            ("g.io/a/x:1 d1", true),
            ("g.io/a/old-x:1 d1", true),
            ("g.io/b/old-x:1 d1", false),
            ("h.io/a/x:1 d1", false),
        ] {
            assert_eq!(fulfils(&published(node, "{}"), &wanted), expected, "{node}");
        }
        assert!(!fulfils(&folder("/w/x"), &wanted) && fulfils(&folder("/w/x"), &folder("/w/x")));
    }

    #[test]
    fn a_round_is_sorted_by_collection_id_tag_and_options() {
        let sorted = [
            ("g.io/a/b:1 d1", "{}"),
            ("g.io/a/c:1 d9", "{}"),
            ("g.io/a/c:1 d9", r#"{"v":"1"}"#),
            ("g.io/a/c:2 d8", "{}"),
            ("g.io/b/a:1 d2", "{}"),
            ("h.io/a/a:1 d3", "{}"),
        ]
        .map(|(text, options)| published(text, options));
        for pair in sorted.windows(2) {
            assert_eq!(order(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(order(&pair[1], &pair[0]), Ordering::Greater, "{pair:?}");
        }
    }
}
