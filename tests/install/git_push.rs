//! The guard on `git push` with the real git: each way to push is refused behind it and comes through without it, and
//! everything else of git's works.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use crate::git_host::Lab;
use crate::setup::{Setup, is_root};

const SENTENCE: &str = "is refused in this sandbox; push from the host, or set the Feature's option \"gitPush\" to \
                        \"allow\" and rebuild";

/// The configuration that an installation leaves.
fn gitconfig(options: &[(&str, &str)]) -> String {
    let setup = Setup::new();
    let output = setup.run(options);
    assert!(output.status.success(), "{output:?}");
    fs::read_to_string(setup.path("etc/gitconfig")).unwrap_or_default()
}

fn lab() -> Option<Lab> {
    Lab::start(&gitconfig(&[]))
}

fn is_refused(output: &Output) -> bool {
    let said = String::from_utf8_lossy(&output.stderr);
    let sentences = said.lines().filter(|line| line.contains(SENTENCE)).count();
    !output.status.success() && sentences == 1
}

/// Words of a command line, in which `GIT`, `HTTP` and `PATH` stand for where the host is.
fn words(lab: &Lab, line: &str) -> Vec<String> {
    let served = lab.text("served");
    let put = |word: &str| word.replace("GIT", &lab.git).replace("HTTP", &lab.http).replace("PATH", &served);
    line.split(' ').map(put).collect()
}

#[test]
fn each_way_to_push_is_refused_and_would_come_through() {
    let Some(lab) = lab() else { return };
    lab.ok_in("work", "remote", &["remote", "add", "host", &format!("{}/a.git", lab.git)]);
    for form in [
        "push GIT/a.git HEAD:refs/heads/x",
        "push HTTP/a.git HEAD:refs/heads/x",
        "push ssh://host.invalid/PATH/a.git HEAD:refs/heads/x",
        "push git@host.invalid:PATH/a.git HEAD:refs/heads/x",
        "push host:PATH/a.git HEAD:refs/heads/x",
        "push --no-verify GIT/a.git HEAD:refs/heads/x",
        "push --no-verify HTTP/a.git HEAD:refs/heads/x",
        "push host HEAD:refs/heads/x",
        "push --force host HEAD:refs/heads/x",
        "push --force-with-lease=refs/heads/y: host HEAD:refs/heads/x",
        "push host +HEAD:refs/heads/x",
        "push --all host",
        "push --atomic --porcelain --quiet host HEAD:refs/heads/x",
        "push --tags host",
        "push --delete host gone",
        "push host :refs/heads/gone",
        "push --mirror host",
        "push --prune host refs/heads/*:refs/heads/pruned/*",
        "push --receive-pack=git-receive-pack host HEAD:refs/heads/x",
        "push --set-upstream host HEAD",
        "push",
        "-c push.default=current push host",
        "-c remote.pushDefault=host push --all",
        "-c alias.p=push p host HEAD:refs/heads/x",
        "-c url.GIT/.insteadOf=short: push short:a.git HEAD:refs/heads/x",
        "-c remote.other.url=HTTP/a.git push other HEAD:refs/heads/x",
        "-c push.recurseSubmodules=on-demand push host HEAD:refs/heads/x",
    ] {
        lab.commit("work");
        let served = format!("--git-dir={}", lab.text("served/a.git"));
        lab.ok_in("work", "tag", &["tag", "--force", "t"]);
        // A branch there that can be deleted.
        lab.ok_in(
            "work",
            "a local push",
            &["push", "--quiet", "--force", &lab.text("served/a.git"), "HEAD~0:refs/heads/gone"],
        );
        let before = lab.refs("served/a.git");
        let words = words(&lab, form);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = lab.run("work", true, &words);
        assert!(is_refused(&output), "{form}: {output:?}");
        assert_eq!(lab.refs("served/a.git"), before, "{form}");
        let output = lab.run("work", false, &words);
        assert!(output.status.success(), "{form}: {output:?}");
        assert_ne!(lab.refs("served/a.git"), before, "{form} pushes nothing, so it shows nothing");
        lab.ok_in("work", "tag", &[&served, "update-ref", "-d", "refs/tags/t"]);
    }
}

