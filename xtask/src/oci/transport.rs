//! Sending a request: authentication, redirects, warnings, and errors that keep secrets.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, HeaderMap, LOCATION, WARNING};
use reqwest::{Method, StatusCode, Url};

pub use super::access::Access;
use super::body;
use super::credentials::Credentials;
use super::digest::Digest;
use super::error::OciError;
use super::grants::{Grant, Grants, Scope};
use super::hashing::Hashing;
use super::keyring::Keyring;
use super::known::Known;
use super::link;
use super::meter::Meter;
use super::pace::{self, MAX_REQUESTS, Pace};
use super::proxy::Routes;
use super::realm::{self, Trusted};
use super::reference::{Registry, Repository};
use super::said::{self, detail, printable, root_cause};
use super::sources::Sources;
use super::unpacking::Unpacking;
use crate::contents::{Contents, ContentsError, Wanted};
use crate::payload::Payload;

/// What an answer may weigh in memory unless its call says otherwise, and what any refusal may.
const MAX_BODY: usize = 4 << 20;
const MAX_REDIRECTS: usize = 5;
/// The longest silence of a registry: some hash a large blob before they answer.
const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// Takes sentences for the user.
pub type Notes = Arc<dyn Fn(&str) + Send + Sync>;

/// A registry that we talk to.
pub struct Client {
    pub(super) http: reqwest::Client,
    pub(super) registry: Registry,
    pub(super) base: Url,
    pub(super) access: Access,
    pub(super) keyring: Keyring,
    pub(super) trusted: Trusted,
    pub(super) grants: Grants,
    routes: Routes,
    /// Whether the registry has answered somebody whom it knows, or nothing depends on that.
    is_known: AtomicBool,
    /// Whose request goes alone until then.
    first: tokio::sync::Mutex<()>,
    pub(super) pace: Pace,
    pub(super) meter: Arc<Meter>,
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
    pub body: Option<Part>,
    /// Whether it may be sent again where its answer was lost: not where it ends what an earlier request began.
    pub again: bool,
    /// What becomes of the answer's body.
    pub take: Take,
    /// The repository that a blob is to be mounted from: the authorization has to cover it.
    pub mount_from: Option<Repository>,
}

/// What a request carries.
#[derive(Debug, Clone)]
pub struct Part {
    /// The bytes, of which it may be some.
    pub payload: Payload,
    /// Which of them.
    pub range: Range<u64>,
}

/// What becomes of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// It is read into memory, up to so many bytes.
    Memory(usize),
    /// Only its digest is kept, however long it is.
    Digest,
    /// It is an archive, and only what that holds is kept.
    Contents(Wanted),
}

/// An answer, read completely.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty where something else was asked for.
    pub body: Bytes,
    /// The digest of what was read of the body, where it is not in memory and the status is a success.
    pub digest: Option<Digest>,
    /// What an archive held, where the call asked for it and the status is a success.
    pub contents: Option<Result<Contents, ContentsError>>,
    /// The address that answered.
    pub url: Url,
    /// Method and path of the request, for messages.
    pub request: String,
    /// How often it was sent.
    pub attempts: u32,
    /// With which credentials it was sent, for messages.
    pub(super) with: String,
    /// What was shown with it.
    pub(super) grant: Option<Arc<Grant>>,
}

/// Where an answer's body goes while it arrives.
enum Sink {
    /// Into memory, up to so many bytes.
    Keep(BytesMut, usize),
    Hash(Hashing),
    Unpack(Unpacking),
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("registry", &self.registry)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

impl Part {
    /// All of them.
    pub fn all(payload: &Payload) -> Self {
        Self { payload: payload.clone(), range: 0..payload.len() }
    }
}

impl fmt::Debug for Reply {
    /// Without what may be secret: a body may be a token, an address may hold one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

impl Call {
    /// A request without headers or body.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            again: true,
            take: Take::Memory(MAX_BODY),
            mount_from: None,
        }
    }

