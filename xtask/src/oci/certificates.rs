//! Whose signature on a registry's certificate counts.
//!
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` stand in for the system's certificates, as they do for
//! OpenSSL; `NODE_EXTRA_CA_CERTS` adds to them, as it does for the official CLI.

use std::path::{Path, PathBuf};

use reqwest::{Certificate, ClientBuilder};

use super::error::OciError;

/// Certificates besides the system's, by their files.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    /// `SSL_CERT_FILE`.
    pub file: Option<PathBuf>,
    /// The folders of `SSL_CERT_DIR`.
    pub folders: Vec<PathBuf>,
    /// `NODE_EXTRA_CA_CERTS`.
    pub extra: Option<PathBuf>,
}

impl Certificates {
    /// What the environment says.
    pub fn from_env() -> Self {
        let value = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let folders = value("SSL_CERT_DIR").unwrap_or_default();
        Self {
            file: value("SSL_CERT_FILE").map(PathBuf::from),
            folders: std::env::split_paths(&folders).filter(|path| !path.as_os_str().is_empty()).collect(),
            extra: value("NODE_EXTRA_CA_CERTS").map(PathBuf::from),
        }
    }

    /// Has a client trust them. `note` hears of what is odd and can be done without.
    pub(super) fn apply(
        &self,
        builder: ClientBuilder,
        note: &dyn Fn(&str),
    ) -> Result<ClientBuilder, OciError> {
        let extra = match self.extra.as_deref().map(|path| read("NODE_EXTRA_CA_CERTS", path)) {
            None => Vec::new(),
            Some(Ok(certificates)) => certificates,
            // To trust fewer is safe, and Node does the same.
            Some(Err(error)) => {
                note(&format!("{error}; going on without them"));
                Vec::new()
            }
        };
        if self.file.is_none() && self.folders.is_empty() {
            return Ok(if extra.is_empty() { builder } else { builder.tls_certs_merge(extra) });
        }
        let mut all = extra;
        if let Some(path) = &self.file {
            all.extend(read("SSL_CERT_FILE", path)?);
        }
        for folder in &self.folders {
            all.extend(read_folder(folder));
        }
        if all.is_empty() {
            return Err(OciError::Trust(
                "SSL_CERT_DIR names no folder with certificates, so no registry can be trusted; correct it, or unset it"
                    .to_owned(),
            ));
        }
        Ok(builder.tls_certs_only(all))
    }
}

fn read(variable: &str, path: &Path) -> Result<Vec<Certificate>, OciError> {
    let wrong = |what: &str| {
        OciError::Trust(format!("{variable} names {}, which {what}; correct it, or unset it", path.display()))
    };
    let text = std::fs::read(path).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    let certificates = Certificate::from_pem_bundle(&text).unwrap_or_default();
    if certificates.is_empty() { Err(wrong("holds no certificate in PEM form")) } else { Ok(certificates) }
}

/// Such folders hold links and other things besides: what is no certificate is passed over.
fn read_folder(folder: &Path) -> Vec<Certificate> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    // Links of one certificate by several names lead to one file.
    paths = paths.into_iter().filter_map(|path| path.canonicalize().ok()).collect();
    paths.sort();
    paths.dedup();
    paths.iter().filter_map(|path| read("SSL_CERT_DIR", path).ok()).flatten().collect()
}
