//! Listening, dispatching, stopping.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, ORIGIN};
use hyper::http::response::Builder;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use super::body::{Answer, RequestBody};
use super::error::Refusal;
use super::fault::play::{self, Cut};
use super::fault::wire::{Cuttable, Scissors};
use super::fault::{Asked, Fault, Faults};
use super::route::{self, Route};
use super::store::Store;
use super::watch::{Moment, Seen, Verdict, Watch};
use super::{blobs, listen, manifests, tags, uploads};
use crate::feature::problem::{one_line, shown};
use crate::oci::reference::is_local_host;

/// The header with a content's digest.
pub const DIGEST_HEADER: &str = "docker-content-digest";
/// The header by which a process of ours is known again.
pub const INSTANCE_HEADER: &str = "x-registry-instance";
const MAX_PAGE: usize = 1000;
const GRACE: Duration = Duration::from_secs(5);

/// What a request leads to.
pub type Reply = Result<Response<Answer>, Refusal>;

/// What the handlers share.
#[derive(Debug)]
pub struct State {
    /// The content.
    pub store: Store,
    /// The most tags in one answer.
    pub max_page: usize,
    /// Uploads that somebody writes to.
    pub busy: Mutex<HashSet<PathBuf>>,
    /// What goes wrong.
    pub faults: Faults,
    watch: Watch,
    requests: AtomicU64,
    instance: String,
}

/// How to serve.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port; 0 takes a free one.
    pub port: u16,
    /// The most tags in one answer.
    pub max_page: usize,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Who is told of each request.
    pub watch: Watch,
}

impl Default for Options {
    fn default() -> Self {
        Self { port: 0, max_page: MAX_PAGE, faults: Vec::new(), watch: Watch::default() }
    }
}

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody else has the port.
    #[error("port {0} on localhost is in use; stop what uses it, or choose another with --port")]
    PortInUse(u16),
    /// The folder cannot be used.
    #[error("the registry's folder {} cannot be used", shown(root))]
    Store {
        /// The folder.
        root: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The folder holds something else.
    #[error(
        "{} is no registry's folder, as {} is in it; name a new or empty folder with --root",
        shown(.0),
        one_line(.1)
    )]
    NotOurs(PathBuf, String),
    /// The system refuses.
    #[error("the registry cannot start")]
    Io(#[from] io::Error),
}

/// A registry that runs in a thread of its own, until it is stopped or dropped.
#[derive(Debug)]
pub struct Serving {
    port: u16,
    state: Arc<State>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// The port on localhost.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `localhost:PORT`.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// What tells this process from others.
    pub fn instance(&self) -> &str {
        &self.state.instance
    }

    /// How many requests each fault met, in the order of the options.
    pub fn hits(&self) -> Vec<u64> {
        self.state.faults.hits()
    }

