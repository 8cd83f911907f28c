//! HTTP GET over TLS, with every wait and every size bounded.

use std::env;
use std::fmt;
use std::io::{self, Read as _};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::header::{ACCEPT, LOCATION};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, BodyReader, Proxy, ProxyProtocol};

use super::resolve::SystemFiles;
use super::url::{Url, UrlError};

/// To reach a server and agree on TLS with it.
const CONNECT: Duration = Duration::from_secs(30);

/// Without a single byte.
const STALL: Duration = Duration::from_secs(60);

/// For a whole body: a server that drips one byte a minute does not hold a build for ever.
const WHOLE_BODY: Duration = Duration::from_secs(45 * 60);

const MAX_REDIRECTS: usize = 5;

/// What points the certificate search elsewhere, as for OpenSSL.
const CERTIFICATE_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The variables that name the trusted roots name none.
    #[error(
        "SSL_CERT_FILE or SSL_CERT_DIR is set, and no certificate could be read from there{0}; correct or unset them"
    )]
    Certificates(String),
    /// A proxy that is not an HTTP one.
    #[error("the proxy from the environment is not an http or https one; set HTTPS_PROXY to an HTTP proxy")]
    Proxy,
    /// No answer, or no HTTP one.
    #[error(
        "cannot fetch {url}: {why}; check the network of the build, HTTPS_PROXY and the option `npmRegistry`"
    )]
    Unreachable {
        /// What was asked for.
        url: Url,
        /// What went wrong.
        why: String,
    },
    /// An answer other than 200.
    #[error("{url} answered {status}; check the options `npmRegistry` and `version`")]
    Status {
        /// What was asked for.
        url: Url,
        /// The HTTP status.
        status: u16,
    },
    /// A redirect to where nothing is fetched from.
    #[error("{url} redirects to an address that is not followed: {source}")]
    Redirect {
        /// What was asked for.
        url: Url,
        /// What is wrong with the address.
        source: UrlError,
    },
    /// A redirect after a redirect after a redirect.
    #[error("{0} redirects more than {MAX_REDIRECTS} times; check HTTPS_PROXY and the option `npmRegistry`")]
    TooManyRedirects(Url),
    /// A body beyond its limit.
    #[error("{url} sends more than {limit} bytes; check HTTPS_PROXY and the option `npmRegistry`")]
    TooLarge {
        /// What was asked for.
        url: Url,
        /// What would have been read.
        limit: u64,
    },
    /// The connection ended or stalled before the body did.
    #[error("the download of {url} broke off after {got} bytes: {why}; try again")]
    CutOff {
        /// What was asked for.
        url: Url,
        /// How much came.
        got: u64,
        /// How it ended.
        why: String,
    },
}

/// An HTTP client that goes where [`Url`] allows and nowhere else.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
}

/// A response whose head was accepted and whose body is still to come.
pub struct Download {
    url: Url,
    expected: Option<u64>,
    limit: u64,
    body: BodyReader<'static>,
}

impl Client {
    /// A client with the trusted roots and the proxy of the environment.
    pub fn new() -> Result<Self, FetchError> {
        let proxy = Proxy::try_from_env();
        // Without this the client would leave a proxy it cannot speak to aside, and go directly.
        if proxy
            .as_ref()
            .is_some_and(|proxy| !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https))
        {
            return Err(FetchError::Proxy);
        }
        let config = Config::builder()
            .user_agent(concat!("sandbox-install/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots()?).build())
            .proxy(proxy)
            .http_status_as_error(false)
            // Each hop is checked here, which the client's own following would not do.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(STALL))
            .timeout_per_read(Some(STALL))
            .timeout_per_write(Some(STALL))
            .timeout_recv_body(Some(WHOLE_BODY))
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), SystemFiles);
        Ok(Self { agent })
    }

    /// The whole body at `url`, of at most `limit` bytes.
    pub fn read(&self, url: &Url, accept: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        let mut body = Vec::new();
        self.get(url, accept, limit)?.read_all(|bytes| {
            body.extend_from_slice(bytes);
            Ok::<_, FetchError>(())
        })?;
        Ok(body)
    }

    /// Asks for `url`; the body may have `limit` bytes.
    pub fn get(&self, url: &Url, accept: &str, limit: u64) -> Result<Download, FetchError> {
        let mut here = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.agent.get(here.uri()).header(ACCEPT, accept);
            if here.is_loopback() {
                request = request.config().proxy(None).build();
            }
            let response = request
                .call()
                .map_err(|error| FetchError::Unreachable { url: here.clone(), why: reason(error) })?;
            let status = response.status();
            if status.is_redirection() {
                let location = response.headers().get(LOCATION);
                let location = location.and_then(|value| value.to_str().ok()).unwrap_or_default();
                here = match here.redirect(location) {
                    Ok(next) => next,
                    Err(source) => return Err(FetchError::Redirect { url: here, source }),
                };
                continue;
            }
            if status != 200 {
                return Err(FetchError::Status { url: here, status: status.as_u16() });
            }
            let body = response.into_body();
            let expected = body.content_length();
            if expected.is_some_and(|length| length > limit) {
                return Err(FetchError::TooLarge { url: here, limit });
            }
            return Ok(Download { url: here, expected, limit, body: body.into_reader() });
        }
        Err(FetchError::TooManyRedirects(url.clone()))
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Download({})", self.url)
    }
}

impl Download {
    /// Hands the body to `each` piece by piece, and returns its length.
    pub fn read_all<E: From<FetchError>>(
        mut self,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut buffer = vec![0; 64 * 1024];
        let mut got = 0;
        loop {
            let length = match self.body.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.cut_off(got, reason(error.into())).into()),
            };
            got += length as u64;
            if got > self.limit {
                return Err(FetchError::TooLarge { url: self.url, limit: self.limit }.into());
            }
            each(&buffer[..length])?;
        }
        match self.expected {
            Some(expected) if expected != got => {
                Err(self.cut_off(got, format!("{expected} bytes were announced")).into())
            }
            _ => Ok(got),
        }
    }

    fn cut_off(self, got: u64, why: String) -> FetchError {
        FetchError::CutOff { url: self.url, got, why }
    }
}

/// The roots to trust: the image's own, which hold a company's proxy; else a copy of Mozilla's.
fn roots() -> Result<RootCerts, FetchError> {
    let found = rustls_native_certs::load_native_certs();
    if !found.certs.is_empty() {
        let certificates = found.certs.iter();
        let certificates = certificates.map(|der| Certificate::from_der(der.as_ref()).to_owned());
        return Ok(RootCerts::from(certificates));
    }
    // Somebody who names the roots to trust does not want others trusted instead.
    if CERTIFICATE_VARIABLES.iter().any(|name| env::var_os(name).is_some()) {
        let first = found.errors.first().map(|error| format!(" ({error})"));
        return Err(FetchError::Certificates(first.unwrap_or_default()));
    }
    Ok(RootCerts::WebPki)
}

fn reason(error: ureq::Error) -> String {
    let text = match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::HostNotFound => "the name of the host does not resolve".to_owned(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::Rustls(error) => error.to_string(),
        other => other.to_string(),
    };
    // By text, as the TLS error comes wrapped in whatever call met it.
    if text.contains("UnknownIssuer") {
        "the server's certificate has a signer that the image does not trust (a company's proxy?): \
         install the signer's certificate or name it in SSL_CERT_FILE"
            .to_owned()
    } else {
        text
    }
}
