//! Templates, side by side with the official CLI: what it publishes, what it reads, what it applies.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::docker_registry::DockerRegistry;
use support::official::{Official, Said, our_command, said};
use support::{Collection, digest_of, http};
use xtask::registry::server::{Options, serve};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Exit code and standard output; what else it says is shown where a test fails.
fn run(command: &mut Command) -> (i32, String) {
    let Said { code, stdout, stderr } = said(command);
    eprintln!("{command:?}: {code}\n{stderr}");
    (code, stdout)
}

/// Templates of every sort that can be published with both programs.
fn awkward() -> Collection {
    let collection = Collection::new();
    let configure = |id: &str, text: &str| {
        collection.file(&format!("{id}/.devcontainer/devcontainer.json"), text, 0o644);
    };
    collection.template(
        "image",
        "1.2.3",
        r#","description":"ünï <&> \"q\" 😀","documentationURL":"https://example.com","licenseURL":"https://example.com",
        "platforms":["Any","C++"],"publisher":"P","keywords":["k"],"type":"old","optionalPaths":[".github/*","docs/*","NOTES.md"],
        "options":{"variant":{"type":"string","description":"v","proposals":["12","13"],"default":"13"},
                   "level":{"type":"string","enum":["low","high"],"default":"high"},
                   "zsh":{"type":"boolean","description":"z","default":true},"2":{"type":"string","default":""}}"#,
    );
    configure(
        "image",
        "// head\n{\"image\":\"debian:${templateOption:variant}-${templateOption: level }\",\n\
         \"features\":{\"ghcr.io/Owner/features/Node:1\":{},\"./local\":{},\"node\":{},\
         \"ghcr.io/devcontainers-contrib/features/x@sha256:12\":{\"zsh\":\"${templateOption:zsh}\"}}}\n",
    );
    collection.file("image/.github/dependabot.yml", "version: 2\n", 0o644);
    collection.file("image/.env", "V=${templateOption:variant}${templateOption:2}\n", 0o644);
    collection.file("image/docs/a.md", "$& ${templateOption:undeclared}ünï\n", 0o644);
    collection.file("image/docs/deep/b.md", "", 0o644);
    collection.file("image/setup.sh", "#!/bin/sh\necho ${HOME} ${templateOption:level}\n", 0o755);
    collection.file("image/NOTES.md", "# Notes\n", 0o644);
    std::fs::create_dir(collection.path().join("image/empty")).unwrap();
    // The shorter place of the configuration.
    collection.template("root", "0.1.0", "");
    std::fs::remove_dir_all(collection.path().join("root/.devcontainer")).unwrap();
    collection.file(
        "root/.devcontainer.json",
        r#"{"build":{"dockerfile":"Dockerfile"},"features":{}}"#,
        0o644,
    );
    collection.template("old-docker", "2.0.0", r#","optionalPaths":[]"#);
    configure("old-docker", r#"{"dockerFile":"Dockerfile"}"#);
    collection.template("compose", "1.0.0", r#","options":{}"#);
    configure("compose", r#"{"dockerComposeFile":["docker-compose.yml"],"service":"app","features":[]}"#);
    collection
}

/// A JSON value in which the list of a Template's files has one order.
fn in_order(mut metadata: Value) -> Value {
    let files = metadata["files"].as_array_mut().unwrap();
    files.sort_by_key(|file| file.as_str().unwrap().to_owned());
    metadata
}

/// What an archive holds: by path, whether it can be executed, and its bytes.
fn content(archive: &[u8]) -> BTreeMap<String, (bool, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), archive).unwrap();
    let tar = Command::new("tar").arg("-xf").arg(file.path()).arg("-C").arg(folder.path()).status().unwrap();
    assert!(tar.success());
    tree(folder.path())
}

fn tree(root: &Path) -> BTreeMap<String, (bool, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1) {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if entry.file_type().is_dir() {
            found.insert(format!("{path}/"), (true, Vec::new()));
            continue;
        }
        let mut data = std::fs::read(entry.path()).unwrap();
        if path == "devcontainer-template.json" {
            let metadata = in_order(serde_json::from_slice(&data).unwrap());
            data = serde_json::to_vec_pretty(&metadata).unwrap();
        }
        let executable = entry.metadata().unwrap().permissions().mode() & 0o111 != 0;
        found.insert(path, (executable, data));
    }
    found
}

fn get(port: u16, path: &str) -> Vec<u8> {
    let answer = http("GET", &format!("http://localhost:{port}/v2/{path}"), &[("accept", MANIFEST)], b"");
    assert_eq!(answer.status, 200, "{path}");
    answer.body
}

/// A published artifact: its manifest but for what depends on the layer's bytes, and the layer.
fn published(port: u16, repository: &str, tag: &str) -> (Value, Vec<u8>) {
    let mut manifest: Value =
        serde_json::from_slice(&get(port, &format!("{repository}/manifests/{tag}"))).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let bytes = get(port, &format!("{repository}/blobs/{layer}"));
    assert_eq!(manifest["layers"][0]["size"], bytes.len());
    manifest["layers"][0]["digest"] = Value::Null;
    manifest["layers"][0]["size"] = Value::Null;
    if let Some(metadata) = manifest["annotations"].get_mut("dev.containers.metadata") {
        let parsed = in_order(serde_json::from_str(metadata.as_str().unwrap()).unwrap());
        *metadata = Value::String(parsed.to_string());
    }
    (manifest, bytes)
}

fn same_publish(cli: &Official, port: u16) {
    let collection = awkward();
    let here = collection.path();
    let publish = |mut command: Command, target: &str, namespace: &str| {
        let registry = format!("localhost:{port}");
        run(command.args(["templates", "publish", target, "-r", &registry, "-n", namespace]))
    };
    let both = |target: &str, namespace: &str| {
        let theirs = publish(cli.command(here), target, &format!("theirs/{namespace}"));
        let our = publish(our_command(here), target, &format!("ours/{namespace}"));
        (theirs, our)
    };
    let without_digests = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        for entry in line.as_object_mut().unwrap().values_mut() {
            if let Some(digest) = entry.get_mut("digest") {
                assert!(digest.as_str().unwrap().starts_with("sha256:"));
                *digest = Value::Null;
            }
        }
        line.to_string()
    };
    // A collection; the same again; one Template of it, with a new version.
    for (target, namespace) in [(".", "Templates"), (".", "templates"), ("./image", "one/two")] {
        let ((code, theirs), (our_code, ours)) = both(target, namespace);
        assert_eq!((code, our_code), (0, 0), "{target}");
        assert_eq!(without_digests(&ours), without_digests(&theirs), "{target}");
        assert!(ours.ends_with("}\n") && ours.lines().count() == 1);
    }
    for id in ["image", "root", "old-docker", "compose"] {
        let at = |who: &str| format!("{who}/templates/{id}");
        let tags = |who: &str| String::from_utf8(get(port, &format!("{}/tags/list", at(who)))).unwrap();
        assert_eq!(tags("ours").replace("ours/", "theirs/"), tags("theirs"));
        let (manifest, archive) = published(port, &at("ours"), "latest");
        let (their_manifest, their_archive) = published(port, &at("theirs"), "latest");
        assert_eq!(manifest.to_string(), their_manifest.to_string(), "{id}");
        assert_eq!(content(&archive), content(&their_archive), "{id}");
    }
    for namespace in ["templates", "one/two"] {
        let (manifest, file) = published(port, &format!("ours/{namespace}"), "latest");
        let (their_manifest, their_file) = published(port, &format!("theirs/{namespace}"), "latest");
        assert_eq!(manifest.to_string(), their_manifest.to_string());
        let in_order = |file: &[u8]| {
            let mut file: Value = serde_json::from_slice(file).unwrap();
            for template in file["templates"].as_array_mut().unwrap() {
                *template = in_order(template.take());
            }
            file.to_string()
        };
        assert_eq!(in_order(&file), in_order(&their_file));
        // The white space, too: the lists of files have the same lines, if not in one order.
        let lines = |file: &[u8]| {
            let lines = file.split(|byte| *byte == b'\n');
            let mut lines: Vec<Vec<u8>> =
                lines.map(|line| line.strip_suffix(b",").unwrap_or(line).to_vec()).collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&file), lines(&their_file));
        assert_eq!(file.len(), their_file.len());
    }
}

