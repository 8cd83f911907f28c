//! The program as a user runs it: what it prints where, and how it ends.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use support::Collection;

fn xtask(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    // Nothing of the machine's own logins may matter.
    command.current_dir(folder).env("DOCKER_CONFIG", folder);
    for name in ["CARGO_MANIFEST_DIR", "DEVCONTAINERS_OCI_AUTH", "GITHUB_TOKEN"] {
        command.env_remove(name);
    }
    command
}

fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn package_writes_nothing_but_files_and_errors_are_sentences() {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let (code, stdout, stderr) = run(xtask(collection.path()).args(["package", "."]));
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    assert!(collection.path().join("output/devcontainer-feature-a.tgz").is_file());
    let (code, _, stderr) = run(xtask(collection.path()).args(["package", "."]));
    assert_eq!(code, 1);
    assert!(stderr.contains("error: the output folder ") && stderr.contains("already exists"), "{stderr}");
    assert_eq!(run(xtask(collection.path()).args(["package", ".", "-f"])).0, 0);
    // An invalid Feature, and the old output is still there.
    collection.json("a", "{");
    let (code, stdout, stderr) = run(xtask(collection.path()).args(["package", ".", "-f"]));
    assert_eq!(
        (code, stdout.as_str(), stderr.as_str()),
        (3, "", "error: ./a/devcontainer-feature.json: line 1, column 1: unterminated object\n")
    );
    assert!(collection.path().join("output/devcontainer-feature-a.tgz").is_file());
    assert_eq!(run(xtask(collection.path()).args(["package", "--nonsense"])).0, 2);
}

