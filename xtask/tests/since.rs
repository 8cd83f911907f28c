//! `--since`, on real checkouts.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::path::Path;
use std::process::Command;

use support::{Collection, pack};
use xtask::exit::Exit;
use xtask::feature::kind::Kind;
use xtask::package;
use xtask::since;

fn git(folder: &Path, args: &[&str]) {
    let mut git = Command::new("git");
    // Nobody's own configuration matters.
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    git.args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]);
    git.args(["-c", "protocol.file.allow=always"]).arg("-C").arg(folder).args(args);
    let output = git.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn commit(folder: &Path, tag: &str) {
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--allow-empty", "--message", tag]);
    git(folder, &["tag", tag]);
}

/// Two Features below `src`, committed as `v1`.
fn two() -> Collection {
    let collection = Collection::new();
    collection.feature("src/a", "1.0.0", "");
    collection.feature("src/b", "1.0.0", "");
    for id in ["a", "b"] {
        collection.json(&format!("src/{id}"), &format!(r#"{{"id":"{id}","version":"1.0.0","name":"N"}}"#));
    }
    collection.file("src/a/lib/x.sh", "one\n", 0o644);
    collection.file("src/.gitignore", "built\n", 0o644);
    git(collection.path(), &["init", "--quiet"]);
    commit(collection.path(), "v1");
    collection
}

fn problems(target: &Path, reference: &str) -> Vec<String> {
    let packed = pack(target).unwrap();
    match since::check(reference, &packed) {
        Ok(()) => Vec::new(),
        Err(error) => {
            assert_eq!(Exit::of(&error), Exit::InvalidFeature, "{error:#}");
            error.to_string().lines().map(str::to_owned).collect()
        }
    }
}

#[test]
fn a_change_without_a_new_version_is_named() {
    let collection = two();
    let root = collection.path();
    assert_eq!(problems(root, "v1"), Vec::<String>::new());
    // What git does not keep is no change, nor is what is new or has another version.
    collection.file("src/a/built/tool", "elf", 0o755);
    std::fs::create_dir(root.join("src/a/empty")).unwrap();
    collection.json("src/c", r#"{"id":"c","version":"1.0.0","name":"C"}"#);
    collection.file("src/c/install.sh", "", 0o755);
    collection.json("src/b", r#"{"id":"b","version":"1.0.1","name":"N"}"#);
    collection.file("src/b/install.sh", "changed", 0o755);
    // Nor the bit that is set anyway, nor what is never packed.
    collection.file("src/a/install.sh", "#!/bin/sh\n", 0o644);
    collection.file("src/a/.env", "x", 0o644);
    assert_eq!(problems(root, "v1"), Vec::<String>::new());
    collection.file("src/a/lib/x.sh", "two\n", 0o644);
    collection.file("src/a/new", "", 0o644);
    let folder = root.join("src/a").display().to_string();
    let expected = format!(
        "{folder}: changed since v1 (lib/x.sh, new), and its version is still 1.0.0; raise the version"
    );
    assert_eq!(problems(root, "v1"), [expected.as_str()]);
    assert_eq!(problems(&root.join("src/a"), "v1"), [expected.as_str()], "one Feature");
    // The checkout, its index included, is as it was.
    git(root, &["diff", "--cached", "--quiet"]);
    commit(root, "v2");
    assert_eq!(problems(root, "v2"), Vec::<String>::new());
    assert_eq!(problems(root, "HEAD~1"), [expected.replace("v1", "HEAD~1")]);
    // Removed, made executable, and renamed.
    std::fs::remove_file(root.join("src/a/new")).unwrap();
    collection.file("src/a/lib/x.sh", "two\n", 0o755);
    std::fs::rename(root.join("src/c/install.sh"), root.join("src/c/other.sh")).unwrap();
    collection.file("src/c/install.sh", "x", 0o755);
    let found = problems(root, "v2");
    assert!(found[0].contains("(lib/x.sh, new)") && found[1].contains("(install.sh, other.sh)"), "{found:?}");
}

#[test]
fn what_was_not_valid_then_did_change() {
    let collection = two();
    let root = collection.path();
    std::os::unix::fs::symlink("x.sh", root.join("src/a/lib/link")).unwrap();
    commit(root, "v2");
    std::fs::remove_file(root.join("src/a/lib/link")).unwrap();
    let found = problems(root, "v2");
    assert!(found.len() == 1 && found[0].contains("changed since v2 (a symbolic link"), "{found:?}");
}

#[test]
fn a_feature_that_is_a_checkout_of_its_own() {
    let collection = Collection::new();
    let folder = collection.feature("a", "1.0.0", "");
    git(&folder, &["init", "--quiet"]);
    commit(&folder, "v1");
    assert_eq!(problems(&folder, "v1"), Vec::<String>::new());
    collection.file("a/x", "", 0o644);
    assert_eq!(problems(&folder, "v1").len(), 1);
}

#[test]
fn a_submodule_is_compared_with_what_its_superproject_had() {
    let (library, collection) = (Collection::new(), two());
    library.json("s", r#"{"id":"s","version":"1.0.0","name":"S"}"#);
    library.file("s/install.sh", "one", 0o755);
    let (library, root) = (library.path().join("s"), collection.path());
    git(&library, &["init", "--quiet"]);
    commit(&library, "first");
    git(root, &["submodule", "--quiet", "add", &library.display().to_string(), "src/s"]);
    commit(root, "v2");
    assert_eq!(problems(root, "v2"), Vec::<String>::new());
    assert_eq!(problems(root, "v1"), Vec::<String>::new(), "it is new");
    collection.file("src/s/install.sh", "two", 0o755);
    let expected = |reference: &str| {
        let folder = root.join("src/s");
        format!(
            "{}: changed since {reference} (install.sh), and its version is still 1.0.0; raise the version",
            folder.display()
        )
    };
    assert_eq!(problems(root, "v2"), [expected("v2")]);
    // Its own commits are none of the superproject's.
    commit(&root.join("src/s"), "second");
    assert_eq!(problems(root, "HEAD"), [expected("HEAD")]);
    assert_eq!(problems(&root.join("src"), "HEAD"), [expected("HEAD")]);
    assert_eq!(problems(&root.join("src/s"), "HEAD"), Vec::<String>::new(), "on its own, it has its own");
    commit(root, "v3");
    assert_eq!(problems(root, "v3"), Vec::<String>::new());
    assert_eq!(problems(root, "v2"), [expected("v2")]);
}

#[test]
fn what_git_tells_its_hooks_is_another_checkout() {
    let (collection, other) = (two(), two());
    git(collection.path(), &["worktree", "add", "--quiet", &other.path().join("tree").display().to_string()]);
    let tree = other.path().join("tree");
    std::fs::write(tree.join("src/a/install.sh"), "changed").unwrap();
    let run = |variables: &[(&str, &Path)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["package", "src", "-o", "out", "--since", "v1"]).current_dir(&tree);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("src/a: changed since v1 (install.sh)"), "{variables:?}: {text}");
        assert_eq!(output.status.code(), Some(3));
    };
    run(&[]);
    // As git sets them for a hook in a work tree, and in the main one.
    let of_tree = collection.path().join(".git/worktrees/tree");
    let index = of_tree.join("index");
    run(&[("GIT_DIR", &of_tree), ("GIT_INDEX_FILE", &index), ("GIT_PREFIX", Path::new(""))]);
    run(&[("GIT_DIR", Path::new(".git")), ("GIT_INDEX_FILE", Path::new(".git/index"))]);
    run(&[("GIT_DIR", &other.path().join(".git")), ("GIT_WORK_TREE", other.path())]);
}

#[test]
fn each_way_not_to_find_a_commit_has_its_sentence() {
    let collection = two();
    let packed = pack(collection.path()).unwrap();
    let error = |reference: &str| since::check(reference, &packed).unwrap_err().to_string();
    for unknown in ["nothing", "", "-x", "--all", "v1:src"] {
        assert!(
            error(unknown).contains(&format!("\"{unknown}\" names no commit here; check")),
            "{}",
            error(unknown)
        );
    }
    commit(collection.path(), "v2");
    let elsewhere = tempfile::tempdir().unwrap();
    let origin = format!("file://{}", collection.path().display());
    git(elsewhere.path(), &["clone", "--quiet", "--depth=1", "--no-tags", &origin, "clone"]);
    let shallow = pack(&elsewhere.path().join("clone")).unwrap();
    let error = since::check("v1", &shallow).unwrap_err().to_string();
    assert!(error.contains("this clone is shallow; run `git fetch --unshallow"), "{error}");
    let outside = Collection::new();
    outside.feature("a", "1.0.0", "");
    let error = since::check("v1", &outside.pack()).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Failed);
    let folder = outside.path().join("a");
    assert!(error.to_string().contains(&format!("{} is in no git checkout", folder.display())), "{error}");
}

#[test]
fn nothing_is_written_or_sent() {
    let collection = two();
    collection.file("src/a/install.sh", "changed", 0o755);
    let out = collection.path().join("out");
    for (path, fragment) in [(None, "changed since v1 (install.sh)"), (Some("/nowhere"), "git cannot be run")]
    {
        for verb in [&["package", "-o", "out"][..], &["publish", "-r", "localhost:1", "-n", "a/b"]] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
            command.args(verb).args([".", "--since", "v1"]).current_dir(collection.path());
            command.env_remove("CARGO_MANIFEST_DIR").env("DOCKER_CONFIG", collection.path());
            if let Some(path) = path {
                command.env("PATH", path);
            }
            let output = command.output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(if path.is_none() { 3 } else { 1 }), "{said}");
            assert!(said.contains(fragment) && !out.exists(), "{said}");
        }
    }
}