#[test]
fn what_the_official_cli_published_is_left_as_it_is_by_ours() {
    let Some(cli) = Official::find() else {
        return;
    };
    let registry = support::embedded();
    let collection = awkward();
    let proxy = support::proxy::Proxy::of_everything(registry.port());
    let host = format!("localhost:{}", proxy.port);
    let args = ["templates", "publish", ".", "-r", &host, "-n", "owner/templates"];
    assert_eq!(run(cli.command(collection.path()).args(args)).0, 0);
    proxy.forget();
    let (code, line) = run(our_command(collection.path()).args(args));
    assert_eq!((code, line.contains("publishedTags")), (0, false), "{line}");
    // The collection lists each Template's files in our order.
    let own = |line: &String| {
        !["image", "root", "old-docker", "compose"].iter().any(|id| line.contains(&format!("/{id}/")))
    };
    assert!(proxy.writes().iter().all(own), "{:?}", proxy.writes());
    proxy.forget();
    collection.file("image/setup.sh", "#!/bin/sh\n", 0o755);
    let said = said(our_command(collection.path()).args(args));
    assert_eq!((said.code, said.stdout.as_str()), (4, ""), "{}", said.stderr);
    assert!(said.stderr.contains("(setup.sh was changed; sha256:"), "{}", said.stderr);
    assert_eq!(proxy.writes(), Vec::<String>::new());
}

