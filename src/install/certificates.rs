//! Whose certificates are believed.
//!
//! The image's own list, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name instead of it, as for OpenSSL. An image
//! that has none gets a copy of Mozilla's list. The variables of other tools add to that: each of them is how
//! somebody hands a company's authority into a build, and none of those tools is asked here to distrust anybody.

use std::env;
use std::path::Path;

use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};
use ureq::tls::Certificate;

/// What replaces the image's list.
const INSTEAD: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// What adds to it: Node.js, curl, Python's requests.
const BESIDE: [&str; 3] = ["NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"];

/// The variables that replace the list lead to nothing.
#[derive(Debug, thiserror::Error)]
#[error(
    "SSL_CERT_FILE or SSL_CERT_DIR is set, and no certificate could be read from there{0}; correct or unset them"
)]
pub struct NoCertificates(String);

/// The roots to trust. A variable that adds none is told to `say` and left aside.
pub fn roots(say: &mut impl FnMut(&str)) -> Result<Vec<Certificate<'static>>, NoCertificates> {
    let found = load_native_certs();
    let mut roots = certificates(&found);
    if roots.is_empty() {
        // Somebody who names the roots to trust does not want others trusted instead.
        if INSTEAD.iter().any(|name| env::var_os(name).is_some()) {
            return Err(NoCertificates(first_error(&found)));
        }
        let mozilla = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        roots.extend(mozilla.map(|der| Certificate::from_der(der).to_owned()));
    }
    for name in BESIDE {
        let Some(value) = env::var_os(name).filter(|value| !value.is_empty()) else { continue };
        let path = Path::new(&value);
        let found = if path.is_dir() {
            load_certs_from_paths(None, Some(path))
        } else {
            load_certs_from_paths(Some(path), None)
        };
        if found.certs.is_empty() {
            say(&format!("no certificate could be read from what {name} names{}", first_error(&found)));
        }
        roots.extend(certificates(&found));
    }
    Ok(roots)
}

fn certificates(found: &CertificateResult) -> Vec<Certificate<'static>> {
    found.certs.iter().map(|der| Certificate::from_der(der.as_ref()).to_owned()).collect()
}

fn first_error(found: &CertificateResult) -> String {
    found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default()
}
