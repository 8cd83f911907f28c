//! Sending a blob: in one request, which every registry takes, or in chunks where one request does not get through.

use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, StatusCode, Url};

use super::blob;
use super::digest::Digest;
use super::error::OciError;
use super::grants::Scope;
use super::meter::Meter;
use super::reference::Repository;
use super::retry;
use super::transport::{Call, Client, Part, Reply};
use crate::payload::Payload;

/// The chunk that every registry takes: GitHub's refuses larger ones.
const CHUNK: u64 = 4 << 20;
/// A blob of this size that was cut off twice goes in chunks.
const WORTH_CHUNKS: u64 = 8 << 20;
/// The least that a chunk must have, if the registry says so.
const MIN_LENGTH: &str = "oci-chunk-min-length";

/// A place for a blob that is to come.
#[derive(Debug)]
pub struct Session {
    url: Url,
    chunk: u64,
}

/// What became of the wish to upload a blob.
#[derive(Debug)]
pub enum Begun {
    /// It is there: the registry took it from another repository.
    Mounted,
    /// It can be sent.
    Session(Session),
}

/// Why a way of sending ended.
enum Failure {
    /// Perhaps it works in another session.
    Again(OciError),
    /// One request does not get through.
    TooLarge(OciError),
    /// It is of no use.
    Final(OciError),
}

/// Asks for a place for a blob, or for the blob itself from a repository that has it.
///
/// A registry that allows this lets us write here: so it is asked before anything is sent.
pub async fn begin(
    client: &Client,
    repository: &Repository,
    digest: &Digest,
    from: Option<&Repository>,
) -> Result<Begun, OciError> {
    let mut url = client.url(repository, "blobs/uploads/")?;
    if let Some(from) = from {
        url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", from.as_str());
    }
    let mut call = Call::new(Method::POST, url).with(bytes::Bytes::new());
    call.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    call.mount_from = from.cloned();
    let reply = client.send(repository, call).await?;
    match reply.status {
        StatusCode::CREATED if from.is_some() => Ok(Begun::Mounted),
        StatusCode::ACCEPTED => session(client, &reply).map(Begun::Session),
        _ => Err(client.refused(&reply)),
    }
}

/// The place that a registry names.
fn session(client: &Client, reply: &Reply) -> Result<Session, OciError> {
    let least = reply.headers.get(MIN_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(Session { url: client.location(reply)?, chunk: CHUNK.max(least.unwrap_or(0)) })
}

/// Gives a place back that nothing went to.
pub async fn cancel(client: &Client, repository: &Repository, session: Session) {
    // What storage elsewhere keeps of an upload is the registry's to cancel.
    if !client.may_see(&session.url) {
        return;
    }
    let mut call = Call::new(Method::DELETE, session.url).with(bytes::Bytes::new());
    call.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    // Nobody waits for it.
    call.again = false;
    // A place that stays is empty, and the registry ends it by itself. Some want the right to delete for this, which is
    // not worth another token.
    let scope = Scope { repository: repository.clone(), from: None };
    let _ = client.follow(&scope, &call).await;
}

/// Sends a blob, as often as it takes.
pub async fn send(
    client: &Client,
    repository: &Repository,
    payload: &Payload,
    session: Session,
) -> Result<(), OciError> {
    client.meter.expect(payload.len());
    bring(client, repository, payload, session).await?;
    client.meter.acknowledge(payload.len());
    Ok(())
}

async fn bring(
    client: &Client,
    repository: &Repository,
    payload: &Payload,
    session: Session,
) -> Result<(), OciError> {
    let mut session = session;
    let mut in_chunks = false;
    let mut attempt = 1;
    loop {
        let outcome = if in_chunks {
            chunks(client, repository, payload, session).await
        } else {
            whole(client, repository, payload, session).await
        };
        let error = match outcome {
            Ok(()) => return Ok(()),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::TooLarge(error)) if in_chunks => return Err(error),
            Err(Failure::TooLarge(error)) => {
                in_chunks = true;
                error
            }
            Err(Failure::Again(error)) => {
                in_chunks |= attempt > 1 && payload.len() >= WORTH_CHUNKS;
                error
            }
        };
        if attempt >= retry::ATTEMPTS {
            return Err(error.after(attempt));
        }
        let pause = retry::pause(attempt, retry::chance());
        client.tell_pause(&error, pause, attempt);
        tokio::time::sleep(pause).await;
        attempt += 1;
        // Perhaps the answer was lost, and not the blob.
        if blob::exists(client, repository, payload.digest()).await? {
            return Ok(());
        }
        session = match begin(client, repository, payload.digest(), None).await? {
            Begun::Session(session) => session,
            Begun::Mounted => return Ok(()),
        };
    }
}

async fn whole(
    client: &Client,
    repository: &Repository,
    payload: &Payload,
    session: Session,
) -> Result<(), Failure> {
    let call = closing(session.url, payload.digest(), Part::all(payload));
    let outcome = client.send(repository, call).await;
    match judge(client, outcome)? {
        reply if reply.status == StatusCode::CREATED => Ok(()),
        reply if reply.status == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(Failure::TooLarge(client.refused(&reply)))
        }
        reply => Err(refusal(client, &reply)),
    }
}