#[test]
fn both_publish_the_same_to_the_embedded_registry() {
    if let Some(cli) = Official::find() {
        let root = tempfile::tempdir().unwrap();
        same_publish(&cli, serve(root.path(), &Options::default()).unwrap().port());
    }
}

#[test]
fn both_publish_the_same_to_docker_registry() {
    if let Some((cli, registry)) = Official::find().and_then(|cli| Some((cli, DockerRegistry::start()?))) {
        same_publish(&cli, registry.port);
    }
}

/// What the official CLI refuses, with exit code 1, is refused here, too.
#[test]
fn both_refuse_the_same() {
    let Some(cli) = Official::find() else {
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let registry = serve(root.path(), &Options::default()).unwrap();
    let bare = |collection: &Collection| {
        std::fs::remove_dir_all(collection.path().join("a/.devcontainer")).unwrap();
    };
    let nothing = |collection: &Collection| {
        collection.file("a/.devcontainer/devcontainer.json", r#"{"build":{}}"#, 0o644);
    };
    let nameless = |collection: &Collection| {
        collection.file("a/devcontainer-template.json", r#"{"id":"a","version":"1.0.0"}"#, 0o644);
    };
    let empty = |collection: &Collection| std::fs::remove_dir_all(collection.path().join("a")).unwrap();
    let version = |collection: &Collection| {
        collection.template("a", "one", "");
    };
    let spoilers: [&dyn Fn(&Collection); 5] = [&bare, &nothing, &nameless, &empty, &version];
    for (index, spoil) in spoilers.iter().enumerate() {
        let collection = Collection::new();
        collection.template("a", "1.0.0", "");
        spoil(&collection);
        let publish = |mut command: Command| {
            run(command.args(["templates", "publish", ".", "-r", &registry.host(), "-n", "owner/t"]))
        };
        let (code, stdout) = publish(cli.command(collection.path()));
        assert_eq!((code, stdout.as_str()), (1, ""), "case {index}");
        let (code, stdout) = publish(our_command(collection.path()));
        assert!(code != 0 && stdout.is_empty(), "case {index}: {code}");
        assert_eq!(digest_of(registry.port(), "owner/t/a", "latest"), None);
    }
}

/// The official CLI applies a Template that we published as it applies its own.
#[test]
fn the_official_cli_applies_what_is_published() {
    let Some(cli) = Official::find() else {
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let registry = serve(root.path(), &Options::default()).unwrap();
    let collection = awkward();
    let host = registry.host();
    let publish = |mut command: Command, namespace: &str| {
        let (code, _) = run(command.args(["templates", "publish", ".", "-r", &host, "-n", namespace]));
        assert_eq!(code, 0);
    };
    publish(our_command(collection.path()), "ours/t");
    publish(cli.command(collection.path()), "theirs/t");
    let apply = |namespace: &str, more: &[&str]| {
        let workspace = tempfile::tempdir().unwrap();
        let reference = format!("{host}/{namespace}/image:1");
        let mut command = cli.command(workspace.path());
        command.args(["templates", "apply", "--template-id", &reference]).args(more);
        let (code, stdout) = run(&mut command);
        assert_eq!(code, 0, "{more:?}");
        let mut files: Value = serde_json::from_str(&stdout).unwrap();
        files = in_order(files.take());
        (files.to_string(), tree(workspace.path()))
    };
    for more in [
        &[][..],
        &["-a", r#"{"variant":"12","zsh":"false","2":"two"}"#],
        &["--omit-paths", r#"[".github/dependabot.yml","docs/*"]"#],
        &["-f", r#"[{"id":"ghcr.io/a/b/c:1","options":{"x":"y"}}]"#],
    ] {
        let (files, found) = apply("ours/t", more);
        assert_eq!((files, found), apply("theirs/t", more), "{more:?}");
    }
    let (_, found) = apply("ours/t", &["-a", r#"{"variant":"12","level":"low"}"#]);
    let text = |path: &str| String::from_utf8(found[path].1.clone()).unwrap();
    assert_eq!(text(".env"), "V=12\n");
    assert!(text(".devcontainer/devcontainer.json").contains(r#""image":"debian:12-low""#));
    assert_eq!(text("setup.sh"), "#!/bin/sh\necho ${HOME} low\n");
    assert!(found["setup.sh"].0, "its executable bit is lost");
    assert!(!found.contains_key("NOTES.md") && found.contains_key("empty/"));

    let metadata = |namespace: &str| {
        let reference = format!("{host}/{namespace}/image");
        let (code, stdout) = run(cli.command(root.path()).args(["templates", "metadata", &reference]));
        assert_eq!(code, 0);
        in_order(serde_json::from_str(&stdout).unwrap()).to_string()
    };
    assert_eq!(metadata("ours/t"), metadata("theirs/t"));
}
