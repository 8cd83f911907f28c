//! Git's settings that are carried: listed keys of the user's own files, read strictly (git-config(1), "Syntax"). Pure.
//!
//! Files that these include are not read. A file that git itself would refuse gives nothing. Patterns of what git ignores
//! are carried as a file of their own, since the cell need not be able to read the user's.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

/// What a value may be.
#[derive(Clone, Copy)]
enum Kind {
    /// Anything that can be printed.
    Text,
    /// A word or a number.
    Word,
    /// A folder whose repositories are trusted, whoever they belong to: containers mount others' files.
    Directory,
}

/// None of these runs a program, names a login, or sends anything elsewhere.
const KEYS: [(&str, &str, Kind); 51] = [
    ("branch", "autosetupmerge", Kind::Word),
    ("branch", "autosetuprebase", Kind::Word),
    ("branch", "sort", Kind::Word),
    ("color", "ui", Kind::Word),
    ("column", "ui", Kind::Word),
    ("commit", "cleanup", Kind::Word),
    ("commit", "status", Kind::Word),
    ("commit", "verbose", Kind::Word),
    ("core", "abbrev", Kind::Word),
    ("core", "autocrlf", Kind::Word),
    ("core", "eol", Kind::Word),
    ("core", "filemode", Kind::Word),
    ("core", "quotepath", Kind::Word),
    ("core", "safecrlf", Kind::Word),
    ("core", "whitespace", Kind::Word),
    ("diff", "algorithm", Kind::Word),
    ("diff", "colormoved", Kind::Word),
    ("diff", "mnemonicprefix", Kind::Word),
    ("diff", "noprefix", Kind::Word),
    ("diff", "renamelimit", Kind::Word),
    ("diff", "renames", Kind::Word),
    ("diff", "submodule", Kind::Word),
    ("fetch", "prune", Kind::Word),
    ("fetch", "prunetags", Kind::Word),
    ("grep", "linenumber", Kind::Word),
    ("init", "defaultbranch", Kind::Word),
    ("init", "defaultobjectformat", Kind::Word),
    ("log", "date", Kind::Word),
    ("log", "decorate", Kind::Word),
    ("merge", "conflictstyle", Kind::Word),
    ("merge", "ff", Kind::Word),
    ("merge", "renamelimit", Kind::Word),
    ("pull", "ff", Kind::Word),
    ("pull", "rebase", Kind::Word),
    ("push", "autosetupremote", Kind::Word),
    ("push", "default", Kind::Word),
    ("push", "followtags", Kind::Word),
    ("rebase", "autosquash", Kind::Word),
    ("rebase", "autostash", Kind::Word),
    ("rebase", "updaterefs", Kind::Word),
    ("rerere", "autoupdate", Kind::Word),
    ("rerere", "enabled", Kind::Word),
    ("safe", "directory", Kind::Directory),
    ("stash", "showpatch", Kind::Word),
    ("status", "short", Kind::Word),
    ("status", "showuntrackedfiles", Kind::Word),
    ("submodule", "recurse", Kind::Word),
    ("tag", "sort", Kind::Word),
    ("user", "email", Kind::Text),
    ("user", "name", Kind::Text),
    ("user", "useconfigonly", Kind::Word),
];

/// No name is longer.
const MAX_VALUE: usize = 1024;

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    section: String,
    /// Sections with a second name are of no key that is carried.
    has_subsection: bool,
    key: String,
    value: Option<String>,
}

/// The file to include, from the texts in the order that git reads them.
pub(super) fn carried<'a>(texts: impl Iterator<Item = &'a String>, real_home: &Path) -> Option<String> {
    let mut carried = String::new();
    for entry in texts.filter_map(|text| read(text)).flatten() {
        let listed = |(section, key, _): &&(&str, &str, Kind)| *section == entry.section && *key == entry.key;
        let kind = KEYS.iter().find(listed).filter(|_| !entry.has_subsection).map(|(_, _, kind)| *kind);
        if let Some(value) = kind.and_then(|kind| value(kind, entry.value.as_deref(), real_home)) {
            put(&mut carried, &entry.section, &entry.key, &value);
        }
    }
    let head = "# Made by agent-sandbox from the user's own settings. What is changed here stays, and is not followed up.\n";
    (!carried.is_empty()).then(|| head.to_owned() + &carried)
}

