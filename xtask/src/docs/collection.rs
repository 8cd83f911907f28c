//! The README.md of each Feature or Template of a collection: all of them, or none.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::readme::{self, Place, Source};
use crate::feature::discover;
use crate::feature::json::{self, Json};
use crate::feature::kind::Kind;
use crate::feature::problem::{InvalidFeatures, Problem, shown};
use crate::terminal;

/// What is to be written.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) kind: Kind,
    pub(super) folder: &'a Path,
    pub(super) place: Place,
    pub(super) check: bool,
}

/// Writes what is not up to date, or with `check` fails with its names.
pub(super) fn update(job: &Job<'_>) -> anyhow::Result<()> {
    let found = discover::discover(job.kind, job.folder)?;
    for folder in &found.skipped {
        terminal::note(format_args!("skipped {}: no {} in it", shown(folder), job.kind));
    }
    let mut problems = Vec::new();
    let mut stale: Vec<(PathBuf, String)> = Vec::new();
    for folder in &found.folders {
        match text(job, folder) {
            Ok(text) => {
                let path = folder.join("README.md");
                if std::fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
                    stale.push((path, text));
                }
            }
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(InvalidFeatures(problems).into());
    }
    if job.check && !stale.is_empty() {
        let sentences = stale
            .iter()
            .map(|(path, _)| format!("{} is out of date; run the same command without --check", shown(path)));
        bail!("{}", sentences.collect::<Vec<_>>().join("\n"));
    }
    if stale.is_empty() {
        terminal::note(match found.folders.len() {
            1 => "README.md is up to date".to_owned(),
            all => format!("all {all} README.md are up to date"),
        });
    }
    for (path, text) in stale {
        write(&path, &text).with_context(|| format!("cannot write {}", shown(&path)))?;
        terminal::note(format_args!("wrote {}", shown(&path)));
    }
    Ok(())
}

fn text(job: &Job<'_>, folder: &Path) -> Result<String, Vec<Problem>> {
    let path = folder.join(job.kind.metadata_file());
    let problem = |what: String| vec![Problem { path: path.clone(), what }];
    let bytes = std::fs::read(&path).map_err(|error| problem(format!("cannot be read: {error}")))?;
    let metadata = std::str::from_utf8(&bytes).map_err(|_| problem("the file is not UTF-8".to_owned()))?;
    let metadata = match json::parse(metadata).map_err(|error| problem(error.to_string()))? {
        Json::Object(metadata) => metadata,
        other => return Err(problem(format!("the file must hold an object, and holds {}", other.kind()))),
    };
    let notes = read_notes(&folder.join("NOTES.md"))?;
    let source = in_repository(job.folder, folder);
    let source = Source { kind: job.kind, metadata: &metadata, notes: &notes, folder: &source };
    readme::render(&source, &job.place).map_err(|found| found.into_iter().flat_map(problem).collect())
}

/// The folder in the repository of the sources, put together as the official CLI does it.
fn in_repository(project: &Path, folder: &Path) -> String {
    let below = folder.strip_prefix(project).unwrap_or(folder).to_string_lossy();
    let project = project.to_string_lossy();
    let project = project.strip_prefix("./").unwrap_or(&project);
    match (project, &*below) {
        (project, "") => project.to_owned(),
        // The official CLI does not look into `src`, so here nothing need be as it has it.
        (".", below) if below.starts_with("src/") => below.to_owned(),
        (project, below) => format!("{project}/{below}"),
    }
}

fn read_notes(path: &Path) -> Result<String, Vec<Problem>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(vec![Problem { path: path.to_owned(), what: format!("cannot be read: {error}") }]),
    }
}

/// In one step, so that at any moment the old text is there or the new one.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().context("it has no folder")?;
    // What the umask leaves of it, as with any new file.
    let mode = std::fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().prefix(".readme-").permissions(mode).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Ok(old) = path.metadata() {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_in_the_repository() {
        for (project, folder, expected) in [
            ("src", "src/a", "src/a"),
            ("./src", "./src/a", "src/a"),
            ("src/", "src/a", "src//a"),
            (".", "./a", "./a"),
            ("./", "./a", "/a"),
            (".", "./src/a", "src/a"),
            ("src/a", "src/a", "src/a"),
        ] {
            assert_eq!(in_repository(Path::new(project), Path::new(folder)), expected, "{project}");
        }
    }
}
