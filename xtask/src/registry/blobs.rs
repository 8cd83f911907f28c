//! Reading blobs.

use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{Response, StatusCode};

use super::body::Answer;
use super::error::Refusal;
use super::name::Name;
use super::server::{DIGEST_HEADER, Reply, State, respond};
use crate::oci::digest::Digest;

/// `GET` and `HEAD` of a blob.
pub async fn get(state: &State, name: &Name, digest: &Digest, head: bool) -> Reply {
    let size = state.store.blob_size(name, digest)?.ok_or_else(|| Refusal::blob_unknown(digest))?;
    let builder = Response::builder()
        .status(StatusCode::OK)
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(DIGEST_HEADER, digest.as_str())
        .header(CONTENT_LENGTH, size);
    if head {
        return respond(builder, Answer::empty());
    }
    let file = tokio::fs::File::open(state.store.blob_path(digest)).await?;
    respond(builder, Answer::File(file, size))
}
