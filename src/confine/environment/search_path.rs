//! Lists of folders to look in, as `PATH` is one. Pure.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use super::is_editors;

/// The entries that are absolute, and not an editor's, each once. Empty and relative ones mean the current folder,
/// which is whoever's.
pub fn clean(list: &OsStr) -> OsString {
    let mut kept: Vec<&[u8]> = Vec::new();
    for entry in list.as_bytes().split(|byte| *byte == b':') {
        let path = Path::new(OsStr::from_bytes(entry));
        if path.is_absolute() && !is_editors(path) && !kept.contains(&entry) {
            kept.push(entry);
        }
    }
    OsString::from_vec(kept.join(&b':'))
}

/// The list with this folder before all others.
pub fn with_first(folder: &Path, list: &OsStr) -> OsString {
    let mut first = folder.as_os_str().to_owned();
    for entry in list.as_bytes().split(|byte| *byte == b':') {
        if !entry.is_empty() && entry != folder.as_os_str().as_bytes() {
            first.push(":");
            first.push(OsStr::from_bytes(entry));
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays() {
        for (list, want) in [
            ("/usr/bin:/bin", "/usr/bin:/bin"),
            ("/usr/bin::/bin:.:node_modules/.bin:", "/usr/bin:/bin"),
            ("/bin:/usr/bin:/bin", "/bin:/usr/bin"),
            (
                "/home/vscode/.vscode-server/bin/0/bin/remote-cli:/home/vscode/.local/bin",
                "/home/vscode/.local/bin",
            ),
            ("/vscode/bin/linux-x64/0/bin/remote-cli:/bin", "/bin"),
            ("/home/x/.cursor-server/cli:/home/x/.windsurf-server/bin:/tmp/vscode-x/bin:/bin", "/bin"),
            (
                "/home/x/.cargo/bin:/home/x/.nvm/versions/node/v22/bin",
                "/home/x/.cargo/bin:/home/x/.nvm/versions/node/v22/bin",
            ),
            ("", ""),
        ] {
            assert_eq!(clean(OsStr::new(list)), want);
        }
    }

    #[test]
    fn first_and_once() {
        let first = |list: &str| with_first(Path::new("/h/.local/bin"), OsStr::new(list));
        assert_eq!(first("/bin:/h/.local/bin"), "/h/.local/bin:/bin");
        assert_eq!(first(""), "/h/.local/bin");
    }
}
