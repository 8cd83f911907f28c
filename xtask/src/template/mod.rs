//! What a Template has beyond its files: facts that its readers are told, and placeholders.

pub mod facts;
pub mod notes;
pub mod placeholder;
pub mod properties;

use crate::feature::js_json;
use crate::feature::json::{Json, Object};
use crate::feature::load::{Content, Feature};
use crate::feature::problem::Problem;
use crate::payload::Source;
use facts::Facts;

/// Adds what the official CLI adds to a Template while packing, and what its author should know.
pub fn complete(mut template: Feature, facts: &Facts) -> Result<Feature, Vec<Problem>> {
    let file = template.metadata.kind.metadata_file();
    let files = files(&template.content, file);
    if let Json::Object(object) = &mut template.metadata.json {
        object.set("type", text(facts.source.name()));
        object.set("files", Json::Array(files.iter().map(|path| text(path)).collect()));
        #[expect(clippy::cast_precision_loss, reason = "no folder has that many files")]
        object.set("fileCount", Json::Number(files.len() as f64));
        object.set("featureIds", Json::Array(facts.feature_ids.iter().map(|id| text(id)).collect()));
        set_optional_paths(object, &files);
    }
    template.metadata.file = js_json::stringify_pretty(&template.metadata.json).into_bytes();
    template.notes = notes::of(&template, &files).map_err(|problem| vec![problem])?;
    Ok(template)
}

/// The paths of all files, a folder's own before those of its folders.
///
/// The official CLI lists them as its parallel walk happens to meet them; that is mostly this order.
fn files(content: &[Content], metadata_file: &str) -> Vec<String> {
    let paths = content.iter().filter_map(|item| match item {
        Content::File { path, .. } => Some(path.as_str()),
        Content::Folder(_) => None,
    });
    let mut paths: Vec<String> = std::iter::once(metadata_file).chain(paths).map(str::to_owned).collect();
    paths.sort_by_cached_key(|path| {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folders = folder.split('/').filter(|part| !part.is_empty()).map(|part| (true, part.to_owned()));
        folders.chain([(false, name.to_owned())]).collect::<Vec<_>>()
    });
    paths
}

/// A folder that holds one file is named by that file, as the official CLI does it.
fn set_optional_paths(object: &mut Object, files: &[String]) {
    let Some(paths) = object.get("optionalPaths").and_then(Json::as_array) else {
        return;
    };
    let paths = paths.iter().map(|path| match path.as_str().and_then(|path| lone_file(path, files)) {
        Some(file) => text(file),
        None => path.clone(),
    });
    let paths = Json::Array(paths.collect());
    object.set("optionalPaths", paths);
}

/// The one file that an entry `folder/*` means, if it is just one.
fn lone_file<'a>(entry: &str, files: &'a [String]) -> Option<&'a str> {
    let folder = entry.strip_suffix("/*").filter(|folder| !folder.is_empty())?;
    // By the beginning of the name, and not of the path: another rule would name other files.
    let mut inside = files.iter().filter(|file| file.starts_with(folder));
    match (inside.next(), inside.next()) {
        (Some(file), None) => Some(file),
        _ => None,
    }
}

fn text(text: &str) -> Json {
    Json::String(text.to_owned())
}

/// What an option is when nobody chooses; nothing for what is no option.
fn default_of(options: Option<&Object>, name: &str) -> String {
    match options.and_then(|options| options.get(name)?.as_object()?.get("default")) {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Bool(flag)) => flag.to_string(),
        _ => String::new(),
    }
}

/// The options of a Template's metadata.
fn options(metadata: &Json) -> Option<&Object> {
    metadata.as_object()?.get("options")?.as_object()
}

/// What a file of a Template holds.
fn data<'a>(content: &'a [Content], wanted: &str) -> Option<&'a Source> {
    content.iter().find_map(|item| match item {
        Content::File { path, data, .. } if path == wanted => Some(data),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_before_folders() {
        let content: Vec<Content> =
            [".devcontainer/sub/q", ".devcontainer/z", ".env", "a/b/c", "a-b", "z.txt"]
                .map(|path| Content::File {
                    path: path.to_owned(),
                    executable: false,
                    data: bytes::Bytes::new().into(),
                })
                .into_iter()
                .chain([Content::Folder("empty".to_owned())])
                .collect();
        assert_eq!(
            files(&content, "m.json"),
            [".env", "a-b", "m.json", "z.txt", ".devcontainer/z", ".devcontainer/sub/q", "a/b/c"]
        );
    }

    #[test]
    fn a_folder_with_one_file_is_named_by_it() {
        let files = [".github/dependabot.yml", "a/1", "a/2", "ab", "c/d/e"].map(str::to_owned);
        for (entry, expected) in [
            (".github/*", Some(".github/dependabot.yml")),
            ("a/*", None),
            ("c/*", Some("c/d/e")),
            ("c/d/*", Some("c/d/e")),
            ("ab/*", Some("ab")),
            ("b/*", None),
            ("ab", None),
            ("/*", None),
            ("*", None),
        ] {
            assert_eq!(lone_file(entry, &files), expected, "{entry}");
        }
    }
}
