//! Which values of a listed variable pass. Pure.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::table::Rule;
use super::{is_editors, search_path};
use crate::confine::places::Places;

/// Editors that a shell's `EDITOR` may name: what they open appears on the host.
const EDITORS: [&str; 10] = [
    "antigravity",
    "code",
    "code-insiders",
    "code-oss",
    "codium",
    "cursor",
    "positron",
    "trae",
    "vscodium",
    "windsurf",
];

/// What of `NODE_OPTIONS` loads no code. An editor's debugger has a `--require` there.
const NODE_OPTIONS: [&str; 7] = [
    "--dns-result-order=",
    "--enable-source-maps",
    "--max-old-space-size=",
    "--max-semi-space-size=",
    "--no-warnings",
    "--openssl-legacy-provider",
    "--use-system-ca",
];

/// The value as it arrives, if it does.
pub fn passed(rule: Rule, value: OsString, places: &Places) -> Option<OsString> {
    let text = value.to_str();
    let passes = match rule {
        Rule::AsItIs => true,
        Rule::Only(values) => text.is_some_and(|text| values.contains(&text)),
        Rule::Not(beginning) => text.is_some_and(|text| !text.starts_with(beginning)),
        Rule::Addresses => text.is_some_and(without_secret),
        Rule::Tcp => text.is_some_and(|text| text.starts_with("tcp://") && without_secret(text)),
        Rule::Folder => is_place(&value),
        Rule::WritableFolder => is_place(&value) && places.is_writable(Path::new(&value)),
        Rule::Editor => text.is_some_and(is_plain_editor),
        Rule::Folders => return some(search_path::clean(&value)),
        Rule::NodeOptions => return some(node_options(text?)?.into()),
    };
    passes.then_some(value)
}

fn some(value: OsString) -> Option<OsString> {
    Some(value).filter(|value| !value.is_empty())
}

fn is_place(value: &OsStr) -> bool {
    let path = Path::new(value);
    path.is_absolute() && !is_editors(path)
}

/// No user or password in front of the host, in whichever form, and no query: both are where tokens are.
pub fn without_secret(addresses: &str) -> bool {
    !addresses.contains(['@', '?', '#'])
}

fn is_plain_editor(command: &str) -> bool {
    let mut words = command.split_whitespace();
    words.next().is_some_and(|program| {
        let path = Path::new(program);
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        !is_editors(path) && !EDITORS.contains(&name)
    })
}

fn node_options(text: &str) -> Option<String> {
    if text.contains(['"', '\\']) {
        return None;
    }
    let harmless = |word: &&str| {
        NODE_OPTIONS.iter().any(|option| match option.strip_suffix('=') {
            Some(_) => word.starts_with(option),
            None => word == option,
        })
    };
    let words: Vec<_> = text.split_whitespace().filter(harmless).collect();
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn value(rule: Rule, text: &str) -> Option<String> {
        let places = Places {
            home: "/p/home".into(),
            temporary: "/p/tmp".into(),
            workspace: vec![PathBuf::from("/workspaces/x")],
            ..Places::default()
        };
        passed(rule, text.into(), &places).map(|value| value.into_string().unwrap())
    }

    #[test]
    fn what_passes_unchanged() {
        for (rule, text) in [
            (Rule::AsItIs, ""),
            (Rule::Only(&["true"]), "true"),
            (Rule::Not("vscode"), "iTerm.app"),
            (Rule::Addresses, "http://proxy.example:3128"),
            (Rule::Addresses, "https://a.example/npm/,direct"),
            (Rule::Addresses, "https://a.example/simple https://b.example/simple"),
            (Rule::Tcp, "tcp://docker:2375"),
            (Rule::Folder, "/usr/local/rustup"),
            (Rule::WritableFolder, "/workspaces/x/.cache"),
            (Rule::WritableFolder, "/p/home/go"),
            (Rule::Folders, "/workspaces/x/src:/usr/lib/python"),
            (Rule::Editor, "vim -u NONE"),
            (Rule::Editor, "/usr/bin/nano"),
            (Rule::NodeOptions, "--max-old-space-size=4096 --enable-source-maps"),
        ] {
            assert_eq!(value(rule, text).as_deref(), Some(text), "{rule:?}");
        }
    }

    #[test]
    fn what_does_not_pass() {
        for (rule, text) in [
            (Rule::Only(&["true"]), "/tmp/x.sock"),
            (Rule::Not("vscode"), "vscode"),
            (Rule::Addresses, "http://me:secret@proxy.example:3128"),
            (Rule::Addresses, "me:secret@proxy.example:3128"),
            (Rule::Addresses, "https://token@a.example/simple"),
            (Rule::Addresses, "https://a.example/simple https://me:secret@b.example/simple"),
            (Rule::Addresses, "https://a.example/?token=secret"),
            (Rule::Tcp, "unix:///var/run/docker.sock"),
            (Rule::Tcp, "ssh://me@host"),
            (Rule::Tcp, "/var/run/docker.sock"),
            (Rule::Tcp, "tcp://me:secret@docker:2375"),
            (Rule::Folder, "relative"),
            (Rule::Folder, "/home/x/.vscode-server/x"),
            (Rule::WritableFolder, "/usr/local/cargo"),
            (Rule::WritableFolder, "/workspaces/x/../y"),
            (Rule::WritableFolder, "/home/x/go"),
            (Rule::Folders, ":."),
            (Rule::Editor, "code --wait"),
            (Rule::Editor, "/home/x/.vscode-server/bin/0/bin/remote-cli/anything"),
            (Rule::Editor, " "),
            (Rule::NodeOptions, "--require /home/x/.vscode-server/bootloader.js"),
            (Rule::NodeOptions, "--require \"/a --no-warnings\""),
        ] {
            assert_eq!(value(rule, text), None, "{rule:?}: {text}");
        }
    }

    #[test]
    fn of_lists_the_good_part() {
        let mixed = "--require /x.js --max-old-space-size=4096 --inspect=0";
        assert_eq!(value(Rule::NodeOptions, mixed).as_deref(), Some("--max-old-space-size=4096"));
        assert_eq!(value(Rule::Folders, "src:/a:/home/x/.vscode-server/b").as_deref(), Some("/a"));
    }

    #[test]
    fn bytes_that_are_no_text() {
        use std::os::unix::ffi::OsStringExt as _;
        let places = Places::default();
        let bytes = || OsString::from_vec(vec![b'/', 0xff]);
        assert_eq!(passed(Rule::AsItIs, bytes(), &places), Some(bytes()));
        assert_eq!(passed(Rule::Addresses, bytes(), &places), None);
    }
}
