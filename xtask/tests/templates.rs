//! Templates: packed and published as Features are, with what is theirs alone.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use support::docker_registry::DockerRegistry;
use support::official::{Said, our_command, ours, said};
use support::proxy::{Proxy, reply};
use support::{Collection, NAMESPACE, collection_of, digest_of, push};
use xtask::exit::Exit;
use xtask::feature::kind::Kind;
use xtask::package::{self, Packed};
use xtask::publish::report;
use xtask::registry::server::{Options, serve};

/// A Template with dotfiles, a program, placeholders and a folder of one file.
fn rich(collection: &Collection) {
    let more = r#","optionalPaths":[".github/*","docs/*","setup.sh"],"platforms":["Any"],"publisher":"p",
        "options":{"variant":{"type":"string","description":"v","proposals":["12"],"default":"13"},
                   "zsh":{"type":"boolean","description":"z","default":"true"}}"#;
    collection.template("rich", "1.2.3", more);
    collection.file(
        "rich/.devcontainer/devcontainer.json",
        "{ // c\n\"image\":\"debian:${templateOption:variant}\",\"zsh\":${templateOption: zsh },\
         \"features\":{\"ghcr.io/Owner/features/Node:1\":{},\"./local\":{}},}",
        0o644,
    );
    collection.file("rich/.devcontainer/.env", "USER=${templateOption:variant}\n", 0o644);
    collection.file("rich/.github/dependabot.yml", "version: 2\n", 0o644);
    collection.file("rich/docs/a.md", "a\n", 0o644);
    collection.file("rich/docs/b.md", "b\n", 0o644);
    collection.file("rich/setup.sh", "#!/bin/sh\n", 0o755);
    collection.file("rich/install.sh", "#!/bin/sh\n", 0o644);
    collection.file("rich/.gitignore", "/output\n", 0o644);
    collection.file("rich/README.md", "# Rich\n", 0o644);
}

fn templates(target: &std::path::Path) -> anyhow::Result<Packed> {
    package::of_kind(Kind::Template, Some(target))
}

/// Mode and path of everything in an archive, as GNU tar sees it.
fn listing(archive: &[u8]) -> Vec<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), archive).unwrap();
    let list = Command::new("tar").arg("-tvf").arg(file.path()).output().unwrap();
    assert!(list.status.success() && list.stderr.is_empty(), "{}", String::from_utf8_lossy(&list.stderr));
    let list = String::from_utf8(list.stdout).unwrap();
    let short = |line: &str| {
        let parts: Vec<&str> = line.split_whitespace().collect();
        format!("{} {}", parts[0], parts[5])
    };
    list.lines().map(short).collect()
}

#[test]
fn an_archive_holds_the_dotfiles_the_modes_and_the_facts() {
    let collection = Collection::new();
    rich(&collection);
    // A history and droppings are no content, whoever packs.
    collection.file("rich/.git/config", "x", 0o644);
    collection.file("rich/docs/.DS_Store", "x", 0o644);
    let packed = collection.pack_templates();
    assert_eq!(packed.features[0].file_name(), "devcontainer-template-rich.tgz");
    assert_eq!(
        listing(&packed.features[0].archive.bytes().unwrap()),
        [
            "drwxr-xr-x ./",
            "drwxr-xr-x ./.devcontainer/",
            "-rw-r--r-- ./.devcontainer/.env",
            "-rw-r--r-- ./.devcontainer/devcontainer.json",
            "drwxr-xr-x ./.github/",
            "-rw-r--r-- ./.github/dependabot.yml",
            "-rw-r--r-- ./.gitignore",
            "-rw-r--r-- ./README.md",
            "-rw-r--r-- ./devcontainer-template.json",
            "drwxr-xr-x ./docs/",
            "-rw-r--r-- ./docs/a.md",
            "-rw-r--r-- ./docs/b.md",
            // What a Feature runs needs its bit; here a mode is what the author wants.
            "-rw-r--r-- ./install.sh",
            "-rwxr-xr-x ./setup.sh",
        ]
    );
    assert_eq!(
        packed.features[0].metadata.annotation(),
        concat!(
            r#"{"id":"rich","version":"1.2.3","name":"The rich","#,
            r#""optionalPaths":[".github/dependabot.yml","docs/*","setup.sh"],"platforms":["Any"],"publisher":"p","#,
            r#""options":{"variant":{"type":"string","description":"v","proposals":["12"],"default":"13"},"#,
            r#""zsh":{"type":"boolean","description":"z","default":"true"}},"type":"image","#,
            r#""files":[".gitignore","README.md","devcontainer-template.json","install.sh","setup.sh","#,
            r#"".devcontainer/.env",".devcontainer/devcontainer.json",".github/dependabot.yml","docs/a.md","docs/b.md"],"#,
            r#""fileCount":10,"featureIds":["ghcr.io/owner/features/node"]}"#,
        )
    );
    let root = collection.path().display();
    assert_eq!(
        packed.notes,
        [
            format!("left out {root}/rich/.git; to pack it, write \"!.git\" into .templateignore"),
            format!(
                "left out {root}/rich/docs/.DS_Store; to pack it, write \"!docs/.DS_Store\" into .templateignore"
            ),
            format!("packed {root}/rich/.devcontainer/.env: an environment file, which everybody can read"),
        ]
    );
    assert_eq!(collection.pack_templates().features[0].archive, packed.features[0].archive);
}