#[test]
fn a_submodule_is_not_pushed_either() {
    let Some(lab) = lab() else { return };
    lab.bare("served/inner.git");
    lab.ok_in("work", "fill", &["push", "--quiet", &lab.text("served/inner.git"), "HEAD:refs/heads/main"]);
    lab.bare("outer.git");
    let inner = format!("{}/inner.git", lab.git);
    lab.ok_in("work", "submodule", &["submodule", "--quiet", "add", "-b", "main", &inner, "inner"]);
    lab.ok_in("work", "add", &["remote", "add", "origin", &lab.text("outer.git")]);
    lab.commit("work/inner");
    lab.ok_in("work", "commit", &["commit", "--quiet", "--all", "--message=inner"]);
    let before = lab.refs("served/inner.git");
    let words = ["push", "--recurse-submodules=on-demand", "origin", "HEAD:refs/heads/main"];
    let output = lab.run("work", true, &words);
    assert!(is_refused(&output), "{output:?}");
    assert_eq!(lab.refs("served/inner.git"), before);
    let output = lab.run("work", false, &words);
    assert!(output.status.success(), "{output:?}");
    assert_ne!(lab.refs("served/inner.git"), before);
}

#[test]
fn everything_else_works() {
    let Some(lab) = lab() else { return };
    lab.ok_in("work", "fill", &["push", "--quiet", &lab.text("served/a.git"), "HEAD:refs/heads/main"]);
    for (number, address) in
        [&lab.git, &lab.http, &format!("ssh://host.invalid{}", lab.text("served"))].into_iter().enumerate()
    {
        let (address, clone) = (format!("{address}/a.git"), format!("clone{number}"));
        lab.ok("clone", &["clone", "--quiet", "--branch=main", &address, &clone]);
        lab.ok_in(&clone, "fetch", &["fetch", "--quiet", "origin"]);
        lab.ok_in(&clone, "pull", &["pull", "--quiet", "--ff-only"]);
        lab.ok_in("work", "ls-remote", &["ls-remote", &address]);
        assert!(is_refused(&lab.run(&clone, true, &["push", "origin", "HEAD:refs/heads/x"])));
    }

    // Paths of every kind, in the order of how likely they are in a project's tests.
    lab.bare("there.git");
    lab.bare("work/sub/inside.git");
    lab.bare("work/inside.git");
    lab.bare("work/sub/a:b.git");
    for (number, path) in [
        lab.text("there.git").as_str(),
        "../there.git",
        &format!("file://{}", lab.text("there.git")),
        "./sub/inside.git",
        "sub/inside.git",
        "inside.git",
        "sub/a:b.git",
        ".",
    ]
    .into_iter()
    .enumerate()
    {
        let branch = format!("refs/heads/b{number}");
        lab.ok_in("work", path, &["push", "--quiet", path, &format!("HEAD:{branch}")]);
        let there = lab.run("work", true, &["ls-remote", path, &branch]);
        assert!(String::from_utf8_lossy(&there.stdout).contains(&branch), "{path}: {there:?}");
        let output = lab.run("work", true, &["push", "--atomic", path, &format!(":{branch}")]);
        assert!(output.status.success(), "{path}: {output:?}");
    }
    // Nothing of the repository that is pushed from is taken for the other's.
    lab.ok_in(
        "work",
        "a setting",
        &["-c", "receive.denyDeletes=true", "push", "inside.git", "HEAD:refs/heads/c"],
    );
    lab.ok_in(
        "work",
        "a setting",
        &["-c", "receive.denyDeletes=true", "push", "inside.git", ":refs/heads/c"],
    );

    // The repository's own hooks.
    for name in ["pre-commit", "pre-push"] {
        let path = lab.path("work/.git/hooks").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\necho ran >>ran.{name}\n[ ! -e refuse ]\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let ran =
        |name: &str| fs::read_to_string(lab.path("work").join(format!("ran.{name}"))).unwrap_or_default();
    let push = ["push", "../there.git", "HEAD:refs/heads/hooked"];
    lab.commit("work");
    assert_eq!(ran("pre-commit"), "ran\n");
    lab.ok_in("work", "push", &push);
    assert_eq!(ran("pre-push"), "ran\n");
    // What uploads from a hook, as Git LFS does, is not run when the push is refused.
    assert!(is_refused(&lab.run(
        "work",
        true,
        &["push", &format!("{}/a.git", lab.git), "HEAD:refs/heads/y"]
    )));
    assert_eq!(ran("pre-push"), "ran\n");
    fs::write(lab.path("work/refuse"), "").unwrap();
    lab.commit_fails("work");
    assert!(!lab.run("work", true, &["push", "../there.git", "HEAD:refs/heads/other"]).status.success());
    assert_eq!(ran("pre-push"), "ran\nran\n");
}

/// It is a guard and no boundary: what goes around it is what the documentation says. When one of these is refused,
/// the documentation can say so.
#[test]
fn what_goes_around_it_is_known() {
    let Some(lab) = lab() else { return };
    let pushes = |arguments: &str, no_system: bool| {
        lab.commit("work");
        let before = lab.refs("served/a.git");
        let words = words(&lab, arguments);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = lab.command("work", true, &words);
        if no_system {
            command.env("GIT_CONFIG_NOSYSTEM", "1");
        }
        let output = command.output().unwrap();
        let changed = lab.refs("served/a.git") != before;
        assert_eq!(output.status.success(), changed, "{output:?}");
        changed
    };
    let pushurl = "-c remote.o.url=GIT/a.git -c remote.o.pushurl=GIT/a.git push";
    assert!(pushes(&format!("{pushurl} --no-verify o HEAD:refs/heads/x"), false));
    // A hook of git's configuration sees that one, where git has such hooks.
    assert_eq!(pushes(&format!("{pushurl} o HEAD:refs/heads/x"), false), !knows_hooks_in_its_configuration());
    assert!(pushes("-c url.GIT/.pushInsteadOf=GIT/ push --no-verify GIT/a.git HEAD:refs/heads/x", false));
    assert!(pushes("push GIT/a.git HEAD:refs/heads/x", true));
    assert!(pushes("send-pack GIT/a.git HEAD:refs/heads/x", false));
}

fn knows_hooks_in_its_configuration() -> bool {
    let output = Command::new("git").arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers =
        text.trim().rsplit(' ').next().unwrap().split('.').map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(2), Some(54))
}

