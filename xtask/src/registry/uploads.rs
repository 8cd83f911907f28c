//! Uploads of blobs: at once, in one PUT, in chunks, or mounted from another repository.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hyper::header::{CONTENT_RANGE, LOCATION, RANGE};
use hyper::{HeaderMap, Response, StatusCode};

use super::body::{self, Answer, RequestBody};
use super::error::Refusal;
use super::name::Name;
use super::route;
use super::server::{DIGEST_HEADER, Reply, State, respond};
use crate::oci::digest::Digest;

/// No blob of a test or a Feature comes near this; a runaway upload does.
const MAX_SIZE: u64 = 8 << 30;

/// `POST`: mounts, takes the whole blob, or opens an upload.
pub async fn start(state: &State, name: &Name, query: Option<&str>, body: RequestBody) -> Reply {
    if let Some(digest) = parameter(query, "mount")?
        && let Some(from) = route::query(query, "from").and_then(|from| Name::parse(&from))
        && state.store.blob_size(&from, &digest)?.is_some()
    {
        state.store.link_blob(name, &digest)?;
        return created(name, &digest);
    }
    let folder = state.store.uploads(name)?;
    let file = tempfile::Builder::new().prefix("").rand_bytes(32).tempfile_in(folder)?;
    if let Some(digest) = parameter(query, "digest")? {
        body::append(body, file.path(), MAX_SIZE).await?;
        return finish(state, name, file.path(), &digest);
    }
    let (_, path) = file.keep().map_err(|error| error.error)?;
    accepted(name, &id(&path), 0)
}

/// `GET`: how far an upload is.
pub fn status(state: &State, name: &Name, id: &str) -> Reply {
    let size = std::fs::metadata(find(state, name, id)?)?.len();
    let builder = progress(Response::builder().status(StatusCode::NO_CONTENT), name, id, size);
    respond(builder, Answer::empty())
}

/// `PATCH`: a chunk, which must begin where the last one ended.
pub async fn chunk(state: &State, name: &Name, id: &str, headers: &HeaderMap, body: RequestBody) -> Reply {
    let path = find(state, name, id)?;
    let _busy = Busy::claim(&state.busy, &path)?;
    let size = std::fs::metadata(&path)?.len();
    if let Some(range) = headers.get(CONTENT_RANGE) {
        let start = range.to_str().ok().and_then(|range| range.split_once('-')?.0.parse::<u64>().ok());
        if start != Some(size) {
            let builder =
                progress(Response::builder().status(StatusCode::RANGE_NOT_SATISFIABLE), name, id, size);
            return respond(builder, Answer::empty());
        }
    }
    let size = body::append(body, &path, MAX_SIZE).await?;
    accepted(name, id, size)
}

/// `PUT`: the last chunk, if any, and the digest.
pub async fn close(state: &State, name: &Name, id: &str, query: Option<&str>, body: RequestBody) -> Reply {
    let path = find(state, name, id)?;
    let _busy = Busy::claim(&state.busy, &path)?;
    let digest = parameter(query, "digest")?
        .ok_or_else(|| Refusal::digest_invalid("the parameter digest is missing"))?;
    body::append(body, &path, MAX_SIZE).await?;
    finish(state, name, &path, &digest)
}

/// `DELETE`: gives an upload up.
pub fn cancel(state: &State, name: &Name, id: &str) -> Reply {
    let path = find(state, name, id)?;
    let _busy = Busy::claim(&state.busy, &path)?;
    std::fs::remove_file(path)?;
    respond(Response::builder().status(StatusCode::NO_CONTENT), Answer::empty())
}

fn finish(state: &State, name: &Name, path: &Path, digest: &Digest) -> Reply {
    // Hashing blocks this worker; the others go on.
    let adopted = tokio::task::block_in_place(|| state.store.adopt_blob(name, path, digest))?;
    if adopted {
        created(name, digest)
    } else {
        std::fs::remove_file(path)?;
        Err(Refusal::digest_invalid("the content has another digest"))
    }
}

fn parameter(query: Option<&str>, name: &str) -> Result<Option<Digest>, Refusal> {
    match route::query(query, name) {
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| Refusal::digest_invalid(format!("\"{text}\" is not a sha256 digest"))),
        None => Ok(None),
    }
}

fn find(state: &State, name: &Name, id: &str) -> Result<PathBuf, Refusal> {
    let path = state.store.uploads(name)?.join(id);
    if path.is_file() {
        return Ok(path);
    }
    Err(Refusal::new(
        StatusCode::NOT_FOUND,
        "BLOB_UPLOAD_UNKNOWN",
        format!("there is no upload {id} in {name}"),
    ))
}

fn id(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn progress(
    builder: hyper::http::response::Builder,
    name: &Name,
    id: &str,
    size: u64,
) -> hyper::http::response::Builder {
    builder
        .header(LOCATION, format!("/v2/{name}/blobs/uploads/{id}"))
        // The specification counts an empty upload as "0-0".
        .header(RANGE, format!("0-{}", size.saturating_sub(1)))
}

fn accepted(name: &Name, id: &str, size: u64) -> Reply {
    respond(progress(Response::builder().status(StatusCode::ACCEPTED), name, id, size), Answer::empty())
}

fn created(name: &Name, digest: &Digest) -> Reply {
    let builder = Response::builder()
        .status(StatusCode::CREATED)
        .header(LOCATION, format!("/v2/{name}/blobs/{digest}"))
        .header(DIGEST_HEADER, digest.as_str());
    respond(builder, Answer::empty())
}

/// An upload that somebody writes to; two at a time would mix their bytes.
#[derive(Debug)]
struct Busy<'a> {
    set: &'a Mutex<HashSet<PathBuf>>,
    path: PathBuf,
}

impl<'a> Busy<'a> {
    fn claim(set: &'a Mutex<HashSet<PathBuf>>, path: &Path) -> Result<Self, Refusal> {
        if set.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned()) {
            return Ok(Self { set, path: path.to_owned() });
        }
        Err(Refusal::new(
            StatusCode::CONFLICT,
            "BLOB_UPLOAD_INVALID",
            "another request writes to this upload",
        ))
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}
