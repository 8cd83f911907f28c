//! Changing an answer that the registry made.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, LOCATION, WARNING};
use hyper::{Method, Response};

use super::wire::Scissors;
use super::{Asked, Effect, Faults, Location, is_like};
use crate::registry::body::Answer;
use crate::registry::route::Route;

/// The header with the least size of a chunk.
pub const CHUNK_MINIMUM: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// Bytes that come one at a time.
#[derive(Debug)]
pub struct Dripping {
    rest: Bytes,
    pause: Duration,
    next: Pin<Box<tokio::time::Sleep>>,
}

impl Dripping {
    fn new(rest: Bytes, pause: Duration) -> Self {
        Self { rest, pause, next: Box::pin(tokio::time::sleep(pause)) }
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next one, when its time has come.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        ready!(self.next.as_mut().poll(context));
        self.next = Box::pin(tokio::time::sleep(self.pause));
        Poll::Ready(Some(self.rest.split_to(1)))
    }
}

/// The answer as the faults make it.
pub async fn change(
    faults: &Faults,
    asked: &Asked,
    scissors: &Scissors,
    mut answer: Response<Answer>,
) -> (Response<Answer>, Vec<String>) {
    let mut met = Vec::new();
    if asked.method == Method::POST
        && matches!(asked.route, Some(Route::Uploads(_)))
        && let Some(least) = faults.chunk_minimum()
    {
        answer.headers_mut().insert(CHUNK_MINIMUM, HeaderValue::from(least));
    }
    for fault in faults.meet(asked, Some(answer.status())) {
        met.push(fault.to_string());
        answer = match &fault.effect {
            Effect::CutAnswer(bytes) => {
                scissors.cut_after(*bytes);
                answer
            }
            Effect::Location(location) => relocated(faults, asked, location, answer),
            Effect::Warning(text) => {
                if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
                    answer.headers_mut().append(WARNING, value);
                }
                answer
            }
            Effect::Truncate(length) => {
                with_body(answer, asked, |body| body.slice(..body.len().min(*length))).await
            }
            Effect::WrongContent => {
                with_body(answer, asked, |body| body.iter().map(|byte| byte ^ 1).collect()).await
            }
            Effect::TagsNull => {
                with_body(answer, asked, |body| tags(&body, |tags| *tags = serde_json::Value::Null)).await
            }
            Effect::HideTags(pattern) => {
                with_body(answer, asked, |body| {
                    tags(&body, |tags| {
                        if let Some(tags) = tags.as_array_mut() {
                            tags.retain(|tag| tag.as_str().is_none_or(|tag| !is_like(pattern, tag)));
                        }
                    })
                })
                .await
            }
            Effect::Drip(pause) => {
                let (head, body) = collected(answer).await;
                Response::from_parts(head, Answer::Dripping(Dripping::new(body, *pause)))
            }
            // The others are of the request.
            _ => answer,
        };
    }
    (answer, met)
}

async fn collected(answer: Response<Answer>) -> (hyper::http::response::Parts, Bytes) {
    let (head, body) = answer.into_parts();
    // Only a blob's file can fail to be read, and then its length tells the client.
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    (head, bytes)
}

async fn with_body(
    answer: Response<Answer>,
    asked: &Asked,
    change: impl FnOnce(Bytes) -> Bytes,
) -> Response<Answer> {
    if asked.method == Method::HEAD {
        return answer;
    }
    let (mut head, body) = collected(answer).await;
    let body = change(body);
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    Response::from_parts(head, Answer::bytes(body))
}

fn tags(body: &Bytes, change: impl FnOnce(&mut serde_json::Value)) -> Bytes {
    let mut list: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    change(&mut list["tags"]);
    list.to_string().into()
}

/// The answer with its `Location` in another shape.
fn relocated(
    faults: &Faults,
    asked: &Asked,
    location: &Location,
    mut answer: Response<Answer>,
) -> Response<Answer> {
    let headers = answer.headers_mut();
    let Some(path) = headers.remove(LOCATION) else {
        return answer;
    };
    let path = path.to_str().unwrap_or_default();
    let changed = match location {
        Location::Missing => return answer,
        Location::Absolute => format!("http://{}{path}", asked.host),
        Location::Elsewhere(address) => format!("{address}{path}"),
        Location::Query => {
            let id = path.rsplit('/').next().unwrap_or_default();
            faults.remember(id, |promise| promise.state = true);
            format!("{path}?_state=of%2F{id}&more=1")
        }
    };
    if let Ok(value) = HeaderValue::from_str(&changed) {
        headers.insert(LOCATION, value);
    }
    answer
}
