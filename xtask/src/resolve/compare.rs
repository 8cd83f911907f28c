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
