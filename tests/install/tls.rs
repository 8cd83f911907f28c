//! Whom the installer believes to be the server: nobody but who has a certificate that the image trusts.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use crate::release_host::publish_latest;
use crate::server::Server;
use crate::setup::{Setup, expect_failure, is_root};

/// A server with a certificate for `name`, and the certificate of its signer as PEM.
pub(crate) fn identity(name: &str) -> (ServerConfig, String) {
    let mut params = CertificateParams::default();
    // Two signers of one name would be one whose signature is bad.
    params.distinguished_name.push(DnType::CommonName, format!("signer of {name}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let signer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &signer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (config, signer.pem())
}

/// A release host with a certificate for `name`, and the certificate of its signer as PEM.
fn setup(name: &str) -> (Setup, String) {
    let (config, signer) = identity(name);
    let setup = Setup::empty(Server::start_tls(config));
    publish_latest(&setup.server);
    (setup, signer)
}

#[test]
fn only_a_certificate_that_the_image_trusts() {
    for (name, good) in [("127.0.0.1", true), ("127.0.0.9", false), ("other.example", false)] {
        let (setup, signer) = setup(name);
        let file = setup.source.path().join("ca.pem");
        fs::write(&file, signer).unwrap();
        let trusting = [("NPMREGISTRY", ""), ("SSL_CERT_FILE", file.to_str().unwrap())];
        setup.refused(&trusting[..1], 3, "a signer that the image does not trust");
        if !good {
            setup.refused(&trusting, 3, "not valid for name");
            continue;
        }
        let output = setup.run(&trusting);
        assert!(output.status.success(), "{output:?}");
        let record = fs::read_to_string(setup.path("etc/agent-sandbox/install.json")).unwrap();
        assert!(record.contains(&format!("\"source\": \"{}", setup.server.url())), "{record}");
    }
}

#[test]
fn a_file_without_a_certificate() {
    let (setup, _) = setup("127.0.0.1");
    let file = setup.source.path().join("ca.pem");
    fs::write(&file, "nothing").unwrap();
    setup.refused(
        &[("NPMREGISTRY", ""), ("SSL_CERT_FILE", file.to_str().unwrap())],
        3,
        "no certificate could be read",
    );
}

#[test]
fn the_variables_of_other_tools_add_to_the_list() {
    let (setup, signer) = setup("127.0.0.1");
    let (_, other) = identity("other.example");
    let folder = setup.source.path();
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs::write(file("ca.pem"), signer).unwrap();
    fs::write(file("other.pem"), other).unwrap();
    fs::write(file("empty.pem"), "nothing").unwrap();
    let here = ("NPMREGISTRY", "");
    let unknown = "a signer that the image does not trust";
    for name in ["NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"] {
        setup.refused(&[here, (name, &file("other.pem"))], 3, unknown);
        for useless in ["empty.pem", "missing.pem"] {
            let output = setup.run(&[here, (name, &file(useless))]);
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains(&format!("no certificate could be read from what {name} names")), "{said}");
            assert!(!output.status.success() && said.contains(unknown), "{said}");
        }
        // Beside a list that is set, and beside the image's own.
        for more in [vec![], vec![("SSL_CERT_FILE", file("other.pem"))]] {
            let mut variables = vec![here];
            variables.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
            let ca = file("ca.pem");
            variables.push((name, &ca));
            let output = setup.run(&variables);
            assert!(output.status.success(), "{output:?}");
        }
        fs::remove_dir_all(setup.path("usr")).unwrap();
        fs::remove_dir_all(setup.path("etc")).unwrap();
        fs::remove_dir_all(setup.path("var")).unwrap();
    }
}

/// Where no list is found, a copy of Mozilla's serves, and what is added to it counts.
#[test]
fn an_image_without_certificates() {
    let (setup, signer) = setup("127.0.0.1");
    let file = setup.source.path().join("ca.pem");
    fs::write(&file, signer).unwrap();
    let run = |variables: &[(&str, &str)]| {
        let mut command = Command::new("unshare");
        let hide = "for each in /etc/ssl /etc/pki /usr/share/ca-certificates; do
            [ ! -d $each ] || mount -t tmpfs tmpfs $each || exit 99; done; exec \"$@\"";
        command.args(["--mount", "--propagation", "private", "sh", "-c", hide, "sh"]);
        let inner = setup.command(&[&[("NPMREGISTRY", "")], variables].concat());
        command.arg(inner.get_program()).args(inner.get_args()).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.output().ok().filter(|_| is_root())?;
        (output.status.code() != Some(99)).then_some(output)
    };
    let Some(output) = run(&[]) else {
        eprintln!("SKIPPED an_image_without_certificates: needs root and the right to mount");
        assert!(std::env::var_os("CI").is_none());
        return;
    };
    expect_failure(&output, 3, "a signer that the image does not trust");
    let output = run(&[("NODE_EXTRA_CA_CERTS", file.to_str().unwrap())]).unwrap();
    assert!(output.status.success(), "{output:?}");
}
