//! Playing faults: what comes before the registry's own work, and in its place.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Uri};

use super::wire::Scissors;
use super::{Asked, Effect, Page, Refused, RetryAfter, answer, is_tag, token};
use crate::oci::digest::Digest;
use crate::registry::body::{self, Answer, RequestBody};
use crate::registry::error::Refusal;
use crate::registry::manifests;
use crate::registry::route::{self, Route};
use crate::registry::server::{DIGEST_HEADER, Reply, State, answered, dispatch, respond};
use crate::registry::uploads;

/// More than any body that a test sends.
const MAX_BODY: usize = 256 << 20;

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("a fault cuts the connection")]
pub struct Cut;

/// What the faults made of a request.
enum Outcome {
    /// It goes on, changed perhaps.
    Go(Request<RequestBody>),
    /// This is the answer.
    Answer(Reply),
    /// There is none.
    Cut,
}

/// Serves a request as the faults have it, and says which it met.
pub async fn serve(
    state: &State,
    asked: &Asked,
    scissors: &Scissors,
    request: Request<RequestBody>,
) -> (Result<Response<Answer>, Cut>, Vec<String>) {
    let mut met = Vec::new();
    // The answer before this one was to be the last.
    if scissors.are_closing() {
        return (Err(Cut), met);
    }
    let reply = match before(state, asked, request, &mut met).await {
        Outcome::Cut => return (Err(Cut), met),
        Outcome::Answer(reply) => answered(reply),
        Outcome::Go(request) => answered(dispatch(state, request).await),
    };
    let (reply, more) = answer::change(&state.faults, asked, scissors, reply).await;
    met.extend(more);
    (Ok(reply), met)
}

async fn before(
    state: &State,
    asked: &Asked,
    mut request: Request<RequestBody>,
    met: &mut Vec<String>,
) -> Outcome {
    if let Some(tokens) = state.faults.tokens()
        && asked.path == token::PATH
    {
        let form = drained(request).await;
        return Outcome::Answer(token::give(asked, &String::from_utf8_lossy(&form), tokens));
    }
    if let Err(refusal) = promised(state, asked) {
        drained(request).await;
        return Outcome::Answer(Err(refusal));
    }
    for fault in state.faults.meet(asked, None) {
        met.push(fault.to_string());
        match play(state, asked, &fault.effect, request).await {
            Outcome::Go(next) => request = next,
            end => return end,
        }
    }
    Outcome::Go(request)
}

/// Holds a client to what was said about an upload.
fn promised(state: &State, asked: &Asked) -> Result<(), Refusal> {
    let Some(Route::Upload(_, id)) = &asked.route else {
        return Ok(());
    };
    let promise = state.faults.promise(id);
    let wrong = |what: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", what));
    let expected = format!("of/{id}");
    if promise.state && route::query(asked.query.as_deref(), "_state") != Some(expected) {
        return wrong("the parameter _state of the Location did not come back");
    }
    if let Some(least) = state.faults.chunk_minimum()
        && asked.method == Method::PATCH
    {
        if promise.ended {
            return wrong("the chunk before this one was too short to be followed by another");
        }
        let short = asked.length.is_none_or(|length| length < least);
        state.faults.remember(id, |promise| promise.ended = short);
    }
    Ok(())
}

async fn play(state: &State, asked: &Asked, effect: &Effect, request: Request<RequestBody>) -> Outcome {
    match effect {
        Effect::Status(refused) => {
            drained(request).await;
            Outcome::Answer(refuse(refused))
        }
        Effect::CutRequest(bytes) => {
            swallow(request, *bytes).await;
            Outcome::Cut
        }
        Effect::Page(most) => {
            let asked_for = route::query(asked.query.as_deref(), "n").and_then(|n| n.parse().ok());
            let size = asked_for.unwrap_or(*most).min(*most);
            with_query(request, &["n"], &format!("n={size}"))
        }
        Effect::NoTagParameter => with_query(request, &["tag"], ""),
        Effect::NoMount => with_query(request, &["mount", "from"], ""),
        Effect::Lost => lost(state, asked, request).await,
        Effect::LengthRequired => {
            drained(request).await;
            let why = "say how long the body is";
            Outcome::Answer(Err(Refusal::new(StatusCode::LENGTH_REQUIRED, "SIZE_INVALID", why)))
        }
        Effect::NotSatisfiable | Effect::PatchLimit(_) => {
            drained(request).await;
            Outcome::Answer(not_satisfiable(state, asked))
        }
        Effect::PartialChunk => {
            let (head, body) = request.into_parts();
            let bytes = drained(Request::from_parts(head.clone(), body)).await;
            let half = bytes.slice(..bytes.len() / 2);
            let kept = dispatch(state, Request::from_parts(head, boxed(half))).await;
            Outcome::Answer(kept.and_then(|_| not_satisfiable(state, asked)))
        }
        Effect::Token(tokens) => {
            drained(request).await;
            Outcome::Answer(token::challenge(asked, tokens))
        }
        // It is said in the answer, or of the answer.
        _ => Outcome::Go(request),
    }
}