/// `PATCH` by `PATCH`; the registry says how far it got.
async fn chunks(
    client: &Client,
    repository: &Repository,
    payload: &Payload,
    session: Session,
) -> Result<(), Failure> {
    let Session { mut url, chunk } = session;
    let mut sent = 0;
    let mut arrived = Arrived { meter: &client.meter, bytes: 0 };
    let mut failures = 0;
    while sent < payload.len() {
        let end = payload.len().min(sent + chunk);
        let mut call = Call::new(Method::PATCH, url.clone());
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        // Without a unit: the specification's form, not HTTP's.
        let range = HeaderValue::try_from(format!("{sent}-{}", end - 1));
        call.headers.extend(range.ok().map(|range| (CONTENT_RANGE, range)));
        call.body = Some(Part { payload: payload.clone(), range: sent..end });
        call.again = false;
        let pause = retry::pause(failures + 1, retry::chance());
        match judge(client, client.send(repository, call).await) {
            Ok(reply) if reply.status == StatusCode::ACCEPTED => {
                url = client.location(&reply).map_err(Failure::Final)?;
                // A registry may have kept less than it was sent.
                sent = received(&reply.headers).filter(|&received| received <= end).unwrap_or(end);
                arrived.set(sent);
                failures = 0;
                continue;
            }
            Ok(reply) if reply.status != StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(refusal(client, &reply));
            }
            Ok(reply) if failures + 1 >= retry::ATTEMPTS => {
                return Err(Failure::Final(client.refused(&reply)));
            }
            Err(Failure::Again(error)) if failures + 1 >= retry::ATTEMPTS => {
                return Err(Failure::Final(error.after(failures + 1)));
            }
            Ok(_) => {}
            Err(Failure::Again(error)) => client.tell_pause(&error, pause, failures + 1),
            Err(other) => return Err(other),
        }
        failures += 1;
        tokio::time::sleep(pause).await;
        let reply = client.send(repository, Call::new(Method::GET, url.clone())).await;
        let reply = judge(client, reply)?;
        if !matches!(reply.status, StatusCode::NO_CONTENT | StatusCode::OK | StatusCode::ACCEPTED) {
            return Err(Failure::Again(client.refused(&reply)));
        }
        if reply.headers.contains_key(reqwest::header::LOCATION) {
            url = client.location(&reply).map_err(Failure::Final)?;
        }
        sent = received(&reply.headers).unwrap_or(0).min(payload.len());
        arrived.set(sent);
    }
    let nothing = Part { payload: payload.clone(), range: 0..0 };
    let outcome = client.send(repository, closing(url, payload.digest(), nothing)).await;
    match judge(client, outcome)? {
        reply if reply.status == StatusCode::CREATED => Ok(()),
        reply => Err(refusal(client, &reply)),
    }
}

/// What arrived in a session. It counts as long as the session goes on.
struct Arrived<'a> {
    meter: &'a Meter,
    bytes: u64,
}

impl Arrived<'_> {
    fn set(&mut self, bytes: u64) {
        self.meter.acknowledge(bytes);
        self.meter.take_back(std::mem::replace(&mut self.bytes, bytes));
    }
}

impl Drop for Arrived<'_> {
    fn drop(&mut self) {
        self.meter.take_back(self.bytes);
    }
}

/// The request that ends a session.
fn closing(mut url: Url, digest: &Digest, part: Part) -> Call {
    url.query_pairs_mut().append_pair("digest", digest.as_str());
    let mut put = Call::new(Method::PUT, url);
    put.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if part.range.is_empty() {
        put.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    put.body = Some(part);
    put.again = false;
    put
}

/// A lost connection and a registry that has enough of us are worth another session.
fn judge(client: &Client, outcome: Result<Reply, OciError>) -> Result<Reply, Failure> {
    match outcome {
        Ok(reply) if retry::is_temporary(reply.status) => {
            client.pace.heed(&reply);
            Err(Failure::Again(client.refused(&reply)))
        }
        Ok(reply) => Ok(reply),
        Err(error @ OciError::Unreachable { .. }) => Err(Failure::Again(error)),
        Err(error) => Err(Failure::Final(error)),
    }
}

/// A session that the registry has forgotten is worth another one; other refusals are final.
fn refusal(client: &Client, reply: &Reply) -> Failure {
    let error = client.refused(reply);
    if reply.status == StatusCode::NOT_FOUND { Failure::Again(error) } else { Failure::Final(error) }
}

/// How many bytes the registry has, by `Range: 0-N`. One that has none says `0-0`, as one would that has a single byte.
fn received(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(RANGE)?.to_str().ok()?;
    let (first, last) = range.trim_start_matches("bytes=").split_once('-')?;
    let last: u64 = last.trim().parse().ok()?;
    (first.trim() == "0").then(|| if last == 0 { 0 } else { last + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_has() {
        for (range, expected) in [
            ("0-0", Some(0)),
            ("0-4194303", Some(4 << 20)),
            ("bytes=0-9", Some(10)),
            ("5-9", None),
            ("0-x", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static(range))]);
            assert_eq!(received(&headers), expected, "{range:?}");
        }
    }
}
