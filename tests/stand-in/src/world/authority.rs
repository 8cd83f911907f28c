//! A certificate for every name, from one authority that the lab's clients trust.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Signs what is asked for, and remembers it.
#[derive(Debug)]
pub struct Authority {
    signer: CertifiedIssuer<'static, KeyPair>,
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Authority {
    /// A new authority.
    pub fn new() -> anyhow::Result<Arc<Self>> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "stand-in internet");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let signer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Arc::new(Self { signer, made: Mutex::default() }))
    }

    /// Its certificate, for clients to trust.
    pub fn pem(&self) -> String {
        self.signer.pem()
    }

    /// A server that speaks HTTP/2 and HTTP/1.1 under any name.
    pub fn server(self: &Arc<Self>) -> anyhow::Result<Arc<ServerConfig>> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Resolver(Arc::clone(self))));
        config.alpn_protocols =
            vec![b"h2".to_vec(), b"http/1.1".to_vec(), b"dot".to_vec(), b"acme-tls/1".to_vec()];
        Ok(Arc::new(config))
    }

    fn certificate(&self, name: &str) -> anyhow::Result<Arc<CertifiedKey>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = made.get(name) {
            return Ok(Arc::clone(found));
        }
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([name.to_owned()])?.signed_by(&key, &self.signer)?;
        let private = PrivateKeyDer::try_from(key.serialize_der()).ok().context("a key")?;
        let signing = ring::sign::any_supported_type(&private)?;
        let key = Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing));
        made.insert(name.to_owned(), Arc::clone(&key));
        Ok(key)
    }
}

#[derive(Debug)]
struct Resolver(Arc<Authority>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().filter(|name| name.parse::<IpAddr>().is_err());
        self.0.certificate(name.unwrap_or("unnamed.example")).ok()
    }
}
