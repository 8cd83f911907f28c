//! What is not packed unless its author asks for it: secrets, histories and litter.

/// Names that are left out wherever they appear, in lower case.
const NAMES: &[&str] = &[
    // Histories.
    ".git",
    ".hg",
    ".svn",
    ".bzr",
    ".jj",
    // Secrets.
    ".envrc",
    ".netrc",
    "_netrc",
    ".git-credentials",
    ".pgpass",
    ".ssh",
    ".gnupg",
    ".aws",
    // What tools keep or fetch for themselves.
    "node_modules",
    "__pycache__",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    // Editors.
    ".idea",
    ".vs",
    ".vscode",
    // Operating systems.
    ".appledouble",
    ".directory",
    ".ds_store",
    ".fseventsd",
    ".spotlight-v100",
    ".trashes",
    "$recycle.bin",
    "desktop.ini",
    "ehthumbs.db",
    "thumbs.db",
];

/// Endings of editors' swap and backup files, and of what a merge leaves.
const ENDINGS: &[&str] = &[".swp", ".swo", ".swx", "~", ".orig", ".rej", ".pyc"];

/// Beginnings of locks, of what macOS keeps beside a file, and of what a network file system keeps
/// of a deleted one.
const BEGINNINGS: &[&str] = &[".#", "._", ".~lock.", ".nfs0", ".fuse_hidden"];

/// Environment files that hold examples, and no secrets.
const ENV_EXAMPLES: &[&str] = &[".env.example", ".env.sample", ".env.template"];

/// Whether a file or folder of this name stays out of every archive.
pub fn is_excluded(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str())
        || (is_environment_file(&name) && !ENV_EXAMPLES.contains(&name.as_str()))
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || (name.len() > 1 && name.starts_with('#') && name.ends_with('#'))
}

/// Whether it is an environment file. A Template may need one; a Feature never does.
pub fn is_environment_file(name: &str) -> bool {
    let rest = name.to_ascii_lowercase();
    rest.strip_prefix(".env").is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

/// Whether it holds settings of an editor that a project shares. A Template may bring them.
pub fn is_editor_settings(name: &str) -> bool {
    name == ".vscode"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in [
            ".git",
            ".env",
            ".env.local",
            "node_modules",
            ".DS_Store",
            "a.swp",
            ".install.sh.swo",
            "a~",
            ".#a",
            "#a#",
            ".ENV",
            ".Env.Production",
            ".env-production",
            ".env_local",
            ".env~",
            "Thumbs.DB",
            "._install.sh",
            "x.sh.orig",
            ".ssh",
            ".nfs000000001",
        ] {
            assert!(is_excluded(name), "{name}");
        }
        for name in [
            "install.sh",
            ".gitignore",
            ".gitattributes",
            "env",
            ".env.example",
            ".envrc.md",
            "git",
            "#",
            ".npmrc",
            "id_rsa",
            "x.pem",
            ".nfs",
            "_",
            "environment",
            ".environment",
            ".environ.d",
        ] {
            assert!(!is_excluded(name), "{name}");
        }
    }
}
