//! Where the server is the release host of Claude Code's maker.

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::package::{MACHINES, VERSION, elf};
use crate::server::{Answer, Server};
use crate::setup::{Setup, tree};
use crate::signer::{MAKER, Signer};

/// The option that makes the installer ask the release host.
const HERE: (&str, &str) = ("NPMREGISTRY", "");

/// The name of the running machine's programs for an image without a C library.
const PLATFORM: &str = if cfg!(target_arch = "aarch64") { "linux-arm64" } else { "linux-x64" };

/// Where the host has the key.
const KEY: &str = "/keys/claude-code.asc";

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
    say(server, version, &manifest(version, platform, program).to_string());
    server.put(&paths(version, platform).1, Answer::ok(program));
}

/// Serves any text as the manifest of `version`, signed.
fn say(server: &Server, version: &str, manifest: &str) {
    let about = paths(version, PLATFORM).0;
    server.put(&about, Answer::ok(manifest));
    server.put(&(about + ".sig"), Answer::ok(MAKER.sign(manifest.as_bytes())));
    server.put(KEY, Answer::ok(MAKER.key_file()));
}

/// The same without a signature.
fn unsigned(server: &Server, version: &str) {
    publish(server, version, PLATFORM, &elf(MACHINES.0, 3000));
    server.put(&(paths(version, PLATFORM).0 + ".sig"), Answer { status: 404, ..Answer::ok("") });
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
        let signature = json!({"verified_by": MAKER.fingerprint()});
        let want = json!({
            "claude_version": version, "integrity": integrity, "signature": signature, "source": url,
            "git_push": "refuse",
        });
        assert_eq!(record, want);
        assert_eq!(fs::read(setup.path("usr/local/lib/agent-sandbox/claude")).unwrap(), program);
        let names = tree(setup.root.path());
        assert_eq!(names["usr/local/lib/agent-sandbox/claude"], "755");
        assert_eq!(names.len(), 30, "{names:?}");
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
    let put = |answer: &str| say(&setup.server, VERSION, answer);
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
fn a_release_from_before_there_were_signatures() {
    let setup = setup();
    for version in ["2.1.88", "1.0.0"] {
        unsigned(&setup.server, version);
        setup.server.put("/releases/stable", Answer::ok(version));
        refused(&setup, "stable", 4, &format!("set the option `version` to {version} if"));
    }
    for version in ["2.1.89", VERSION, "3.0.0"] {
        unsigned(&setup.server, version);
        refused(&setup, version, 4, "every release since 2.1.89 has one");
    }
    let output = setup.run(&[HERE, ("VERSION", "2.1.88")]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("Claude Code 2.1.88 is from before manifests were signed"), "{said}");
    let record: Value =
        serde_json::from_slice(&fs::read(setup.path("etc/agent-sandbox/install.json")).unwrap()).unwrap();
    assert_eq!(record["signature"], "none");
}

#[test]
fn a_signature_that_is_there_must_be_good() {
    let setup = setup();
    // Also where none would do.
    for version in [VERSION, "2.1.88"] {
        publish(&setup.server, version, PLATFORM, &elf(MACHINES.0, 3000));
        let (about, _) = paths(version, PLATFORM);
        let put = |bytes: Vec<u8>| setup.server.put(&format!("{about}.sig"), Answer::ok(bytes));
        let text = manifest(version, PLATFORM, &elf(MACHINES.0, 3000)).to_string();

        put(MAKER.sign(manifest("2.1.331", PLATFORM, b"other").to_string().as_bytes()));
        refused(&setup, version, 4, "the signature does not fit what was signed; nothing was installed");
        put(Signer::new().sign(text.as_bytes()));
        refused(&setup, version, 4, "the signature does not fit what was signed");
        for other in [&b""[..], b"<html>please log in</html>", &MAKER.sign(text.as_bytes())[1..]] {
            put(other.to_vec());
            refused(&setup, version, 4, "the signature is not what OpenPGP programs write");
        }
        put([&MAKER.sign(text.as_bytes())[..], b"\n"].concat());
        refused(&setup, version, 4, "the signature is not what OpenPGP programs write");
        put(vec![b' '; (16 << 10) + 1]);
        refused(&setup, version, 3, "sends more than 16384 bytes");
        setup.server.put(&format!("{about}.sig"), Answer { status: 403, ..Answer::ok("") });
        refused(&setup, version, 3, "manifest.json.sig answered 403");
        put(MAKER.sign(text.as_bytes()));
        // The same signature, and another manifest.
        setup.server.put(&about, Answer::ok(text + "\n"));
        refused(&setup, version, 4, "the signature does not fit what was signed");
    }
}

#[test]
fn a_key_that_is_not_the_pinned_one() {
    let setup = setup();
    let other = Signer::new();
    let text = manifest(VERSION, PLATFORM, &elf(MACHINES.0, 3000)).to_string();
    setup.server.put(&paths(VERSION, PLATFORM).0, Answer::ok(&*text));
    setup.server.put(&(paths(VERSION, PLATFORM).0 + ".sig"), Answer::ok(other.sign(text.as_bytes())));
    let put = |bytes: Vec<u8>| setup.server.put(KEY, Answer::ok(bytes));
    put(other.key_file());
    let wrong = format!("the key has the fingerprint {}, not {}", other.fingerprint(), MAKER.fingerprint());
    refused(&setup, "latest", 4, &wrong);
    put([other.key_file(), MAKER.key_file()].concat());
    refused(&setup, "latest", 4, "the signature does not fit what was signed");
    put(b"<html>please log in</html>".to_vec());
    refused(&setup, "latest", 4, "the key is not what OpenPGP programs write");
    put(vec![b' '; (256 << 10) + 1]);
    refused(&setup, "latest", 3, "sends more than 262144 bytes");
    setup.server.put(KEY, Answer { status: 404, ..Answer::ok("") });
    refused(&setup, "latest", 3, "/keys/claude-code.asc answered 404");
    setup.server.put(KEY, Answer::redirect("http://192.0.2.1/key"));
    refused(&setup, "latest", 3, "plain http");
}

#[test]
fn a_program_that_is_not_what_was_announced() {
    let setup = setup();
    let program = elf(MACHINES.0, 200_000);
    let itself = paths(VERSION, PLATFORM).1;
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
    put(Answer::ok(program.clone()).chunked().cut(10_000));
    refused(&setup, "latest", 3, "broke off after 190000 bytes");
    for status in [404, 410, 500] {
        put(Answer { status, ..Answer::ok("") });
        refused(&setup, "latest", 3, &format!("answered {status}"));
    }
    put(Answer::redirect(&itself));
    refused(&setup, "latest", 3, "redirects more than");
    put(Answer { length: (1 << 30) + 1, ..Answer::ok("") });
    refused(&setup, "latest", 3, "sends more than 1073741824 bytes");
    put(Answer::redirect("http://192.0.2.1/claude"));
    refused(&setup, "latest", 3, "plain http");

    // A size is not always announced, and then the hash alone decides.
    let mut no_size = manifest(VERSION, PLATFORM, &program);
    no_size["platforms"][PLATFORM].as_object_mut().unwrap().remove("size");
    say(&setup.server, VERSION, &no_size.to_string());
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
