//! A proxy in front of a registry: it records each request, and may answer some of them itself.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub version: hyper::Version,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub fn writes(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }
}

type Policy = dyn Fn(&Seen) -> Option<Response<Full<Bytes>>> + Send + Sync;

/// A running proxy; its thread ends with the test.
pub struct Proxy {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Proxy {
    /// Starts a proxy to a port; `policy` answers what is not to be forwarded. Uploads go where the registry says, which
    /// is not here.
    pub fn start(
        upstream: u16,
        policy: impl Fn(&Seen) -> Option<Response<Full<Bytes>>> + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(upstream, policy, false)
    }

    /// Starts a proxy through which uploads come, too.
    pub fn of_everything(upstream: u16) -> Self {
        Self::start_with(upstream, |_| None, true)
    }

    fn start_with(
        upstream: u16,
        policy: impl Fn(&Seen) -> Option<Response<Full<Bytes>>> + Send + Sync + 'static,
        everything: bool,
    ) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let recorded = Arc::clone(&seen);
        let policy: Arc<Policy> = Arc::new(policy);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let client = super::client();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (seen, policy, client) = (Arc::clone(&recorded), Arc::clone(&policy), client.clone());
                    let service = service_fn(move |request| {
                        let (seen, policy, client) = (Arc::clone(&seen), Arc::clone(&policy), client.clone());
                        async move {
                            let mut response = answer(&seen, &*policy, &client, upstream, request).await;
                            if everything && let Some(location) = response.headers_mut().get_mut("location") {
                                let text = location.to_str().unwrap();
                                let here = text.replace(
                                    &format!("localhost:{upstream}/"),
                                    &format!("localhost:{port}/"),
                                );
                                *location = here.parse().unwrap();
                            }
                            Ok::<_, Infallible>(response)
                        }
                    });
                    tokio::spawn(async move {
                        let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    });
                }
            });
        });
        Self { port, seen }
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }

    /// The requests that would change something.
    pub fn writes(&self) -> Vec<String> {
        self.seen().iter().filter(|seen| seen.writes()).map(Seen::line).collect()
    }
}

/// The tags and manifests that were written.
pub fn manifests_written(proxy: &Proxy) -> Vec<String> {
    proxy.writes().into_iter().filter(|line| line.contains("/manifests/")).collect()
}

async fn answer(
    seen: &Mutex<Vec<Seen>>,
    policy: &Policy,
    client: &reqwest::Client,
    upstream: u16,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let this = Seen {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.clone(),
        version: head.version,
    };
    seen.lock().unwrap().push(this.clone());
    let body = body.collect().await.unwrap().to_bytes();
    if let Some(response) = policy(&this) {
        return response;
    }
    // HTTP/2 has the host in the address.
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("http://localhost:{upstream}{path}");
    let mut forwarded = client.request(head.method, url).body(body);
    for name in ["accept", "content-type", "content-range"] {
        if let Some(value) = head.headers.get(name) {
            forwarded = forwarded.header(name, value);
        }
    }
    let response = forwarded.send().await.unwrap();
    let mut builder = Response::builder().status(response.status());
    for (name, value) in response.headers() {
        if !matches!(name.as_str(), "transfer-encoding" | "connection") {
            builder = builder.header(name, value);
        }
    }
    builder.body(Full::new(response.bytes().await.unwrap())).unwrap()
}

/// An answer of the proxy itself.
pub fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Full<Bytes>> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}