#[test]
fn the_systems_configuration_keeps_what_it_had() {
    let setup = Setup::new();
    let path = setup.path("etc/gitconfig");
    fs::create_dir(setup.path("etc")).unwrap();
    fs::write(&path, "[safe]\n\tdirectory = *\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    for _ in 0..2 {
        assert!(setup.run(&[]).status.success());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("# agent-sandbox end\n[safe]\n\tdirectory = *\n"), "{text}");
        assert_eq!(text.matches("# agent-sandbox begin").count(), 1);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }
    assert!(setup.run(&[("GITPUSH", "allow")]).status.success());
    assert_eq!(fs::read_to_string(&path).unwrap(), "[safe]\n\tdirectory = *\n");
    let record = fs::read_to_string(setup.path("etc/agent-sandbox/install.json")).unwrap();
    assert!(record.contains("\"git_push\": \"allow\""), "{record}");
    setup.refused(&[("GITPUSH", "never")], 2, "the option `gitPush` cannot be used");

    // A git of /usr/local reads a file of its own.
    fs::write(setup.path("usr/local/bin/git"), "").unwrap();
    assert!(setup.run(&[]).status.success());
    let local = fs::read_to_string(setup.path("usr/local/etc/gitconfig")).unwrap();
    assert_eq!(local, gitconfig(&[]));
    // Something else in the file's place.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    setup.refused(&[], 5, "etc/gitconfig");
}

/// In a network of its own, as it tries the other ways out, too.
#[test]
fn verify_tries_it() {
    if !is_root() {
        eprintln!("SKIPPED: this test makes a network namespace: run it with sudo");
        assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
        return;
    }
    let Some(lab) = lab() else { return };
    let row = |guarded: bool, prepare: &str| {
        // The environment is the one that git gets in these tests.
        let git = lab.command("work", guarded, &[]);
        let script = format!("ip link set lo up && {prepare} exec \"$0\" verify --json");
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", &script, env!("CARGO_BIN_EXE_agent-sandbox")]).env_clear();
        command.envs(git.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.current_dir(lab.path("work")).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let row = report["rows"].as_array().unwrap().iter().find(|row| row["id"] == "git.push").unwrap();
        (row["outcome"].as_str().unwrap().to_owned(), row["detail"].as_str().unwrap().to_owned())
    };
    let (outcome, detail) = row(true, "");
    assert_eq!(outcome, "pass", "{detail}");
    assert!(detail.contains(SENTENCE), "{detail}");
    assert_eq!(row(false, "").0, "fail");
    let (outcome, detail) = row(true, "git config remote.o.pushurl https://h.invalid/a &&");
    assert_eq!((outcome.as_str(), detail.contains("remote.o.pushurl")), ("warn", true), "{detail}");
    assert_eq!(row(true, "PATH=/nowhere;"), ("not-applicable".to_owned(), "there is no git".to_owned()));
}
