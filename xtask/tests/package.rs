//! Packing: the same bytes from the same files, read by tools that are not ours.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use support::{Collection, pack};
use xtask::arch::Arch;
use xtask::exit::Exit;
use xtask::feature::binaries::{Binaries, Binary};
use xtask::package;

/// A Feature with every kind of content.
fn rich(collection: &Collection) {
    collection.feature("rich", "1.0.0", "");
    collection.file("rich/NOTES.md", "# Notes\n", 0o644);
    collection.file("rich/lib/ünï.sh", "echo\n", 0o644);
    collection.file("rich/lib/tool", "#!/bin/sh\n", 0o755);
    collection.file("rich/bin/amd64/given", "elf", 0o644);
    std::fs::create_dir(collection.path().join("rich/empty")).unwrap();
}

#[test]
fn the_bytes_do_not_depend_on_times_modes_order_or_place() {
    let one = Collection::new();
    rich(&one);
    // The same content, made in another order, with the modes of another umask, long ago.
    let two = Collection::new();
    std::fs::create_dir_all(two.path().join("rich/empty")).unwrap();
    two.file("rich/bin/amd64/given", "elf", 0o600);
    two.file("rich/lib/tool", "#!/bin/sh\n", 0o700);
    two.file("rich/lib/ünï.sh", "echo\n", 0o600);
    two.file("rich/NOTES.md", "# Notes\n", 0o664);
    two.feature("rich", "1.0.0", "");
    // install.sh that a checkout left without its executable bit.
    two.file("rich/install.sh", "#!/bin/sh\n", 0o600);
    std::fs::set_permissions(two.path().join("rich/lib"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    std::fs::File::open(two.path().join("rich/NOTES.md")).unwrap().set_modified(long_ago).unwrap();
    let (one, two) = (one.pack(), two.pack());
    assert_eq!(one.features[0].archive, two.features[0].archive);
    assert_eq!(one.collection(), two.collection());
}

#[test]
fn every_bit_of_content_matters() {
    let base = Collection::new();
    rich(&base);
    let archive = |change: &dyn Fn(&Path)| {
        let other = Collection::new();
        rich(&other);
        change(&other.path().join("rich"));
        other.pack().features[0].archive.clone()
    };
    let same = archive(&|_| {});
    assert_eq!(base.pack().features[0].archive, same);
    for (what, change) in [
        (
            "content",
            &(|folder: &Path| std::fs::write(folder.join("NOTES.md"), "x").unwrap()) as &dyn Fn(&Path),
        ),
        ("a name", &|folder| std::fs::rename(folder.join("NOTES.md"), folder.join("NOTES2.md")).unwrap()),
        ("a mode", &|folder| {
            std::fs::set_permissions(folder.join("lib/tool"), std::fs::Permissions::from_mode(0o644))
                .unwrap();
        }),
        ("a folder", &|folder| std::fs::remove_dir(folder.join("empty")).unwrap()),
    ] {
        assert_ne!(archive(change), same, "{what} made no difference");
    }
}

#[test]
fn gnu_tar_reads_what_is_packed() {
    let collection = Collection::new();
    rich(&collection);
    let binaries = Binaries::from([(
        "rich".to_owned(),
        vec![Binary { arch: Arch::Arm64, name: "tool".to_owned(), data: bytes::Bytes::from_static(b"arm") }],
    )]);
    let packed = package::with_binaries(collection.path(), &binaries).unwrap();
    let out = tempfile::tempdir().unwrap();
    let tgz = out.path().join("f.tgz");
    std::fs::write(&tgz, packed.features[0].archive.bytes().unwrap()).unwrap();
    let list =
        Command::new("tar").args(["--utc", "--quoting-style=literal", "-tvf"]).arg(&tgz).output().unwrap();
    assert!(list.status.success() && list.stderr.is_empty(), "{}", String::from_utf8_lossy(&list.stderr));
    let list = String::from_utf8(list.stdout).unwrap();
    let lines: Vec<String> =
        list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "drwxr-xr-x 0/0 0 1970-01-01 00:00 ./",
            "-rw-r--r-- 0/0 8 1970-01-01 00:00 ./NOTES.md",
            "drwxr-xr-x 0/0 0 1970-01-01 00:00 ./bin/",
            "drwxr-xr-x 0/0 0 1970-01-01 00:00 ./bin/amd64/",
            "-rwxr-xr-x 0/0 3 1970-01-01 00:00 ./bin/amd64/given",
            "drwxr-xr-x 0/0 0 1970-01-01 00:00 ./bin/arm64/",
            "-rwxr-xr-x 0/0 3 1970-01-01 00:00 ./bin/arm64/tool",
            "-rw-r--r-- 0/0 49 1970-01-01 00:00 ./devcontainer-feature.json",
            "drwxr-xr-x 0/0 0 1970-01-01 00:00 ./empty/",
            "-rwxr-xr-x 0/0 10 1970-01-01 00:00 ./install.sh",
            "drwxr-xr-x 0/0 0 1970-01-01 00:00 ./lib/",
            "-rwxr-xr-x 0/0 10 1970-01-01 00:00 ./lib/tool",
            "-rw-r--r-- 0/0 5 1970-01-01 00:00 ./lib/ünï.sh",
        ]
    );
    assert!(Command::new("tar").arg("-xf").arg(&tgz).arg("-C").arg(out.path()).status().unwrap().success());
    assert_eq!(std::fs::read(out.path().join("bin/arm64/tool")).unwrap(), b"arm");
}

