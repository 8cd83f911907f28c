//! Proxies and certificates, with real TLS.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use support::connect::Connect;
use support::proxy::Proxy;
use support::tls::Tls;
use support::{Collection, run, xtask};
use xtask::registry::server::{Options, Serving, serve};

/// A registry behind TLS, and a collection to publish there.
struct Lab {
    front: Tls,
    proxy: Proxy,
    collection: Collection,
    _registry: Serving,
    _root: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let registry = serve(root.path(), &Options::default()).unwrap();
        let proxy = Proxy::start(registry.port(), |_| None);
        let collection = Collection::new();
        collection.feature("a", "1.0.0", "");
        Self { front: Tls::start(proxy.port), proxy, collection, _registry: registry, _root: root }
    }

    fn publish(&self) -> Command {
        let mut command = xtask(self.collection.path());
        command.args(["publish", ".", "-n", "owner/features", "-r", &self.front.host()]);
        command
    }
}

#[test]
fn a_proxy_carries_tls_and_is_shown_its_own_login() {
    let lab = Lab::new();
    let login = base64::engine::general_purpose::STANDARD.encode("me:hunter+2 %");
    let proxy = Connect::start(Some(&format!("Basic {login}")));
    let connect = format!("CONNECT {} HTTP/1.1", lab.front.host());
    let address = format!("http://me:hunter%2B2%20%25@127.0.0.1:{}", proxy.port);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let before = proxy.seen().len();
        let (code, _, stderr) = run(lab
            .publish()
            .env("SSL_CERT_FILE", lab.front.ca())
            .env(name, &address)
            .env("HTTP_PROXY", "http://127.0.0.1:1"));
        assert_eq!(code, 0, "{name}: {stderr}");
        let seen = proxy.seen().split_off(before);
        assert!(!seen.is_empty() && seen.iter().all(|line| *line == connect), "{name}: {seen:?}");
    }
    let header = |name: &str| lab.proxy.seen().iter().any(|seen| seen.header(name).is_some());
    assert!(!header("proxy-authorization"), "the proxy's password went to the registry");
    // The certificate is the registry's, whoever carries it.
    let (code, _, stderr) =
        run(lab.publish().env("SSL_CERT_FILE", Lab::new().front.ca()).env("HTTPS_PROXY", &address));
    assert_eq!(code, 5);
    let through = format!("(through the proxy 127.0.0.1:{})", proxy.port);
    assert!(stderr.contains("invalid peer certificate") && stderr.contains(&through), "{stderr}");
    // A wrong password, and a proxy that is not there.
    lab.proxy.forget();
    let wrong = format!("http://me:hunter3@127.0.0.1:{}", proxy.port);
    for (address, port) in [(wrong.as_str(), proxy.port), ("http://me:hunter3@127.0.0.1:1", 1)] {
        let (code, stdout, stderr) =
            run(lab.publish().env("SSL_CERT_FILE", lab.front.ca()).env("HTTPS_PROXY", address));
        assert_eq!((code, stdout.as_str()), (5, ""), "{stderr}");
        assert!(stderr.contains(&format!("(through the proxy 127.0.0.1:{port})")), "{stderr}");
        assert!(!stderr.contains("hunter") && stderr.lines().count() == 1, "{stderr}");
    }
    assert!(lab.proxy.seen().is_empty());
}

#[test]
fn no_proxy_for_what_is_named_and_for_this_machine() {
    let lab = Lab::new();
    let proxy = Connect::start(None);
    let address = format!("127.0.0.1:{}", proxy.port);
    for name in ["NO_PROXY", "no_proxy"] {
        for value in ["127.0.0.2", "example.com, 127.0.0.0/30", "*"] {
            let mut command = lab.publish();
            command.env("SSL_CERT_FILE", lab.front.ca()).env("HTTPS_PROXY", &address).env(name, value);
            let (code, _, stderr) = run(&mut command);
            assert_eq!(code, 0, "{stderr}");
        }
    }
    let mut command = xtask(lab.collection.path());
    let local = format!("localhost:{}", lab.proxy.port);
    command.args(["publish", ".", "-n", "owner/features", "-r", &local]);
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
        command.env(name, &address);
    }
    assert_eq!(run(&mut command).0, 0);
    assert_eq!(proxy.seen(), Vec::<String>::new());
    // The same without the exception, which shows that the proxy would have been asked.
    let (code, _, stderr) =
        run(lab.publish().env("SSL_CERT_FILE", lab.front.ca()).env("HTTPS_PROXY", &address));
    assert_eq!(code, 0, "{stderr}");
    assert!(!proxy.seen().is_empty());
}

