//! What goes into an archive, what stays out, and what is refused: one decided answer each.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use support::{Collection, pack};
use xtask::exit::Exit;
use xtask::package::Packed;
use xtask::registry::server::{Options, serve};

/// The names in an archive, as GNU tar reads them.
fn names(packed: &Packed) -> Vec<String> {
    listing(packed, &["-tf"]).lines().map(str::to_owned).collect()
}

fn listing(packed: &Packed, how: &[&str]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), packed.features[0].archive.bytes().unwrap()).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("--quoting-style=literal").args(how).arg(file.path());
    let output = tar.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The problems of a collection, with its folder as `@`.
fn problems(collection: &Collection) -> Vec<String> {
    let error = pack(collection.path()).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::InvalidFeature, "{error:#}");
    let root = collection.path().display().to_string();
    error.to_string().lines().map(|line| line.replace(&root, "@")).collect()
}

fn one() -> Collection {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    collection
}

#[test]
fn modes_are_two_and_links_to_one_file_are_two_files() {
    let collection = one();
    collection.file("a/setuid", "x", 0o6755);
    collection.file("a/sticky/private", "y", 0o600);
    std::fs::set_permissions(collection.path().join("a/sticky"), PermissionsExt::from_mode(0o1777)).unwrap();
    std::fs::hard_link(collection.path().join("a/setuid"), collection.path().join("a/twin")).unwrap();
    std::fs::set_permissions(collection.path().join("a/install.sh"), PermissionsExt::from_mode(0o644))
        .unwrap();
    let listed = listing(&collection.pack(), &["-tvf"]);
    let lines: Vec<String> = listed
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            format!("{} {} {}", fields[0], fields[2], fields[5])
        })
        .collect();
    assert_eq!(
        lines,
        [
            "drwxr-xr-x 0 ./",
            "-rw-r--r-- 43 ./devcontainer-feature.json",
            "-rwxr-xr-x 10 ./install.sh",
            "-rwxr-xr-x 1 ./setuid",
            "drwxr-xr-x 0 ./sticky/",
            "-rw-r--r-- 1 ./sticky/private",
            "-rwxr-xr-x 1 ./twin",
        ]
    );
}

#[test]
fn what_is_neither_file_nor_folder_is_refused() {
    let collection = one();
    let folder = collection.path().join("a");
    let _socket = UnixListener::bind(folder.join("socket")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("fifo")).status().unwrap().success());
    std::os::unix::fs::symlink("install.sh", folder.join("link")).unwrap();
    std::os::unix::fs::symlink("../..", folder.join("loop")).unwrap();
    let mut expected = vec![
        "@/a/fifo: neither a file nor a folder; remove it",
        "@/a/link: a symbolic link: not every consumer unpacks one; put the file itself here",
        "@/a/loop: a symbolic link: not every consumer unpacks one; put the file itself here",
        "@/a/socket: neither a file nor a folder; remove it",
    ];
    // Only root makes devices, and not in every container.
    let null = Command::new("mknod").arg(folder.join("device")).args(["c", "1", "3"]).output().unwrap();
    if null.status.success() {
        expected.insert(0, "@/a/device: neither a file nor a folder; remove it");
    }
    assert_eq!(problems(&collection), expected);
    // What stays out may be anything.
    collection.file("a/.featureignore", "fifo\nlink\nloop\nsocket\ndevice\n", 0o644);
    assert_eq!(names(&collection.pack()), ["./", "./devcontainer-feature.json", "./install.sh"]);
}

#[test]
fn install_sh_is_a_file() {
    let collection = one();
    let script = collection.path().join("a/install.sh");
    std::fs::remove_file(&script).unwrap();
    std::fs::create_dir(&script).unwrap();
    assert_eq!(problems(&collection), ["@/a: there is no install.sh, which every Feature needs"]);
    std::fs::remove_dir(&script).unwrap();
    std::os::unix::fs::symlink("other.sh", &script).unwrap();
    assert_eq!(problems(&collection).len(), 1, "a link is one problem, and not two");
    std::fs::remove_file(&script).unwrap();
    collection.file("a/Install.sh", "", 0o755);
    collection.file("a/Devcontainer-Feature.JSON", "{}", 0o644);
    assert_eq!(
        problems(&collection),
        [
            "@/a: there is no install.sh, which every Feature needs",
            "@/a/Devcontainer-Feature.JSON: on many file systems this is the same name as \"devcontainer-feature.json\"; rename one of them",
        ]
    );
}

