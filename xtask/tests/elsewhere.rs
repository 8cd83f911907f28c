//! Somebody else's collection: what is meant where nothing is named, and what git has to say.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use support::Collection;
use support::official::{Said, our_command, ours, said};

fn git(folder: &Path, arguments: &[&str]) {
    let status = Command::new("git").arg("-C").arg(folder).args(arguments).stdout(Stdio::null()).status();
    assert!(status.unwrap().success(), "git {arguments:?}");
}

/// What publishing says that has nothing to take a namespace from.
fn refusal(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = our_command(folder);
    command.args(arguments).envs(variables.iter().copied());
    let Said { code, stdout, stderr } = said(&mut command);
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    stderr
}

#[test]
fn what_git_says_is_told_apart() {
    let collection = Collection::new();
    let folder = collection.path();
    collection.feature("a", "1.0.0", "");
    let publish = |variables: &[(&str, &str)]| refusal(folder, &["publish", "."], variables);
    let none = "error: no namespace: . has no git remote \"origin\" to take it from; name it with -n owner/repository\n";
    assert_eq!(publish(&[]), none);
    git(folder, &["init", "-q"]);
    assert_eq!(publish(&[]), none);
    let rest = "or name the namespace with -n owner/repository\n";
    for (address, sentence) in [
        (
            "/srv/git/repo.git",
            "the git remote \"origin\" of . is a folder, which has no owner/repository to take",
        ),
        ("../repo", "the git remote \"origin\" of . is a folder, which has no owner/repository to take"),
        (
            "file:///srv/git/repo",
            "the git remote \"origin\" of . is a folder, which has no owner/repository to take",
        ),
        (
            "https://me:hunter2@git.example/repo",
            "the address of the git remote \"origin\" of . has no owner/repository to take; `git remote get-url origin` shows it",
        ),
    ] {
        git(folder, &["config", "remote.origin.url", address]);
        assert_eq!(publish(&[]), format!("error: no namespace: {sentence}; {rest}"));
    }
    // Where git refuses, that is the reason, whatever the remote is.
    git(folder, &["config", "remote.origin.url", "https://git.example/owner/repo"]);
    let distrusted = publish(&[("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")]);
    assert!(distrusted.contains("the checkout of ., as it belongs to another user"), "{distrusted}");
    assert!(distrusted.contains("run `git config --global --add safe.directory "), "{distrusted}");
    assert!(distrusted.ends_with(rest), "{distrusted}");
    let missing = publish(&[("PATH", "/nowhere")]);
    assert!(missing.contains("git, which knows the remote to take it from, cannot be run"), "{missing}");
    std::fs::write(folder.join(".git/config"), "[broken").unwrap();
    assert!(publish(&[]).contains("git says nothing about the remote of .: bad config line"));
    for (folder_name, what) in [("none", "is not there"), ("a/install.sh", "is no folder")] {
        assert_eq!(
            refusal(folder, &["docs", "-p", folder_name], &[]),
            format!("error: {folder_name} {what}; name a folder that is there\n")
        );
    }
}

#[test]
fn nothing_need_be_named_in_somebody_elses_checkout() {
    let collection = Collection::new();
    let folder = collection.path().canonicalize().unwrap();
    collection.feature("src/a", "1.0.0", "");
    collection.template("src/t", "1.0.0", "");
    for path in ["src/a/devcontainer-feature.json", "src/t/devcontainer-template.json"] {
        let text = std::fs::read_to_string(folder.join(path)).unwrap();
        std::fs::write(folder.join(path), text.replace("src/", "")).unwrap();
    }
    git(&folder, &["init", "-q"]);
    git(&folder, &["config", "remote.origin.url", "git@git.example:Owner/Collection.git"]);
    git(&folder, &["add", "."]);
    for (arguments, archive) in [
        (&["package", "-o", "target/one"][..], "target/one/devcontainer-feature-a.tgz"),
        (&["templates", "package", "-o", "target/two"], "target/two/devcontainer-template-t.tgz"),
    ] {
        let Said { code, stderr, .. } = ours(&folder, arguments);
        assert_eq!(code, 0, "{stderr}");
        assert!(folder.join(archive).is_file(), "{stderr}");
    }
    std::fs::remove_dir_all(folder.join("target")).unwrap();
    let Said { code, stdout, stderr } = ours(&folder, &["publish", "--local"]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        stdout.lines().last(),
        Some(r#""features": { "localhost:5000/owner/collection/a:1": {} }"#),
        "{stderr}"
    );
    // One port is named: the one at which it will be found.
    assert!(stderr.contains("localhost:5000/owner/collection/a: pushed 1.0.0"), "{stderr}");
    assert_eq!(stderr.matches("localhost:").count(), stderr.matches("localhost:5000/").count(), "{stderr}");
    // The registry is that of the checkout, wherever in it one stands, and no part of it.
    let Said { code, stdout, stderr } = ours(&folder.join("src"), &["publish", "--local"]);
    assert_eq!((code, stdout.lines().next()), (0, Some("{\"a\":{}}")), "{stderr}");
    assert!(folder.join("target/registry/repositories/owner/collection/a").is_dir());
    let status = Command::new("git").arg("-C").arg(&folder).args(["status", "--porcelain"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&status.stdout).contains("target"), "{status:?}");
    // In no checkout at all, it is that of the current folder.
    std::fs::remove_dir_all(folder.join(".git")).unwrap();
    let Said { code, stdout, stderr } = ours(&folder.join("src"), &["publish", "--local"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("localhost:5000/local/features/a:1"), "{stdout}");
    assert!(folder.join("src/target/registry/repositories/local/features/a").is_dir());
    assert!(stderr.contains("so the namespace is local/features, and -n names another"), "{stderr}");
    // A version that is published with other content: the folder that may be deleted is named.
    collection.file("src/a/install.sh", "echo other", 0o755);
    let Said { code, stderr, .. } = ours(&folder, &["publish", "--local", "-n", "owner/collection"]);
    assert_eq!(code, 4, "{stderr}");
    let expected = format!("or delete {}: what is published", folder.join("target/registry").display());
    assert!(stderr.contains(&expected), "{stderr}");
}

#[test]
fn only_a_registrys_folder_is_served() {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let before = std::fs::read_dir(collection.path()).unwrap().count();
    let Said { code, stdout, stderr } =
        ours(collection.path(), &["registry", "serve", "--root", ".", "--port", "0"]);
    assert_eq!(
        (code, stdout.as_str(), stderr.as_str()),
        (1, "", "error: . is no registry's folder, as a is in it; name a new or empty folder with --root\n")
    );
    assert_eq!(std::fs::read_dir(collection.path()).unwrap().count(), before);
    let file = collection.path().join("a/install.sh");
    let Said { code, stderr, .. } =
        ours(collection.path(), &["registry", "serve", "--root", file.to_str().unwrap(), "--port", "0"]);
    assert_eq!((code, stderr.contains("cannot be used")), (1, true), "{stderr}");
}

#[test]
fn git_is_not_asked_what_is_packed() {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    collection.file(".gitignore", "built\n", 0o644);
    collection.file("a/built", "", 0o644);
    collection.file("a/new", "", 0o644);
    git(collection.path(), &["init", "-q"]);
    let Said { code, stderr, .. } = ours(collection.path(), &["package"]);
    assert_eq!(code, 0, "{stderr}");
    let archive = collection.path().join("output/devcontainer-feature-a.tgz");
    let listing = Command::new("tar").arg("-tf").arg(archive).output().unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    for file in ["./built", "./new"] {
        assert!(listing.lines().any(|line| line == file), "{listing}");
    }
}
