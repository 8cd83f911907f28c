//! What a Template's devcontainer.json says about it.

use std::path::Path;

use super::placeholder;
use crate::feature::grammar;
use crate::feature::js_json;
use crate::feature::json::{self, Json, Object};
use crate::feature::load::Content;
use crate::feature::metadata::Metadata;
use crate::feature::problem::{Problem, Problems};

/// Where the file may lie; the first that is there counts.
pub const PLACES: [&str; 2] = [".devcontainer.json", ".devcontainer/devcontainer.json"];

/// What consumers are told of a Template's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What it is made from.
    pub source: Source,
    /// The Features that it uses, without their versions.
    pub feature_ids: Vec<String>,
}

/// What a container is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An image that exists.
    Image,
    /// A Dockerfile.
    Dockerfile,
    /// Compose files.
    Compose,
}

impl Source {
    /// As the property `type` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Dockerfile => "dockerfile",
            Self::Compose => "dockerCompose",
        }
    }

    fn of(configuration: &Object) -> Option<Self> {
        let has = |name| configuration.get(name).is_some();
        let build = configuration.get("build").and_then(Json::as_object);
        if has("image") {
            Some(Self::Image)
        } else if has("dockerFile") || build.is_some_and(|build| build.get("dockerfile").is_some()) {
            Some(Self::Dockerfile)
        } else if has("dockerComposeFile") {
            Some(Self::Compose)
        } else {
            None
        }
    }
}

/// Reads and checks the devcontainer.json. Without valid metadata, less of it can be checked.
pub fn read(
    folder: &Path,
    metadata: Option<&Metadata>,
    content: &[Content],
) -> Result<Option<Facts>, Vec<Problem>> {
    let found = PLACES.iter().find_map(|place| Some((*place, super::data(content, place)?)));
    let Some((place, data)) = found else {
        let mut problems = Problems::of(folder);
        problems.add(format!("there is no {}, which every Template needs", PLACES[1]));
        return Err(problems.into_vec());
    };
    let path = folder.join(place);
    let mut problems = Problems::of(&path);
    let bytes = data.bytes().map_err(|error| problems.add(format!("cannot be read: {error}"))).ok();
    let configuration = bytes.and_then(|bytes| parse(&bytes, metadata, &mut problems));
    let facts = configuration.and_then(|configuration| facts(&configuration, &mut problems));
    let problems = problems.into_vec();
    if problems.is_empty() { Ok(facts) } else { Err(problems) }
}

/// The configuration as it is written, or, where a placeholder stands for more than a part of a text,
/// as it is when nobody chooses any option.
fn parse(bytes: &[u8], metadata: Option<&Metadata>, problems: &mut Problems<'_>) -> Option<Json> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        problems.add("the file is not UTF-8");
        return None;
    };
    let written = json::parse(text);
    let Some(metadata) = metadata else {
        return written.ok();
    };
    let options = super::options(&metadata.json);
    let applied = json::parse(&placeholder::substitute(text, |name| super::default_of(options, name)));
    match (written, applied) {
        (Ok(written), Ok(_)) => Some(written),
        (Err(_), Ok(applied)) => Some(applied),
        (Err(error), Err(_)) => {
            problems.add(error.to_string());
            None
        }
        (Ok(_), Err(error)) => {
            problems.add(format!("with the options' defaults in it, it is no longer JSON: {error}"));
            None
        }
    }
}

fn facts(configuration: &Json, problems: &mut Problems<'_>) -> Option<Facts> {
    let Json::Object(configuration) = configuration else {
        problems.add(format!("the file must hold an object, and holds {}", configuration.kind()));
        return None;
    };
    let source = Source::of(configuration);
    if source.is_none() {
        problems.add("it has none of \"image\", \"build.dockerfile\" and \"dockerComposeFile\", so there is nothing to make a container from");
    }
    let features = configuration.get("features").and_then(Json::as_object);
    let feature_ids = features.into_iter().flat_map(js_json::in_property_order);
    let feature_ids = feature_ids.filter_map(|(reference, _)| resource(reference)).collect();
    Some(Facts { source: source?, feature_ids })
}

/// A reference without its version, if it is one to a registry: the official CLI's reading of it.
fn resource(reference: &str) -> Option<String> {
    let reference = reference.to_lowercase();
    if reference.starts_with('.') {
        return None;
    }
    let name = if let Some((name, digest)) = reference.rsplit_once('@') {
        let (algorithm, hexadecimal) = digest.split_once(':')?;
        if algorithm != "sha256" || hexadecimal.contains(':') {
            return None;
        }
        name
    } else {
        match reference.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => {
                if !tag.is_empty() && !grammar::is_tag(tag) {
                    return None;
                }
                name
            }
            _ => reference.as_str(),
        }
    };
    let (_, path) = name.split_once('/')?;
    (path.contains('/') && grammar::is_repository_path(path)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts_of(text: &str) -> Result<Option<Facts>, Vec<String>> {
        let data = bytes::Bytes::copy_from_slice(text.as_bytes()).into();
        let content = [Content::File { path: PLACES[1].to_owned(), executable: false, data }];
        read(Path::new("t"), None, &content)
            .map_err(|problems| problems.into_iter().map(|problem| problem.what).collect())
    }

    #[test]
    fn the_source_of_the_container() {
        for (text, expected) in [
            (r#"{"image":"x"}"#, "image"),
            (r#"{"build":{"dockerfile":"x"},"image":1}"#, "image"),
            (r#"{"build":{"dockerfile":"x"},"dockerComposeFile":[]}"#, "dockerfile"),
            (r#"{"dockerFile":"x"}"#, "dockerfile"),
            (r#"{"build":{"context":"x"},"dockerComposeFile":["x"]}"#, "dockerCompose"),
        ] {
            assert_eq!(facts_of(text).unwrap().unwrap().source.name(), expected, "{text}");
        }
        let found = facts_of(r#"{"build":{"context":"."}}"#).unwrap_err();
        assert!(found[0].starts_with("it has none of \"image\","), "{found:?}");
        let found = facts_of("[]").unwrap_err();
        assert_eq!(found, ["the file must hold an object, and holds a list"]);
    }

    #[test]
    fn features_are_named_without_their_versions() {
        for (reference, expected) in [
            ("ghcr.io/Devcontainers/features/Node:1", Some("ghcr.io/devcontainers/features/node")),
            ("ghcr.io/a/b/c", Some("ghcr.io/a/b/c")),
            ("localhost:5000/a/b:1.2", Some("localhost:5000/a/b")),
            ("localhost:5000/a/b", Some("localhost:5000/a/b")),
            ("ghcr.io/a/b@sha256:12", Some("ghcr.io/a/b")),
            ("ghcr.io/a/b:1@sha256:12", None),
            ("ghcr.io/a/b:", Some("ghcr.io/a/b")),
            ("ghcr.io/a/b@sha512:12", None),
            ("ghcr.io/a/b@sha256:1:2", None),
            ("ghcr.io/a/b:${templateOption:v}", None),
            ("./local", None),
            ("node", None),
            ("ghcr.io/node", None),
            ("ghcr.io/a__b/c", None),
            ("https://example.com/x/devcontainer-feature-go.tgz", None),
        ] {
            assert_eq!(resource(reference).as_deref(), expected, "{reference}");
        }
    }
}
