//! The README.md of each Feature and Template of a collection, side by side with the official CLI.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use support::Collection;
use support::official::{Official, Said, our_command, said};
use xtask::registry::server::{Options, serve};

const FILES: [&str; 2] = ["devcontainer-feature.json", "devcontainer-template.json"];

fn run(command: &mut Command) -> (i32, String, String) {
    let Said { code, stdout, stderr } = said(command);
    (code, stdout, stderr)
}

/// Features and Templates of every sort: each folder is both.
fn awkward(folder: &str) -> Collection {
    let collection = Collection::new();
    let add = |id: &str, json: &str| {
        for file in FILES {
            collection.file(&format!("{folder}{id}/{file}"), json, 0o644);
        }
    };
    add("plain", r#"{"id":"plain","version":"1.2.3","name":"Plain","description":"Does it."}"#);
    add("bare", r#"{"id":"bare"}"#);
    add(
        "nulls",
        r#"{"id":"nulls","version":null,"name":"","description":null,"options":null,"deprecated":0}"#,
    );
    add(
        "options",
        r#"// with comments
        {"id":"options","version":"10.0.0","name":"Ünï | 😀","description":"line\nbreak <b>","options":{
            "version":{"type":"string","proposals":["latest"],"default":"latest","description":"Which | one"},
            "10":{"type":"string","enum":["a","b"],"default":"a"},
            "9":{"type":"boolean","default":false,"description":"flag"},
            "on":{"type":"boolean","default":true,"description":""},
            "empty":{"type":"string","default":"","description":"e"},
            "nothing":{},
            "odd":{"type":["a",null,["b"]],"default":1.50,"description":{"x":1}},
            "null":{"type":"string","default":null},"large":{"default":1e999},
        },}"#,
    );
    add("no-options", r#"{"id":"no-options","version":"x","options":{}}"#);
    add(
        "editor",
        r#"{"id":"editor","version":"0.1.0","name":"E","customizations":{"vscode":{"extensions":["a.b","c.d"],"settings":{}}}}"#,
    );
    add("no-editor", r#"{"id":"no-editor","name":"N","customizations":{"vscode":{"extensions":[]}}}"#);
    add(
        "other-editor",
        r#"{"id":"other-editor","name":"O","customizations":{"jetbrains":{"plugins":["x"]}}}"#,
    );
    add("old", r#"{"id":"old","version":"2","name":"Old","deprecated":true}"#);
    add("renamed", r#"{"id":"renamed","version":"2.0","name":"R","legacyIds":["one","two"]}"#);
    add("both", r#"{"id":"Another","version":"3.1.0","name":"B","legacyIds":["x"],"deprecated":true}"#);
    collection.file(&format!("{folder}plain/NOTES.md"), "## Notes\r\n\r\n$HOME costs 5$.\n", 0o644);
    collection.file(&format!("{folder}old/README.md"), "what was there before\n", 0o600);
    let notes = collection.path().join(format!("{folder}bare/NOTES.md"));
    std::fs::write(notes, b"\xef\xbb\xbfmark \xff\xf0\x9f end").unwrap();
    collection.file(&format!("{folder}nothing/file"), "", 0o644);
    collection.file(&format!("{folder}.hidden/devcontainer-feature.json"), "{", 0o644);
    collection.file(&format!("{folder}LICENSE"), "", 0o644);
    collection
}

/// Every README.md below a folder.
fn readmes(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root) {
        let path = entry.unwrap().into_path();
        if path.file_name().unwrap() == "README.md" {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.insert(name, std::fs::read_to_string(path).unwrap());
        }
    }
    found
}

#[test]
fn both_write_the_same() {
    let Some(official) = Official::find() else {
        return;
    };
    let github = ["--github-owner", "Owner", "--github-repo", "repo"];
    let features = ["-n", "Owner/Features"];
    let cases: [(&str, &[&str]); 6] = [
        ("src/", &["-p", "src"]),
        ("src/", &["--project-folder", "./src"]),
        ("src/", &["-p", "src/"]),
        ("", &["-p", "."]),
        ("", &["-p", "./"]),
        ("deep/er/", &["-p", "./deep/../deep/er"]),
    ];
    for kind in ["features", "templates"] {
        for (index, (folder, place)) in cases.into_iter().enumerate() {
            let (theirs, our) = (awkward(folder), awkward(folder));
            let mut arguments = place.to_vec();
            // Without them it is a link to the file beside it.
            if index < 5 {
                arguments.extend(github);
            }
            if kind == "features" {
                arguments.extend(features);
                arguments.extend(["-r", "registry.example.com"].into_iter().take(2 * (index % 2)));
            }
            let mut command = official.command(theirs.path());
            let (code, stdout, stderr) = run(command.args([kind, "generate-docs"]).args(&arguments));
            assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
            let verb: &[&str] = if kind == "features" { &["docs"] } else { &["templates", "docs"] };
            let (code, stdout, stderr) = run(our_command(our.path()).args(verb).args(&arguments));
            assert_eq!((code, stdout.as_str()), (0, ""), "{arguments:?}: {stderr}");
            let (theirs, our) = (readmes(theirs.path()), readmes(our.path()));
            assert_eq!(our.len(), 11, "{our:?}");
            for (path, text) in &theirs {
                assert_eq!(our.get(path), Some(text), "{kind} {arguments:?} {path}");
            }
            assert_eq!(our.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
        }
    }
}

/// What leads nowhere is not written, and half a link is none.
#[test]
fn what_cannot_be_a_reference_or_a_link_is_refused() {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    collection.template("t", "1.0.0", "");
    let half = "the following required arguments were not provided";
    for (arguments, said) in [
        (&["docs", "-p", ".", "-n", "o/r", "-r", "foo/bar"][..], "\"foo/bar\" is not a registry"),
        (&["docs", "-p", ".", "-n", "a b"], "\"a b\" cannot name a repository"),
        (&["docs", "-p", ".", "-n", ""], "\"\" cannot name a repository"),
        (&["docs", "-p", ".", "-n", "o/r", "--github-owner", "o"], half),
        (&["features", "generate-docs", "-n", "o/r", "--github-repo", "r"], half),
        (&["templates", "docs", "--github-owner", "o"], half),
        (&["templates", "docs", "--github-repo", "r"], half),
        // Without -p they would say nothing.
        (&["docs", "-n", "o/r"], half),
        (&["docs", "-r", "ghcr.io"], half),
        (&["docs", "--github-owner", "o", "--github-repo", "r"], half),
    ] {
        let (code, stdout, stderr) = run(our_command(collection.path()).args(arguments));
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
        assert!(readmes(collection.path()).is_empty(), "{arguments:?}");
    }
    let link = ["--github-owner", "O", "--github-repo", "r"];
    for command in [&["features", "generate-docs", "-n", "o/r"][..], &["templates", "generate-docs"]] {
        let (code, _, stderr) = run(our_command(collection.path()).args(command).args(link));
        assert_eq!(code, 0, "{stderr}");
    }
    for (path, file) in [("a", "devcontainer-feature.json"), ("t", "devcontainer-template.json")] {
        let text = &readmes(collection.path())[&format!("{path}/README.md")];
        assert!(text.contains(&format!("(https://github.com/O/r/blob/main/./{path}/{file})")), "{text}");
    }
}

/// Where the two differ: a text is a text, whatever JavaScript makes of it.
#[test]
fn nothing_in_a_text_is_misread() {
    let collection = Collection::new();
    let description = "costs $$ and $& and $` and $' and #{Notes}";
    collection.feature("a", "1.0.0", &format!(r#","description":"{description}""#));
    collection.file("a/NOTES.md", "grep '^$' | sed 's/$&/x/' #{RepoUrl} #{Version}\n", 0o644);
    let docs = || run(our_command(collection.path()).args(["docs", "-p", ".", "-n", "o/r"]));
    assert_eq!(docs().0, 0);
    let text = std::fs::read_to_string(collection.path().join("a/README.md")).unwrap();
    assert_eq!(
        text,
        format!(
            "\n# The a (a)\n\n{description}\n\n## Example Usage\n\n```json\n\"features\": {{\n    \"ghcr.io/o/r/a:1\": {{}}\n}}\n```\n\n\n\ngrep '^$' | sed 's/$&/x/' #{{RepoUrl}} #{{Version}}\n\n\n---\n\n_Note: This file was auto-generated from the [devcontainer-feature.json](devcontainer-feature.json).  Add additional notes to a `NOTES.md`._\n"
        )
    );
    if let Some(official) = Official::find() {
        let command = &mut official.command(collection.path());
        assert_eq!(run(command.args(["features", "generate-docs", "-p", ".", "-n", "o/r"])).0, 0);
        let theirs = std::fs::read_to_string(collection.path().join("a/README.md")).unwrap();
        assert_ne!(theirs, text, "the official CLI no longer misreads it: this is no difference any more");
    }
}

/// The reference in a README.md is one that leads to something.
#[test]
fn a_pre_release_is_named_by_the_only_tag_that_it_gets() {
    let root = tempfile::tempdir().unwrap();
    let registry = serve(root.path(), &Options::default()).unwrap();
    let collection = Collection::new();
    collection.feature("a", "2.0.0-rc.1", "");
    let place = ["-r", &registry.host(), "-n", "o/r"];
    let (code, _, stderr) = run(our_command(collection.path()).args(["publish", "."]).args(place));
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = run(our_command(collection.path()).args(["docs", "-p", "."]).args(place));
    assert_eq!(code, 0, "{stderr}");
    let text = &readmes(collection.path())["a/README.md"];
    assert!(text.contains(&format!("\"{}/o/r/a:2.0.0-rc.1\": {{}}", registry.host())), "{text}");
    assert!(support::digest_of(registry.port(), "o/r/a", "2.0.0-rc.1").is_some());
    assert_eq!(support::digest_of(registry.port(), "o/r/a", "2"), None);
    if let Some(official) = Official::find() {
        let command = &mut official.command(collection.path());
        assert_eq!(run(command.args(["features", "generate-docs", "-p", ".", "-n", "o/r"])).0, 0);
        let theirs = &readmes(collection.path())["a/README.md"];
        assert!(theirs.contains("/o/r/a:2\""), "the official CLI names another tag now: {theirs}");
    }
}

#[test]
fn errors_are_errors_and_nothing_is_written() {
    let collection = awkward("");
    let write = |path: &str, text: &str| collection.file(path, text, 0o644);
    write(
        "editor/devcontainer-feature.json",
        r#"{"id":"editor","customizations":{"vscode":{"extensions":"a"}}}"#,
    );
    write("no-options/devcontainer-feature.json", r#"{"id":"","version":1,"options":{"o":1}}"#);
    write("old/devcontainer-feature.json", "{\"id\":\"old\",\n");
    write("plain/devcontainer-feature.json", "[]");
    write("renamed/devcontainer-feature.json", r#"{"version":"1.0.0","legacyIds":"x"}"#);
    let before = readmes(collection.path());
    for check in [&[][..], &["--check"]] {
        let (code, stdout, stderr) =
            run(our_command(collection.path()).args(["docs", "-p", ".", "-n", "o/r"]).args(check));
        assert_eq!((code, stdout.as_str()), (3, ""), "{stderr}");
        let lines: Vec<String> =
            stderr.lines().map(|line| line.replace("devcontainer-feature.json", "@")).collect();
        assert_eq!(
            lines,
            [
                "skipped ./nothing: no Feature in it",
                "error: ./editor/@: \"customizations.vscode.extensions\" must be a list, and is a string",
                "error: ./no-options/@: the required property \"id\" is empty",
                "error: ./no-options/@: \"version\" must be a string, and is a number",
                "error: ./no-options/@: \"options.o\" must be an object, and is a number",
                "error: ./old/@: line 1, column 1: unterminated object",
                "error: ./plain/@: the file must hold an object, and holds a list",
                "error: ./renamed/@: the required property \"id\" is missing",
                "error: ./renamed/@: \"legacyIds\" must be a list, and is a string",
            ]
        );
        assert_eq!(readmes(collection.path()), before);
    }
}

#[test]
fn check_writes_nothing_and_names_what_would_change() {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    collection.feature("b", "1.0.0", "");
    collection.template("t", "1.0.0", "");
    let features =
        |more: &[&str]| run(our_command(collection.path()).args(["docs", "-p", ".", "-n", "o/r"]).args(more));
    let (code, stdout, stderr) = features(&["--check"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_eq!(
        stderr,
        "skipped ./t: no Feature in it\nerror: ./a/README.md is out of date; run the same command without --check\nerror: ./b/README.md is out of date; run the same command without --check\n"
    );
    assert!(readmes(collection.path()).is_empty());
    assert_eq!(
        features(&[]).2.lines().skip(1).collect::<Vec<_>>(),
        ["wrote ./a/README.md", "wrote ./b/README.md"]
    );
    for more in [&["--check"][..], &[]] {
        let (code, stdout, stderr) = features(more);
        assert_eq!((code, stdout.as_str()), (0, ""));
        assert_eq!(stderr, "skipped ./t: no Feature in it\nall 2 README.md are up to date\n");
    }
    let written = std::fs::metadata(collection.path().join("a/README.md")).unwrap().modified().unwrap();
    collection.file("b/README.md", "edited by hand", 0o640);
    let (code, _, stderr) = features(&["--check"]);
    assert_eq!((code, stderr.contains("b/README.md"), stderr.contains("a/README.md")), (1, true, false));
    assert_eq!(features(&[]).0, 0);
    // What is up to date is left alone, and what is replaced keeps its mode.
    let file = std::fs::metadata(collection.path().join("a/README.md")).unwrap();
    assert_eq!(file.modified().unwrap(), written);
    let file = std::fs::metadata(collection.path().join("b/README.md")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o640);

    let templates =
        |more: &[&str]| run(our_command(collection.path()).args(["templates", "docs"]).args(more));
    let (code, _, stderr) = templates(&["--check"]);
    assert_eq!(
        (code, stderr.lines().last()),
        (1, Some("error: ./t/README.md is out of date; run the same command without --check"))
    );
    assert_eq!(templates(&[]).0, 0);
    assert_eq!(templates(&["--check"]).0, 0);
    assert_eq!(
        readmes(collection.path())["t/README.md"],
        "\n# The t (t)\n\n\n\n\n\n\n\n---\n\n_Note: This file was auto-generated from the [devcontainer-template.json](devcontainer-template.json).  Add additional notes to a `NOTES.md`._\n"
    );
}

#[test]
fn a_readme_is_replaced_and_never_written_through() {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("target");
    std::fs::write(&target, "somebody else's").unwrap();
    let readme = collection.path().join("a/README.md");
    std::os::unix::fs::symlink(&target, &readme).unwrap();
    let docs = || run(our_command(collection.path()).args(["docs", "-p", ".", "-n", "o/r"]));
    let (code, _, stderr) = docs();
    assert_eq!(code, 0, "{stderr}");
    assert!(readme.symlink_metadata().unwrap().is_file());
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "somebody else's");
    // What cannot be replaced is an error, and leaves nothing behind.
    std::fs::remove_file(&readme).unwrap();
    std::fs::create_dir(&readme).unwrap();
    let (code, _, stderr) = docs();
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: cannot write ./a/README.md: "), "{stderr}");
    let names: Vec<_> = std::fs::read_dir(collection.path().join("a")).unwrap().collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn a_checkout_names_its_namespace_and_its_src() {
    let collection = Collection::new();
    collection.file("src/a/devcontainer-feature.json", r#"{"id":"a","version":"1.0.0","name":"A"}"#, 0o644);
    let docs = |arguments: &[&str]| {
        run(our_command(collection.path())
            .args(["docs", "--github-owner", "o", "--github-repo", "r"])
            .args(arguments))
    };
    let (code, _, stderr) = docs(&["-p", "."]);
    assert_eq!(code, 1);
    assert!(stderr.contains("no namespace: ") && stderr.contains("-n owner/repository"), "{stderr}");
    for arguments in [&["init", "-q"][..], &["remote", "add", "origin", "https://github.com/Some/Where.git"]]
    {
        assert!(
            Command::new("git").args(arguments).current_dir(collection.path()).status().unwrap().success()
        );
    }
    // The folder with `src` in it, the collection, and one Feature: the same text.
    for folder in [".", "src", "src/a"] {
        let (code, _, stderr) = docs(&["-p", folder]);
        assert_eq!((code, stderr.lines().count() <= 1), (0, true), "{folder}: {stderr}");
        let text = &readmes(collection.path())["src/a/README.md"];
        assert!(text.contains("\"ghcr.io/some/where/a:1\": {}"), "{text}");
        assert!(
            text.contains("(https://github.com/o/r/blob/main/src/a/devcontainer-feature.json)"),
            "{text}"
        );
    }
    let (code, _, stderr) = docs(&["-p", "nowhere", "-n", "o/r"]);
    assert_eq!((code, stderr.contains("nowhere is not a folder")), (1, true), "{stderr}");
    // Flags that mean nothing without a folder.
    for arguments in [&["-n", "o/r"][..], &["-r", "x"], &["--github-owner", "o"]] {
        assert_eq!(run(our_command(collection.path()).arg("docs").args(arguments)).0, 2, "{arguments:?}");
    }
}
