//! An output folder that appears whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use crate::feature::problem::shown;

/// What to write, and where.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The folder to make.
    pub folder: &'a Path,
    /// Whether to replace one that exists.
    pub force: bool,
    /// The Feature folders that the content was made from.
    pub sources: &'a [&'a Path],
    /// The files by name.
    pub files: &'a [(String, &'a [u8])],
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// It is there, and nobody said to replace it.
    #[error("the output folder {} already exists; delete it, or pass -f to replace it", shown(.0))]
    Exists(PathBuf),
    /// Replacing it would delete something else.
    #[error("refusing to replace {}: {why}", shown(folder))]
    Dangerous {
        /// The folder.
        folder: PathBuf,
        /// What would be lost.
        why: &'static str,
    },
    /// The output would become part of the next run's input.
    #[error(
        "the output folder {} lies in the Feature {}, which would then contain itself; choose another with -o",
        shown(folder),
        shown(source_folder)
    )]
    InsideSource {
        /// The folder.
        folder: PathBuf,
        /// The Feature.
        source_folder: PathBuf,
    },
    /// The file system refused.
    #[error("cannot write {}", shown(path))]
    Io {
        /// What was being written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Writes the files beside the folder's place, then moves them there in one step.
pub fn write(plan: &Plan<'_>) -> Result<(), OutputError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| OutputError::Io { path, source }
    };
    let folder = std::path::absolute(plan.folder).map_err(io(plan.folder))?;
    let parent = folder.parent().ok_or_else(|| dangerous(&folder, "it is the root of the file system"))?;
    let exists = folder.symlink_metadata().is_ok();
    if exists && !plan.force {
        return Err(OutputError::Exists(folder));
    }
    // Resolved before anything is made, so that a refusal leaves no trace.
    let real = resolve(&folder).map_err(io(&folder))?;
    check_sources(&folder, &real, plan.sources)?;
    if exists {
        check_replaceable(&folder, &real, plan.sources)?;
    }
    std::fs::create_dir_all(parent).map_err(io(parent))?;
    let staging = tempfile::Builder::new().prefix(".package-").tempdir_in(parent).map_err(io(parent))?;
    let fresh = staging.path().join("new");
    std::fs::create_dir(&fresh).map_err(io(&fresh))?;
    for (name, data) in plan.files {
        let path = fresh.join(name);
        std::fs::write(&path, data).map_err(io(&path))?;
    }
    if exists {
        std::fs::rename(&folder, staging.path().join("old")).map_err(io(&folder))?;
    }
    std::fs::rename(&fresh, &folder).map_err(|error| {
        // Best effort: the error that is reported is the first one.
        let _ = std::fs::rename(staging.path().join("old"), &folder);
        OutputError::Io { path: folder.clone(), source: error }
    })
}

fn dangerous(folder: &Path, why: &'static str) -> OutputError {
    OutputError::Dangerous { folder: folder.to_owned(), why }
}

/// The canonical form of a path of which the last parts may not exist yet.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(resolve(parent)?.join(name)),
            _ => Err(error),
        },
        other => other,
    }
}

fn check_sources(folder: &Path, real: &Path, sources: &[&Path]) -> Result<(), OutputError> {
    for source in sources {
        let inside = source.canonicalize().is_ok_and(|source| real.starts_with(&source) && real != source);
        if inside {
            return Err(OutputError::InsideSource {
                folder: folder.to_owned(),
                source_folder: (*source).to_owned(),
            });
        }
    }
    Ok(())
}

fn check_replaceable(folder: &Path, real: &Path, sources: &[&Path]) -> Result<(), OutputError> {
    let holds = |path: io::Result<PathBuf>| path.is_ok_and(|path| path.starts_with(real));
    let why = if !real.is_dir() {
        "it is not a folder"
    } else if real.parent().is_none() {
        "it is the root of the file system"
    } else if std::env::home_dir().is_some_and(|home| holds(home.canonicalize())) {
        "your home folder is in it"
    } else if sources.iter().any(|source| holds(source.canonicalize())) {
        "the Features themselves are in it"
    } else if holds(std::env::current_dir()) {
        "the current folder is in it"
    } else if real.join(".git").symlink_metadata().is_ok() {
        "it is a git checkout"
    } else {
        return Ok(());
    };
    Err(dangerous(folder, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(folder: &Path, force: bool, sources: &[&Path]) -> Result<(), OutputError> {
        write(&Plan { folder, force, sources, files: &[("a".to_owned(), b"new")] })
    }

    #[test]
    fn an_existing_folder_is_left_alone_without_force() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("out");
        run(&out, false, &[]).unwrap();
        std::fs::write(out.join("kept"), "x").unwrap();
        assert!(matches!(run(&out, false, &[]), Err(OutputError::Exists(_))));
        assert!(out.join("kept").exists());
        run(&out, true, &[]).unwrap();
        assert!(!out.join("kept").exists());
        assert_eq!(std::fs::read(out.join("a")).unwrap(), b"new");
        assert_eq!(
            std::fs::read_dir(temp.path()).unwrap().count(),
            1,
            "something was left beside the output"
        );
    }

    #[test]
    fn force_never_deletes_more_than_output() {
        let temp = tempfile::tempdir().unwrap();
        let source = temp.path().join("src/a");
        std::fs::create_dir_all(&source).unwrap();
        std::fs::create_dir_all(temp.path().join("checkout/.git")).unwrap();
        std::fs::write(temp.path().join("file"), "").unwrap();
        let here = std::env::current_dir().unwrap();
        for (folder, fragment) in [
            (PathBuf::from("/"), "root of the file system"),
            (std::env::home_dir().unwrap(), "home folder"),
            (here, "current folder"),
            (source.clone(), "Features themselves"),
            (temp.path().join("src"), "Features themselves"),
            (temp.path().join("src/../src"), "Features themselves"),
            (temp.path().join("checkout"), "git checkout"),
            (temp.path().join("file"), "not a folder"),
            (source.join("output"), "contain itself"),
        ] {
            let error = run(&folder, true, &[&source]).unwrap_err().to_string();
            assert!(error.contains(fragment), "{}: {error}", folder.display());
            assert!(!error.contains('\n'));
        }
        assert!(source.is_dir() && temp.path().join("checkout/.git").is_dir());
        assert!(!source.join("output").exists());
    }
}
