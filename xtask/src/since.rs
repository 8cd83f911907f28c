//! `--since REF`: a Feature or Template whose content changed since a commit, while its version did not.
//!
//! What would be packed from the commit is compared with what is packed now, file by file. Files that
//! git ignores, and the binaries that are built on the way, are in no commit and are not compared.

mod git;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::archive::{self, Entry};
use crate::feature::assemble;
use crate::feature::json::{self, Json};
use crate::feature::kind::Kind;
use crate::feature::load::{self, Feature};
use crate::feature::problem::{InvalidFeatures, Problem, one_line};
use crate::oci::digest::Digest;
use crate::package::Packed;
use crate::payload::Payload;

/// How many changed files a sentence names.
const NAMED: usize = 3;

/// Compares everything that is packed, and names all that needs another version.
pub fn check(reference: &str, packed: &Packed) -> anyhow::Result<()> {
    let mut problems = Vec::new();
    for feature in &packed.features {
        let collection = feature.folder.parent().filter(|_| !packed.single).unwrap_or(&feature.folder);
        let Some(commit) = git::commit(collection, &feature.folder, reference)? else {
            continue;
        };
        let temp = tempfile::tempdir()?;
        let kind = feature.metadata.kind;
        let Some(old) = git::check_out(kind, &feature.folder, &commit, temp.path())? else {
            continue;
        };
        // Nothing there, or nothing that says its version, is nothing that could have been published.
        let version = feature.metadata.version.to_string();
        if version_of(kind, &old) != Some(version.clone()) {
            continue;
        }
        let ignored = git::ignored(&feature.folder)?;
        let now = load::load(kind, &feature.folder).map_err(InvalidFeatures)?;
        let now = files(&now, &ignored)?;
        let changed = match load::load(kind, &old) {
            Ok(old) => differences(&files(&old, &ignored)?, &now),
            // What was not valid then and is valid now did change.
            Err(problems) => problems.iter().take(1).map(|problem| problem.what.clone()).collect(),
        };
        if !changed.is_empty() {
            problems.push(Problem {
                path: feature.folder.clone(),
                what: format!(
                    "changed since {reference} ({}), and its version is still {version}; raise the version",
                    list(&changed)
                ),
            });
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(InvalidFeatures(problems).into()) }
}

/// What a file is to those who unpack it.
type Files = BTreeMap<String, (bool, Digest)>;

/// The files of an archive. Folders are not compared, since git keeps none that are empty.
fn files(feature: &Feature, ignored: &BTreeSet<String>) -> std::io::Result<Files> {
    let mut files = Files::new();
    for Entry { path, kind } in assemble::entries(feature, &[]) {
        if let archive::Kind::File { executable, data } = kind
            && !ignored.contains(&path)
        {
            let digest = Payload::join(vec![data])?.digest().clone();
            files.insert(path, (executable, digest));
        }
    }
    if feature.metadata.kind == Kind::Template {
        // As its author wrote it: what is added while packing names the ignored files, too.
        let path = feature.metadata.kind.metadata_file();
        let written = std::fs::read(feature.folder.join(path))?;
        files.insert(path.to_owned(), (false, Digest::of(&written)));
    }
    Ok(files)
}

fn differences(old: &Files, now: &Files) -> Vec<String> {
    let paths: BTreeSet<&String> = old.keys().chain(now.keys()).collect();
    paths.into_iter().filter(|path| old.get(*path) != now.get(*path)).cloned().collect()
}

fn list(changed: &[String]) -> String {
    let named = changed.iter().take(NAMED).map(|path| one_line(path)).collect::<Vec<_>>().join(", ");
    match changed.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// The version that a folder's metadata file says, whatever else is wrong with it.
fn version_of(kind: Kind, folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(kind.metadata_file())).ok()?;
    json::parse(&text).ok()?.as_object()?.get("version").and_then(Json::as_str).map(str::to_owned)
}