#[test]
fn install_sh_can_be_run_by_a_container() {
    let collection = one();
    for (text, runs) in [
        ("#!/bin/sh\r\necho\r\n", false),
        ("#!/usr/bin/env bash\r\n", false),
        ("#!/bin/sh\necho\r\n", true),
        ("echo 1\r\n", true),
        ("#!/bin/sh", true),
        ("", true),
    ] {
        collection.file("a/install.sh", text, 0o755);
        if runs {
            collection.pack();
        } else {
            let expected = "@/a/install.sh: its lines end as on Windows, so no container can run it; save it with plain line feeds (in git: `*.sh text eol=lf` in .gitattributes)";
            assert_eq!(problems(&collection), [expected], "{text:?}");
        }
    }
}

#[test]
fn names_that_do_not_unpack_everywhere_are_refused_all_at_once() {
    let collection = one();
    let deep = format!("{0}/{0}/{0}/{0}", "d".repeat(70));
    for path in [
        "README",
        "lib/x",
        "LIB/y",
        "readme",
        "aux.txt",
        "a\\b",
        "a:b",
        "bell\u{7}",
        "caf\u{e9}",
        "cafe\u{301}",
        "dot.",
        &deep,
    ] {
        collection.file(&format!("a/{path}"), "", 0o644);
    }
    let raw = collection.path().join("a").join(std::ffi::OsStr::from_bytes(b"\xff"));
    std::fs::write(raw, "").unwrap();
    let same = |other: &str| {
        format!("on many file systems this is the same name as \"{other}\"; rename one of them")
    };
    let expected = [
        ("LIB", None),
        ("README", None),
        ("a:b", Some("the name holds a :, which no name on Windows can; rename it".to_owned())),
        ("a\\b", Some("the name holds a \\, which no name on Windows can; rename it".to_owned())),
        ("aux.txt", Some("the name is a device's on Windows; rename it".to_owned())),
        ("bell\\u{7}", Some("the name holds \\u{7}, which nobody sees; rename it".to_owned())),
        ("cafe\u{301}", None),
        ("caf\u{e9}", Some(same("cafe\u{301}"))),
        (
            &deep,
            Some(
                "the path is too long for a portable archive; shorten it to 100 bytes, or to 250 with folders"
                    .to_owned(),
            ),
        ),
        ("dot.", Some("the name ends in a dot or a space, which Windows drops; rename it".to_owned())),
        ("lib", Some(same("LIB"))),
        ("readme", Some(same("README"))),
        ("\u{fffd}", Some("the name is not UTF-8; rename it".to_owned())),
    ];
    let expected: Vec<String> = expected
        .into_iter()
        .filter_map(|(path, what)| what.map(|what| format!("@/a/{path}: {what}")))
        .collect();
    assert_eq!(problems(&collection), expected);
}

#[test]
fn names_of_every_script_are_packed_as_they_are() {
    let collection = one();
    for path in ["日本語/ファイル", "ελληνικά", "emoji 😀", ".hidden", "with space/x", "%41", "-rf"]
    {
        collection.file(&format!("a/{path}"), "", 0o644);
    }
    let mut expected = vec!["./", "./%41", "./-rf", "./.hidden", "./devcontainer-feature.json", "./emoji 😀"];
    expected.extend(["./install.sh", "./with space/", "./with space/x", "./ελληνικά", "./日本語/"]);
    expected.push("./日本語/ファイル");
    assert_eq!(names(&collection.pack()), expected);
}

