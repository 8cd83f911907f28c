//! Where the server is the release host of Claude Code's maker.

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::package::{MACHINES, VERSION, elf};
use crate::server::{Answer, Server};
use crate::setup::{Setup, tree};

/// The option that makes the installer ask the release host.
const HERE: (&str, &str) = ("NPMREGISTRY", "");

/// The name of the running machine's programs for an image without a C library.
const PLATFORM: &str = if cfg!(target_arch = "aarch64") { "linux-arm64" } else { "linux-x64" };

fn manifest(version: &str, platform: &str, program: &[u8]) -> Value {
    let hash = Sha256::digest(program);
    let checksum = hash.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let platforms = json!({platform: {"binary": "claude", "checksum": checksum, "size": program.len()}});
    json!({"version": version, "buildDate": "2026-11-20T00:00:00Z", "platforms": platforms})
}

/// Where `version` has its manifest, and its program for `platform`.
fn paths(version: &str, platform: &str) -> (String, String) {
    let folder = format!("/releases/{version}");
    (format!("{folder}/manifest.json"), format!("{folder}/{platform}/claude"))
}

/// Serves `program` with a true manifest.
pub(crate) fn publish(server: &Server, version: &str, platform: &str, program: &[u8]) {
    let (about, itself) = paths(version, platform);
    server.put(&about, Answer::ok(manifest(version, platform, program).to_string()));
    server.put(&itself, Answer::ok(program));
}

/// Serves a program, and its version behind `latest`.
pub(crate) fn publish_latest(server: &Server) {
    server.put("/releases/latest", Answer::ok(format!("{VERSION}\n")));
    publish(server, VERSION, PLATFORM, &elf(MACHINES.0, 200_000));
}

/// A release host with [`publish_latest`], and nothing in the role of a registry.
fn setup() -> Setup {
    let setup = Setup::empty(Server::start());
    publish_latest(&setup.server);
    setup
}

/// Installs, and returns what was recorded about it.
fn installed(setup: &Setup, options: &[(&str, &str)]) -> Value {
    let output = setup.run(&[&[HERE], options].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&fs::read(setup.path("etc/agent-sandbox/install.json")).unwrap()).unwrap()
}

#[test]
fn latest_stable_and_an_exact_version() {
    let setup = setup();
    let old = elf(MACHINES.0, 3000);
    setup.server.put("/releases/stable", Answer::ok("2.1.300"));
    publish(&setup.server, "2.1.300", PLATFORM, &old);
    for (option, version, size) in [
        ("", VERSION, 200_000),
        ("latest", VERSION, 200_000),
        ("stable", "2.1.300", 3000),
        (VERSION, VERSION, 200_000),
    ] {
        let record = installed(&setup, &[("VERSION", option)]);
        let url = format!("{}{}", setup.server.url(), paths(version, PLATFORM).1);
        let program = elf(MACHINES.0, size);
        let checksum = &manifest(version, PLATFORM, &program)["platforms"][PLATFORM]["checksum"];
        let integrity = format!("sha256:{}", checksum.as_str().unwrap());
        assert_eq!(record, json!({"claude_version": version, "integrity": integrity, "source": url}));
        assert_eq!(fs::read(setup.path("usr/local/lib/agent-sandbox/claude")).unwrap(), program);
        let names = tree(setup.root.path());
        assert_eq!(names["usr/local/lib/agent-sandbox/claude"], "755");
        assert_eq!(names.len(), 16, "{names:?}");
    }
}

#[test]
fn a_musl_image_and_a_redirect() {
    let setup = setup();
    fs::create_dir(setup.path("lib")).unwrap();
    fs::write(setup.path("lib/ld-musl-x86_64.so.1"), "").unwrap();
    let (platform, program) = (format!("{PLATFORM}-musl"), elf(MACHINES.0, 500));
    publish(&setup.server, VERSION, &platform, &program);
    setup.server.put(&paths(VERSION, &platform).1, Answer::redirect("/moved"));
    setup.server.put("/moved", Answer::ok(program));
    let record = installed(&setup, &[]);
    assert!(record["source"].as_str().unwrap().ends_with("-musl/claude"), "{record}");
}

