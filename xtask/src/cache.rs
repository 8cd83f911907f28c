//! Heavy things that are the same for every run: outside the checkout, made again when missing.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The cache folder of this tool, made if it is not there (XDG Base Directory Specification).
pub fn folder() -> anyhow::Result<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let folder = base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("agent-sandbox");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// A file or folder of the cache; `make` writes it under another name first, so that a half-made one is never used.
pub fn file(name: &str, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
    let path = folder()?.join(name);
    if !path.exists() {
        let unfinished = folder()?.join(format!("{}.{name}", std::process::id()));
        let result = make(&unfinished).and_then(|()| Ok(std::fs::rename(&unfinished, &path)?));
        if result.is_err() {
            let _ = std::fs::remove_file(&unfinished).or_else(|_| std::fs::remove_dir_all(&unfinished));
        }
        result.with_context(|| format!("cannot make {}", path.display()))?;
    }
    Ok(path)
}
