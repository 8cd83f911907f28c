//! The properties that devcontainer-feature.json may have, and the shape of each.

use super::grammar;
use super::json::{Json, Object};
use super::known::Known;
use super::options;
use super::problem::{Problems, member};

/// The shape of a property's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Flag,
    Texts,
    TextMap,
    AnyObject,
    Options,
    Mounts,
    Command,
    InstallOrder,
    Dependencies,
}

/// Every property of the schema, and `$schema`, which editors use.
const PROPERTIES: &[(&str, Shape)] = &[
    ("$schema", Shape::Text),
    ("id", Shape::Text),
    ("version", Shape::Text),
    ("name", Shape::Text),
    ("description", Shape::Text),
    ("documentationURL", Shape::Text),
    ("licenseURL", Shape::Text),
    ("keywords", Shape::Texts),
    ("options", Shape::Options),
    ("containerEnv", Shape::TextMap),
    ("privileged", Shape::Flag),
    ("init", Shape::Flag),
    ("capAdd", Shape::Texts),
    ("securityOpt", Shape::Texts),
    ("entrypoint", Shape::Text),
    ("mounts", Shape::Mounts),
    ("customizations", Shape::AnyObject),
    ("installsAfter", Shape::InstallOrder),
    ("dependsOn", Shape::Dependencies),
    ("legacyIds", Shape::Texts),
    ("deprecated", Shape::Flag),
    ("onCreateCommand", Shape::Command),
    ("updateContentCommand", Shape::Command),
    ("postCreateCommand", Shape::Command),
    ("postStartCommand", Shape::Command),
    ("postAttachCommand", Shape::Command),
];

const KNOWN: Known<Shape> = Known {
    of: "Features",
    properties: PROPERTIES,
    misplaced: &[("currentId", "the property \"currentId\" is added while packing; remove it")],
};

/// Checks every property of a Feature's metadata.
pub fn check(metadata: &Object, problems: &mut Problems<'_>) {
    KNOWN.check(metadata, problems, check_shape);
}

fn check_shape(name: &str, shape: Shape, value: &Json, problems: &mut Problems<'_>) {
    match shape {
        Shape::Text => expect(name, value, "a string", matches!(value, Json::String(_)), problems),
        Shape::Flag => expect(name, value, "true or false", matches!(value, Json::Bool(_)), problems),
        Shape::AnyObject => expect(name, value, "an object", matches!(value, Json::Object(_)), problems),
        Shape::Texts => {
            texts(name, value, problems);
        }
        Shape::TextMap => match value {
            Json::Object(map) => {
                for (key, item) in map.iter() {
                    expect(&member(name, key), item, "a string", item.as_str().is_some(), problems);
                }
            }
            _ => expect(name, value, "an object of strings", false, problems),
        },
        Shape::Options => options::check(value, problems),
        Shape::Mounts => match value {
            Json::Array(mounts) => {
                for (index, mount) in mounts.iter().enumerate() {
                    check_mount(&format!("{name}[{index}]"), mount, problems);
                }
            }
            _ => expect(name, value, "a list of objects", false, problems),
        },
        Shape::Command => check_command(name, value, problems),
        Shape::InstallOrder => {
            texts(name, value, problems);
            for (index, item) in value.as_array().unwrap_or_default().iter().enumerate() {
                let Some(text) = item.as_str() else { continue };
                if !grammar::is_install_order_reference(text) {
                    problems.add(format!(
                        "\"{name}[{index}]\" (\"{text}\") is {}; write it as in \"ghcr.io/owner/repository/id\"",
                        no_reference(text)
                    ));
                }
            }
        }
        Shape::Dependencies => match value {
            Json::Object(map) => {
                for (reference, choice) in map.iter() {
                    check_dependency(reference, choice, problems);
                }
            }
            _ => expect(name, value, "an object", false, problems),
        },
    }
}

pub(crate) fn expect(name: &str, value: &Json, wanted: &str, holds: bool, problems: &mut Problems<'_>) {
    if !holds {
        problems.add(format!("\"{name}\" must be {wanted}, and is {}", value.kind()));
    }
}

/// The strings of a list; says so when it is not a list of strings.
pub(crate) fn texts<'a>(name: &str, value: &'a Json, problems: &mut Problems<'_>) -> Vec<&'a str> {
    let Json::Array(items) = value else {
        expect(name, value, "a list of strings", false, problems);
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item {
            Json::String(text) => found.push(text.as_str()),
            _ => expect(&format!("{name}[{index}]"), item, "a string", false, problems),
        }
    }
    found
}

fn check_mount(name: &str, mount: &Json, problems: &mut Problems<'_>) {
    let Json::Object(mount) = mount else {
        return expect(name, mount, "an object with \"type\" and \"target\"", false, problems);
    };
    for (key, value) in mount.iter() {
        let path = member(name, key);
        match key {
            "type" => match value.as_str() {
                Some("bind" | "volume") => {}
                _ => problems.add(format!("\"{path}\" must be \"bind\" or \"volume\"")),
            },
            "source" | "target" => expect(&path, value, "a string", value.as_str().is_some(), problems),
            _ => problems.add(format!("unknown property \"{path}\"; a mount has type, source and target")),
        }
    }
    for required in ["type", "target"] {
        if mount.get(required).is_none() {
            problems.add(format!("\"{name}\" needs the property \"{required}\""));
        }
    }
}

fn check_command(name: &str, value: &Json, problems: &mut Problems<'_>) {
    let wanted = "a string, a list of strings, or an object of these";
    match value {
        Json::String(_) => {}
        Json::Array(_) => {
            texts(name, value, problems);
        }
        Json::Object(commands) => {
            for (key, command) in commands.iter() {
                let path = member(name, key);
                match command {
                    Json::String(_) => {}
                    Json::Array(_) => {
                        texts(&path, command, problems);
                    }
                    _ => expect(&path, command, "a string or a list of strings", false, problems),
                }
            }
        }
        _ => expect(name, value, wanted, false, problems),
    }
}

fn check_dependency(reference: &str, choice: &Json, problems: &mut Problems<'_>) {
    let path = member("dependsOn", reference);
    if !grammar::is_dependency(reference) {
        problems.add(format!(
            "\"{path}\" is {}; write it as in \"ghcr.io/owner/repository/id:1\"",
            no_reference(reference)
        ));
    }
    match choice {
        Json::Object(_) | Json::String(_) | Json::Bool(_) => {}
        _ => expect(&path, choice, "an object of options", false, problems),
    }
}

fn no_reference(text: &str) -> &'static str {
    if grammar::is_local_path(text) {
        "a path, which leads nowhere once this Feature is published: publish that one, too"
    } else {
        "no reference to a published Feature"
    }
}
