//! Sending a request: authentication, redirects, warnings, and errors that keep secrets.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, HeaderMap, LOCATION, RETRY_AFTER, WARNING};
use reqwest::{Method, StatusCode, Url};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::auth::Authorization;
use super::content::{Content, ReadAgainError};
use super::credentials::{Credentials, Sources};
use super::digest::Digest;
use super::error::OciError;
use super::link;
use super::realm;
use super::reference::{Registry, Repository};
use super::retry;
use super::said::{detail, printable, root_cause};
use super::secret::Known;

/// What an answer may weigh in memory unless its call says otherwise, and what any refusal may.
const MAX_BODY: usize = 4 << 20;
const MAX_REDIRECTS: usize = 5;
/// The most requests at once. Most of them wait for the network; a registry that has enough of it answers 429.
const MAX_REQUESTS: usize = 64;
/// The longest silence of a registry: some hash a large blob before they answer.
const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// What may be done with what is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Pull,
    /// Reading and writing.
    PullPush,
}

/// Takes sentences for the user.
pub type Notes = Arc<dyn Fn(&str) + Send + Sync>;

/// A registry that we talk to.
pub struct Client {
    pub(super) http: reqwest::Client,
    pub(super) registry: Registry,
    pub(super) base: Url,
    pub(super) access: Access,
    pub(super) credentials: Credentials,
    pub(super) trusted_realms: String,
    /// How many requests are under way at once.
    room: Semaphore,
    /// Until when the registry wants nothing from us.
    pause_until: Mutex<Option<Instant>>,
    /// Whether the registry has answered anything: a name that leads nowhere is not asked again and again.
    reached: AtomicBool,
    /// What was granted, by repository.
    granted: Mutex<HashMap<Repository, Authorization>>,
    /// Who asks for an authorization, by repository.
    turns: Mutex<HashMap<Repository, Arc<tokio::sync::Mutex<()>>>>,
    /// What no message may repeat.
    secrets: Mutex<Known>,
    notes: Notes,
    /// What was told and is not repeated: registries send a warning with each answer.
    told: Mutex<HashSet<String>>,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The address.
    pub url: Url,
    /// More headers.
    pub headers: HeaderMap,
    /// The body, if the method has one.
    pub body: Option<Payload>,
    /// Whether it may be sent again where its answer was lost: not where it ends what an earlier request began.
    pub again: bool,
    /// What becomes of the answer's body.
    pub take: Take,
}

/// What a request carries: a part of a content.
#[derive(Debug, Clone)]
pub struct Payload {
    /// The content.
    pub content: Content,
    /// Which bytes of it.
    pub range: Range<u64>,
}

/// What becomes of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// It is read into memory, up to so many bytes.
    Memory(usize),
    /// Only its digest is kept, however long it is.
    Digest,
}

/// An answer, read completely.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty where only its digest was asked for.
    pub body: Bytes,
    /// The digest of the body, where the call asked for it and the status is a success.
    pub digest: Option<Digest>,
    /// The address that answered.
    pub url: Url,
    /// Method and path of the request, for messages.
    pub request: String,
    /// How often it was sent.
    pub attempts: u32,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("registry", &self.registry)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

impl Payload {
    /// All of a content.
    pub fn all(content: &Content) -> Self {
        Self { content: content.clone(), range: 0..content.size() }
    }
}

impl Call {
    /// A request without headers or body.
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None, again: true, take: Take::Memory(MAX_BODY) }
    }

    /// The same with a body that is in memory.
    #[must_use]
    pub fn with(mut self, bytes: Bytes) -> Self {
        self.body = Some(Payload::all(&Content::memory(bytes)));
        self
    }

    /// Method and path: a query may hold what others must not see.
    pub fn describe(&self) -> String {
        format!("{} {}", self.method, self.url.path())
    }
}

impl Client {
    /// A client for one registry.
    pub fn new(
        registry: Registry,
        access: Access,
        sources: &Sources,
        notes: Notes,
    ) -> Result<Self, OciError> {
        // Fails when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = registry.url()?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("agent-sandbox-xtask/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(30))
            .read_timeout(LONGEST_SILENCE)
            .pool_max_idle_per_host(MAX_REQUESTS);
        if registry.is_local() {
            // No TLS, so no certificates to look for; and no proxy reaches this machine's loopback.
            builder = builder.tls_certs_only([]).no_proxy();
        }
        let http = builder.build().map_err(|error| OciError::Unreachable {
            host: registry.to_string(),
            reason: format!("the HTTP client cannot be set up ({})", root_cause(&error)),
        })?;
        let credentials = sources.find(&registry)?;
        Ok(Self {
            http,
            base,
            access,
            secrets: Mutex::new(credentials.secrets()),
            credentials,
            trusted_realms: sources.trusted_realms.clone(),
            room: Semaphore::new(MAX_REQUESTS),
            pause_until: Mutex::default(),
            reached: AtomicBool::new(false),
            granted: Mutex::default(),
            turns: Mutex::default(),
            notes,
            told: Mutex::default(),
            registry,
        })
    }

    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Tells the user something.
    pub fn note(&self, text: &str) {
        (self.notes)(text);
    }