/// Where the user's own patterns of ignored files are: what the texts say last, if it is called so.
pub(super) fn excludes<'a>(texts: impl Iterator<Item = &'a String>, real_home: &Path) -> Option<PathBuf> {
    let entries = texts.filter_map(|text| read(text)).flatten();
    let said = entries.filter(|e| e.section == "core" && !e.has_subsection && e.key == "excludesfile").last();
    let path = said?.value.and_then(|value| in_home(&value, real_home)).map(PathBuf::from)?;
    is_for_ignored(&path).then_some(path)
}

/// Whether a file's name says that it has such patterns.
pub(super) fn is_for_ignored(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.contains("ignore") || name.contains("exclude")
}

/// The patterns of such a file.
pub(super) fn patterns(text: &str) -> Option<String> {
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    (!lines.is_empty()).then(|| lines.join("\n") + "\n")
}

/// An absolute path, where `~` is the real home.
fn in_home(value: &str, real_home: &Path) -> Option<String> {
    match value.strip_prefix("~/") {
        Some(rest) => Some(real_home.join(rest).to_str()?.to_owned()),
        None => value.starts_with('/').then(|| value.to_owned()),
    }
}

fn value(kind: Kind, value: Option<&str>, real_home: &Path) -> Option<String> {
    let Some(value) = value else { return matches!(kind, Kind::Word).then(|| "true".to_owned()) };
    if value.len() > MAX_VALUE || value.chars().any(char::is_control) {
        return None;
    }
    match kind {
        Kind::Text => Some(value.to_owned()),
        Kind::Word => {
            let plain = |sign: char| sign.is_ascii_alphanumeric() || "._/+-,".contains(sign);
            value.chars().all(plain).then(|| value.to_owned())
        }
        Kind::Directory if value.is_empty() || value == "*" => Some(value.to_owned()),
        Kind::Directory => in_home(value, real_home),
    }
}

fn put(carried: &mut String, section: &str, key: &str, value: &str) {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    let _ = writeln!(carried, "[{section}]\n\t{key} = \"{value}\"");
}

/// All entries of a file, or nothing if it is none.
fn read(text: &str) -> Option<Vec<Entry>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let mut signs = text.chars().peekable();
    let mut section: Option<(String, bool)> = None;
    let mut entries = Vec::new();
    while let Some(sign) = signs.next() {
        match sign {
            '#' | ';' => while signs.next().is_some_and(|sign| sign != '\n') {},
            '[' => section = Some(header(&mut signs)?),
            _ if sign.is_ascii_whitespace() => {}
            _ if sign.is_ascii_alphabetic() => {
                let (section, has_subsection) = section.clone()?;
                let mut key = sign.to_ascii_lowercase().to_string();
                while let Some(sign) = signs.next_if(|sign| sign.is_ascii_alphanumeric() || *sign == '-') {
                    key.push(sign.to_ascii_lowercase());
                }
                while signs.next_if(|sign| matches!(sign, ' ' | '\t')).is_some() {}
                let value = match signs.next() {
                    None | Some('\n') => None,
                    Some('=') => Some(read_value(&mut signs)?),
                    Some(_) => return None,
                };
                entries.push(Entry { section, has_subsection, key, value });
            }
            _ => return None,
        }
    }
    Some(entries)
}

/// What stands between brackets, in lower case, and whether there is a second name.
fn header(signs: &mut Peekable<Chars<'_>>) -> Option<(String, bool)> {
    let mut name = String::new();
    loop {
        match signs.next()? {
            ']' => return (!name.is_empty()).then_some((name, false)),
            sign if sign.is_ascii_alphanumeric() || matches!(sign, '.' | '-') => {
                name.push(sign.to_ascii_lowercase());
            }
            ' ' | '\t' => break,
            _ => return None,
        }
    }
    while signs.next_if(|sign| matches!(sign, ' ' | '\t')).is_some() {}
    if signs.next()? != '"' {
        return None;
    }
    loop {
        match signs.next()? {
            '"' => return (signs.next()? == ']').then_some((name, true)),
            '\n' => return None,
            '\\' if signs.next()? == '\n' => return None,
            _ => {}
        }
    }
}

