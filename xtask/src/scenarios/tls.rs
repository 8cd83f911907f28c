//! Certificates of the lab: an authority that only its own containers and clients are told of.

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A server's certificate and what belongs to it.
#[derive(Debug)]
pub(super) struct Issued {
    /// The authority's certificate in PEM, for whoever is to trust the server.
    pub(super) authority: String,
    certificate: Certificate,
    key: KeyPair,
}

/// A new authority, and a certificate of it for the server of a name or an address.
pub(super) fn issue(server: &str) -> anyhow::Result<Issued> {
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    let authority_key = KeyPair::generate()?;
    // A name of its own for each: whoever trusts two of one name, as of an earlier run, may take the wrong one.
    let tail = u64::from_be_bytes(authority_key.public_key_raw().last_chunk().copied().unwrap_or_default());
    authority.distinguished_name.push(DnType::CommonName, format!("test authority {tail:016x}"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key)?.pem();
    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(vec![server.to_owned()])?;
    leaf.distinguished_name.push(DnType::CommonName, server);
    leaf.use_authority_key_identifier_extension = true;
    let certificate = leaf.signed_by(&key, &Issuer::new(authority, authority_key))?;
    Ok(Issued { authority: pem, certificate, key })
}

impl Issued {
    /// The certificate and its key in PEM.
    pub(super) fn pem(&self) -> (String, String) {
        (self.certificate.pem(), self.key.serialize_pem())
    }

    /// Writes them into a new folder: `authority.pem`, `certificate.pem` and `key.pem`.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let (certificate, key) = self.pem();
        fs::create_dir(folder)?;
        for (name, text) in
            [("authority.pem", &self.authority), ("certificate.pem", &certificate), ("key.pem", &key)]
        {
            fs::write(folder.join(name), text)?;
        }
        Ok(())
    }

    /// For a server of our own.
    pub(super) fn config(&self) -> anyhow::Result<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        Ok(ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.der().clone()], key)?)
    }
}