#[test]
fn a_proxy_that_cannot_be_one_is_one_sentence_and_nothing_is_sent() {
    let lab = Lab::new();
    for (value, expected) in [
        ("http://me:hunter2@127.0.0.1:99999", "error: HTTPS_PROXY is no address;"),
        (
            "socks5://me:hunter2@127.0.0.1:1080",
            "error: HTTPS_PROXY names a kind of proxy that is not supported",
        ),
    ] {
        let (code, _, stderr) =
            run(lab.publish().env("SSL_CERT_FILE", lab.front.ca()).env("HTTPS_PROXY", value));
        assert_eq!(code, 5, "{stderr}");
        assert!(stderr.starts_with(expected) && !stderr.contains("hunter2"), "{stderr}");
    }
    assert!(lab.proxy.seen().is_empty());
}

#[test]
fn certificates_come_from_files_and_folders() {
    let lab = Lab::new();
    let ca = lab.front.ca();
    let folder = ca.parent().unwrap();
    // Other things lie there, too.
    std::fs::write(folder.join("README"), "no certificate").unwrap();
    std::os::unix::fs::symlink("ca.pem", folder.join("1a2b3c4d.0")).unwrap();
    let several = format!("{}:{}", Path::new("/nonexistent").display(), folder.display());
    for (name, value) in [
        ("SSL_CERT_FILE", ca.to_str().unwrap()),
        ("SSL_CERT_DIR", folder.to_str().unwrap()),
        ("SSL_CERT_DIR", &several),
        ("NODE_EXTRA_CA_CERTS", ca.to_str().unwrap()),
    ] {
        let (code, _, stderr) = run(lab.publish().env(name, value));
        assert_eq!(code, 0, "{name}={value}: {stderr}");
        assert!(!stderr.contains(name), "{stderr}");
    }
    // NODE_EXTRA_CA_CERTS adds to the others instead of standing in for them.
    let other = Lab::new();
    let mut command = lab.publish();
    command.env("SSL_CERT_FILE", other.front.ca()).env("NODE_EXTRA_CA_CERTS", &ca);
    assert_eq!(run(&mut command).0, 0);
    lab.proxy.forget();
    let empty = tempfile::tempdir().unwrap();
    let gone = empty.path().join("gone.pem");
    for (name, value, expected) in [
        ("SSL_CERT_FILE", gone.as_path(), "gone.pem, which cannot be read"),
        ("SSL_CERT_FILE", &folder.join("README"), "README, which holds no certificate in PEM form"),
        ("SSL_CERT_DIR", empty.path(), "error: SSL_CERT_DIR names no folder with certificates"),
        (
            "NODE_EXTRA_CA_CERTS",
            &gone,
            "gone.pem, which cannot be read: No such file or directory (os error 2); correct it, or unset it; going on without them\n",
        ),
    ] {
        let (code, _, stderr) = run(lab.publish().env(name, value));
        assert_eq!(code, 5, "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
    assert!(lab.proxy.seen().is_empty());
}

#[test]
fn what_is_wrong_with_tls_has_its_remedy() {
    let lab = Lab::new();
    let (code, stdout, stderr) = run(lab.publish().env("SSL_CERT_FILE", Lab::new().front.ca()));
    assert_eq!((code, stdout.as_str()), (5, ""), "{stderr}");
    let remedy = "; if an authority of your own signed its certificate, name that authority's file with NODE_EXTRA_CA_CERTS or SSL_CERT_FILE\n";
    assert!(stderr.contains("invalid peer certificate: ") && stderr.ends_with(remedy), "{stderr}");
    // The certificate names an address, and not the name that leads there.
    let other = format!("127.0.0.3:{}", lab.front.port);
    let forward = std::net::TcpListener::bind(other.as_str()).unwrap();
    let front = lab.front.host();
    std::thread::spawn(move || {
        for mut outside in forward.incoming().flatten() {
            let mut inside = std::net::TcpStream::connect(&front).unwrap();
            let (mut from, mut to) = (inside.try_clone().unwrap(), outside.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            std::thread::spawn(move || std::io::copy(&mut outside, &mut inside));
        }
    });
    let publish = |host: &str| {
        let mut command = xtask(lab.collection.path());
        command.args(["publish", ".", "-n", "owner/features", "-r", host]);
        command.env("SSL_CERT_FILE", lab.front.ca());
        run(&mut command)
    };
    let (code, _, stderr) = publish(&other);
    let remedy = "; its certificate must be valid today and for just this name, so correct it, or the name\n";
    assert!(code == 5 && stderr.ends_with(remedy), "{stderr}");
    // Plain HTTP.
    let plain = std::net::TcpListener::bind(("127.0.0.2", 0)).unwrap();
    let host = plain.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in plain.incoming().flatten() {
            let _ = std::io::Write::write_all(
                &mut stream,
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            );
        }
    });
    let (code, _, stderr) = publish(&host);
    assert_eq!(code, 5);
    let start = format!("error: cannot reach the registry {host}: ");
    let remedy = "; it does not speak TLS, and plain HTTP is spoken with localhost, 127.0.0.1 and [::1] only, so put TLS in front of it\n";
    assert!(stderr.starts_with(&start) && stderr.ends_with(remedy), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}