#[test]
fn what_cannot_be_packed_is_named_all_at_once() {
    let collection = Collection::new();
    collection.json("broken", "{\n  \"id\": \"broken\",\n  \"version\": \"1.0.0\"\n");
    collection.json("bare", r#"{"id":"bare","version":"1.0.0","name":"Bare"}"#);
    collection.feature("linked", "1.0.0", "");
    std::os::unix::fs::symlink("/etc/passwd", collection.path().join("linked/passwd")).unwrap();
    collection.feature("one", "1.0.0", r#","legacyIds":["two"]"#);
    collection.feature("two", "1.0.0", "");
    let error = pack(collection.path()).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::InvalidFeature);
    let root = collection.path().display();
    let lines: Vec<String> =
        error.to_string().lines().map(|line| line.replace(&root.to_string(), "@")).collect();
    assert_eq!(
        lines,
        [
            "@/bare: there is no install.sh, which every Feature needs",
            "@/broken/devcontainer-feature.json: line 1, column 1: unterminated object",
            "@/broken: there is no install.sh, which every Feature needs",
            "@/linked/passwd: a symbolic link: not every consumer unpacks one; put the file itself here",
            "@/two: the id \"two\" is also claimed by \"legacyIds\" of @/one; each id names one Feature",
        ]
    );
}

#[test]
fn secrets_and_litter_are_left_out_aloud() {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let clean = collection.pack();
    collection.file("a/.env", "TOKEN=x", 0o644);
    collection.file("a/.git/config", "x", 0o644);
    collection.file("a/lib/.DS_Store", "x", 0o644);
    collection.file("a/node_modules/x/y.js", "x", 0o644);
    std::fs::create_dir(collection.path().join("not-a-feature")).unwrap();
    std::fs::create_dir(collection.path().join(".hidden")).unwrap();
    let packed = collection.pack();
    let root = collection.path().display();
    assert_eq!(
        packed.notes,
        [
            format!("skipped {root}/not-a-feature: no Feature in it"),
            format!("left out {root}/a/.env; to pack it, write \"!.env\" into .featureignore"),
            format!("left out {root}/a/.git; to pack it, write \"!.git\" into .featureignore"),
            format!(
                "left out {root}/a/lib/.DS_Store; to pack it, write \"!lib/.DS_Store\" into .featureignore"
            ),
            format!(
                "left out {root}/a/node_modules; to pack it, write \"!node_modules\" into .featureignore"
            ),
        ]
    );
    // Only the folder that held litter is new.
    assert_eq!(packed.features[0].archive.len(), clean.features[0].archive.len() + 512);
}

#[test]
fn a_target_is_a_collection_its_src_or_one_feature() {
    let collection = Collection::new();
    collection.file("src/b/devcontainer-feature.json", r#"{"id":"b","version":"1.0.0","name":"B"}"#, 0o644);
    collection.file("src/b/install.sh", "", 0o644);
    collection.file("README.md", "", 0o644);
    for (target, single) in [("", false), ("src", false), ("src/b", true)] {
        let packed = pack(&collection.path().join(target)).unwrap();
        assert_eq!((packed.features.len(), packed.single), (1, single), "{target}");
    }
    for (target, fragment) in [("README.md", "is not a folder"), ("nothing", "is not a folder")] {
        let error = pack(&collection.path().join(target)).unwrap_err().to_string();
        assert!(error.contains(fragment), "{error}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(pack(empty.path()).unwrap_err().to_string().contains("holds no Feature"));
}

#[test]
fn a_feature_that_cannot_be_looked_at_is_never_passed_over() {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let other = collection.path().join("b");
    for leads_to in ["nowhere", "b"] {
        std::os::unix::fs::symlink(leads_to, &other).unwrap();
        let error = format!("{:#}", pack(collection.path()).unwrap_err());
        assert!(error.starts_with(&format!("{} cannot be read: ", other.display())), "{error}");
        std::fs::remove_file(&other).unwrap();
    }
    collection.feature("b", "1.0.0", "");
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o000)).unwrap();
    // Nothing is closed to root.
    if std::fs::read_dir(&other).is_err() {
        let error = format!("{:#}", pack(collection.path()).unwrap_err());
        let json = other.join("devcontainer-feature.json");
        assert!(error.starts_with(&format!("{} cannot be read: ", json.display())), "{error}");
    }
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(collection.pack().features.len(), 2);
}

#[test]
fn only_regular_files_of_a_sane_size_are_read() {
    let collection = Collection::new();
    for id in ["device", "folder", "large", "pipe", "script", "vast"] {
        collection.feature(id, "1.0.0", "");
    }
    let json = |id: &str| {
        let path = collection.path().join(id).join("devcontainer-feature.json");
        std::fs::remove_file(&path).unwrap();
        path
    };
    let pipe = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", json("device")).unwrap();
    std::fs::create_dir(json("folder")).unwrap();
    std::fs::write(json("large"), format!("{{}}{}", " ".repeat(1 << 20))).unwrap();
    pipe(&json("pipe"));
    let script = collection.path().join("script/install.sh");
    std::fs::remove_file(&script).unwrap();
    pipe(&script);
    // Sparse: it takes no space, but would take memory.
    std::fs::File::create(collection.path().join("vast/disk")).unwrap().set_len(3 << 30).unwrap();
    let path = collection.path().to_owned();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(pack(&path).unwrap_err().to_string()));
    let error = receiver.recv_timeout(Duration::from_secs(30)).unwrap();
    let root = collection.path().display().to_string();
    let lines: Vec<String> = error.lines().map(|line| line.replace(&root, "@")).collect();
    assert_eq!(
        lines,
        [
            "@/device/devcontainer-feature.json: not a regular file; put the file itself here",
            "@/folder/devcontainer-feature.json: not a regular file; put the file itself here",
            "@/large/devcontainer-feature.json: larger than 1 MiB; nothing that a Feature says about itself needs that",
            "@/pipe/devcontainer-feature.json: not a regular file; put the file itself here",
            "@/script/install.sh: neither a file nor a folder; remove it",
            "@/vast/disk: with this file, the Feature is larger than 2 GiB; download what is large in install.sh",
        ]
    );
}

#[test]
fn the_output_is_whole_or_absent() {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", r#","legacyIds":["old"]"#);
    let packed = collection.pack();
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("deep/output");
    package::write(&packed, &folder, false).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["devcontainer-collection.json", "devcontainer-feature-a.tgz"]);
    assert_eq!(
        std::fs::read_to_string(folder.join("devcontainer-collection.json")).unwrap(),
        r#"{
    "sourceInformation": {
        "source": "devcontainer-cli"
    },
    "features": [
        {
            "id": "a",
            "version": "1.0.0",
            "name": "The a",
            "legacyIds": [
                "old"
            ],
            "currentId": "a"
        }
    ]
}"#
    );
    assert!(package::write(&packed, &folder, false).unwrap_err().to_string().contains("already exists"));
    let inside = collection.path().join("a/output");
    assert!(
        package::write(&packed, &inside, false)
            .unwrap_err()
            .to_string()
            .contains("would then contain itself")
    );
    assert!(!inside.exists());
}