#[test]
fn what_is_packed_is_what_a_project_shares_and_its_author_has_the_last_word() {
    let collection = Collection::new();
    collection.template("a", "1.0.0", r#","options":{"o":{"type":"string","default":""}}"#);
    collection.file("a/.vscode/settings.json", "{}", 0o644);
    collection.file("a/.env.local", "A=1\n", 0o644);
    collection.file("a/.idea/workspace.xml", "x", 0o644);
    collection.file("a/scratch.txt", "x", 0o644);
    collection.file("a/node_modules/x", "x", 0o644);
    collection.file("a/.templateignore", "scratch.txt\n!node_modules\n", 0o644);
    // The other kind's file means nothing here.
    collection.file("a/.featureignore", ".vscode\n", 0o644);
    // Too large to be held, and what asks for the option is at its end.
    let large = format!("{}${{templateOption:o}}", "x\n".repeat(200_000));
    collection.file("a/large.txt", &large, 0o644);
    let packed = collection.pack_templates();
    let listing = listing(&packed.features[0].archive.bytes().unwrap());
    let names: Vec<&str> = listing.iter().filter_map(|line| line.split(" ./").nth(1)).collect();
    assert_eq!(
        names,
        [
            "",
            ".devcontainer/",
            ".devcontainer/devcontainer.json",
            ".env.local",
            ".featureignore",
            ".vscode/",
            ".vscode/settings.json",
            "devcontainer-template.json",
            "large.txt",
            "node_modules/",
            "node_modules/x",
        ]
    );
    let root = collection.path().display();
    assert_eq!(
        packed.notes,
        [
            format!("left out {root}/a/.idea; to pack it, write \"!.idea\" into .templateignore"),
            format!("packed {root}/a/.env.local: an environment file, which everybody can read"),
        ]
    );
}

#[test]
fn a_configuration_may_begin_with_a_byte_order_mark_and_be_large() {
    let collection = Collection::new();
    collection.template("a", "1.0.0", "");
    let configuration = format!("\u{feff}{{{}\"image\":\"x\"}}", " ".repeat(300_000));
    collection.file("a/.devcontainer/devcontainer.json", &configuration, 0o644);
    let metadata = "\u{feff}{\"id\":\"a\",\"version\":\"1.0.0\",\"name\":\"A\"}";
    collection.file("a/devcontainer-template.json", metadata, 0o644);
    let packed = collection.pack_templates();
    assert_eq!(
        packed.features[0].metadata.annotation(),
        concat!(
            r#"{"id":"a","version":"1.0.0","name":"A","type":"image","#,
            r#""files":["devcontainer-template.json",".devcontainer/devcontainer.json"],"fileCount":2,"featureIds":[]}"#,
        )
    );
}

#[test]
fn what_is_refused_is_not_said_to_be_missing() {
    let collection = Collection::new();
    collection.template("a", "1.0.0", "");
    let configuration = collection.path().join("a/.devcontainer/devcontainer.json");
    std::fs::remove_file(&configuration).unwrap();
    std::os::unix::fs::symlink("elsewhere", &configuration).unwrap();
    let error = templates(collection.path()).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("devcontainer.json: a symbolic link"), "{error}");
}