#[test]
fn a_template_that_changed_without_a_new_version_is_named() {
    let collection = Collection::new();
    let root = collection.path();
    let write = |version: &str, more: &str| {
        let text = format!(r#"{{"id":"a","version":"{version}","name":"A"{more}}}"#);
        collection.file("src/a/devcontainer-template.json", &text, 0o644);
    };
    write("1.0.0", "");
    collection.file("src/a/.devcontainer/devcontainer.json", r#"{"image":"x"}"#, 0o644);
    collection.file("src/.gitignore", "built\n", 0o644);
    git(root, &["init", "--quiet"]);
    commit(root, "v1");
    let check = || {
        let packed = package::of_kind(Kind::Template, Some(&root.join("src"))).unwrap();
        since::check("v1", &packed).map_err(|error| error.to_string())
    };
    assert_eq!(check(), Ok(()));
    // The list of files that is added while packing names it, and that is no change, either.
    collection.file("src/a/built/tool", "elf", 0o644);
    assert_eq!(check(), Ok(()));
    collection.file("src/a/.env", "A=1\n", 0o644);
    let folder = root.join("src/a").display().to_string();
    let expected = |what| {
        Err(format!("{folder}: changed since v1 ({what}), and its version is still 1.0.0; raise the version"))
    };
    assert_eq!(check(), expected(".env"));
    write("1.0.0", r#","publisher":"p""#);
    assert_eq!(check(), expected(".env, devcontainer-template.json"));
    write("1.0.1", r#","publisher":"p""#);
    assert_eq!(check(), Ok(()));
}