    /// Tells the user something that several looks may find.
    pub fn note_once(&self, text: &str) {
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned()) {
            self.note(text);
        }
    }

    /// An address below a repository, as in `manifests/1.2.3`.
    pub fn url(&self, repository: &Repository, rest: &str) -> Result<Url, OciError> {
        self.base
            .join(&format!("{repository}/{rest}"))
            .map_err(|_| OciError::Reference(format!("\"{repository}/{rest}\" makes no address")))
    }

    /// Sends a request, follows redirects of reads, and authenticates once if asked to.
    pub async fn send(&self, repository: &Repository, call: Call) -> Result<Reply, OciError> {
        let shown = self.granted(repository);
        let reply = self.follow(repository, &call).await?;
        if reply.status != StatusCode::UNAUTHORIZED || !self.is_registry(&reply.url) {
            return Ok(reply);
        }
        {
            // Of several requests that are asked at once, one gets the authorization for all.
            let turn = Arc::clone(
                self.turns
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .entry(repository.clone())
                    .or_default(),
            );
            let _turn = turn.lock().await;
            if self.granted(repository) == shown {
                let authorization = super::auth::answer(self, repository, &reply).await?;
                self.granted
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(repository.clone(), authorization);
            }
        }
        self.follow(repository, &call).await
    }

    /// An error for an answer that should have been another.
    pub fn refused(&self, reply: &Reply) -> OciError {
        let host = realm::authority(&reply.url).unwrap_or_default();
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let detail = detail(&reply.body, &secrets);
        // After a redirect the path is the registry's choice, too.
        let request = secrets.hide(&reply.request);
        match reply.status.as_u16() {
            401 | 403 => OciError::Unauthorized { host, request, with: self.credentials.describe(), detail },
            status => OciError::Refused { host, status, request, detail }.after(reply.attempts),
        }
    }

    /// An error for an answer that makes no sense.
    pub fn protocol(&self, reply: &Reply, what: impl Into<String>) -> OciError {
        let host = realm::authority(&reply.url).unwrap_or_default();
        let request = self.hide(&reply.request);
        OciError::Protocol { host, request, what: what.into() }
    }

    /// Takes note of a secret, so that no message repeats it.
    pub(super) fn keep_secret(&self, secret: &str) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).add(secret);
    }

    /// A text without the secrets.
    fn hide(&self, text: &str) -> String {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).hide(text)
    }

    /// The address in a `Location`, which may be relative and keeps its query.
    pub fn location(&self, reply: &Reply) -> Result<Url, OciError> {
        let location = reply.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| self.protocol(reply, "the header Location is missing"))?;
        link::location(&reply.url, location).map_err(|what| self.protocol(reply, what))
    }

    async fn follow(&self, repository: &Repository, call: &Call) -> Result<Reply, OciError> {
        let mut call = call.clone();
        for _ in 0..=MAX_REDIRECTS {
            let reply = self.exchange(repository, &call).await?;
            let read = matches!(call.method, Method::GET | Method::HEAD);
            if !(read && reply.status.is_redirection() && reply.headers.contains_key(LOCATION)) {
                return Ok(reply);
            }
            call.url = self.location(&reply)?;
        }
        Err(OciError::Protocol {
            host: self.registry.to_string(),
            request: call.describe(),
            what: "it redirects without end".to_owned(),
        })
    }

    fn granted(&self, repository: &Repository) -> Option<Authorization> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).get(repository).cloned()
    }

    /// Whether an address is the registry's own, the only place that sees the authorization.
    fn is_registry(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    async fn exchange(&self, repository: &Repository, call: &Call) -> Result<Reply, OciError> {
        let mut headers = call.headers.clone();
        if self.is_registry(&call.url)
            && let Some(granted) = self.granted(repository)
        {
            headers.insert(AUTHORIZATION, granted.header()?);
        }
        let mut attempt = 1;
        loop {
            let mut request =
                self.http.request(call.method.clone(), call.url.clone()).headers(headers.clone());
            if let Some(Payload { content, range }) = &call.body {
                request = request.body(content.body(range.clone()));
            }
            let outcome = self.one_at_a_time(request, call).await;
            let again = if call.again { self.pause_for(&outcome, attempt) } else { None };
            let Some(pause) = again else {
                let reply = outcome.map_err(|error| error.after(attempt))?;
                self.warn(&reply.headers);
                return Ok(Reply { attempts: attempt, ..reply });
            };
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Sends a request when there is room for it, and the registry does not want us to wait.
    async fn one_at_a_time(&self, request: reqwest::RequestBuilder, call: &Call) -> Result<Reply, OciError> {
        // It is never closed.
        let _room = self.room.acquire().await;
        loop {
            let until = *self.pause_until.lock().unwrap_or_else(PoisonError::into_inner);
            match until.and_then(|until| until.checked_duration_since(Instant::now())) {
                Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
                _ => break,
            }
        }
        let outcome = self.receive(request, &call.url, call.describe(), call.take).await;
        if outcome.is_ok() {
            self.reached.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// How long to wait before a request is sent again; `None` where that is of no use.
    fn pause_for(&self, outcome: &Result<Reply, OciError>, attempt: u32) -> Option<Duration> {
        if attempt >= retry::ATTEMPTS {
            return None;
        }
        let pause = retry::pause(attempt, retry::chance());
        match outcome {
            Ok(reply) if retry::is_temporary(reply.status) => match self.heed(reply) {
                None => Some(pause),
                // Spread over the time after it: whatever waits for the same moment would come at once.
                Some(wanted) if wanted <= retry::MAX_RETRY_AFTER => {
                    Some(wanted + pause.mul_f64(retry::chance()))
                }
                Some(_) => None,
            },
            Err(OciError::Unreachable { .. }) if self.reached.load(Ordering::Relaxed) => Some(pause),
            _ => None,
        }
    }

    /// Takes note of how long the registry wants to be left alone: it is the registry that needs the pause, so all
    /// requests wait.
    pub(super) fn heed(&self, reply: &Reply) -> Option<Duration> {
        let value = reply.headers.get(RETRY_AFTER)?.to_str().ok()?;
        let wanted = retry::retry_after(value, SystemTime::now())?;
        if wanted <= retry::MAX_RETRY_AFTER {
            let until = Instant::now() + wanted;
            let mut known = self.pause_until.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Some(known.map_or(until, |known| known.max(until)));
        }
        Some(wanted)
    }

    /// Sends a request as it is and reads the answer.
    pub(super) async fn receive(
        &self,
        request: reqwest::RequestBuilder,
        url: &Url,
        describe: String,
        take: Take,
    ) -> Result<Reply, OciError> {
        let unreachable = |error: &reqwest::Error| match read_again_error(error) {
            Some(error) => OciError::ReadAgain(error.clone()),
            None => OciError::Unreachable {
                host: realm::authority(url).unwrap_or_default(),
                reason: root_cause(error),
            },
        };
        let mut response = request.send().await.map_err(|error| {
            // A connection that was made and ended is another thing than none.
            if !error.is_connect() {
                self.reached.store(true, Ordering::Relaxed);
            }
            unreachable(&error)
        })?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        // A refusal is read whatever was asked for: it says why.
        let (limit, mut hasher) = match take {
            Take::Digest if status.is_success() => (usize::MAX, Some(Sha256::new())),
            Take::Memory(limit) if status.is_success() => (limit, None),
            _ => (MAX_BODY, None),
        };
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            if let Some(hasher) = &mut hasher {
                hasher.update(&chunk);
                continue;
            }
            if chunk.len() > limit - body.len() {
                return Err(OciError::Protocol {
                    host: realm::authority(url).unwrap_or_default(),
                    request: self.hide(&describe),
                    what: format!("the answer is larger than {} MiB", limit >> 20),
                });
            }
            body.extend_from_slice(&chunk);
        }
        let digest = hasher.map(Digest::finish);
        Ok(Reply {
            status,
            headers,
            body: body.freeze(),
            digest,
            url: url.clone(),
            request: describe,
            attempts: 1,
        })
    }

    /// Shows the registry's own warnings, which are for the user.
    fn warn(&self, headers: &HeaderMap) {
        for value in headers.get_all(WARNING).iter().filter_map(|value| value.to_str().ok()) {
            if let Some(text) = value.strip_prefix("299 - ") {
                let text = printable(self.hide(text).trim_matches('"'), 300);
                self.note_once(&format!("the registry {} warns: {text}", self.registry));
            }
        }
    }
}

/// The error of a body that could not be read from where it is.
fn read_again_error(error: &reqwest::Error) -> Option<&ReadAgainError> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