#[test]
fn what_its_author_should_know_is_said() {
    let collection = Collection::new();
    collection.template(
        "a",
        "1.0.0",
        r#","optionalPaths":["docs/","x.md","b.bin"],"options":{"unused":{"type":"string","default":""}}"#,
    );
    collection.file("a/docs/x.md", "${templateOption:lost} ${templateOption:lost}", 0o644);
    collection.file("a/NOTES.md", "${templateOption:unused}", 0o644);
    let notes = |expected: &[&str]| {
        let root = format!("{}/a", collection.path().display());
        let expected: Vec<String> = expected.iter().map(|note| note.replace('@', &root)).collect();
        assert_eq!(collection.pack_templates().notes, expected);
    };
    notes(&[
        "@/docs/x.md asks for the option \"lost\", which is not declared: it becomes nothing",
        "@: no file asks for the option \"unused\"",
        "@: \"optionalPaths\" names \"docs/\", which is no file in it; a folder is written \"docs/*\"",
        "@: \"optionalPaths\" names \"x.md\", which is no file in it",
        "@: \"optionalPaths\" names \"b.bin\", which is no file in it",
    ]);
    std::fs::write(collection.path().join("a/b.bin"), b"\xff\xfe").unwrap();
    notes(&[
        "@/b.bin is no UTF-8 text; the official CLI damages it when it applies the Template",
        "@/docs/x.md asks for the option \"lost\", which is not declared: it becomes nothing",
        "@: \"optionalPaths\" names \"docs/\", which is no file in it; a folder is written \"docs/*\"",
        "@: \"optionalPaths\" names \"x.md\", which is no file in it",
    ]);
}

