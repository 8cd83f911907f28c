//! The commands by the official CLI's names: what worked there is typed here.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use support::Collection;
use support::official::{Official, Said, ours};
use xtask::registry::server::{Options, serve};

/// The same, with and without the word that the official CLI has before it.
fn both(collection: &Collection, arguments: &[&str]) -> Said {
    let plain = ours(collection.path(), arguments);
    let prefixed = ours(collection.path(), &[&["features"], arguments].concat());
    assert_eq!(prefixed.code, plain.code, "{arguments:?}: {} {}", prefixed.stderr, plain.stderr);
    assert_eq!(prefixed.stdout, plain.stdout, "{arguments:?}");
    prefixed
}

#[test]
fn a_command_is_known_with_and_without_features_before_it() {
    let root = tempfile::tempdir().unwrap();
    let registry = serve(root.path(), &Options::default()).unwrap();
    let collection = Collection::new();
    collection.feature("src/a", "1.0.0", "");
    collection.json("src/a", r#"{"id":"a","version":"1.0.0","name":"A"}"#);
    let package = both(&collection, &["package", "src", "-o", "target/out", "-f", "--log-level", "trace"]);
    assert_eq!(package.code, 0, "{}", package.stderr);
    assert!(collection.path().join("target/out/devcontainer-feature-a.tgz").is_file());
    let to = ["-r", &registry.host(), "-n", "o/r"];
    let dry = both(&collection, &[&["publish", "src", "--dry-run", "--json"], &to[..]].concat());
    assert!(dry.stdout.contains("\"version\":\"1.0.0\""), "{}", dry.stdout);
    let publish =
        ours(collection.path(), &[&["features", "publish", "src", "--log-level", "debug"], &to[..]].concat());
    assert!(publish.stdout.starts_with("{\"a\":{\"publishedTags\""), "{}", publish.stderr);
    let reference = format!("{}/o/r/a:1", registry.host());
    let info = both(&collection, &["info", "tags", &reference, "--output-format", "json"]);
    assert!(info.stdout.contains("\"1.0.0\""), "{}", info.stdout);
    let config = format!(r#"{{"image":"x","features":{{"{reference}":{{}}}}}}"#);
    collection.file("ws/.devcontainer/devcontainer.json", &config, 0o644);
    let resolved = both(&collection, &["resolve-dependencies", "--workspace-folder", "ws"]);
    assert!(resolved.stdout.contains("installOrder"), "{}", resolved.stdout);
    let docs = both(&collection, &["generate-docs", "-p", "src", "-n", "o/r", "--log-level", "info"]);
    assert_eq!(docs.code, 0, "{}", docs.stderr);
    assert!(collection.path().join("src/a/README.md").is_file());
    for level in ["error", "loud"] {
        for command in ["package", "publish", "generate-docs"] {
            assert_eq!(both(&collection, &[command, "--log-level", level]).code, 2, "{command} {level}");
        }
    }
}

/// One command line for both programs: what the official CLI is called with in somebody's workflow.
#[test]
fn a_command_line_of_the_official_cli_works_as_it_is() {
    let Some(official) = Official::find() else {
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let registry = serve(root.path(), &Options::default()).unwrap();
    let host = registry.host();
    let reference = format!("{host}/o/f/a:1");
    let command_lines: [&[&str]; 9] = [
        &["features", "package", "features", "-o", "out", "--log-level", "info"],
        &["features", "package", "features", "-o", "out", "-f", "--log-level", "trace"],
        &["features", "publish", "features", "-r", &host, "-n", "o/f", "--log-level", "info"],
        &["features", "info", "manifest", &reference, "--output-format", "json", "--log-level", "info"],
        &["features", "info", "tags", &reference, "--output-format", "json"],
        &["features", "resolve-dependencies", "--workspace-folder", "ws", "--log-level", "error"],
        &["features", "generate-docs", "-p", "features", "-n", "o/f", "--log-level", "info"],
        &["templates", "publish", "templates", "-r", &host, "-n", "o/t", "--log-level", "info"],
        &["templates", "generate-docs", "-p", "templates", "--log-level", "info"],
    ];
    for program in ["official", "ours"] {
        let collection = Collection::new();
        collection.feature("features/a", "1.0.0", "");
        collection.json("features/a", r#"{"id":"a","version":"1.0.0","name":"A"}"#);
        collection.template("templates/t", "1.0.0", "");
        let json = r#"{"id":"t","version":"1.0.0","name":"T"}"#;
        collection.file("templates/t/devcontainer-template.json", json, 0o644);
        let config = format!(r#"{{"image":"x","features":{{"{reference}":{{}}}}}}"#);
        collection.file("ws/.devcontainer/devcontainer.json", &config, 0o644);
        if program == "ours" {
            // Other archives of the same release are none of this test's business.
            std::fs::remove_dir_all(root.path().join("repositories")).unwrap();
        }
        for arguments in command_lines {
            let Said { code, stderr, .. } = match program {
                "official" => official.run(collection.path(), arguments),
                _ => ours(collection.path(), arguments),
            };
            assert_eq!(code, 0, "{program} {arguments:?}: {stderr}");
        }
    }
}
