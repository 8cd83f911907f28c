//! An output folder that appears whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use tempfile::TempDir;

use crate::collection;
use crate::feature::kind::Kind;
use crate::feature::problem::shown;
use crate::payload::Payload;

/// What to write, and where.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The folder to make.
    pub folder: &'a Path,
    /// Whether to replace one that exists.
    pub force: bool,
    /// The folders that the content was made from.
    pub sources: &'a [&'a Path],
    /// The files by name.
    pub files: &'a [(String, Payload)],
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
        why: String,
    },
    /// The output would become part of the next run's input.
    #[error(
        "the output folder {} lies in {}, which would then contain itself; choose another with -o",
        shown(folder),
        shown(source_folder)
    )]
    InsideSource {
        /// The folder.
        folder: PathBuf,
        /// What is packed.
        source_folder: PathBuf,
    },
    /// The file system refused.
    #[error("cannot write {}: {reason}; choose another folder with -o", shown(path))]
    Io {
        /// What was being written.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
}

/// Writes the files beside the folder's place, then moves them there in one step.
pub fn write(plan: &Plan<'_>) -> Result<(), OutputError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |reason| OutputError::Io { path, reason }
    };
    let folder = std::path::absolute(plan.folder).map_err(io(plan.folder))?;
    let parent = folder.parent().ok_or_else(|| dangerous(&folder, "it is the root of the file system"))?;
    let exists = folder.symlink_metadata().is_ok();
    let replaced = exists && plan.force;
    if exists && !plan.force && !is_empty_folder(&folder) {
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
        std::fs::File::create(&path).and_then(|mut file| data.copy_to(&mut file)).map_err(io(&path))?;
    }
    if !replaced {
        // Also to the place of an empty folder: the system refuses where something is in it by now.
        return std::fs::rename(&fresh, &folder).map_err(|error| match error.kind() {
            // Another run was there first.
            io::ErrorKind::AlreadyExists
            | io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::NotADirectory => OutputError::Exists(folder),
            _ => OutputError::Io { path: folder, reason: error },
        });
    }
    // In one step, so that at any moment there is either the old folder or the new one.
    match rustix::fs::renameat_with(CWD, &fresh, CWD, &folder, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => exchange_in_two_steps(staging, &folder),
        other => other.map_err(|error| io(&folder)(error.into())),
    }
}

/// For file systems that cannot exchange two folders.
fn exchange_in_two_steps(staging: TempDir, folder: &Path) -> Result<(), OutputError> {
    let (fresh, old) = (staging.path().join("new"), staging.path().join("old"));
    let io = |reason| OutputError::Io { path: folder.to_owned(), reason };
    std::fs::rename(folder, &old).map_err(io)?;
    std::fs::rename(&fresh, folder).map_err(|error| {
        if std::fs::rename(&old, folder).is_err() {
            // The only copy of the old folder is in there.
            let _ = staging.keep();
        }
        io(error)
    })
}

/// Whether a folder, and no link to one, is there and holds nothing.
fn is_empty_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
        && std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn dangerous(folder: &Path, why: &str) -> OutputError {
    OutputError::Dangerous { folder: folder.to_owned(), why: why.to_owned() }
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
        "what is packed is in it"
    } else if holds(std::env::current_dir()) {
        "the current folder is in it"
    } else if real.join(".git").symlink_metadata().is_ok() {
        "it is a git checkout"
    } else {
        return check_entries(folder, real);
    };
    Err(dangerous(folder, why))
}

