//! Targets and folders that are not right: how each program ends.

use std::path::{Path, PathBuf};

use super::programs::{BOTH, Programs, Which};
use crate::support::Collection;

/// What is wrong, and the exit codes.
struct Input {
    name: &'static str,
    /// Makes it, and returns the target.
    make: fn(&Collection) -> PathBuf,
    official: i32,
    ours: i32,
}

/// A collection of one Feature with this text as its devcontainer-feature.json.
fn with_json(collection: &Collection, text: &str) -> PathBuf {
    collection.feature("good", "1.0.0", "");
    collection.feature("a", "1.0.0", "");
    collection.json("a", text);
    collection.path().to_owned()
}

/// What ours refuses with 3 the official CLI packs, or refuses with 1; on what is no target they agree.
const INPUTS: &[Input] = &[
    Input { name: "no such target", make: |c| c.path().join("none"), official: 1, ours: 1 },
    Input { name: "an empty folder", make: |c| c.path().to_owned(), official: 1, ours: 1 },
    Input {
        name: "a folder without Features",
        make: |c| {
            c.file("a/install.sh", "", 0o755);
            c.path().to_owned()
        },
        official: 1,
        ours: 1,
    },
    Input {
        name: "a file as target",
        make: |c| {
            c.feature("a", "1.0.0", "");
            c.path().join("a/install.sh")
        },
        official: 1,
        ours: 1,
    },
    Input {
        name: "the Features are in src",
        make: |c| {
            c.file("src/a/devcontainer-feature.json", r#"{"id":"a","version":"1.0.0","name":"A"}"#, 0o644);
            c.file("src/a/install.sh", "", 0o755);
            c.path().to_owned()
        },
        official: 1,
        ours: 0,
    },
    Input {
        name: "a script with the line ends of Windows",
        make: |c| {
            c.feature("a", "1.0.0", "");
            c.file("a/install.sh", "#!/bin/sh\r\n", 0o755);
            c.path().to_owned()
        },
        official: 0,
        ours: 3,
    },
    Input { name: "an empty file", make: |c| with_json(c, ""), official: 1, ours: 3 },
    Input { name: "a list", make: |c| with_json(c, "[]"), official: 1, ours: 3 },
    Input {
        name: "no id",
        make: |c| with_json(c, r#"{"version":"1.0.0","name":"A"}"#),
        official: 1,
        ours: 3,
    },
    Input { name: "no version", make: |c| with_json(c, r#"{"id":"a","name":"A"}"#), official: 1, ours: 3 },
    Input {
        name: "no name",
        make: |c| with_json(c, r#"{"id":"a","version":"1.0.0"}"#),
        official: 1,
        ours: 3,
    },
    Input {
        name: "a brace is missing",
        make: |c| with_json(c, r#"{"id":"a","version":"1.0.0","name":"A""#),
        official: 0,
        ours: 3,
    },
    Input {
        name: "an unknown property",
        make: |c| with_json(c, r#"{"id":"a","version":"1.0.0","name":"A","nmae":"A"}"#),
        official: 0,
        ours: 3,
    },
    Input {
        name: "an option of an unknown type",
        make: |c| {
            with_json(
                c,
                r#"{"id":"a","version":"1.0.0","name":"A","options":{"o":{"type":"number","default":1}}}"#,
            )
        },
        official: 0,
        ours: 3,
    },
    Input {
        name: "no semantic version",
        make: |c| with_json(c, r#"{"id":"a","version":"1.0","name":"A"}"#),
        official: 0,
        ours: 3,
    },
    Input {
        name: "build metadata",
        make: |c| with_json(c, r#"{"id":"a","version":"1.0.0+b","name":"A"}"#),
        official: 0,
        ours: 3,
    },
    Input {
        name: "another id than the folder's",
        make: |c| with_json(c, r#"{"id":"b","version":"1.0.0","name":"A"}"#),
        official: 0,
        ours: 3,
    },
    Input {
        name: "an id that names no repository",
        make: |c| {
            c.json("a b", r#"{"id":"a b","version":"1.0.0","name":"A"}"#);
            c.file("a b/install.sh", "", 0o755);
            c.path().to_owned()
        },
        official: 0,
        ours: 3,
    },
    Input {
        name: "no install.sh in a collection",
        make: |c| {
            c.json("a", r#"{"id":"a","version":"1.0.0","name":"A"}"#);
            c.path().to_owned()
        },
        official: 1,
        ours: 3,
    },
    Input {
        name: "no install.sh in a Feature",
        make: |c| {
            c.json("a", r#"{"id":"a","version":"1.0.0","name":"A"}"#);
            c.path().join("a")
        },
        official: 0,
        ours: 3,
    },
    Input {
        name: "two Features of one id",
        make: |c| {
            c.feature("a", "1.0.0", "");
            c.feature("b", "1.0.0", "");
            c.json("b", r#"{"id":"a","version":"1.0.0","name":"A"}"#);
            c.path().to_owned()
        },
        official: 0,
        ours: 3,
    },
];

#[test]
fn each_ends_with_its_exit_code() {
    let Some(programs) = Programs::find() else {
        return;
    };
    for input in INPUTS {
        let collection = Collection::new();
        let target = (input.make)(&collection);
        let out = tempfile::tempdir().unwrap();
        for (which, code) in [(Which::Official, input.official), (Which::Ours, input.ours)] {
            let output = out.path().join(format!("{which:?}"));
            let ran = programs.package(which, &target, &output);
            assert_eq!(
                (ran.code, ran.stdout.as_str()),
                (code, ""),
                "{}: {which:?}: {}",
                input.name,
                ran.stderr
            );
            // Ours never leaves half of it.
            assert!(which == Which::Official || output.exists() == (code == 0), "{}", input.name);
        }
    }
}

#[test]
fn an_output_folder_that_exists_is_replaced_only_by_force() {
    let Some(programs) = Programs::find() else {
        return;
    };
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    for which in BOTH {
        let out = tempfile::tempdir().unwrap();
        let package = |more: &[&str], output: &Path| {
            let mut args: Vec<&std::ffi::OsStr> =
                vec!["package".as_ref(), "--output-folder".as_ref(), output.as_ref()];
            args.extend(more.iter().map(std::ffi::OsStr::new));
            args.push(collection.path().as_ref());
            programs.run(which, &args)
        };
        let output = out.path().join("deep/output");
        let codes = [&[][..], &[], &["-f"], &["--force-clean-output-folder"]].map(|more| {
            let ran = package(more, &output);
            assert_eq!(ran.stdout, "");
            ran.code
        });
        assert_eq!(codes, [0, 1, 0, 0], "{which:?}");
        // Somebody's own file: the official CLI deletes it.
        let own = output.join("thesis.odt");
        std::fs::write(&own, "").unwrap();
        let ran = package(&["-f"], &output);
        let (code, kept) = if which == Which::Official { (0, false) } else { (1, true) };
        assert_eq!((ran.code, own.exists()), (code, kept), "{which:?}: {}", ran.stderr);
    }
}

#[test]
fn a_publish_that_cannot_be_ends_with_its_exit_code() {
    let Some(programs) = Programs::find() else {
        return;
    };
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    for (which, code) in [(Which::Official, 1), (Which::Ours, 5)] {
        let ran = programs.publish(which, collection.path(), closed);
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{which:?}: {}", ran.stderr);
        let ran = programs.publish(which, &collection.path().join("none"), closed);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{which:?}: {}", ran.stderr);
        let ran =
            programs.run(which, &["publish".as_ref(), "--no-such-flag".as_ref(), collection.path().as_ref()]);
        let code = if which == Which::Official { 1 } else { 2 };
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{which:?}: {}", ran.stderr);
    }
}