fn refuse(refused: &Refused) -> Reply {
    let Refused { status, retry_after, body } = refused;
    let mut builder = Response::builder().status(*status);
    if *status == StatusCode::UNAUTHORIZED {
        builder = builder.header(WWW_AUTHENTICATE, "Basic realm=\"embedded\"");
    }
    match retry_after {
        Some(RetryAfter::Text(text)) => builder = builder.header(RETRY_AFTER, text),
        Some(RetryAfter::Ahead(ahead)) => {
            builder = builder.header(RETRY_AFTER, date(SystemTime::now() + *ahead));
        }
        None => {}
    }
    let reason = status.canonical_reason().unwrap_or("out of order");
    let (media_type, text) = match body {
        Page::Empty => return respond(builder, Answer::empty()),
        Page::Html => ("text/html", format!("<html><body><h1>{reason}</h1></body></html>\n")),
        Page::Json => {
            ("application/json", Refusal::new(*status, "UNAVAILABLE", reason.to_lowercase()).body())
        }
    };
    respond(builder.header(CONTENT_TYPE, media_type), Answer::bytes(text))
}

/// A write that is answered as done.
async fn lost(state: &State, asked: &Asked, request: Request<RequestBody>) -> Outcome {
    let created = |digest: &Digest| {
        Response::builder().status(StatusCode::CREATED).header(DIGEST_HEADER, digest.as_str())
    };
    if let Some(Route::Manifest(_, reference)) = &asked.route {
        let tags = manifests::tags_of(asked.query.as_deref());
        if !is_tag(reference) && !tags.is_empty() {
            // The manifest itself arrives; what is answered is what would have been.
            let Outcome::Go(request) = with_query(request, &["tag"], "") else {
                return Outcome::Cut;
            };
            return Outcome::Answer(dispatch(state, request).await.map(|reply| confirmed(reply, &tags)));
        }
        let digest = Digest::of(&drained(request).await);
        Outcome::Answer(respond(created(&digest), Answer::empty()))
    } else {
        drained(request).await;
        let digest = route::query(asked.query.as_deref(), "digest").and_then(|text| text.parse().ok());
        let digest = digest.unwrap_or_else(|| Digest::of(b""));
        Outcome::Answer(respond(created(&digest), Answer::empty()))
    }
}

fn confirmed(mut reply: Response<Answer>, tags: &[String]) -> Response<Answer> {
    for tag in tags.iter().filter_map(|tag| HeaderValue::from_str(tag).ok()) {
        reply.headers_mut().append(manifests::TAG_HEADER, tag);
    }
    reply
}

/// 416, with what is there of the upload.
fn not_satisfiable(state: &State, asked: &Asked) -> Reply {
    let Some(Route::Upload(name, id)) = &asked.route else {
        return Err(Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", "no upload"));
    };
    let mut reply = uploads::status(state, name, id)?;
    *reply.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    Ok(reply)
}

/// Reads a whole body, so that the client is not cut off while it sends.
async fn drained(request: Request<RequestBody>) -> Bytes {
    body::collect(request.into_body(), MAX_BODY).await.unwrap_or_default()
}

/// Reads some bytes of a body.
async fn swallow(request: Request<RequestBody>, bytes: u64) {
    let mut body = request.into_body();
    let mut read = 0;
    while read < bytes {
        match body.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, |data| data.len() as u64),
            _ => return,
        }
    }
}

fn boxed(bytes: Bytes) -> RequestBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// The request with some parameters of its query replaced.
fn with_query(request: Request<RequestBody>, names: &[&str], more: &str) -> Outcome {
    let (mut head, body) = request.into_parts();
    match rewritten(&head, names, more) {
        Some(uri) => head.uri = uri,
        None => return Outcome::Cut,
    }
    Outcome::Go(Request::from_parts(head, body))
}

fn rewritten(head: &Parts, names: &[&str], more: &str) -> Option<Uri> {
    let query = head.uri.query().unwrap_or_default();
    let kept = query.split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !pair.is_empty() && !names.contains(&name)
    });
    let query: Vec<&str> = kept.chain(Some(more).filter(|more| !more.is_empty())).collect();
    format!("{}?{}", head.uri.path(), query.join("&")).parse().ok()
}

/// A date as HTTP writes it.
fn date(time: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut day) = (1970, days);
    while day >= if is_leap(year) { 366 } else { 365 } {
        day -= if is_leap(year) { 366 } else { 365 };
        year += 1;
    }
    let mut month = 0;
    for length in [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let name = DAYS[usize::try_from(days % 7).unwrap_or_default()];
    format!(
        "{name}, {:02} {} {year} {:02}:{:02}:{:02} GMT",
        day + 1,
        MONTHS[month % 12],
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_826_496, "Tue, 29 Feb 2000 12:14:56 GMT"),
            (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
        ] {
            assert_eq!(date(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn queries_lose_what_is_named() {
        let rewritten = |query: &str, names: &[&str], more: &str| {
            let (head, ()) = Request::get(format!("http://x/v2/?{query}")).body(()).unwrap().into_parts();
            rewritten(&head, names, more).unwrap().query().unwrap().to_owned()
        };
        assert_eq!(rewritten("n=1000&last=a", &["n"], "n=2"), "last=a&n=2");
        assert_eq!(rewritten("tag=1&tag=1.0", &["tag"], ""), "");
        assert_eq!(rewritten("mount=sha256%3Aab&from=a&x=1", &["mount", "from"], ""), "x=1");
    }
}