#[test]
fn what_cannot_be_packed_is_named_all_at_once() {
    let collection = Collection::new();
    let configuration = |id: &str, text: &str| {
        collection.template(id, "1.0.0", "");
        collection.file(&format!("{id}/.devcontainer/devcontainer.json"), text, 0o644);
    };
    configuration("broken", "{\n  \"image\": \n}");
    configuration("list", "[]");
    configuration("nothing", r#"{"build":{"context":"."}}"#);
    collection.template("bare", "1.0.0", "");
    std::fs::remove_dir_all(collection.path().join("bare/.devcontainer")).unwrap();
    collection.template("linked", "1.0.0", "");
    std::os::unix::fs::symlink("/etc/passwd", collection.path().join("linked/passwd")).unwrap();
    collection.template("named", "1.0.0", r#","legacyIds":["old"]"#);
    std::fs::rename(collection.path().join("named"), collection.path().join("other")).unwrap();
    // Both the metadata and the configuration are wrong.
    collection.template("twice", "1.0", "");
    collection.file("twice/.devcontainer/devcontainer.json", "{}", 0o644);
    collection.template("quoted", "1.0.0", r#","options":{"o":{"type":"string","default":"\""}}"#);
    collection.file("quoted/.devcontainer/devcontainer.json", r#"{"image":"${templateOption:o}"}"#, 0o644);
    let error = templates(collection.path()).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::InvalidFeature);
    let root = collection.path().display().to_string();
    let lines: Vec<String> = error.to_string().lines().map(|line| line.replace(&root, "@")).collect();
    let configuration = "devcontainer/devcontainer.json";
    let nothing = "it has none of \"image\", \"build.dockerfile\" and \"dockerComposeFile\", so there is nothing to make a container from";
    let expected = [
        "@/bare: there is no .devcontainer/devcontainer.json, which every Template needs".to_owned(),
        format!("@/broken/.{configuration}: line 3, column 1: unexpected close brace"),
        "@/linked/passwd: a symbolic link: not every consumer unpacks one; put the file itself here".to_owned(),
        format!("@/list/.{configuration}: the file must hold an object, and holds a list"),
        format!("@/nothing/.{configuration}: {nothing}"),
        "@/other/devcontainer-template.json: unknown property \"legacyIds\"; the specification of Templates has none of that name".to_owned(),
        "@/other/devcontainer-template.json: the id \"named\" differs from its folder \"other\"; give both one name".to_owned(),
        format!("@/quoted/.{configuration}: with the options' defaults in it, it is no longer JSON: line 1, column 12: unterminated string literal"),
        "@/twice/devcontainer-template.json: the version \"1.0\" is not semantic versioning (unexpected end of input while parsing minor version number); write it as in \"1.2.3\"".to_owned(),
        format!("@/twice/.{configuration}: {nothing}"),
    ];
    assert_eq!(lines, expected);
    let empty = tempfile::tempdir().unwrap();
    let error = templates(empty.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("holds no Template: neither it nor a folder in it has a devcontainer-template.json"),
        "{error}"
    );
}

/// Publishing, again, a conflict, and a run that broke off at the tag `latest` of some repository.
fn life(upstream: u16, breaks_at: &str) {
    let path = format!("/v2/{breaks_at}/manifests/latest");
    let broken = Arc::new(AtomicBool::new(true));
    let breaks = Arc::clone(&broken);
    let proxy = Proxy::start(upstream, move |seen| {
        let hit = seen.method == "PUT" && seen.path == path;
        (hit && breaks.load(Ordering::SeqCst)).then(|| reply(500, &[], "out of order"))
    });
    let collection = Collection::new();
    collection.template("a", "1.0.0", "");
    let packed = collection.pack_templates();
    assert_eq!(Exit::of(&push(proxy.port, &packed).unwrap_err()), Exit::Registry);
    broken.store(false, Ordering::SeqCst);
    let plan = push(proxy.port, &packed).unwrap();
    let digest = plan.releases[0].artifact.digest.to_string();
    assert!(plan.releases[0].present && !plan.collection.present);
    let is_tag_missing = breaks_at != NAMESPACE;
    assert_eq!(plan.releases[0].tags, if is_tag_missing { &["latest"][..] } else { &[] });
    for tag in ["1", "1.0", "1.0.0", "latest"] {
        assert_eq!(digest_of(proxy.port, &format!("{NAMESPACE}/a"), tag).as_ref(), Some(&digest), "{tag}");
    }
    proxy.forget();
    assert_eq!(report::json_line(&push(proxy.port, &packed).unwrap()), r#"{"a":{}}"#);
    assert_eq!(proxy.writes(), Vec::<String>::new());
    assert_eq!(collection_of(proxy.port)["templates"][0]["fileCount"], 2);
    collection.file("a/more.txt", "", 0o644);
    let error = push(proxy.port, &collection.pack_templates()).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::VersionConflict, "{error:#}");
    assert_eq!(proxy.writes(), Vec::<String>::new());
}

#[test]
fn a_template_lives_on_the_embedded_registry() {
    let root = tempfile::tempdir().unwrap();
    // It sets all tags of a Template in one request, so what can be missing is the collection.
    life(serve(root.path(), &Options::default()).unwrap().port(), NAMESPACE);
}

#[test]
fn a_template_lives_on_docker_registry() {
    if let Some(registry) = DockerRegistry::start() {
        life(registry.port, &format!("{NAMESPACE}/a"));
    }
}

/// The ids that a collection lists.
fn listed(port: u16, list: &str) -> Vec<String> {
    let collection = collection_of(port);
    let entries = collection[list].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

/// The official CLI lets whichever was published last replace the other in the list.
#[test]
fn features_and_templates_of_one_namespace_stay_listed() {
    let root = tempfile::tempdir().unwrap();
    let registry = serve(root.path(), &Options::default()).unwrap();
    let (features, own) = (Collection::new(), Collection::new());
    features.feature("f", "1.0.0", "");
    features.feature("g", "1.0.0", "");
    own.template("t", "1.0.0", "");
    own.template("u", "1.0.0", "");
    push(registry.port(), &features.pack()).unwrap();
    push(registry.port(), &own.pack_templates()).unwrap();
    let lists = || (listed(registry.port(), "features"), listed(registry.port(), "templates"));
    let expected = (vec!["f".to_owned(), "g".to_owned()], vec!["t".to_owned(), "u".to_owned()]);
    assert_eq!(lists(), expected);
    // One of each, and what is gone from a collection as a whole.
    own.template("t", "1.1.0", "");
    push(registry.port(), &templates(&own.path().join("t")).unwrap()).unwrap();
    assert_eq!(lists(), expected);
    std::fs::remove_dir_all(features.path().join("g")).unwrap();
    features.feature("f", "1.1.0", "");
    push(registry.port(), &features.pack()).unwrap();
    assert_eq!(lists(), (vec!["f".to_owned()], expected.1));
    assert_eq!(collection_of(registry.port())["templates"][0]["version"], "1.1.0");
    // One name for both would be one repository for both, and its tags would go back and forth.
    own.template("f", "3.0.0", "");
    let proxy = Proxy::start(registry.port(), |_| None);
    for target in [own.path().to_owned(), own.path().join("f")] {
        let error = push(proxy.port, &templates(&target).unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the Template \"f\" cannot be published: the collection at localhost:{}/{NAMESPACE}:latest lists a Feature of that name, and both would be in one repository; rename one of them, or use another namespace (-n)",
                proxy.port
            )
        );
    }
    assert_eq!(proxy.writes(), Vec::<String>::new());
}

#[test]
fn the_commands_are_those_for_features() {
    let root = tempfile::tempdir().unwrap();
    let registry = serve(root.path(), &Options::default()).unwrap();
    let collection = Collection::new();
    collection.template("a", "1.2.3", "");
    let Said { code, stdout, stderr } = ours(collection.path(), &["templates", "package", "a"]);
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    let mut names: Vec<_> = std::fs::read_dir(collection.path().join("output"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["devcontainer-collection.json", "devcontainer-template-a.tgz"]);
    assert_eq!(ours(collection.path(), &["templates", "package", "a"]).code, 1);
    assert_eq!(ours(collection.path(), &["templates", "package", "a", "-f"]).code, 0);

    let publish = |more: &[&str]| {
        let mut command = our_command(collection.path());
        command.args(["templates", "publish", ".", "-r", &registry.host(), "-n", NAMESPACE]).args(more);
        said(&mut command)
    };
    let Said { code, stdout, stderr } = publish(&["--dry-run"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("would push 1.2.3") && stdout.contains("PUT /v2/"), "{stdout}");
    assert_eq!(digest_of(registry.port(), &format!("{NAMESPACE}/a"), "latest"), None);
    let Said { code, stdout, stderr } = publish(&["--json"]);
    let digest = digest_of(registry.port(), &format!("{NAMESPACE}/a"), "latest").unwrap();
    assert_eq!((code, stderr.contains("pushed 1.2.3")), (0, true), "{stderr}");
    assert_eq!(
        stdout,
        format!(
            "{{\"a\":{{\"publishedTags\":[\"1\",\"1.2\",\"1.2.3\",\"latest\"],\"digest\":\"{digest}\",\"version\":\"1.2.3\"}}}}\n"
        )
    );
    assert_eq!(publish(&[]).stdout, "{\"a\":{}}\n");
    collection.file("a/.devcontainer/devcontainer.json", r#"{"image":"y"}"#, 0o644);
    assert_eq!(publish(&[]).code, 4);
    collection.file("a/.devcontainer/devcontainer.json", "{", 0o644);
    let Said { code, stdout, stderr } = publish(&[]);
    assert_eq!(
        (code, stdout.as_str(), stderr.as_str()),
        (3, "", "error: ./a/.devcontainer/devcontainer.json: line 1, column 1: unterminated object\n")
    );
    // A Feature is no Template.
    collection.feature("b", "1.0.0", "");
    let Said { code, stderr, .. } = ours(collection.path(), &["templates", "package", "b"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("b holds no Template"), "{stderr}");
}

#[test]
fn a_local_publish_says_how_to_apply() {
    let checkout = Collection::new();
    checkout.file("xtask/Cargo.toml", "", 0o644);
    checkout.file("Cargo.toml", "[workspace]\n", 0o644);
    checkout.template("templates/a", "0.3.0", "");
    checkout.file(
        "templates/a/devcontainer-template.json",
        r#"{"id":"a","version":"0.3.0","name":"A"}"#,
        0o644,
    );
    let Said { code, stdout, stderr } = ours(checkout.path(), &["templates", "publish", "--local"]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        stdout.lines().last(),
        Some("devcontainer templates apply --template-id localhost:5000/local/templates/a:0")
    );
    assert!(stderr.contains("running while this line is run"), "{stderr}");
}

#[test]
fn a_collection_that_nobody_can_read_is_replaced_as_a_whole_only() {
    let root = tempfile::tempdir().unwrap();
    let registry = serve(root.path(), &Options::default()).unwrap();
    let collection = Collection::new();
    collection.template("a", "1.0.0", "");
    push(registry.port(), &collection.pack_templates()).unwrap();
    let config = xtask::oci::digest::Digest::of(b"{}");
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.devcontainers","digest":"{config}","size":2}},"layers":[]}}"#
    );
    let url = format!("http://localhost:{}/v2/{NAMESPACE}/manifests/latest", registry.port());
    let media_type = ("content-type", "application/vnd.oci.image.manifest.v1+json");
    let put = || assert_eq!(support::http("PUT", &url, &[media_type], manifest.as_bytes()).status, 201);
    put();
    let error = push(registry.port(), &templates(&collection.path().join("a")).unwrap()).unwrap_err();
    assert!(error.to_string().contains("its manifest names no layer"), "{error}");
    push(registry.port(), &collection.pack_templates()).unwrap();
    assert_eq!(listed(registry.port(), "templates"), ["a"]);
}