#[test]
fn keys_are_refused_and_their_author_may_insist() {
    let collection = one();
    let key = |kind: &str| format!("-----BEGIN {kind} KEY-----\nAAAA\n");
    collection.file("a/etc/deploy", &key("OPENSSH PRIVATE"), 0o600);
    collection.file("a/signing.key", &key("PUBLIC"), 0o644);
    collection.file("a/test.p12", "", 0o644);
    collection.file("a/.npmrc", "//registry.example.com/:_authToken=abc\n", 0o644);
    // Beyond what is held in memory.
    collection.file("a/large.pem", &format!("{}{}", key("RSA PRIVATE"), "x".repeat(100_000)), 0o644);
    let insist = "take it out, or write";
    assert_eq!(
        problems(&collection),
        [
            format!(
                "@/a/.npmrc: holds a login for an npm registry; {insist} \"!.npmrc\" into .featureignore if everybody may have it"
            ),
            format!(
                "@/a/etc/deploy: holds a private key; {insist} \"!etc/deploy\" into .featureignore if everybody may have it"
            ),
            format!(
                "@/a/large.pem: holds a private key; {insist} \"!large.pem\" into .featureignore if everybody may have it"
            ),
            format!(
                "@/a/test.p12: a key store, which may hold private keys; {insist} \"!test.p12\" into .featureignore if everybody may have it"
            ),
        ]
    );
    collection.file("a/.featureignore", "# of the tests\n!etc/deploy\n!*.p12\n.npmrc\n/large.pem\n", 0o644);
    let packed = collection.pack();
    assert_eq!(packed.notes, Vec::<String>::new());
    assert_eq!(
        names(&packed),
        [
            "./",
            "./devcontainer-feature.json",
            "./etc/",
            "./etc/deploy",
            "./install.sh",
            "./signing.key",
            "./test.p12"
        ]
    );
}

#[test]
fn what_is_left_out_can_be_asked_for() {
    let collection = one();
    for path in
        ["node_modules/x/index.js", "node_modules/x/.env", "docs/guide.md", "docs/a/b.txt", ".env", "x.orig"]
    {
        collection.file(&format!("a/{path}"), "", 0o644);
    }
    collection.file("a/.featureignore", "!node_modules\ndocs/*.md\n", 0o644);
    let packed = collection.pack();
    let root = collection.path().display();
    assert_eq!(
        packed.notes,
        [".env", "node_modules/x/.env", "x.orig"].map(|path| format!(
            "left out {root}/a/{path}; to pack it, write \"!{path}\" into .featureignore"
        ))
    );
    assert_eq!(
        names(&packed)[2..],
        [
            "./docs/",
            "./docs/a/",
            "./docs/a/b.txt",
            "./install.sh",
            "./node_modules/",
            "./node_modules/x/",
            "./node_modules/x/index.js"
        ]
    );
    // It cannot take away what a Feature is made of.
    collection.file("a/.featureignore", "*.json\n*.sh\n", 0o644);
    assert_eq!(problems(&collection), ["@/a: there is no install.sh, which every Feature needs"]);
    collection.file("a/.featureignore", "a/**\n", 0o644);
    assert!(problems(&collection)[0].starts_with("@/a/.featureignore: line 1: \"a/**\" is no pattern"));
}

