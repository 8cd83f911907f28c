//! Listing tags.

use hyper::header::{CONTENT_TYPE, LINK};
use hyper::{Response, StatusCode};

use super::body::Answer;
use super::error::Refusal;
use super::name::Name;
use super::route;
use super::server::{Reply, State, respond};

/// `GET` of the tags, with `n` and `last`.
pub fn list(state: &State, name: &Name, query: Option<&str>) -> Reply {
    let tags = state.store.tags(name)?.ok_or_else(|| Refusal::name_unknown(name))?;
    let asked = match route::query(query, "n") {
        Some(text) => text.parse().map_err(|_| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                "PAGINATION_NUMBER_INVALID",
                format!("\"{text}\" is not a number of tags"),
            )
        })?,
        None => usize::MAX,
    };
    let last = route::query(query, "last").unwrap_or_default();
    let rest: Vec<&String> = tags.iter().filter(|tag| **tag > last).collect();
    let size = asked.min(state.max_page);
    let page = &rest[..size.min(rest.len())];
    let mut builder = Response::builder().status(StatusCode::OK).header(CONTENT_TYPE, "application/json");
    if let Some(last) = page.last().filter(|_| page.len() < rest.len()) {
        builder = builder.header(LINK, format!("</v2/{name}/tags/list?n={size}&last={last}>; rel=\"next\""));
    }
    let body = serde_json::json!({ "name": name.as_str(), "tags": page });
    respond(builder, Answer::bytes(body.to_string()))
}
