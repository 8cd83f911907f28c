//! The way through a company's proxy. The installer runs in a network namespace from which there is no way out
//! but to the proxy and to the release host, and where no name resolves.

use std::fs;
use std::net::SocketAddr;
use std::process::Output;

use crate::connect_proxy::{ConnectProxy, Manner};
use crate::lab::Lab;
use crate::release_host::publish_latest;
use crate::server::Server;
use crate::setup::{Setup, expect_failure, tree};
use crate::tls;

const PROXY: &str = "203.0.113.1:3128";
const HOST: &str = "203.0.113.10:443";

/// The credentials in the proxy's address, as the header has them.
const PASSWORD: Manner = Manner::Password("Basic bWU6c0BjcmV0");

struct Company {
    lab: Lab,
    setup: Setup,
    proxy: ConnectProxy,
}

impl Company {
    /// A release host with a certificate for `name`, behind a proxy.
    fn new(name: &str, manner: Manner) -> Option<Self> {
        let lab = Lab::new()?;
        let (config, signer) = tls::identity(name);
        let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let (server, proxy) = lab.outside(|| {
            let server = Server::start_at(address(HOST), Some(config));
            (server, ConnectProxy::start(address(PROXY), address(HOST), manner))
        });
        let setup = Setup::empty(server);
        publish_latest(&setup.server);
        fs::write(setup.source.path().join("ca.pem"), signer).unwrap();
        Some(Self { lab, setup, proxy })
    }

    fn run(&self, host: &str, variables: &[(&str, &str)]) -> Output {
        let mut command = self.setup.command(&[("NPMREGISTRY", "")]);
        command.arg("--release-host").arg(format!("https://{host}/releases"));
        command.env_remove("HTTPS_PROXY").envs(variables.iter().copied());
        command.env("SSL_CERT_FILE", self.setup.source.path().join("ca.pem"));
        self.lab.inside(|| command.output().unwrap())
    }

    fn fails(&self, host: &str, variables: &[(&str, &str)], part: &str) {
        let output = self.run(host, variables);
        expect_failure(&output, 3, part);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("cret"), "{output:?}");
        assert!(tree(self.setup.root.path()).is_empty(), "left behind");
    }
}

#[test]
fn by_name_and_with_a_password() {
    let Some(company) = Company::new("releases.example", PASSWORD) else { return };
    // Nothing resolves there, so the control is that it does not work without the proxy.
    company.fails("releases.example", &[], "cannot fetch https://releases.example/releases/latest: ");
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"] {
        let output = company.run("releases.example", &[(variable, "http://me:s%40cret@203.0.113.1:3128")]);
        assert!(output.status.success(), "{variable}: {output:?}");
        let seen = company.proxy.seen();
        assert!(seen.len() >= 2 && seen.len().is_multiple_of(2), "{seen:?}");
        for pair in seen.chunks(2) {
            assert_eq!(pair, ["CONNECT releases.example:443 HTTP/1.1", "Basic bWU6c0BjcmV0"]);
        }
    }
    let record = fs::read_to_string(company.setup.path("etc/agent-sandbox/install.json")).unwrap();
    assert!(record.contains("releases.example") && !record.contains("cret"), "{record}");
}

#[test]
fn a_password_that_is_wrong_or_missing() {
    let Some(company) = Company::new("releases.example", PASSWORD) else { return };
    for address in ["http://203.0.113.1:3128", "203.0.113.1:3128", "http://me:secret@203.0.113.1:3128"] {
        company.fails(
            "releases.example",
            &[("HTTPS_PROXY", address)],
            "through the proxy 203.0.113.1:3128 (from HTTPS_PROXY): it wants a user and a password",
        );
    }
    company.fails(
        "releases.example",
        &[("HTTPS_PROXY", "http://203.0.113.1:3129")],
        "through the proxy 203.0.113.1:3129 (from HTTPS_PROXY): Connection refused",
    );
    let socks = [("ALL_PROXY", "socks5://me:secret@203.0.113.1:3128")];
    company.fails("releases.example", &socks, "ALL_PROXY does not name an HTTP proxy");
}

#[test]
fn a_proxy_that_does_not_do_its_work() {
    for (manner, part) in [
        (
            Manner::Refuse("403 Forbidden"),
            "through the proxy 203.0.113.1:3128 (from HTTPS_PROXY): it answers 403",
        ),
        (Manner::Refuse("502 Bad Gateway"), "it answers 502"),
        (Manner::Cut, "through the proxy 203.0.113.1:3128 (from HTTPS_PROXY): "),
        (Manner::CutAfter(100), "through the proxy 203.0.113.1:3128 (from HTTPS_PROXY): "),
        // In the middle of the program.
        (Manner::CutAfter(100_000), "broke off after"),
    ] {
        let Some(company) = Company::new("releases.example", manner) else { return };
        company.fails("releases.example", &[("HTTPS_PROXY", "http://203.0.113.1:3128")], part);
    }
}

#[test]
fn hosts_that_are_reached_without() {
    let Some(company) = Company::new("203.0.113.10", Manner::Tunnel) else { return };
    let proxy = ("HTTPS_PROXY", "http://203.0.113.1:3128");
    for (exceptions, direct) in [
        ("", false),
        ("203.0.113.10", true),
        ("other.example,203.0.113.10:443", true),
        ("203.0.113.10:8443", false),
        ("*", true),
        ("203.0.113.1", false),
    ] {
        let output = company.run("203.0.113.10", &[proxy, ("NO_PROXY", exceptions)]);
        assert!(output.status.success(), "{exceptions}: {output:?}");
        assert_eq!(company.proxy.seen().is_empty(), direct, "{exceptions}");
    }
}
