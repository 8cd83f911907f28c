//! The tags of a repository: all of them, however many pages the registry makes of them.

use std::collections::HashSet;

use reqwest::header::LINK;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::error::OciError;
use super::link;
use super::reference::Repository;
use super::transport::{Call, Client, Reply};
use crate::feature::grammar;

/// The largest page that every registry takes.
const PAGE: &str = "1000";
const MAX_PAGES: usize = 1000;
const MAX_TAGS: usize = 100_000;

/// A page. Some registries answer `null` for a repository that was emptied; but an answer without
/// the property says nothing of tags, and must not be read as "none".
#[derive(Deserialize)]
struct Page {
    #[serde(deserialize_with = "Option::deserialize")]
    tags: Option<Vec<String>>,
}

/// Lists the tags; none for a repository that does not exist yet.
pub async fn list(client: &Client, repository: &Repository) -> Result<Vec<String>, OciError> {
    let mut url = client.url(repository, "tags/list")?;
    url.query_pairs_mut().append_pair("n", PAGE);
    let mut tags = Vec::new();
    let mut read = HashSet::new();
    for _ in 0..MAX_PAGES {
        let reply = client.send(repository, Call::new(Method::GET, url.clone())).await?;
        match reply.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND if tags.is_empty() => return Ok(tags),
            _ => return Err(client.refused(&reply)),
        }
        let page: Page = serde_json::from_slice(&reply.body).map_err(|error| {
            let what = if error.is_data() {
                "there is no list \"tags\" in it"
            } else {
                "the list of tags is no JSON"
            };
            client.protocol(&reply, what)
        })?;
        // Nothing else can be asked for by name, and what a registry makes up may steer a terminal.
        tags.extend(page.tags.unwrap_or_default().into_iter().filter(|tag| grammar::is_tag(tag)));
        if tags.len() > MAX_TAGS {
            return Err(client.protocol(&reply, format!("there are more than {MAX_TAGS} tags")));
        }
        let Some(next) = next(client, &reply)? else {
            return Ok(tags);
        };
        read.insert(std::mem::replace(&mut url, next));
        if read.contains(&url) {
            return Err(client.protocol(&reply, "the next page of tags is one that was read already"));
        }
    }
    Err(OciError::Protocol {
        host: client.registry().to_string(),
        request: format!("GET {}", url.path()),
        what: "the list of tags has no end".to_owned(),
    })
}

/// The address of the next page.
fn next(client: &Client, reply: &Reply) -> Result<Option<Url>, OciError> {
    let links = reply.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    link::next(&reply.url, links).map_err(|what| client.protocol(reply, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_list_or_null() {
        let read =
            |text: &str| serde_json::from_str::<Page>(text).map(|page| page.tags.unwrap_or_default().len());
        assert_eq!(read(r#"{"name":"x","tags":["a","b"]}"#).unwrap(), 2);
        assert_eq!(read(r#"{"tags":null}"#).unwrap(), 0);
        for text in [r#"{"errors":[{"code":"X"}]}"#, "{}", "null", "[]", r#"{"tags":{}}"#, r#"{"tags":[1]}"#]
        {
            assert!(read(text).is_err_and(|error| error.is_data()), "{text}");
        }
    }
}
