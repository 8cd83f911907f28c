//! Faults: ways in which registries misbehave, played on request, so that a client can be tried against them.
//!
//! A fault is written as in `status=503,method=PUT,path=*/manifests/*,from=2,count=1`: what happens, with
//! its own settings, and to which requests. Each fault counts the requests that it met.

pub mod answer;
pub mod play;
pub mod spec;
pub mod token;
pub mod wire;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::name::Reference;
use super::route::{self, Route};

/// What happens, and to which requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What happens.
    pub effect: Effect,
    /// To which requests.
    pub limit: Limit,
    /// As it was written.
    text: String,
}

/// Which requests a fault meets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limit {
    /// Only those with this method.
    pub method: Option<String>,
    /// Only those whose path is like this; a `*` stands for anything.
    pub path: Option<String>,
    /// The first of them that it meets, counted from 1; 0 and 1 are the same.
    pub from: u64,
    /// How many it meets.
    pub count: Option<u64>,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// An error in place of what was asked for, which is not done.
    Status(Refused),
    /// The connection ends after so many bytes of the request's body, and nothing is done.
    CutRequest(u64),
    /// What was asked for is done, and the connection ends after so many bytes of the answer, its head included.
    CutAnswer(u64),
    /// A body of only so many bytes, with a length that agrees.
    Truncate(usize),
    /// A body of the right length with other bytes.
    WrongContent,
    /// A body that comes one byte at a time, with such a pause before each.
    Drip(Duration),
    /// At most so many tags in one answer.
    Page(usize),
    /// `null` in place of a list of tags.
    TagsNull,
    /// A list of tags that lacks those like this: it is stale.
    HideTags(String),
    /// A write is answered as done, and is not done: of a manifest with tags, the tags are lost.
    Lost,
    /// The parameter `tag` of a manifest's PUT is unknown here.
    NoTagParameter,
    /// Nothing is ever mounted from another repository.
    NoMount,
    /// A chunk is refused with 416, none of it kept.
    NotSatisfiable,
    /// Half of a chunk is kept, and it is answered by 416.
    PartialChunk,
    /// Chunks may have so many bytes at most; longer ones are answered by 416.
    PatchLimit(u64),
    /// Chunks but the last must have so many bytes at least, and the answer to an upload's start says so.
    ChunkMinimum(u64),
    /// A request with a body and without its length is refused with 411.
    LengthRequired,
    /// Where an upload goes on is said in another way.
    Location(Location),
    /// A warning for the user in the answer.
    Warning(String),
    /// Whoever shows no bearer token of ours is refused, and told where to get one.
    Token(Tokens),
}

/// An error in place of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The status.
    pub status: StatusCode,
    /// When to come again.
    pub retry_after: Option<RetryAfter>,
    /// What the body is.
    pub body: Page,
}

/// When to come again.
#[derive(Debug, Clone, PartialEq)]
pub enum RetryAfter {
    /// The header as it stands: seconds, whole or with a fraction, or nonsense.
    Text(String),
    /// The date that is so long ahead.
    Ahead(Duration),
}

/// The body of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The specification's.
    Json,
    /// What a proxy before the registry says.
    Html,
    /// None.
    Empty,
}

/// Where an upload goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// It is not said.
    Missing,
    /// With scheme and host.
    Absolute,
    /// With a parameter that must come back.
    Query,
    /// At another address, as in `http://localhost:5001`.
    Elsewhere(String),
}

/// Tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    /// How long one is good; nothing is enough for a refusal of each request.
    pub life: Duration,
    /// Where they are to be had, if not from us.
    pub realm: Option<String>,
    /// `USER:PASSWORD` that one costs.
    pub login: Option<String>,
}

/// A request, as far as faults look at it.
#[derive(Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// The query.
    pub query: Option<String>,
    /// What the path means.
    pub route: Option<Route>,
    /// The length of its body, if it is said.
    pub length: Option<u64>,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The header `Host`.
    pub host: String,
}

/// The faults of a registry that runs, and what they did.
#[derive(Debug, Default)]
pub struct Faults {
    entries: Vec<Entry>,
    /// What was promised about uploads, by their ids.
    uploads: Mutex<HashMap<String, Promise>>,
}

#[derive(Debug)]
struct Entry {
    fault: Fault,
    matched: AtomicU64,
    hits: AtomicU64,
}

/// What was promised about an upload.
#[derive(Debug, Clone, Copy, Default)]
pub struct Promise {
    /// Its address has a parameter that must come back.
    pub state: bool,
    /// A chunk was short, so it must have been the last.
    pub ended: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Asked {
    /// What faults look at.
    pub fn new(head: &Parts) -> Self {
        let text =
            |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            route: route::parse(head.uri.path()),
            length: text("content-length").and_then(|length| length.parse().ok()),
            authorization: text("authorization"),
            host: text("host").unwrap_or_default(),
        }
    }

    fn writes_a_manifest(&self) -> bool {
        self.method == Method::PUT && matches!(self.route, Some(Route::Manifest(..)))
    }

    fn parameter(&self, name: &str) -> bool {
        route::query(self.query.as_deref(), name).is_some()
    }
}