    /// The same with a body that is in memory.
    #[must_use]
    pub fn with(mut self, bytes: Bytes) -> Self {
        self.body = Some(Part::all(&bytes.into()));
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
        let keyring = sources.keyring(&registry, &*notes)?;
        let trusted = Trusted::parse(&sources.trusted_hosts)?;
        let mut routes = Routes::default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("agent-sandbox-xtask/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(30))
            .read_timeout(LONGEST_SILENCE)
            .pool_max_idle_per_host(MAX_REQUESTS);
        if registry.is_local() {
            // No TLS, so no certificates to look for; and no proxy reaches this machine's loopback.
            builder = builder.tls_certs_only([]);
        } else {
            routes = sources.proxies.routes(base.scheme())?;
            builder = sources.certificates.apply(builder, &*notes)?.proxy(routes.clone().into_proxy());
        }
        let http = builder.build().map_err(|error| OciError::Unreachable {
            host: registry.to_string(),
            reason: format!("the HTTP client cannot be set up ({})", root_cause(&error)),
            hint: said::hint(&error),
        })?;
        // Where there is no password to be counted wrong, and no encryption whose connections are shared, all may begin.
        let is_known = keyring.is_empty() && base.scheme() == "http";
        let mut secrets = keyring.secrets();
        secrets.extend(&routes.secrets());
        Ok(Self {
            http,
            base,
            access,
            secrets: Mutex::new(secrets),
            keyring,
            trusted,
            grants: Grants::default(),
            routes,
            is_known: AtomicBool::new(is_known),
            first: tokio::sync::Mutex::default(),
            pace: Pace::default(),
            meter: Arc::default(),
            notes,
            told: Mutex::default(),
            registry,
        })
    }

    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// How much of the uploads is done.
    pub fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
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

    /// Sends a request, follows redirects of reads, and authenticates if asked to.
    pub async fn send(&self, repository: &Repository, call: Call) -> Result<Reply, OciError> {
        // The first request goes alone: a password that is wrong is shown once, and not by many requests at a time.
        let mut alone = None;
        if !self.is_known.load(Ordering::Acquire) {
            // Those that waited for it go together.
            alone = Some(self.first.lock().await).filter(|_| !self.is_known.load(Ordering::Acquire));
        }
        let scope = Scope { repository: repository.clone(), from: call.mount_from.clone() };
        let mut reply = self.follow(&scope, &call).await?;
        // Once for what was sent without authorization, and once for what was sent with one that
        // is not good, or not any more. Whoever still refuses means it.
        for _ in 0..2 {
            if !self.asks(&reply) {
                break;
            }
            let shown = reply.grant.is_some();
            self.renew(&scope, &reply).await?;
            reply = self.follow(&scope, &call).await?;
            if shown {
                break;
            }
        }
        if !self.asks(&reply) {
            self.is_known.store(true, Ordering::Release);
        }
        drop(alone);
        Ok(reply)
    }

    /// An error for an answer that should have been another.
    pub fn refused(&self, reply: &Reply) -> OciError {
        let host = realm::authority(&reply.url).unwrap_or_default();
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let detail = detail(&reply.body, &secrets);
        // After a redirect the path is the registry's choice, too.
        let request = secrets.hide(&reply.request);
        let registry = self.registry.to_string();
        match reply.status.as_u16() {
            401 | 403 if !self.trusted.realm(&self.base, &reply.url) => {
                OciError::Elsewhere { registry, host, request, detail }
            }
            401 | 403 => OciError::Unauthorized {
                registry: registry.into(),
                host,
                request,
                with: reply.with.clone(),
                detail,
                access: self.access,
            },
            status => {
                let detail = detail + &pace::too_long(&reply.headers).unwrap_or_default();
                OciError::Refused { host, status, request, detail }.after(reply.attempts)
            }
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

    pub(super) async fn follow(&self, scope: &Scope, call: &Call) -> Result<Reply, OciError> {
        let mut call = call.clone();
        for _ in 0..=MAX_REDIRECTS {
            let reply = self.exchange(scope, &call).await?;
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

    /// Whether an address may see the authorization: the registry's own, and those that the user named.
    pub(super) fn may_see(&self, url: &Url) -> bool {
        self.trusted.address(&self.base, url)
    }

    async fn exchange(&self, scope: &Scope, call: &Call) -> Result<Reply, OciError> {
        let mut headers = call.headers.clone();
        let grant = if self.may_see(&call.url) { self.authorization(scope).await? } else { None };
        if let Some(grant) = &grant {
            headers.insert(AUTHORIZATION, grant.authorization.header()?);
        }
        let request = || {
            let mut request =
                self.http.request(call.method.clone(), call.url.clone()).headers(headers.clone());
            if let Some(Part { payload, range }) = &call.body {
                request = request.body(body::of(payload, range.clone(), &self.meter));
            }
            request
        };
        let mut reply = self.persist(request, &call.url, &call.describe(), call.take, call.again).await?;
        if grant.is_some() {
            reply.with = self.keyring.find(&scope.repository).describe();
        }
        reply.grant = grant;
        self.warn(&reply.headers);
        Ok(reply)
    }

    /// Sends a request as it is and reads the answer.
    pub(super) async fn receive(
        &self,
        request: reqwest::RequestBuilder,
        url: &Url,
        describe: String,
        take: Take,
    ) -> Result<Reply, OciError> {
        let unreachable = |error: &reqwest::Error| {
            if let Some(error) = body::read_again_error(error) {
                return OciError::ReadAgain(error.clone());
            }
            let host = realm::authority(url).unwrap_or_default();
            let (reason, hint) = (root_cause(error), said::hint(error));
            match self.routes.describe(url) {
                Some(proxy) => OciError::Unreachable {
                    host,
                    reason: format!("{reason} (through the proxy {proxy})"),
                    hint,
                },
                None => OciError::Unreachable { host, reason, hint },
            }
        };
        let mut response = request.send().await.map_err(|error| {
            // A connection that was made and ended is another thing than none.
            if !error.is_connect() {
                self.pace.reached();
            }
            unreachable(&error)
        })?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        // A refusal is read whatever was asked for: it says why.
        let mut sink = match take {
            Take::Digest if status.is_success() => Sink::Hash(Hashing::new()),
            Take::Contents(wanted) if status.is_success() => Sink::Unpack(Unpacking::new(wanted)),
            Take::Memory(limit) if status.is_success() => Sink::Keep(BytesMut::new(), limit),
            _ => Sink::Keep(BytesMut::new(), MAX_BODY),
        };
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            match &mut sink {
                Sink::Hash(hasher) => hasher.update(chunk).await,
                Sink::Unpack(unpacking) => {
                    if !unpacking.update(chunk).await {
                        break;
                    }
                }
                Sink::Keep(body, limit) if chunk.len() > *limit - body.len() => {
                    return Err(OciError::Protocol {
                        host: realm::authority(url).unwrap_or_default(),
                        request: self.hide(&describe),
                        what: format!("the answer is larger than {} MiB", *limit >> 20),
                    });
                }
                Sink::Keep(body, _) => body.extend_from_slice(&chunk),
            }
        }
        let (mut body, mut digest, mut contents) = (Bytes::new(), None, None);
        match sink {
            Sink::Keep(kept, _) => body = kept.freeze(),
            Sink::Hash(hasher) => digest = Some(hasher.finish().await),
            Sink::Unpack(unpacking) => {
                let (read, found) = unpacking.finish().await;
                (digest, contents) = (Some(read), Some(found));
            }
        }
        Ok(Reply {
            status,
            headers,
            body,
            digest,
            contents,
            url: url.clone(),
            request: describe,
            attempts: 1,
            with: Credentials::Anonymous.describe(),
            grant: None,
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
