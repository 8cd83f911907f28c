//! What the author of a Template should know, though it can be published.

use std::collections::BTreeSet;

use super::placeholder;
use crate::feature::exclude;
use crate::feature::json::{Json, Object};
use crate::feature::load::{Content, Feature};
use crate::feature::problem::{Problem, shown};

/// What consumers leave out when they copy a Template into a project.
const NOT_COPIED: [&str; 2] = ["README.md", "NOTES.md"];

/// One sentence each.
pub fn of(template: &Feature, files: &[String]) -> Result<Vec<String>, Problem> {
    let options = super::options(&template.metadata.json);
    let mut notes = Vec::new();
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut readable = true;
    for item in &template.content {
        let Content::File { path, data, .. } = item else {
            continue;
        };
        let whole_path = template.folder.join(path);
        let at = shown(&whole_path);
        if path.rsplit('/').next().is_some_and(exclude::is_environment_file) {
            notes.push(format!("packed {at}: an environment file, which everybody can read"));
        }
        if NOT_COPIED.contains(&path.as_str()) {
            continue;
        }
        let bytes = match data.bytes() {
            Ok(bytes) => bytes,
            Err(error) => return Err(Problem { path: whole_path, what: format!("cannot be read: {error}") }),
        };
        let Ok(text) = std::str::from_utf8(&bytes) else {
            readable = false;
            notes.push(format!(
                "{at} is no UTF-8 text; the official CLI damages it when it applies the Template"
            ));
            continue;
        };
        let names: BTreeSet<&str> = placeholder::names(text).collect();
        for name in &names {
            if options.and_then(|options| options.get(name)).is_none() {
                notes.push(format!(
                    "{at} asks for the option \"{name}\", which is not declared: it becomes nothing"
                ));
            }
        }
        used.extend(names.into_iter().map(str::to_owned));
    }
    // What is in a file that cannot be read is not known.
    if readable {
        let declared = options.into_iter().flat_map(Object::iter).map(|(name, _)| name);
        notes.extend(
            declared
                .filter(|name| !used.contains(*name))
                .map(|name| format!("{}: no file asks for the option \"{name}\"", shown(&template.folder))),
        );
    }
    notes.extend(lost_optional_paths(template, files));
    Ok(notes)
}

/// Entries of `optionalPaths` that name nothing.
fn lost_optional_paths<'a>(template: &'a Feature, files: &'a [String]) -> impl Iterator<Item = String> + 'a {
    let object = template.metadata.json.as_object();
    let paths = object.and_then(|object| object.get("optionalPaths")?.as_array()).unwrap_or_default();
    paths.iter().filter_map(Json::as_str).filter_map(move |path| {
        let known = match path.strip_suffix('*').filter(|folder| folder.ends_with('/')) {
            Some(folder) => files.iter().any(|file| file.starts_with(folder)),
            None => files.iter().any(|file| file == path),
        };
        let advice =
            if path.ends_with('/') { format!("; a folder is written \"{path}*\"") } else { String::new() };
        let at = shown(&template.folder);
        (!known).then(|| format!("{at}: \"optionalPaths\" names \"{path}\", which is no file in it{advice}"))
    })
}
