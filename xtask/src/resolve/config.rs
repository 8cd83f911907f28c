//! devcontainer.json: where it is, and what it says about Features.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::feature::json::{self, Json, Object};

use super::error::ResolveError;
use super::fetch::Place;
use super::substitute::{self, Variables};

/// What a workspace asks for.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the file is.
    pub place: Place,
    /// The Features with their options, in their order.
    pub features: Vec<(String, Json)>,
    /// What is to be installed first.
    pub first: Vec<String>,
    /// The digests that the lockfile holds, by reference.
    pub locked: HashMap<String, String>,
}

/// Reads the configuration of a workspace.
pub fn read(workspace: &Path) -> Result<Config, ResolveError> {
    let path = find(workspace)?;
    let config = parse(&path)?;
    let Json::Object(config) = config else {
        return Err(wrong(&path, format!("an object was expected, and {} found", config.kind())));
    };
    let config = Variables::of(workspace, &config)
        .and_then(|variables| substitute::object(&variables, &config))
        .map_err(|why| wrong(&path, why))?;
    let features = match config.get("features") {
        Some(Json::Object(features)) => features.clone(),
        None | Some(Json::Null) => Object::default(),
        Some(other) => {
            return Err(wrong(&path, format!("\"features\" must be an object, and is {}", other.kind())));
        }
    };
    if features.is_empty() {
        return Err(wrong(&path, "it names no Feature in \"features\""));
    }
    let first = match config.get("overrideFeatureInstallOrder") {
        None | Some(Json::Null) => Vec::new(),
        Some(order) => {
            let references: Option<Vec<String>> = order
                .as_array()
                .and_then(|order| order.iter().map(|item| item.as_str().map(str::to_owned)).collect());
            references
                .ok_or_else(|| wrong(&path, "\"overrideFeatureInstallOrder\" must be a list of references"))?
        }
    };
    Ok(Config {
        features: features.iter().map(|(written, options)| (written.to_owned(), options.clone())).collect(),
        first,
        locked: locked(&path)?,
        place: Place { config: path, workspace: workspace.to_owned() },
    })
}

/// The two places where the official CLI looks, in its order.
fn find(workspace: &Path) -> Result<PathBuf, ResolveError> {
    let flat = workspace.join(".devcontainer.json");
    let nested = workspace.join(".devcontainer/devcontainer.json");
    if flat.is_file() {
        return Ok(flat);
    }
    if nested.is_file() {
        return Ok(nested);
    }
    Err(ResolveError::Config(format!(
        "there is neither .devcontainer.json nor .devcontainer/devcontainer.json in {}; name the workspace with --workspace-folder",
        workspace.display()
    )))
}

fn parse(path: &Path) -> Result<Json, ResolveError> {
    let text = std::fs::read_to_string(path).map_err(|error| wrong(path, error))?;
    json::parse(&text).map_err(|error| wrong(path, error))
}

/// What the lockfile beside a configuration holds; nothing without one.
fn locked(config: &Path) -> Result<HashMap<String, String>, ResolveError> {
    let hidden = config.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let name = if hidden { ".devcontainer-lock.json" } else { "devcontainer-lock.json" };
    let path = config.with_file_name(name);
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Ok(metadata) if metadata.len() == 0 => return Ok(HashMap::new()),
        _ => {}
    }
    let lockfile = parse(&path)?;
    let features = lockfile.as_object().and_then(|object| object.get("features")).and_then(Json::as_object);
    let Some(features) = features else {
        return Err(wrong(&path, "it has no object \"features\"; `devcontainer upgrade` writes it anew"));
    };
    let digest = |entry: &Json| entry.as_object()?.get("integrity")?.as_str().map(str::to_owned);
    Ok(features.iter().filter_map(|(written, entry)| Some((written.to_owned(), digest(entry)?))).collect())
}

fn wrong(path: &Path, why: impl std::fmt::Display) -> ResolveError {
    ResolveError::Config(format!("{}: {why}", path.display()))
}
