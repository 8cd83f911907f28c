//! The README.md of a Feature or Template, as the official CLI writes it, byte for byte. Does no I/O.
//!
//! That program is JavaScript and prints whatever a property holds. Two things are different on
//! purpose. It fills its form with `String.replace`, which takes `$&` in a text, and a name of a
//! blank that comes later, for something to replace. Here a text is a text. And it names the major
//! version of a pre-release, which is a tag that a pre-release does not get.

use std::fmt::Write as _;

use semver::Version;

use crate::feature::js_json;
use crate::feature::json::{Json, Object};
use crate::feature::kind::Kind;

/// Where a collection is found by its readers.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The registry.
    pub registry: String,
    /// The namespace below it.
    pub namespace: String,
    /// The owner of the sources on GitHub, or nothing.
    pub github_owner: String,
    /// Their repository, or nothing.
    pub github_repo: String,
}

/// What a README.md is made from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What it is of.
    pub kind: Kind,
    /// The metadata.
    pub metadata: &'a Object,
    /// The text of NOTES.md.
    pub notes: &'a str,
    /// The folder in the repository of sources.
    pub folder: &'a str,
}

/// Writes the text, or says what is wrong with the metadata.
pub fn render(source: &Source<'_>, place: &Place) -> Result<String, Vec<String>> {
    let metadata = source.metadata;
    let mut problems = Vec::new();
    let mut or_problem = |result: Result<String, String>| {
        result.unwrap_or_else(|problem| {
            problems.push(problem);
            String::new()
        })
    };
    let id = or_problem(id(metadata));
    let version = or_problem(version(metadata));
    let options = or_problem(options(metadata));
    let important = or_problem(important(metadata));
    let customizations = match source.kind {
        Kind::Feature => or_problem(customizations(metadata)),
        Kind::Template => String::new(),
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    let name = match truthy(metadata.get("name")) {
        Some(name) => format!("{} ({id})", written(name)),
        None => id.clone(),
    };
    let description = match metadata.get("description") {
        None | Some(Json::Null) => String::new(),
        Some(description) => written(description),
    };
    let file = source.kind.metadata_file();
    let link = link(source, place);
    let notes = source.notes;
    let body = match source.kind {
        Kind::Feature => {
            let Place { registry, namespace, .. } = place;
            format!(
                "## Example Usage\n\n```json\n\"features\": {{\n    \"{registry}/{namespace}/{id}:{version}\": {{}}\n}}\n```\n\n{options}\n{customizations}\n{notes}"
            )
        }
        Kind::Template => format!("{options}\n\n{notes}"),
    };
    Ok(format!(
        "{important}\n# {name}\n\n{description}\n\n{body}\n\n---\n\n_Note: This file was auto-generated from the [{file}]({link}).  Add additional notes to a `NOTES.md`._\n"
    ))
}

fn id(metadata: &Object) -> Result<String, String> {
    match metadata.get("id") {
        Some(Json::String(id)) if !id.is_empty() => Ok(id.clone()),
        Some(Json::String(_)) => Err("the required property \"id\" is empty".to_owned()),
        Some(other) => Err(format!("\"id\" must be a string, and is {}", other.kind())),
        None => Err("the required property \"id\" is missing".to_owned()),
    }
}

/// The tag that users are told: the major version, but for a pre-release, which has no tag but its own.
fn version(metadata: &Object) -> Result<String, String> {
    match truthy(metadata.get("version")) {
        None => Ok("latest".to_owned()),
        Some(Json::String(version)) if is_pre_release(version) => Ok(version.clone()),
        Some(Json::String(version)) => Ok(version.split('.').next().unwrap_or_default().to_owned()),
        Some(other) => Err(format!("\"version\" must be a string, and is {}", other.kind())),
    }
}

fn is_pre_release(version: &str) -> bool {
    Version::parse(version).is_ok_and(|version| !version.pre.is_empty())
}

fn link(source: &Source<'_>, place: &Place) -> String {
    let file = source.kind.metadata_file();
    let Place { github_owner, github_repo, .. } = place;
    if github_owner.is_empty() || github_repo.is_empty() {
        file.to_owned()
    } else {
        format!("https://github.com/{github_owner}/{github_repo}/blob/main/{}/{file}", source.folder)
    }
}

fn options(metadata: &Object) -> Result<String, String> {
    let options = match truthy(metadata.get("options")) {
        None => return Ok(String::new()),
        Some(Json::Object(options)) => options,
        Some(other) => return Err(format!("\"options\" must be an object, and is {}", other.kind())),
    };
    let mut rows = Vec::new();
    for (name, option) in js_json::in_property_order(options) {
        let Json::Object(option) = option else {
            return Err(format!("\"options.{name}\" must be an object, and is {}", option.kind()));
        };
        let or_dash = |property| truthy(option.get(property)).map_or_else(|| "-".to_owned(), written);
        let default = match option.get("default") {
            Some(Json::String(text)) if text.is_empty() => "-".to_owned(),
            Some(default) => written(default),
            None => "undefined".to_owned(),
        };
        rows.push(format!("| {name} | {} | {} | {default} |", or_dash("description"), or_dash("type")));
    }
    Ok(format!(
        "## Options\n\n| Options Id | Description | Type | Default Value |\n|-----|-----|-----|-----|\n{}",
        rows.join("\n")
    ))
}

fn customizations(metadata: &Object) -> Result<String, String> {
    let vscode = metadata.get("customizations").and_then(Json::as_object).and_then(|all| all.get("vscode"));
    let extensions = vscode.and_then(Json::as_object).and_then(|vscode| vscode.get("extensions"));
    let extensions = match truthy(extensions) {
        None => return Ok(String::new()),
        Some(Json::Array(extensions)) if extensions.is_empty() => return Ok(String::new()),
        Some(Json::Array(extensions)) => extensions,
        Some(other) => {
            let kind = other.kind();
            return Err(format!("\"customizations.vscode.extensions\" must be a list, and is {kind}"));
        }
    };
    let lines: Vec<String> =
        extensions.iter().map(|extension| format!("- `{}`", written(extension))).collect();
    Ok(format!("\n## Customizations\n\n### VS Code Extensions\n\n{}\n", lines.join("\n")))
}

/// What comes before everything else of what is deprecated or renamed.
fn important(metadata: &Object) -> Result<String, String> {
    let deprecated = truthy(metadata.get("deprecated")).is_some();
    let former = match truthy(metadata.get("legacyIds")) {
        None => &[][..],
        Some(Json::Array(former)) => former,
        Some(other) => return Err(format!("\"legacyIds\" must be a list, and is {}", other.kind())),
    };
    if !deprecated && former.is_empty() {
        return Ok(String::new());
    }
    let mut text = "### **IMPORTANT NOTE**\n".to_owned();
    if deprecated {
        text.push_str(
            "- **This Feature is deprecated, and will no longer receive any further updates/support.**\n",
        );
    }
    if !former.is_empty() {
        let former: Vec<String> = former.iter().map(|id| format!("'{}'", written(id))).collect();
        // Writing to a String does not fail.
        let _ = writeln!(text, "- **Ids used to publish this Feature in the past - {}**", former.join(", "));
    }
    Ok(text)
}

/// The value, unless it is one that JavaScript takes for false.
fn truthy(value: Option<&Json>) -> Option<&Json> {
    value.filter(|value| match value {
        Json::Null | Json::Bool(false) => false,
        Json::Number(number) => *number != 0.0,
        Json::String(text) => !text.is_empty(),
        Json::Bool(true) | Json::Array(_) | Json::Object(_) => true,
    })
}

/// JavaScript's `String(value)`.
fn written(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) if number.is_infinite() && *number > 0.0 => "Infinity".to_owned(),
        Json::Number(number) if number.is_infinite() => "-Infinity".to_owned(),
        Json::Number(number) => js_json::format_number(*number),
        Json::String(text) => text.clone(),
        Json::Array(items) => {
            let items = items.iter().map(|item| match item {
                Json::Null => String::new(),
                item => written(item),
            });
            items.collect::<Vec<_>>().join(",")
        }
        Json::Object(_) => "[object Object]".to_owned(),
    }
}
