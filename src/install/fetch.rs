//! HTTP GET over TLS, with every wait and every size bounded.

use std::env;
use std::fmt;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::header::{ACCEPT, LOCATION};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, BodyReader, Proxy};

use super::certificates::{self, NoCertificates};
use super::proxy::{Named, NotAProxy, Proxies};
use super::resolve::SystemFiles;
use super::url::{Url, UrlError};

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// To reach a server and agree on TLS with it.
    pub connect: Duration,
    /// Without a single byte.
    pub stall: Duration,
    /// For a whole body: a server that drips one byte a minute does not hold a build for ever.
    pub body: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            stall: Duration::from_secs(60),
            body: Duration::from_secs(45 * 60),
        }
    }
}

const MAX_REDIRECTS: usize = 5;

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The variables that name the trusted roots name none.
    #[error(transparent)]
    Certificates(#[from] NoCertificates),
    /// A proxy that is not an HTTP one.
    #[error(transparent)]
    Proxy(#[from] NotAProxy),
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
    direct: Agent,
    /// The same through the proxy; where there is none, it is not used.
    proxied: Agent,
    proxies: Proxies,
}

/// A response whose head was accepted and whose body is still to come.
pub struct Download {
    url: Url,
    expected: Option<u64>,
    limit: u64,
    body: BodyReader<'static>,
}

impl Client {
    /// A client with the trusted roots and the proxy of the environment; `say` is told what of it is left aside.
    pub fn new(waits: Waits, say: &mut impl FnMut(&str)) -> Result<Self, FetchError> {
        let proxies = Proxies::read(|name| env::var_os(name));
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::from(certificates::roots(say)?))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = |proxy: Option<&Proxy>| {
            let config = Config::builder()
                .user_agent(concat!("sandbox-install/", env!("CARGO_PKG_VERSION")))
                .tls_config(tls.clone())
                .proxy(proxy.cloned())
                .http_status_as_error(false)
                // Each hop is checked here, which the client's own following would not do.
                .max_redirects(0)
                .max_redirects_will_error(false)
                .timeout_connect(Some(waits.connect))
                .timeout_recv_response(Some(waits.stall))
                .timeout_per_read(Some(waits.stall))
                .timeout_per_write(Some(waits.stall))
                .timeout_recv_body(Some(waits.body))
                .build();
            Agent::with_parts(config, DefaultConnector::default(), SystemFiles)
        };
        Ok(Self { direct: agent(None), proxied: agent(proxies.proxy()), proxies })
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
            let proxy = self.proxies.before(&here)?;
            let agent = if proxy.is_some() { &self.proxied } else { &self.direct };
            let response = agent.get(here.uri()).header(ACCEPT, accept).call();
            let response = response.map_err(|error| FetchError::Unreachable {
                url: here.clone(),
                why: with_proxy(proxy, reason(error)),
            })?;
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

fn with_proxy(proxy: Option<&Named>, why: String) -> String {
    match proxy {
        Some(proxy) => format!("through the proxy {proxy}: {why}"),
        None => why,
    }
}

fn reason(error: ureq::Error) -> String {
    let text = match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::HostNotFound => "the name of the host does not resolve".to_owned(),
        // The client's own words hold the status twice.
        ureq::Error::ConnectProxyFailed(said) if said.contains("407") => {
            "it wants a user and a password, or refuses the ones in its address (407)".to_owned()
        }
        ureq::Error::ConnectProxyFailed(said) => match said.rsplit_once('/') {
            Some((_, status)) => format!("it answers {status}"),
            None => "it ends the connection without an answer".to_owned(),
        },
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
