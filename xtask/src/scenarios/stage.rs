//! Staging: `features/` and `test-scenarios/` in the layout that the official CLI tests, `src` and `test`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use walkdir::WalkDir;

use crate::package::{self, Packed};
use crate::sh;

/// Values for the `@NAME@` marks in scenario files.
pub type Values = BTreeMap<String, String>;

/// What was staged.
#[derive(Debug)]
pub struct Staged {
    /// The folder with `src` and `test`.
    pub folder: PathBuf,
}

/// Lays out the packed Features, exactly as published, and their scenarios with the marks replaced.
pub fn stage(packed: &Packed, tests: &Path, folder: &Path, values: &Values) -> anyhow::Result<Staged> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let archives = folder.join("archives");
    fs::create_dir_all(folder)?;
    package::write(packed, &archives, false)?;
    for feature in &packed.features {
        let id = feature.metadata.id.as_str();
        let source = folder.join("src").join(id);
        fs::create_dir_all(&source)?;
        sh::run(
            Command::new("tar").arg("-xf").arg(archives.join(feature.file_name())).arg("-C").arg(&source),
        )?;
        let test = tests.join(id);
        if test.is_dir() {
            copy_replacing(&test, &folder.join("test").join(id), values)?;
        }
    }
    Ok(Staged { folder: folder.to_owned() })
}

fn copy_replacing(from: &Path, to: &Path, values: &Values) -> anyhow::Result<()> {
    for entry in WalkDir::new(from).sort_by_file_name() {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target)?;
            continue;
        }
        // Copying keeps the mode; the text is then replaced where it holds a mark.
        fs::copy(entry.path(), &target)?;
        if let Ok(text) = fs::read_to_string(&target) {
            let replaced = replace(&text, values).with_context(|| entry.path().display().to_string())?;
            if replaced != text {
                fs::write(&target, replaced)?;
            }
        }
    }
    Ok(())
}

/// Replaces every `@NAME@`; an unknown one is a mistake in the file.
fn replace(text: &str, values: &Values) -> anyhow::Result<String> {
    let mut result = text.to_owned();
    for (name, value) in values {
        result = result.replace(&format!("@{name}@"), value);
    }
    let upper = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let left = result.split('@').skip(1).step_by(2).find(upper);
    ensure!(left.is_none(), "@{}@ stands for nothing", left.unwrap_or_default());
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_replaced_and_unknown_ones_refused() {
        let values = Values::from([("IMAGE".to_owned(), "x:y".to_owned())]);
        assert_eq!(replace("a @IMAGE@ b", &values).unwrap(), "a x:y b");
        assert_eq!(replace("me@example.com and @lower@", &values).unwrap(), "me@example.com and @lower@");
        assert!(replace("@OTHER@", &values).unwrap_err().to_string().contains("@OTHER@"));
    }
}