/// The official CLI's archive of the same files lists the same metadata, and its consumer reads ours.
#[test]
fn the_official_cli_packs_the_same_collection_file() {
    let Some(cli) = std::env::var_os("XTASK_DEVCONTAINER_CLI") else {
        return support::skip("XTASK_DEVCONTAINER_CLI does not name the devcontainer CLI");
    };
    let collection = Collection::new();
    collection.feature(
        "a",
        "1.0.0",
        r#","legacyIds":["old"],"customizations":{"x":{"n":1.0,"2":1e21,"1":[]}}"#,
    );
    collection.feature("b", "2.0.0", r#","options":{"o":{"type":"boolean","default":false}}"#);
    let out = tempfile::tempdir().unwrap();
    let theirs = out.path().join("theirs");
    let status = Command::new(cli)
        .args(["features", "package", "-o"])
        .arg(&theirs)
        .arg(collection.path())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let packed = collection.pack();
    assert_eq!(
        std::fs::read_to_string(theirs.join("devcontainer-collection.json")).unwrap(),
        packed.collection()
    );
    // The rewritten file of a renamed Feature, too, byte for byte.
    let unpacked = Command::new("tar")
        .args(["-xOf"])
        .arg(theirs.join("devcontainer-feature-a.tgz"))
        .arg("./devcontainer-feature.json")
        .output()
        .unwrap();
    assert_eq!(unpacked.stdout, packed.features[0].metadata.file);
}