fn read_value(signs: &mut Peekable<Chars<'_>>) -> Option<String> {
    let (mut value, mut spaces) = (String::new(), String::new());
    let (mut quoted, mut comment) = (false, false);
    loop {
        let sign = match signs.next() {
            None | Some('\n') if quoted => return None,
            None | Some('\n') => return Some(value),
            Some(sign) => sign,
        };
        if comment {
            continue;
        }
        if !quoted && sign.is_ascii_whitespace() {
            if !value.is_empty() {
                spaces.push(sign);
            }
            continue;
        }
        if !quoted && matches!(sign, '#' | ';') {
            comment = true;
            continue;
        }
        value.push_str(&std::mem::take(&mut spaces));
        match sign {
            '"' => quoted = !quoted,
            '\\' => match signs.next()? {
                '\n' => {}
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'b' => value.push('\u{8}'),
                sign @ ('\\' | '"') => value.push(sign),
                _ => return None,
            },
            sign => value.push(sign),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    fn carry(text: &str) -> String {
        carried([text.to_owned()].iter(), Path::new("/home/x")).unwrap_or_default()
    }

    /// As git reads it; `None` where it refuses the file.
    fn git(text: &str) -> Option<Vec<(String, Option<String>)>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("c"), text).unwrap();
        let mut command = Command::new("git");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", folder.path());
        let output =
            command.args(["config", "--no-includes", "--list", "-z", "--file", "c"]).current_dir(&folder);
        let output = output.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let entry = |entry: &str| match entry.split_once('\n') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (entry.to_owned(), None),
        };
        output.status.success().then(|| text.split_terminator('\0').map(entry).collect())
    }

    #[test]
    fn names_and_harmless_settings() {
        let text = "\u{feff}# mine\n[User]\r\n\tname = \"A \\\"B\\\" C\" ; me\r\n\tEMail = a@b.example # x\n\
                    [core] autocrlf = input\n\texcludesFile = ~/.gitignore_global\n[pull]\n\trebase\n\
                    [safe]\n\tdirectory = *\n\tdirectory = /workspaces/x\n\tdirectory = relative\n";
        let carried = carry(text);
        assert_eq!(
            git(&carried).unwrap(),
            [
                ("user.name", "A \"B\" C"),
                ("user.email", "a@b.example"),
                ("core.autocrlf", "input"),
                ("pull.rebase", "true"),
                ("safe.directory", "*"),
                ("safe.directory", "/workspaces/x"),
            ]
            .map(|(key, value)| (key.to_owned(), Some(value.to_owned())))
        );
    }

    #[test]
    fn nothing_that_runs_logs_in_or_leads_elsewhere() {
        for entry in [
            "[credential]\n\thelper = store",
            "[credential \"https://h.example\"]\n\thelper = !x",
            "[core]\n\tsshCommand = x\n\thooksPath = /x\n\tfsmonitor = x\n\teditor = x\n\tpager = x\n\taskPass = x",
            "[core]\n\tgitProxy = x\n\tattributesFile = /x\n\tworktree = /x\n\talternateRefsCommand = x",
            "[alias]\n\tst = !x",
            "[include]\n\tpath = x",
            "[includeIf \"gitdir:/\"]\n\tpath = x",
            "[url \"https://me:secret@h.example/\"]\n\tinsteadOf = https://h.example/",
            "[filter \"x\"]\n\tclean = x\n\tsmudge = x\n\tprocess = x",
            "[diff \"x\"]\n\ttextconv = x\n\tcommand = x",
            "[diff]\n\texternal = x\n\talgorithm = !x",
            "[merge \"x\"]\n\tdriver = x",
            "[gpg]\n\tprogram = x",
            "[gpg \"ssh\"]\n\tprogram = x\n\tdefaultKeyCommand = x",
            "[commit]\n\tgpgSign = true\n\ttemplate = /x",
            "[user]\n\tsigningKey = x",
            "[user \"x\"]\n\tname = x",
            "[user.x]\n\tname = x",
            "[user]\n\tname = \"a\\nb\"",
            "[http]\n\tproxy = x\n\textraHeader = x\n\tcookieFile = x\n\tsslKey = x",
            "[init]\n\ttemplateDir = /x",
            "[protocol]\n\tallow = always",
            "[remote \"x\"]\n\tuploadpack = x",
            "[safe]\n\tbareRepository = all",
            "[pager]\n\tlog = x",
            "[browser \"x\"]\n\tcmd = x",
            "[sequence]\n\teditor = x",
            "[trailer \"x\"]\n\tcommand = x",
            "[hook \"x\"]\n\tcommand = x\n\tevent = pre-commit",
        ] {
            assert!(git(entry).is_some(), "git does not read {entry}");
            assert_eq!(carry(&format!("{entry}\n")), "", "{entry}");
        }
    }

    #[test]
    fn what_git_refuses_gives_nothing() {
        for text in [
            "[user\nname = x\n",
            "[user]\n\tname = \"x\n",
            "[user]\n\tname = \\x\n",
            "[user]\n\t=x\n",
            "[us er]\n\tname = x\n",
            "[]\n[user]\n\tname = x\n",
            "[user \"a\nb\"]\n",
            "[user]\n\tname x\n",
            "[user] 1name = x\n",
        ] {
            assert_eq!((git(text), read(text)), (None, None), "{text}");
        }
    }

    #[test]
    fn an_entry_before_any_section_gives_nothing() {
        assert_eq!(read("name = x\n[user]\n\tname = y\n"), None);
    }

    #[test]
    fn ignored_files_as_the_user_has_them() {
        let excludes = |texts: &[&str]| {
            let texts: Vec<_> = texts.iter().map(|&text| text.to_owned()).collect();
            excludes(texts.iter(), Path::new("/home/x"))
        };
        let own = "[core]\n\texcludesFile = ~/.gitignore_global\n";
        assert_eq!(excludes(&[own]), Some("/home/x/.gitignore_global".into()));
        assert_eq!(excludes(&[own, "[core]\n\texcludesFile = /y/excludes\n"]), Some("/y/excludes".into()));
        for other in ["", "[core]\n\texcludesFile = ~/.ssh/id_ed25519\n", "[core]\n\texcludesFile = ignore\n"]
        {
            assert_eq!(excludes(&[other]), None, "{other}");
        }
        assert_eq!(patterns("# mine\n\n.DS_Store\n*.swp\n").as_deref(), Some(".DS_Store\n*.swp\n"));
        assert_eq!(patterns("# nothing\n"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Whatever we read of a file, git reads as well.
        #[test]
        fn git_reads_the_same(parts in proptest::collection::vec(
            prop_oneof![
                Just("[user]"), Just("[a \"b\"]"), Just("[a.B]"), Just("\n"), Just("name"), Just(" = "), Just("="),
                Just("\""), Just("\\"), Just("#"), Just(";"), Just(" "), Just("\t"), Just("x"), Just("\\n"), Just("\\\n"),
                Just("\r\n"), Just("["), Just("]"), Just("1-"), Just("\n[user]\n\tname = "),
            ], 0..14,
        )) {
            let text = parts.concat();
            if let Some(ours) = read(&text) {
                let theirs = git(&text);
                prop_assert!(theirs.is_some(), "git refuses {text:?}");
                let theirs = theirs.unwrap();
                let plain = |values: Vec<Option<String>>| values;
                let of_ours = ours.iter().filter(|e| e.section == "user" && !e.has_subsection && e.key == "name");
                let of_theirs = theirs.iter().filter(|(key, _)| key == "user.name");
                prop_assert_eq!(
                    plain(of_ours.map(|entry| entry.value.clone()).collect()),
                    plain(of_theirs.map(|(_, value)| value.clone()).collect()),
                    "{:?}", text
                );
            }
        }

        #[test]
        fn what_is_carried_is_one_name(name in "\\PC{0,40}") {
            let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
            let carried = carry(&format!("[user]\n\tname = \"{escaped}\"\n"));
            let entries = read(&carried).unwrap();
            prop_assert!(entries.len() == 1 && entries[0].value.as_deref() == Some(name.as_str()));
        }
    }
}
