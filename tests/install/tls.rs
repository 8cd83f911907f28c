//! Whom the installer believes to be the server: nobody but who has a certificate that the image trusts.

use std::fs;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use crate::release_host::publish_latest;
use crate::server::Server;
use crate::setup::Setup;

/// A release host with a certificate for `name`, and the certificate of its signer as PEM.
fn setup(name: &str) -> (Setup, String) {
    let mut params = CertificateParams::default();
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
    let setup = Setup::empty(Server::start_tls(config));
    publish_latest(&setup.server);
    (setup, signer.pem())
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