    /// Lets running requests end, then stops.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        // An error means that the thread has ended already.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Serves a folder on this machine's loopback addresses.
pub fn serve(root: &Path, options: &Options) -> Result<Serving, ServeError> {
    let store = Store::open(root).map_err(|source| ServeError::Store { root: root.to_owned(), source })?;
    let (port, listeners) = listen::bind(options.port)?;
    let instance = new_instance(&store)?;
    let state = Arc::new(State {
        store,
        max_page: options.max_page.max(1),
        busy: Mutex::default(),
        faults: Faults::new(&options.faults),
        watch: options.watch.clone(),
        requests: AtomicU64::default(),
        instance,
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listeners = {
        let _context = runtime.enter();
        listeners.into_iter().map(tokio::net::TcpListener::from_std).collect::<io::Result<Vec<_>>>()?
    };
    let (stop, stopped) = watch::channel(false);
    let served = Arc::clone(&state);
    let thread = std::thread::Builder::new().name("registry".to_owned()).spawn(move || {
        runtime.block_on(run(listeners, served, stopped));
    })?;
    Ok(Serving { port, state, stop, thread: Some(thread) })
}

/// A name that no other process has: the random one of a file that is gone at once.
fn new_instance(store: &Store) -> io::Result<String> {
    let file = tempfile::Builder::new().prefix("").rand_bytes(32).tempfile_in(store.root().join("tmp"))?;
    Ok(file.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
}

async fn run(listeners: Vec<tokio::net::TcpListener>, state: Arc<State>, stopped: watch::Receiver<bool>) {
    let mut connections = tokio::task::JoinSet::new();
    let mut accepting = tokio::task::JoinSet::new();
    let (sender, mut accepted) = tokio::sync::mpsc::channel(16);
    for listener in listeners {
        let sender = sender.clone();
        accepting.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        if sender.send(stream).await.is_err() {
                            return;
                        }
                    }
                    // Out of descriptors, most likely: they come back.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
    }
    let mut stopping = stopped.clone();
    loop {
        tokio::select! {
            Some(stream) = accepted.recv() => {
                connections.spawn(connection(stream, Arc::clone(&state), stopped.clone()));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            // Also when the handle is gone.
            _ = stopping.changed() => break,
        }
    }
    accepting.abort_all();
    let rest = async { while connections.join_next().await.is_some() {} };
    // Whoever sends a body without end does not keep the program from ending.
    let _ = tokio::time::timeout(GRACE, rest).await;
}

async fn connection(stream: tokio::net::TcpStream, state: Arc<State>, mut stopped: watch::Receiver<bool>) {
    let scissors = Arc::new(Scissors::default());
    let stream = Cuttable::new(stream, Arc::clone(&scissors));
    let service = service_fn(move |request| {
        let (state, scissors) = (Arc::clone(&state), Arc::clone(&scissors));
        async move { handle(&state, &scissors, request).await }
    });
    // The timer ends a connection that sends half a request head and then nothing.
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(hyper_util::rt::TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // Errors of one connection concern its client, who sees them.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn handle(
    state: &State,
    scissors: &Scissors,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Cut> {
    let (head, body) = request.into_parts();
    if let Err(refusal) = check_host(&head.headers).and_then(|()| check_not_a_page(&head.headers)) {
        return Ok(answered(Err(refusal)));
    }
    let asked = Asked::new(&head);
    let request = Request::from_parts(head, body.map_err(Into::into).boxed_unsync());
    let number = state.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let tell = |moment| state.watch.tell(&Seen { number, asked: &asked, moment });
    if tell(Moment::Arrived) == Verdict::Cut {
        return Err(Cut);
    }
    let (reply, met) = play::serve(state, &asked, scissors, request).await;
    let status = reply.as_ref().ok().map(|reply| reply.status().as_u16());
    if tell(Moment::Served { status, met: &met }) == Verdict::Cut { Err(Cut) } else { reply }
}

/// The answer to a request, or the error as one.
pub(super) fn answered(reply: Reply) -> Response<Answer> {
    match reply {
        Ok(response) => response,
        Err(refusal) => {
            let mut response = Response::new(Answer::bytes(refusal.body()));
            *response.status_mut() = refusal.status;
            response
                .headers_mut()
                .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
            response
        }
    }
}

/// What the registry does with a request when nothing goes wrong.
pub(super) async fn dispatch(state: &State, request: Request<RequestBody>) -> Reply {
    let (head, body) = request.into_parts();
    let query = head.uri.query();
    let Some(route) = route::parse(head.uri.path()) else {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "NAME_INVALID",
            "no path of the API, or a name that is not allowed",
        ));
    };
    let is_head = head.method == Method::HEAD;
    match (head.method.as_str(), &route) {
        ("GET" | "HEAD", Route::Base) => base(state),
        ("GET" | "HEAD", Route::Blob(name, digest)) => blobs::get(state, name, digest, is_head).await,
        ("POST", Route::Uploads(name)) => uploads::start(state, name, query, body).await,
        ("GET", Route::Upload(name, id)) => uploads::status(state, name, id),
        ("PATCH", Route::Upload(name, id)) => uploads::chunk(state, name, id, &head.headers, body).await,
        ("PUT", Route::Upload(name, id)) => uploads::close(state, name, id, query, body).await,
        ("DELETE", Route::Upload(name, id)) => uploads::cancel(state, name, id),
        ("GET" | "HEAD", Route::Manifest(name, reference)) => manifests::get(state, name, reference, is_head),
        ("PUT", Route::Manifest(name, reference)) => {
            manifests::put(state, name, reference, query, &head.headers, body).await
        }
        ("GET", Route::Tags(name)) => tags::list(state, name, query),
        _ => Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "UNSUPPORTED",
            "this method is not supported here",
        )),
    }
}

/// A web page whose name leads to this machine makes a browser send requests with that name.
fn check_host(headers: &HeaderMap) -> Result<(), Refusal> {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    let authority = host.and_then(|host| host.parse::<hyper::http::uri::Authority>().ok());
    match authority {
        Some(authority) if is_local_host(authority.host()) => Ok(()),
        _ => Err(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "DENIED",
            "this registry is localhost and nothing else",
        )),
    }
}

/// A page of any site can send requests here under this machine's name, uploads too, but not
/// without the browser saying so. No client of a registry is a page.
fn check_not_a_page(headers: &HeaderMap) -> Result<(), Refusal> {
    let from_elsewhere = headers
        .get_all("sec-fetch-site")
        .iter()
        .any(|site| !matches!(site.as_bytes(), b"none" | b"same-origin"));
    if headers.contains_key(ORIGIN) || from_elsewhere {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "DENIED", "this registry is not for web pages"));
    }
    Ok(())
}

fn base(state: &State) -> Reply {
    let builder = Response::builder()
        .status(StatusCode::OK)
        .header(CONTENT_TYPE, "application/json")
        .header("docker-distribution-api-version", "registry/2.0")
        .header(INSTANCE_HEADER, &state.instance);
    respond(builder, Answer::bytes("{}"))
}

/// Ends a response; its parts are ours, so they are valid.
pub(super) fn respond(builder: Builder, answer: Answer) -> Reply {
    builder.body(answer).map_err(|error| {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", format!("no answer can be made: {error}"))
    })
}