#[test]
fn a_name_has_one_owner_whatever_its_case() {
    let collection = Collection::new();
    collection.feature("Tool", "1.0.0", "");
    collection.feature("other", "1.0.0", r#","legacyIds":["old","TOOL"]"#);
    // Not valid for another reason, and yet counted.
    collection.feature("third", "1.0", r#","legacyIds":["OLD"]"#);
    assert_eq!(
        problems(&collection),
        [
            "@/third/devcontainer-feature.json: the version \"1.0\" is not semantic versioning (unexpected end of input while parsing minor version number); write it as in \"1.2.3\"",
            "@/other: the former id \"TOOL\" is also claimed by @/Tool; each id names one Feature",
            "@/third: the former id \"OLD\" is also claimed by \"legacyIds\" of @/other; each id names one Feature",
        ]
    );
}

#[test]
fn upper_case_stays_in_the_file_and_is_lowered_in_the_reference() {
    let collection = Collection::new();
    collection.feature("MyTool", "1.0.0", "");
    let packed = collection.pack();
    assert_eq!(packed.features[0].file_name(), "devcontainer-feature-MyTool.tgz");
    assert!(packed.features[0].metadata.annotation().starts_with(r#"{"id":"MyTool","#));
    let registry = tempfile::tempdir().unwrap();
    let server = serve(registry.path(), &Options::default()).unwrap();
    let plan = support::push(server.port(), &packed).unwrap();
    assert_eq!(plan.releases[0].repository.as_str(), "owner/features/mytool");
    assert!(support::digest_of(server.port(), "owner/features/mytool", "1.0.0").is_some());
}

/// The shapes that the collections in use have: comments, `$schema`, references with and without a
/// version, options without `proposals`, commands as objects.
#[test]
fn a_collection_as_they_are_is_packed() {
    let collection = Collection::new();
    collection.json(
        "real-world",
        r#"// The Feature of a well-known collection.
{
    "$schema": "https://example.com/devContainerFeature.schema.json",
    "id": "real-world",
    "version": "1.12.0", /* raised with each change */
    "name": "Real (as in \"real world\") & more",
    "documentationURL": "https://example.com/docs",
    "description": "Installs things. Auto-detects the latest version…",
    "options": {
        "version": { "type": "string", "proposals": ["latest", "none", "1.2"], "default": "latest", "description": "…" },
        "ppa": { "type": "boolean", "default": true },
        "moby_buildx": { "type": "string", "enum": ["v1", "v2"], "default": "v2" },
        "username": { "type": "string", "default": "automatic" },
    },
    "privileged": true,
    "containerEnv": { "PATH": "/usr/local/x/bin:${PATH}", "DOCKER_BUILDKIT": "1" },
    "entrypoint": "/usr/local/share/x-init.sh",
    "capAdd": ["SYS_PTRACE"],
    "securityOpt": ["seccomp=unconfined", "label=disable"],
    "mounts": [{ "source": "x-${devcontainerId}", "target": "/var/lib/x", "type": "volume" }],
    "customizations": { "vscode": { "extensions": ["a.b"], "settings": { "a.b": { "c": [1, null, false] } } } },
    "installsAfter": ["ghcr.io/devcontainers/features/common-utils", "ghcr.io/devcontainers/features/git:1", "common-utils"],
    "dependsOn": {
        "ghcr.io/devcontainers/features/node:1": { "version": "lts", "nodeGypDependencies": true },
        "ghcr.io/Owner/Features/tool": {},
        "https://example.com/releases/devcontainer-feature-go.tgz": "latest",
    },
    "onCreateCommand": { "one": "echo 1", "two": ["echo", "2"] },
    "postCreateCommand": ["git", "config"],
    "legacyIds": ["old-name"],
    "keywords": ["x"],
    "licenseURL": "https://example.com/license",
}
"#,
    );
    collection.file("real-world/install.sh", "", 0o644);
    collection.file("real-world/NOTES.md", "", 0o644);
    assert_eq!(collection.pack().features.len(), 1);
}

#[test]
fn a_large_file_goes_from_the_disk_to_the_registry_unless_it_changes() {
    let root = tempfile::tempdir().unwrap();
    let server = serve(root.path(), &Options::default()).unwrap();
    let collection = one();
    collection.file("a/large", &"x".repeat(1 << 20), 0o644);
    let packed = collection.pack();
    collection.file("a/large", &"y".repeat(1 << 20), 0o644);
    let error = support::push(server.port(), &packed).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Failed, "{error:#}");
    let large = collection.path().join("a/large").display().to_string();
    assert!(format!("{error:#}").contains(&format!("{large} changed while it was read")), "{error:#}");
    assert_eq!(support::digest_of(server.port(), "owner/features/a", "1.0.0"), None);
    let plan = support::push(server.port(), &collection.pack()).unwrap();
    let digest = plan.releases[0].artifact.digest.to_string();
    assert_eq!(support::digest_of(server.port(), "owner/features/a", "1.0.0"), Some(digest));
}

/// An address space smaller than the file that is packed.
#[test]
fn a_large_file_is_never_in_memory() {
    let collection = one();
    let large = std::fs::File::create(collection.path().join("a/large")).unwrap();
    large.set_len(100 << 20).unwrap();
    let out = collection.path().join("out");
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 100000 && exec \"$0\" package \"$1\" -o \"$2\""])
        .arg(env!("CARGO_BIN_EXE_xtask"))
        .args([collection.path(), Path::new(&out)])
        .env_remove("CARGO_MANIFEST_DIR")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let archive = out.join("devcontainer-feature-a.tgz");
    assert_eq!(archive.metadata().unwrap().len(), (100 << 20) + 8 * 512);
}