fn refused(setup: &Setup, version: &str, code: i32, part: &str) {
    setup.refused(&[HERE, ("VERSION", version)], code, part);
}

#[test]
fn a_version_that_there_is_not() {
    let setup = setup();
    refused(&setup, "next", 2, "knows only `latest`, `stable` and full versions");
    refused(&setup, "9.9.9", 2, "has no version 9.9.9");
    refused(&setup, "stable", 3, "/releases/stable answered 404");
    setup.server.put("/releases/stable", Answer::ok("<html>please log in</html>"));
    refused(&setup, "stable", 3, "which is not a version");
    setup.server.put("/releases/stable", Answer::ok(format!("2.1.330-{}", "a".repeat(57))));
    refused(&setup, "stable", 3, "sends more than 64 bytes");
}

#[test]
fn a_manifest_that_does_not_fit() {
    let setup = setup();
    let path = paths(VERSION, PLATFORM).0;
    let program = elf(MACHINES.0, 200_000);
    let put = |answer: &str| setup.server.put(&path, Answer::ok(answer));
    put("<html>please log in</html>");
    refused(&setup, "latest", 3, "not what the release host sends");
    put(&manifest("2.1.331", PLATFORM, &program).to_string());
    refused(&setup, "latest", 3, "answered about \"2.1.331\"");
    put(&manifest(VERSION, "linux-mips", &program).to_string());
    refused(&setup, "latest", 6, &format!("is not published for {PLATFORM}"));
    let mut weak = manifest(VERSION, PLATFORM, &program);
    weak["platforms"][PLATFORM]["checksum"] = "abc".into();
    put(&weak.to_string());
    refused(&setup, "latest", 4, "not a sha256 hash");
    put(&" ".repeat((1 << 20) + 1));
    refused(&setup, "latest", 3, "sends more than 1048576 bytes");
    setup.server.put(&path, Answer { status: 503, ..Answer::ok("") });
    refused(&setup, "latest", 3, "answered 503");
}

#[test]
fn a_program_that_is_not_what_was_announced() {
    let setup = setup();
    let program = elf(MACHINES.0, 200_000);
    let (about, itself) = paths(VERSION, PLATFORM);
    let put = |answer: Answer| setup.server.put(&itself, answer);

    let mut other = program.clone();
    other[100_000] ^= 1;
    put(Answer::ok(other));
    refused(&setup, "latest", 4, "as announced");
    put(Answer::ok(&program[..199_999]));
    refused(&setup, "latest", 4, "is not 200000 bytes long");
    put(Answer::ok([&program[..], b"x"].concat()));
    refused(&setup, "latest", 4, "is not 200000 bytes long");
    put(Answer::ok(program.clone()).cut(10_000));
    refused(&setup, "latest", 3, "broke off after 190000 bytes");
    put(Answer { length: (1 << 30) + 1, ..Answer::ok("") });
    refused(&setup, "latest", 3, "sends more than 1073741824 bytes");
    put(Answer::redirect("http://192.0.2.1/claude"));
    refused(&setup, "latest", 3, "plain http");

    // A size is not always announced, and then the hash alone decides.
    let mut no_size = manifest(VERSION, PLATFORM, &program);
    no_size["platforms"][PLATFORM].as_object_mut().unwrap().remove("size");
    setup.server.put(&about, Answer::ok(no_size.to_string()));
    put(Answer::ok(&program[..199_999]));
    refused(&setup, "latest", 4, "as announced");
}

#[test]
fn a_program_for_another_machine() {
    let setup = setup();
    publish(&setup.server, VERSION, PLATFORM, &elf(MACHINES.1, 5000));
    refused(&setup, "latest", 4, "another machine");
    publish(&setup.server, VERSION, PLATFORM, b"#!/bin/sh\nexit 0\n");
    refused(&setup, "latest", 4, "not a 64-bit ELF program");
    publish(&setup.server, VERSION, PLATFORM, b"");
    refused(&setup, "latest", 4, "not a 64-bit ELF program");
}
