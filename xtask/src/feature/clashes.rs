//! Names that two of a collection claim: ids and former ids share one namespace, and references know no case.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::json::{self, Json};
use super::kind::Kind;
use super::problem::{Problem, shown};

/// Finds them in folders, the ones that are not valid included: all problems are told at once.
pub fn find(kind: Kind, folders: &[PathBuf]) -> Vec<Problem> {
    let mut names: HashMap<String, &Path> = HashMap::new();
    let mut problems = Vec::new();
    for folder in folders {
        for id in claimed(&folder.join(kind.metadata_file())) {
            match names.get(&id.to_lowercase()) {
                // What one file says twice is that file's own problem.
                Some(other) if *other == folder.as_path() => {}
                Some(other) => problems.push(Problem {
                    path: folder.clone(),
                    what: format!(
                        "the id \"{id}\" is also claimed by {}; each id names one {kind}",
                        shown(other)
                    ),
                }),
                None => {
                    names.insert(id.to_lowercase(), folder);
                }
            }
        }
    }
    problems
}

/// The ids that a file claims, as far as it can be read.
fn claimed(path: &Path) -> Vec<String> {
    let regular =
        path.symlink_metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= 1 << 20);
    let text = if regular { std::fs::read_to_string(path).unwrap_or_default() } else { String::new() };
    let Ok(Json::Object(object)) = json::parse(&text) else {
        return Vec::new();
    };
    let legacy = object.get("legacyIds").and_then(Json::as_array).unwrap_or_default();
    object.get("id").into_iter().chain(legacy).filter_map(Json::as_str).map(str::to_owned).collect()
}
