use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::install::names;
use crate::policy::Mode;

fn put(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A client that says what `script` prints. Another process writes it: a file that is open for writing does not start, and
/// a program that is started elsewhere at that moment would hold it open.
fn client(root: &Path, name: &str, script: &str) {
    put(root, &[("usr/bin/.new", &format!("#!/bin/sh\n{script}\n"))]);
    let (new, path) = (root.join("usr/bin/.new"), root.join("usr/bin").join(name));
    let copied = Command::new("cp").arg(&new).arg(&path).status().unwrap();
    assert!(copied.success());
    fs::remove_file(new).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn configuration_files_of_all_clients() {
    let image = tempfile::tempdir().unwrap();
    let root = image.path();
    put(
        root,
        &[
            (
                "etc/npmrc",
                "registry = \"https://npm.example.com/\"\n@acme:registry=https://acme.example.org:8443/x\n//npm.example.com/:_authToken=secret\n",
            ),
            ("usr/local/etc/npmrc", "registry=http://localhost:4873/\n"),
            (
                "etc/pip.conf",
                "[global]\nindex-url = https://user:secret@pip.example.com/simple\nextra-index-url =\n    https://more.example.com/simple\n    file:///srv/wheels\n",
            ),
            (
                "usr/local/cargo/config.toml",
                "[source.crates-io]\nreplace-with = \"mirror\"\n[source.mirror]\nregistry = \"sparse+https://crates.example.com/index/\"\n[source.unused]\nregistry = \"https://unused.example/\"\n",
            ),
            ("usr/local/go/go.env", "# go\nGOPROXY=https://go.example.com,direct\nGOSUMDB=sum.example.com\n"),
            ("etc/gemrc", ":sources:\n- https://gems.example.com/\n"),
            (
                "etc/maven/settings.xml",
                "<settings><mirrors><mirror><url>https://maven.example.com/m2</url></mirror></mirrors></settings>",
            ),
            ("etc/apt/sources.list", "deb http://deb.example.com/debian stable main\n"),
            ("etc/apt/sources.list.d/b.list", "deb https://b.example.com x y\n"),
            (
                "etc/apt/sources.list.d/c.sources",
                "Types: deb\nURIs: http://192.0.2.1/debian https://c.example.com/\n",
            ),
            ("etc/apt/sources.list.d/d.list.save", "deb https://no.example x y\n"),
            (
                "etc/apk/repositories",
                "https://apk.example.com/main\n@edge http://edge.example.com/x\n/srv/apk\n# no\n",
            ),
        ],
    );
    let variables = [
        ("NPM_CONFIG_REGISTRY", "https://set.example.com/"),
        ("CARGO_REGISTRIES_OWN_INDEX", "https://own.example.com/i"),
    ];
    let found = find(&Image::with(root, true, variables));
    assert_eq!(
        found.lines(),
        [
            "apk apk.example.com:443",
            "apk edge.example.com:80",
            "apt b.example.com:443",
            "apt c.example.com:443",
            "apt deb.example.com:80",
            "cargo crates.example.com:443",
            "cargo own.example.com:443",
            "gem gems.example.com:443",
            "go go.example.com:443",
            "go sum.example.com:443",
            "maven maven.example.com:443",
            "npm acme.example.org:8443",
            "npm npm.example.com:443",
            "npm set.example.com:443",
            "pip more.example.com:443",
            "pip pip.example.com:443",
        ]
    );
    let notes = found.notes().join("\n");
    for part in [
        "npm: 'localhost' is a name of a private",
        "pip: an address has the scheme 'file'",
        "apt: an address is an IP",
        "go: some modules",
    ] {
        assert!(notes.contains(part), "{notes}");
    }
    assert!(!notes.contains("secret"));

    let mut draft = Draft::new(names::to_ascii);
    let mut said = Vec::new();
    add(&Image::with(root, false, variables), &mut draft, |line| said.push(line.to_owned())).unwrap();
    let policy = draft.finish(Mode::Enforce).unwrap();
    let rule = |name: &str| policy.rules.iter().find(|rule| rule.name.to_string() == name).unwrap();
    assert_eq!(rule("acme.example.org").from, "preset packages: npm");
    assert!(rule("acme.example.org").ports.contains(&8443));
    assert_eq!(said[0], "preset packages: apk uses apk.example.com:443");
    assert!(said.last().unwrap().contains("these are the indexes"));
}

#[test]
fn clients_are_asked() {
    let image = tempfile::tempdir().unwrap();
    let root = image.path();
    client(
        root,
        "npm",
        r#"[ "$*" = "config list --json" ] && printf '{"registry":"%s","@a:registry":"https://scope.example.com/","x":1}' "$npm_config_registry""#,
    );
    client(root, "yarn", "echo 'yarn says'; echo https://yarn.example.com");
    client(root, "pnpm", "echo undefined");
    client(
        root,
        "pip3",
        "echo \"global.timeout='3'\"; printf \"global.extra-index-url='%s'\\n\" '\\nhttps://a.example.com/s\\nhttps://b.example.com/s'",
    );
    client(
        root,
        "python3",
        "[ \"$1 $2\" = \"-I -c\" ] && echo https://built-in.example.com/simple && echo https://files.example.com/",
    );
    client(
        root,
        "go",
        "[ $GOTOOLCHAIN = local ] && echo 'https://go.example.com|off' && echo 'name+hash+key https://sum.example.com/x'",
    );
    client(root, "gem", "printf '*** CURRENT SOURCES ***\\n\\nhttps://gems.example.com/\\n'");
    client(root, "cargo", "echo https://no.example");
    client(root, "mvn", "echo https://no.example");
    let variables = [
        ("PATH", "/sbin:/usr/bin"),
        ("npm_config_registry", "https://npm.example.com/"),
        ("PIP_CONFIG_FILE", "/none"),
    ];
    let found = find(&Image::with(root, true, variables));
    assert_eq!(
        found.lines(),
        [
            "gem gems.example.com:443",
            "go go.example.com:443",
            "go sum.example.com:443",
            "npm npm.example.com:443",
            "npm scope.example.com:443",
            "pip a.example.com:443",
            "pip b.example.com:443",
            "pip built-in.example.com:443",
            "pip files.example.com:443",
            "yarn yarn.example.com:443",
        ]
    );
    let notes = found.notes().join("\n");
    for client in ["cargo", "maven", "pnpm"] {
        let part = format!("{client}: ");
        assert!(
            found.notes().iter().any(|note| note.starts_with(&part) && note.contains("stays out")),
            "{notes}"
        );
    }

    // What says nothing of use is no reason to guess, and a foreign image's programs are not started.
    for name in ["npm", "yarn", "pip3", "python3", "go", "gem"] {
        client(root, name, "exit 1");
    }
    for asks in [true, false] {
        let found = find(&Image::with(root, asks, [("PATH", "/usr/bin")]));
        assert_eq!(found.lines(), [""; 0]);
        for client in ["npm", "yarn", "pip", "go", "gem"] {
            assert!(
                found.notes().iter().any(|note| note.starts_with(client) && note.contains("stays out")),
                "{client}"
            );
        }
    }
}

#[test]
fn what_others_may_write_is_neither_run_nor_read() {
    let image = tempfile::tempdir().unwrap();
    let root = image.path();
    client(root, "npm", ": > \"${0%/*}/ran\"; echo '{\"registry\":\"https://npm.example.com/\"}'");
    put(root, &[("etc/pip.conf", "[global]\nindex-url = https://pip.example.com/simple\n")]);
    let open = |path: &str, mode| fs::set_permissions(root.join(path), Permissions::from_mode(mode)).unwrap();
    let look = || find(&Image::with(root, true, [("PATH", "/usr/bin")]));
    assert_eq!(look().lines(), ["npm npm.example.com:443", "pip pip.example.com:443"]);
    fs::remove_file(root.join("usr/bin/ran")).unwrap();

    fs::create_dir_all(root.join("usr/local/cargo")).unwrap();
    open("usr/local/cargo", 0o777);
    open("usr/bin", 0o777);
    open("etc/pip.conf", 0o666);
    let found = look();
    assert_eq!(found.lines(), [""; 0]);
    assert!(!root.join("usr/bin/ran").exists());
    let notes = found.notes().join("\n");
    assert!(
        notes.contains("npm: it is not asked, as its program may have been written by others than root"),
        "{notes}"
    );
    assert!(!notes.contains("cargo"), "{notes}");
    assert!(notes.contains("pip: /etc/pip.conf may have been written by others than root"), "{notes}");

    let mut draft = Draft::new(names::to_ascii);
    let mut said = Vec::new();
    let image = Image::with(root, true, [("PATH", "/usr/bin")]);
    assert_eq!(add(&image, &mut draft, |line| said.push(line.to_owned())), Err(NothingFound));
    assert!(said.iter().any(|line| line.starts_with("preset packages: npm: it is not asked")), "{said:?}");
}