impl Effect {
    /// Whether it acts on an answer, and not on the request.
    pub fn is_of_the_answer(&self) -> bool {
        matches!(
            self,
            Self::CutAnswer(_)
                | Self::Truncate(_)
                | Self::WrongContent
                | Self::Drip(_)
                | Self::TagsNull
                | Self::HideTags(_)
                | Self::Location(_)
                | Self::Warning(_)
        )
    }

    /// Whether it can act on such a request at all; of the answer's effects, whether on such an answer.
    fn concerns(&self, asked: &Asked, status: Option<StatusCode>) -> bool {
        let read = asked.method == Method::GET && status.is_some_and(|status| status.is_success());
        let tags = matches!(asked.route, Some(Route::Tags(_)));
        let content = matches!(asked.route, Some(Route::Blob(..) | Route::Manifest(..)));
        let chunk = asked.method == Method::PATCH && matches!(asked.route, Some(Route::Upload(..)));
        let starts = asked.method == Method::POST && matches!(asked.route, Some(Route::Uploads(_)));
        match self {
            Self::Status(_) | Self::CutRequest(_) | Self::CutAnswer(_) | Self::Warning(_) => true,
            Self::Drip(_) | Self::Truncate(_) => asked.method != Method::HEAD,
            Self::WrongContent => read && content,
            Self::Page(_) => asked.method == Method::GET && tags,
            Self::TagsNull | Self::HideTags(_) => read && tags,
            Self::Lost => {
                let closes = asked.method == Method::PUT && matches!(asked.route, Some(Route::Upload(..)));
                asked.writes_a_manifest() || closes
            }
            Self::NoTagParameter => asked.writes_a_manifest() && asked.parameter("tag"),
            Self::NoMount => starts && asked.parameter("mount"),
            Self::NotSatisfiable | Self::PartialChunk => chunk,
            Self::PatchLimit(most) => chunk && asked.length.is_none_or(|length| length > *most),
            Self::ChunkMinimum(_) => starts,
            Self::LengthRequired => {
                matches!(asked.method, Method::PUT | Method::POST | Method::PATCH) && asked.length.is_none()
            }
            Self::Location(_) => (starts || chunk) && status == Some(StatusCode::ACCEPTED),
            Self::Token(_) => asked.path != token::PATH && !token::is_good(asked),
        }
    }
}

impl Faults {
    /// These faults.
    pub fn new(faults: &[Fault]) -> Self {
        let entry = |fault: &Fault| Entry {
            fault: fault.clone(),
            matched: AtomicU64::default(),
            hits: AtomicU64::default(),
        };
        Self { entries: faults.iter().map(entry).collect(), uploads: Mutex::default() }
    }

    /// How many requests each fault met.
    pub fn hits(&self) -> Vec<u64> {
        self.entries.iter().map(|entry| entry.hits.load(Ordering::SeqCst)).collect()
    }

    /// The faults that meet a request, or its answer, one after the other; each is counted when it is taken.
    pub fn meet<'a>(
        &'a self,
        asked: &'a Asked,
        answer: Option<StatusCode>,
    ) -> impl Iterator<Item = &'a Fault> + use<'a> {
        self.entries
            .iter()
            .filter(move |entry| {
                entry.fault.effect.is_of_the_answer() == answer.is_some() && entry.meets(asked, answer)
            })
            .map(|entry| &entry.fault)
    }

    /// The tokens that are asked for, if any are.
    pub fn tokens(&self) -> Option<&Tokens> {
        self.entries.iter().find_map(|entry| match &entry.fault.effect {
            Effect::Token(tokens) => Some(tokens),
            _ => None,
        })
    }

    /// The least size of a chunk, if there is one.
    pub fn chunk_minimum(&self) -> Option<u64> {
        self.entries.iter().find_map(|entry| match entry.fault.effect {
            Effect::ChunkMinimum(least) => Some(least),
            _ => None,
        })
    }

    /// What was promised about an upload.
    pub fn promise(&self, id: &str) -> Promise {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied().unwrap_or_default()
    }

    /// Promises something about an upload.
    pub fn remember(&self, id: &str, change: impl FnOnce(&mut Promise)) {
        change(self.uploads.lock().unwrap_or_else(PoisonError::into_inner).entry(id.to_owned()).or_default());
    }
}

impl Entry {
    fn meets(&self, asked: &Asked, answer: Option<StatusCode>) -> bool {
        let Limit { method, path, from, count } = &self.fault.limit;
        let wanted = method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(asked.method.as_str()))
            && path.as_ref().is_none_or(|path| is_like(path, &asked.path))
            && self.fault.effect.concerns(asked, answer);
        if !wanted {
            return false;
        }
        let number = self.matched.fetch_add(1, Ordering::SeqCst) + 1;
        let first = (*from).max(1);
        let meets = number >= first && count.is_none_or(|count| number - first < count);
        if meets {
            self.hits.fetch_add(1, Ordering::SeqCst);
        }
        meets
    }
}

/// Whether a text is like a pattern in which `*` stands for anything.
pub fn is_like(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    loop {
        if is_like(rest, text) {
            return true;
        }
        let mut letters = text.chars();
        if letters.next().is_none() {
            return false;
        }
        text = letters.as_str();
    }
}

/// Whether a manifest's reference is a tag.
fn is_tag(reference: &Reference) -> bool {
    matches!(reference, Reference::Tag(_))
}
