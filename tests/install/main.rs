//! `sandbox-install` against servers on loopback: what it puts in place, and that it leaves nothing
//! behind when anything is wrong. Here the server is an npm registry.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod connect_proxy;
mod disk;
mod git_host;
mod git_push;
mod hang;
mod image;
#[path = "../lab/mod.rs"]
#[expect(dead_code, reason = "the firewall's tests use the rest")]
mod lab;
mod layout;
mod managed;
mod openpgp;
mod package;
mod policy;
mod privileged;
mod proxy;
mod release_host;
mod server;
mod setup;
mod signer;
mod tls;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tar::EntryType;

use package::{MACHINES, VERSION, elf, integrity, packument, tgz};
use server::Answer;
use setup::{Setup, tree};

#[test]
fn installs_everything_with_exact_modes() {
    let setup = Setup::new();
    let output = setup.run(&[("ALLOW", "api.example.com, db.example.com:5432")]);
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty());
    let want = [
        ("etc", "755"),
        ("etc/agent-sandbox", "755"),
        ("etc/agent-sandbox/install.json", "644"),
        ("etc/agent-sandbox/policy.json", "644"),
        ("etc/claude-code", "755"),
        ("etc/claude-code/managed-settings.d", "755"),
        ("etc/claude-code/managed-settings.d/agent-sandbox.json", "644"),
        ("etc/gitconfig", "644"),
        ("usr", "755"),
        ("usr/local", "755"),
        ("usr/local/bin", "755"),
        ("usr/local/bin/agent-sandbox", "../libexec/agent-sandbox/agent-sandbox"),
        ("usr/local/bin/claude", "../libexec/agent-sandbox/agent-sandbox"),
        ("usr/local/bin/git-remote-agent-sandbox-push", "../libexec/agent-sandbox/agent-sandbox"),
        ("usr/local/bin/init-firewall.sh", "../libexec/agent-sandbox/agent-sandbox"),
        ("usr/local/bin/sudo", "../libexec/agent-sandbox/agent-sandbox"),
        ("usr/local/lib", "755"),
        ("usr/local/lib/agent-sandbox", "755"),
        ("usr/local/lib/agent-sandbox/claude", "755"),
        ("usr/local/libexec", "755"),
        ("usr/local/libexec/agent-sandbox", "755"),
        ("usr/local/libexec/agent-sandbox/agent-sandbox", "755"),
        ("usr/local/libexec/agent-sandbox/claude-process-wrapper", "agent-sandbox"),
        ("usr/local/libexec/agent-sandbox/sandbox-launch", "6755"),
        ("usr/local/libexec/agent-sandbox/sandboxd", "755"),
        ("var", "755"),
        ("var/lib", "755"),
        ("var/lib/claude-code", "1777"),
        ("var/log", "755"),
        ("var/log/agent-sandbox", "755"),
    ];
    let want = want.map(|(path, what)| (path.to_owned(), what.to_owned()));
    assert_eq!(tree(setup.root.path()), BTreeMap::from(want));

    let read = |path: &str| fs::read(setup.path(path)).unwrap();
    assert_eq!(read("usr/local/lib/agent-sandbox/claude"), elf(MACHINES.0, 5000));
    assert!(read("usr/local/bin/claude").ends_with(b"agent-sandbox"));
    assert!(read("usr/local/libexec/agent-sandbox/sandboxd").ends_with(b"sandboxd"));
    let policy = String::from_utf8(read("etc/agent-sandbox/policy.json")).unwrap();
    let allow = "api.example.com db.example.com:5432";
    let want = agent_sandbox::policy::Policy::from_options(allow).unwrap();
    assert_eq!(agent_sandbox::policy::Policy::from_json(&policy), Ok(want));
    let record: serde_json::Value = serde_json::from_slice(&read("etc/agent-sandbox/install.json")).unwrap();
    assert_eq!(record["claude_version"], VERSION);
    assert_eq!(record["package"], package::name());
    assert!(record["integrity"].as_str().unwrap().starts_with("sha512-"));
    assert_eq!(record["source"], setup.server.url() + "/claude.tgz");
}