/// Only what this command writes is replaced.
fn check_entries(folder: &Path, real: &Path) -> Result<(), OutputError> {
    let io = |reason| OutputError::Io { path: folder.to_owned(), reason };
    for entry in std::fs::read_dir(real).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| {
            name == collection::FILE_NAME || Kind::ALL.iter().any(|kind| kind.is_archive_name(name))
        });
        if !ours || !entry.file_type().map_err(io)?.is_file() {
            let other = shown(Path::new(&name));
            return Err(dangerous(
                folder,
                &format!(
                    "{other} in it is no packed Feature or Template; delete that yourself, or choose another folder with -o"
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "devcontainer-feature-a.tgz";

    fn run(folder: &Path, force: bool, sources: &[&Path]) -> Result<(), OutputError> {
        write(&Plan { folder, force, sources, files: &[(NAME.to_owned(), b"new".to_vec().into())] })
    }

    #[test]
    fn one_of_many_runs_makes_the_folder() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("out");
        for _ in 0..20 {
            let results: Vec<_> = std::thread::scope(|scope| {
                let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| run(&out, false, &[]))).collect();
                runs.into_iter().map(|run| run.join().unwrap()).collect()
            });
            assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
            let others = results.iter().filter_map(|result| result.as_ref().err());
            assert!(others.clone().all(|error| matches!(error, OutputError::Exists(_))), "{results:?}");
            std::fs::remove_dir_all(&out).unwrap();
            assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn an_existing_folder_is_left_alone_without_force() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("out");
        run(&out, false, &[]).unwrap();
        let old = out.join("devcontainer-feature-old.tgz");
        std::fs::write(&old, "x").unwrap();
        assert!(matches!(run(&out, false, &[]), Err(OutputError::Exists(_))));
        assert!(old.exists());
        run(&out, true, &[]).unwrap();
        assert!(!old.exists());
        assert_eq!(std::fs::read(out.join(NAME)).unwrap(), b"new");
        assert_eq!(
            std::fs::read_dir(temp.path()).unwrap().count(),
            1,
            "something was left beside the output"
        );
    }

    #[test]
    fn an_empty_folder_is_as_good_as_none() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("out");
        std::fs::create_dir(&out).unwrap();
        run(&out, false, &[]).unwrap();
        assert_eq!(std::fs::read(out.join(NAME)).unwrap(), b"new");
        // A link is somebody's decision, and replaced only if that is asked for.
        let (link, empty) = (temp.path().join("link"), temp.path().join("empty"));
        std::fs::create_dir(&empty).unwrap();
        std::os::unix::fs::symlink(&empty, &link).unwrap();
        assert!(matches!(run(&link, false, &[]), Err(OutputError::Exists(_))));
        assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0);
    }

    #[test]
    fn where_nothing_can_be_written_another_folder_is_the_way() {
        // On any system and for every user, nothing can be made there.
        let error = run(Path::new("/proc/output"), false, &[]).unwrap_err().to_string();
        assert!(error.starts_with("cannot write /proc"), "{error}");
        assert!(error.ends_with("; choose another folder with -o"), "{error}");
        assert!(error.contains("os error"), "{error}");
    }

    #[test]
    fn force_replaces_nothing_but_packed_features() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("out");
        std::fs::create_dir(&out).unwrap();
        run(&out, true, &[]).unwrap();
        std::fs::write(out.join(collection::FILE_NAME), "{}").unwrap();
        for (other, is_folder) in [
            ("thesis.odt", false),
            (".hidden", false),
            ("my-devcontainer-feature-a.tgz", false),
            ("devcontainer-feature-b", false),
            ("devcontainer-feature-b.tgz", true),
        ] {
            let path = out.join(other);
            if is_folder { std::fs::create_dir(&path) } else { std::fs::write(&path, "x") }.unwrap();
            let error = run(&out, true, &[]).unwrap_err().to_string();
            assert!(error.contains(&format!(": {other} in it is no packed Feature")), "{error}");
            assert!(path.exists() && out.join(NAME).exists());
            if is_folder { std::fs::remove_dir(&path) } else { std::fs::remove_file(&path) }.unwrap();
        }
        run(&out, true, &[]).unwrap();
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
    }

    #[test]
    fn at_any_moment_there_is_a_whole_folder() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("out");
        run(&out, false, &[]).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut missing = 0;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    missing += usize::from(!out.exists());
                }
                missing
            });
            for _ in 0..2000 {
                run(&out, true, &[]).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(watcher.join().unwrap(), 0, "the folder was missing for a moment");
        });
    }

    #[test]
    fn two_steps_lose_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("out");
        run(&out, false, &[]).unwrap();
        let staging = || tempfile::tempdir_in(temp.path()).unwrap();
        let ready = staging();
        std::fs::create_dir(ready.path().join("new")).unwrap();
        exchange_in_two_steps(ready, &out).unwrap();
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
        run(&out, true, &[]).unwrap();
        // Nothing to put in its place.
        assert!(exchange_in_two_steps(staging(), &out).is_err());
        assert_eq!(std::fs::read(out.join(NAME)).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
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
            (source.clone(), "what is packed"),
            (temp.path().join("src"), "what is packed"),
            (temp.path().join("src/../src"), "what is packed"),
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
