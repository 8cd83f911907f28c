//! A small HTTPS server with a certificate authority of its own, for what a build container fetches.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::tls;

/// What there is to fetch, by path.
#[derive(Debug, Default)]
pub struct Site {
    pages: BTreeMap<String, Page>,
}

#[derive(Debug, Clone)]
enum Page {
    Text(Bytes),
    File(PathBuf),
}

impl Site {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a text.
    #[must_use]
    pub fn text(mut self, path: &str, text: &str) -> Self {
        self.pages.insert(path.to_owned(), Page::Text(Bytes::from(text.to_owned())));
        self
    }

    /// With a file.
    #[must_use]
    pub fn file(mut self, path: &str, file: &Path) -> Self {
        self.pages.insert(path.to_owned(), Page::File(file.to_owned()));
        self
    }
}

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct Https {
    base: String,
    authority: String,
    _runtime: Runtime,
}

impl Https {
    /// Serves on a free port of an address what `site` makes of the server's own base URL.
    pub fn start(address: &str, site: impl FnOnce(&str) -> Site) -> anyhow::Result<Self> {
        let address: IpAddr = address.parse().context("not an address")?;
        let issued = tls::issue(&address.to_string())?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(SocketAddr::new(address, 0)))?;
        let base = format!("https://{}", listener.local_addr()?);
        let site = Arc::new(site(&base));
        runtime.spawn(serve(listener, TlsAcceptor::from(Arc::new(issued.config()?)), site));
        Ok(Self { base, authority: issued.authority, _runtime: runtime })
    }

    /// The server's address, as in `https://172.17.0.1:4711`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The authority's certificate in PEM, for the image's trust store.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, site: Arc<Site>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, site) = (acceptor.clone(), Arc::clone(&site));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| answer(request, Arc::clone(&site)));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, site: Arc<Site>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = match site.pages.get(request.uri().path()) {
        Some(Page::Text(text)) => Some(text.clone()),
        Some(Page::File(file)) => tokio::fs::read(file).await.ok().map(Bytes::from),
        None => None,
    };
    let mut response = Response::new(Full::new(body.clone().unwrap_or_default()));
    if body.is_none() {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}
