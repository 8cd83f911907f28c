//! Names that two of a collection claim: ids and former ids share one namespace, and references know no case.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::json::{self, Json};
use super::kind::Kind;
use super::problem::{Problem, shown};

/// Finds them in folders, the ones that are not valid included: all problems are told at once.
pub fn find(kind: Kind, folders: &[PathBuf]) -> Vec<Problem> {
    let mut names: HashMap<String, (&Path, Role)> = HashMap::new();
    let mut problems = Vec::new();
    for folder in folders {
        for (id, role) in claimed(&folder.join(kind.metadata_file())) {
            match names.get(&id.to_lowercase()) {
                // What one file says twice is that file's own problem.
                Some((other, _)) if *other == folder.as_path() => {}
                Some((other, others)) => problems.push(Problem {
                    path: folder.clone(),
                    what: format!(
                        "the {} \"{id}\" is also claimed by {}{}; each id names one {kind}",
                        match role {
                            Role::Own => "id",
                            Role::Former => "former id",
                        },
                        match others {
                            Role::Own => "",
                            Role::Former => "\"legacyIds\" of ",
                        },
                        shown(other)
                    ),
                }),
                None => {
                    names.insert(id.to_lowercase(), (folder, role));
                }
            }
        }
    }
    problems
}

/// What an id is to the file that claims it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Its id.
    Own,
    /// One that it had before.
    Former,
}

/// The ids that a file claims, as far as it can be read.
fn claimed(path: &Path) -> Vec<(String, Role)> {
    let regular =
        path.symlink_metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= 1 << 20);
    let text = if regular { std::fs::read_to_string(path).unwrap_or_default() } else { String::new() };
    let Ok(Json::Object(object)) = json::parse(&text) else {
        return Vec::new();
    };
    let legacy = object.get("legacyIds").and_then(Json::as_array).unwrap_or_default();
    let own = object.get("id").into_iter().map(|id| (id, Role::Own));
    let all = own.chain(legacy.iter().map(|id| (id, Role::Former)));
    all.filter_map(|(id, role)| Some((id.as_str()?.to_owned(), role))).collect()
}