#[test]
fn no_name_breaks_a_line() {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    collection.file("a/x\nerror: y~", "", 0o644);
    std::fs::create_dir(collection.path().join("b\u{1b}[2J")).unwrap();
    let (code, _, stderr) = run(xtask(collection.path()).args(["package", ".", "-o", "o\nut"]));
    assert_eq!(code, 0, "{stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(
        lines[..2],
        [
            r"skipped ./b\u{1b}[2J: no Feature in it",
            r#"left out ./a/x\nerror: y~; to pack it, write "!x\nerror: y~" into .featureignore"#
        ]
    );
    assert!(lines[2].starts_with("a 1.0.0 -> o\\nut/") && lines.len() == 3, "{stderr}");
    std::os::unix::fs::symlink("x", collection.path().join("a/l\nink")).unwrap();
    for (target, error) in
        [(".", r"./a/l\nink: a symbolic link"), ("no\nfolder", r"no\nfolder is not a folder")]
    {
        let (_, _, stderr) = run(xtask(collection.path()).args(["package", target]));
        assert!(stderr.lines().all(|line| line.starts_with("error: ")), "{stderr}");
        assert!(stderr.contains(&format!("error: {error}")), "{stderr}");
    }
    collection.feature("a", "1.0.0", r#","x\ny":1"#);
    std::fs::remove_file(collection.path().join("a/l\nink")).unwrap();
    let (_, _, stderr) = run(xtask(collection.path()).args(["package", "."]));
    assert!(stderr.contains(r#"unknown property "x\ny";"#) && stderr.lines().count() == 1, "{stderr}");
}

/// Every write to it fails.
fn full() -> std::fs::File {
    std::fs::File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn nobody_needs_to_listen() {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    collection.file("a/.env", "", 0o644);
    let package = || {
        let mut command = xtask(collection.path());
        command.args(["package", ".", "-f"]).stderr(full()).status().unwrap().code()
    };
    assert_eq!(package(), Some(0));
    collection.json("a", "{");
    assert_eq!(package(), Some(3));
    let root = tempfile::tempdir().unwrap();
    let mut command = xtask(root.path());
    command.args(["registry", "serve", "--root", ".", "--port", "0"]).stderr(full());
    let served = Served(command.spawn().unwrap(), 0);
    while !root.path().join("serve.json").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(served.terminate(), 0);
}

/// The digest of a published version must not depend on who publishes it.
#[test]
fn the_environment_does_not_change_the_archive() {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    for (output, time) in [("one", "0"), ("two", "1700000000"), ("three", "soon")] {
        let mut command = xtask(collection.path());
        let (code, _, stderr) =
            run(command.env("SOURCE_DATE_EPOCH", time).args(["package", "a", "-o", output]));
        assert_eq!(code, 0, "{stderr}");
    }
    let archive = |output: &str| {
        std::fs::read(collection.path().join(output).join("devcontainer-feature-a.tgz")).unwrap()
    };
    assert!(archive("one") == archive("two") && archive("two") == archive("three"));
}

#[test]
fn publish_prints_json_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let registry =
        xtask::registry::server::serve(root.path(), &xtask::registry::server::Options::default()).unwrap();
    let collection = Collection::new();
    collection.feature("a", "1.2.3", "");
    let publish = || {
        let mut command = xtask(collection.path());
        command.args(["publish", ".", "-r", &registry.host(), "-n", "Owner/Features"]);
        command
    };
    let (code, stdout, stderr) = run(&mut publish());
    assert_eq!(code, 0, "{stderr}");
    let digest = support::digest_of(registry.port(), "owner/features/a", "latest").unwrap();
    assert_eq!(
        stdout,
        format!(
            "{{\"a\":{{\"publishedTags\":[\"1\",\"1.2\",\"1.2.3\",\"latest\"],\"digest\":\"{digest}\",\"version\":\"1.2.3\"}}}}\n"
        )
    );
    assert!(
        stderr.contains(&format!("{}/owner/features/a: pushed 1.2.3 ({digest})", registry.host())),
        "{stderr}"
    );
    assert_eq!(run(&mut publish()).1, "{\"a\":{}}\n");
    collection.feature("a", "1.2.3", r#","description":"other""#);
    let (code, stdout, stderr) = run(&mut publish());
    assert_eq!((code, stdout.as_str(), stderr.lines().count()), (4, "", 1), "{stderr}");
    for more in [&["--dry-run"][..], &["--dry-run", "--json"]] {
        let (code, stdout, _) = run(publish().args(more));
        assert_eq!((code, stdout.as_str()), (4, ""), "{more:?}");
    }
    let (code, _, stderr) = run(xtask(collection.path()).args(["publish", "."]));
    assert_eq!(
        (code, stderr.as_str()),
        (
            1,
            "error: no namespace: . has no git remote \"origin\" to take it from; name it with -n owner/repository\n"
        )
    );
    for wrong in ["https://ghcr.io", "ghcr.io/owner"] {
        let (code, _, stderr) =
            run(xtask(collection.path()).args(["publish", ".", "-n", "a/b", "-r", wrong]));
        assert_eq!(code, 2);
        assert!(stderr.contains(&format!("\"{wrong}\" is not a registry")), "{stderr}");
    }
}

/// A `registry serve` that is ended with the value.
struct Served(Child, u16);

impl Served {
    fn start(checkout: &Path) -> Self {
        let mut child = xtask(checkout)
            .args(["registry", "serve", "--port", "0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let port = line
            .split("localhost:")
            .nth(1)
            .and_then(|rest| rest.split(';').next())
            .unwrap_or_else(|| panic!("{line}"));
        let port = port.parse().unwrap();
        Self(child, port)
    }

    fn terminate(mut self) -> i32 {
        assert!(Command::new("kill").arg(self.0.id().to_string()).status().unwrap().success());
        self.0.wait().unwrap().code().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_local_publish_needs_nothing_and_is_served_afterwards() {
    // Something that looks like the checkout, so that the real one's registry stays untouched.
    let checkout = Collection::new();
    checkout.file("xtask/Cargo.toml", "", 0o644);
    checkout.file(
        "features/a/devcontainer-feature.json",
        r#"{"id":"a","version":"0.3.0","name":"A"}"#,
        0o644,
    );
    checkout.file("features/a/install.sh", "", 0o755);
    checkout.file(
        "Cargo.toml",
        "[package]\nname = \"x\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[lib]\npath = \"x.rs\"\n",
        0o644,
    );
    checkout.file("x.rs", "", 0o644);
    let publish =
        |json: bool| run(xtask(checkout.path()).args(["publish", "--local"]).args(json.then_some("--json")));
    let (code, stdout, stderr) = publish(false);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        stdout.lines().last(),
        Some(r#""features": { "localhost:5000/local/features/a:0": {} }"#),
        "{stdout}"
    );
    assert!(stderr.contains("the namespace is local/features"), "{stderr}");
    assert!(stderr.contains("keep `cargo xtask registry serve` running"), "{stderr}");
    assert_eq!(publish(true).1, "{\"a\":{}}\n");
    let served = Served::start(checkout.path());
    let port = served.1;
    assert!(support::digest_of(port, "local/features/a", "latest").is_some());
    // While it runs, it is the one that is published to.
    checkout.file(
        "features/a/devcontainer-feature.json",
        r#"{"id":"a","version":"0.4.0","name":"A"}"#,
        0o644,
    );
    let (code, stdout, stderr) = publish(false);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains(&format!("localhost:{port}/local/features/a: pushed 0.4.0")), "{stderr}");
    assert!(stdout.contains(&format!("localhost:{port}/local/features/a:0")), "{stdout}");
    assert_eq!(served.terminate(), 0);
    assert!(!checkout.path().join("target/registry/serve.json").exists());
}

#[test]
fn a_notice_of_a_process_that_is_gone_is_ignored() {
    let checkout = Collection::new();
    checkout.file("xtask/Cargo.toml", "", 0o644);
    checkout.feature("a", "1.0.0", "");
    let served = Served::start(checkout.path());
    let port = served.1;
    drop(served);
    // Killed, so the notice stayed.
    assert!(checkout.path().join("target/registry/serve.json").exists());
    let (code, _, stderr) = run(xtask(checkout.path()).args(["publish", "a", "--local"]));
    assert_eq!(code, 0, "{stderr}");
    assert!(!stderr.contains(&format!("localhost:{port}/")), "{stderr}");
}

#[test]
fn a_port_in_use_is_one_sentence() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let root = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) =
        run(xtask(root.path()).args(["registry", "serve", "--root", ".", "--port", &port]));
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_eq!(
        stderr,
        format!(
            "error: port {port} on localhost is in use; stop what uses it, or choose another with --port\n"
        )
    );
}

#[test]
fn elsewhere_https_is_spoken_and_certificates_are_checked() {
    let root = tempfile::tempdir().unwrap();
    let registry =
        xtask::registry::server::serve(root.path(), &xtask::registry::server::Options::default()).unwrap();
    let proxy = support::proxy::Proxy::start(registry.port(), |_| None);
    let front = support::tls::Tls::start(proxy.port);
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let publish = || {
        let mut command = xtask(collection.path());
        command.args(["publish", ".", "-n", "owner/features", "-r", &front.host()]);
        command.env_remove("SSL_CERT_DIR");
        command
    };
    let (code, stdout, stderr) = run(publish().env("SSL_CERT_FILE", front.ca()));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("{\"a\":{\"publishedTags\""), "{stdout}");
    // Trusting another certificate is not enough.
    let other = support::tls::Tls::start(proxy.port);
    proxy.forget();
    let (code, stdout, stderr) = run(publish().env("SSL_CERT_FILE", other.ca()));
    assert_eq!((code, stdout.as_str()), (5, ""));
    assert!(
        stderr.starts_with(&format!(
            "error: cannot reach the registry {}: invalid peer certificate",
            front.host()
        )),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1);
    assert!(proxy.seen().is_empty());
}

/// What we publish is what the official consumer reads.
#[test]
fn the_official_cli_reads_what_is_published() {
    let Some(cli) = std::env::var_os("XTASK_DEVCONTAINER_CLI") else {
        return support::skip("XTASK_DEVCONTAINER_CLI does not name the devcontainer CLI");
    };
    let root = tempfile::tempdir().unwrap();
    let registry =
        xtask::registry::server::serve(root.path(), &xtask::registry::server::Options::default()).unwrap();
    let collection = Collection::new();
    collection.feature("a", "1.2.3", "");
    let plan = support::push(registry.port(), &collection.pack()).unwrap();
    let reference = format!("{}/{}/a:1", registry.host(), support::NAMESPACE);
    let info = Command::new(&cli)
        .args(["features", "info", "manifest", &reference, "--output-format", "json"])
        .env("DOCKER_CONFIG", root.path())
        .output()
        .unwrap();
    assert!(info.status.success(), "{}", String::from_utf8_lossy(&info.stderr));
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
    let digest = &plan.releases[0].artifact.digest;
    assert_eq!(info["canonicalId"], format!("{}/{}/a@{digest}", registry.host(), support::NAMESPACE));
    // And the archive itself: the consumer downloads, checks and unpacks it.
    collection.file(
        "ws/.devcontainer/devcontainer.json",
        &format!(r#"{{"image":"x","features":{{"{reference}":{{}}}}}}"#),
        0o644,
    );
    let resolved = Command::new(&cli)
        .args(["features", "resolve-dependencies", "--workspace-folder"])
        .arg(collection.path().join("ws"))
        .env("DOCKER_CONFIG", root.path())
        .output()
        .unwrap();
    assert!(resolved.status.success(), "{}", String::from_utf8_lossy(&resolved.stderr));
    assert!(String::from_utf8_lossy(&resolved.stdout).contains(digest.as_str()));
}
