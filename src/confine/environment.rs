//! The environment of the agent's cell: what is listed in [`table`], a few variables set anew, and nothing else. Pure.
//!
//! A list of what to take away would have to know every program's next way to hand over an identity.

pub mod search_path;
pub mod table;
pub mod value;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::places::Places;

/// The `PATH` once more, for the private home's `.profile`: a login shell begins with the system's.
pub const PATH_AGAIN: &str = "AGENT_SANDBOX_PATH";

/// Where nobody says what `PATH` is.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is set whatever it was before, beside what depends on [`Places`].
const SET: [(&str, &str); 6] = [
    // The editor's extension could not be reached from the cell, and `code` is not there to install it.
    ("CLAUDE_CODE_IDE_SKIP_AUTO_INSTALL", "1"),
    ("GIT_ASKPASS", "/bin/false"),
    // Read last, and an empty helper ends the list of those that were configured before.
    ("GIT_CONFIG_COUNT", "1"),
    ("GIT_CONFIG_KEY_0", "credential.helper"),
    ("GIT_CONFIG_VALUE_0", ""),
    ("GIT_TERMINAL_PROMPT", "0"),
];

/// The cell's environment, made of the caller's. `extra` are names that the policy lets pass as they are; what is set
/// anew is set all the same.
pub fn clean(
    from: impl IntoIterator<Item = (OsString, OsString)>,
    places: &Places,
    extra: &[String],
) -> Vec<(OsString, OsString)> {
    let mut seen = HashSet::new();
    let from: Vec<_> = from.into_iter().filter(|(name, _)| seen.insert(name.clone())).collect();
    let path = from.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
    let set = set_anew(path, places);
    let is_set = |name: &OsStr| set.iter().any(|(other, _)| other == name);
    let mut passed: Vec<(OsString, OsString)> = from
        .into_iter()
        .filter(|(name, _)| !is_set(name))
        .filter_map(|(name, value)| {
            let listed = name.to_str()?;
            let value = if extra.iter().any(|extra| extra == listed) {
                value
            } else {
                value::passed(table::rule(listed)?, value, places)?
            };
            Some((name, value))
        })
        .collect();
    for (name, folder) in &places.toolchains {
        if !passed.iter().any(|(other, _)| other == name) {
            passed.push((name.into(), folder.into()));
        }
    }
    passed.extend(set);
    passed
}

fn set_anew(path: Option<&OsStr>, places: &Places) -> Vec<(OsString, OsString)> {
    let path = search_path::clean(path.unwrap_or(OsStr::new(USUAL_PATH)));
    let path = search_path::with_first(&places.home.join(".local/bin"), &path);
    let mut set: Vec<(OsString, OsString)> =
        SET.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let mut put = |name: &str, value: &OsStr| set.push((name.into(), value.to_owned()));
    put("HOME", places.home.as_os_str());
    // tmux and screen have other folders built in, which the cell cannot write.
    for name in ["TMPDIR", "TMP", "TEMP", "CLAUDE_CODE_TMPDIR", "TMUX_TMPDIR"] {
        put(name, places.temporary.as_os_str());
    }
    put("SCREENDIR", places.temporary.join("screen").as_os_str());
    if let Some(options) = java_options(places) {
        put("JAVA_TOOL_OPTIONS", &options);
    }
    put("PATH", &path);
    put(PATH_AGAIN, &path);
    if let Some(config) = &places.config {
        put(crate::claude_config::VARIABLE, config.as_os_str());
    }
    set
}

/// Java asks neither `HOME` nor `TMPDIR`: it has the home of the user database, and `/tmp`. It says in a line on standard
/// error that it heeds this. A path with a blank would need quotes, which Java's versions read differently.
fn java_options(places: &Places) -> Option<OsString> {
    let mut options = OsString::from("-Duser.home=");
    options.push(&places.home);
    options.push(" -Djava.io.tmpdir=");
    options.push(&places.temporary);
    let blanks =
        options.as_bytes().iter().filter(|byte| byte.is_ascii_whitespace() || b"\"'".contains(byte)).count();
    (blanks == 1).then_some(options)
}

/// Whether a path belongs to an editor's server, whose programs are bridges to it.
fn is_editors(path: &Path) -> bool {
    let server = path.iter().any(|part| {
        let part = part.as_bytes();
        part.starts_with(b".vscode")
            || part.starts_with(b"vscode-")
            || (part.starts_with(b".") && part.ends_with(b"-server"))
            || part == b"remote-cli"
    });
    server || path.starts_with("/vscode") || path.starts_with("/.codespaces")
}

/// README's table of what passes.
pub fn documentation() -> String {
    let mut text = "| passes | how | why |\n|---|---|---|".to_owned();
    let rows = table::TABLE.iter().map(|row| {
        let names: Vec<_> = row.names.iter().map(|name| format!("`{name}`")).collect();
        format!("\n| {} | {} | {} |", names.join(", "), row.rule.words(), row.why)
    });
    text.extend(rows);
    text
}

#[cfg(test)]
mod tests;
