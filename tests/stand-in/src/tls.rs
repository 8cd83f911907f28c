//! TLS with a certificate that somebody else has made.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A server with a folder's `certificate.pem` and `key.pem`.
pub(crate) fn load(folder: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let read = || -> anyhow::Result<ServerConfig> {
        let chain = CertificateDer::pem_file_iter(folder.join("certificate.pem"))?;
        let chain = chain.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))?;
        Ok(ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?)
    };
    read().map(Arc::new).with_context(|| format!("certificate.pem and key.pem in {}", folder.display()))
}
