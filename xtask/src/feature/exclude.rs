//! What is never packed, whoever asks: secrets, histories and litter.

/// Names that are left out wherever they appear.
const NAMES: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    ".env",
    ".netrc",
    "node_modules",
    "__pycache__",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
];

/// Endings of editors' swap and backup files.
const ENDINGS: &[&str] = &[".swp", ".swo", ".swx", "~"];

/// Environment files that hold examples, and no secrets.
const ENV_EXAMPLES: &[&str] = &[".env.example", ".env.sample", ".env.template"];

/// Whether a file or folder of this name stays out of every archive.
pub fn is_excluded(name: &str) -> bool {
    NAMES.contains(&name)
        || (name.starts_with(".env.") && !ENV_EXAMPLES.contains(&name))
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
        || name.starts_with(".#")
        || (name.len() > 1 && name.starts_with('#') && name.ends_with('#'))
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
        ] {
            assert!(is_excluded(name), "{name}");
        }
        for name in
            ["install.sh", ".gitignore", ".gitattributes", "env", ".env.example", ".envrc.md", "git", "#"]
        {
            assert!(!is_excluded(name), "{name}");
        }
    }
}