#[test]
fn an_exact_version_and_a_second_time() {
    let setup = Setup::new();
    fs::create_dir_all(setup.path("usr/local/bin")).unwrap();
    fs::write(setup.path("victim"), "untouched").unwrap();
    symlink("../../../victim", setup.path("usr/local/bin/claude")).unwrap();
    for _ in 0..2 {
        let output = setup.run(&[("VERSION", VERSION)]);
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(fs::read(setup.path("victim")).unwrap(), b"untouched");
    let link = fs::read_link(setup.path("usr/local/bin/claude")).unwrap();
    assert_eq!(link, Path::new("../libexec/agent-sandbox/agent-sandbox"));
    assert_eq!(tree(setup.root.path()).len(), 31);
}

#[test]
fn a_musl_image_gets_the_musl_package() {
    let setup = Setup::new();
    fs::create_dir(setup.path("lib")).unwrap();
    fs::write(setup.path("lib/ld-musl-x86_64.so.1"), "").unwrap();
    let archive = tgz(EntryType::Regular, &elf(MACHINES.0, 500));
    let name = format!("{}-musl", package::name());
    let tarball = setup.server.url() + "/musl.tgz";
    let answer = packument(&name, &tarball, Some(&integrity(&archive))).to_string();
    setup.server.put(&package::path(&name), Answer::ok(answer));
    setup.server.put("/musl.tgz", Answer::redirect("/moved.tgz"));
    setup.server.put("/moved.tgz", Answer::ok(archive));
    let output = setup.run(&[]);
    assert!(output.status.success(), "{output:?}");
    let record = fs::read_to_string(setup.path("etc/agent-sandbox/install.json")).unwrap();
    assert!(record.contains("-musl\""), "{record}");
}

#[test]
fn options_that_do_not_read() {
    let setup = Setup::new();
    setup.refused(&[("VERSION", "^2")], 2, "the option `version` is `^2`");
    setup.refused(&[("VERSION", "9.9.9")], 2, "has no version 9.9.9");
    setup.refused(&[("VERSION", "stable")], 2, "has no dist-tag `stable`");
    setup.refused(&[("ALLOW", "https://x.example")], 2, "the option `allow`");
    setup.refused(&[("NPMREGISTRY", "http://192.0.2.1/")], 2, "plain http");
}

#[test]
fn a_registry_that_is_none() {
    let setup = Setup::new();
    let path = package::path(package::name());
    setup.server.put(&path, Answer::ok("<html>please log in</html>"));
    setup.refused(&[], 3, "not what an npm registry sends");
    setup.server.put(&path, Answer { status: 503, ..Answer::ok("") });
    setup.refused(&[], 3, "answered 503");
    setup.server.put(&path, Answer::redirect(&path));
    setup.refused(&[], 3, "redirects more than");
    setup.server.put(&path, Answer::redirect("http://192.0.2.1/"));
    setup.refused(&[], 3, "plain http");
    setup.server.put(&path, Answer::ok(vec![b' '; (32 << 20) + 1]));
    setup.refused(&[], 3, "sends more than 33554432 bytes");
    setup.refused(&[("NPMREGISTRY", "http://127.0.0.1:1/")], 3, "Connection refused");
}

#[test]
fn a_download_that_is_not_what_was_promised() {
    let setup = Setup::new();
    let wrong = integrity(b"something else");
    setup.describe(Some(&wrong));
    setup.refused(&[], 4, &format!("not {}", &wrong[..23]));
    setup.describe(None);
    setup.refused(&[], 4, "no integrity hash");
    setup.describe(Some("sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="));
    setup.refused(&[], 4, "no sha512");

    let archive = tgz(EntryType::Regular, &elf(MACHINES.0, 200_000));
    setup.publish(&archive);
    let cut = Answer::ok(archive).cut(10_000);
    setup.server.put("/claude.tgz", cut);
    setup.refused(&[], 3, "broke off after");
}

#[test]
fn an_archive_with_something_else_in_it() {
    let setup = Setup::new();
    setup.publish(b"this is no gzip");
    setup.refused(&[], 4, "does not unpack");
    setup.publish(&tgz(EntryType::Symlink, b""));
    setup.refused(&[], 4, "other than a regular file");
    setup.publish(&tgz(EntryType::Regular, &elf(MACHINES.1, 5000)));
    setup.refused(&[], 4, "another machine");
    setup.publish(&tgz(EntryType::Regular, b"#!/bin/sh\nexit 0\n"));
    setup.refused(&[], 4, "not a 64-bit ELF program");
}

#[test]
fn a_feature_without_its_programs() {
    let setup = Setup::new();
    fs::write(setup.source.path().join("sandboxd"), elf(MACHINES.1, 100)).unwrap();
    setup.refused(&[], 5, "another machine");
    fs::remove_file(setup.source.path().join("sandboxd")).unwrap();
    setup.refused(&[], 5, "sandboxd cannot be read");
}

#[test]
fn an_image_with_something_in_the_way() {
    let setup = Setup::new();
    fs::create_dir_all(setup.path("usr/local/bin/claude")).unwrap();
    setup.refused(&[], 5, "in the way and a folder");
}
