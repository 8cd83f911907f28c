//! Getting a bearer token from the place that a registry names.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, Url};

use super::auth::Authorization;
use super::credentials::Credentials;
use super::error::OciError;
use super::realm::{authority, is_trusted};
use super::reference::Repository;
use super::secret::Secret;
use super::transport::{Access, Client, Reply, Take};

/// The name under which tokens are asked for; registries only log it.
const CLIENT_ID: &str = "devcontainer";
/// No answer with a token comes near this.
const MAX_ANSWER: usize = 4 << 20;

/// Fetches a token for a repository.
pub async fn fetch(
    client: &Client,
    repository: &Repository,
    challenge: &Reply,
    realm: &str,
    service: Option<&str>,
) -> Result<Secret, OciError> {
    let url = Url::parse(realm)
        .map_err(|_| client.protocol(challenge, "the realm of its challenge is no address"))?;
    if !is_trusted(&client.base, &url, &client.trusted_realms) {
        return Err(OciError::Realm {
            registry: authority(&client.base).unwrap_or_default(),
            realm: authority(&url).unwrap_or_default(),
        });
    }
    // Asked for at once, so that the first write needs no second token.
    let actions = match client.access {
        Access::Pull => "pull",
        Access::PullPush => "pull,push",
    };
    let mut fields = vec![("scope", format!("repository:{repository}:{actions}"))];
    fields.extend(service.map(|service| ("service", service.to_owned())));
    let reply = match &client.credentials {
        Credentials::Identity { token, .. } => buy(client, &url, fields, token).await?,
        other => ask(client, url, &fields, other).await?,
    };
    if !reply.status.is_success() {
        return Err(client.refused(&reply));
    }
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    for name in ["token", "access_token", "refresh_token"] {
        client.keep_secret(body[name].as_str().unwrap_or_default());
    }
    let token =
        body["token"].as_str().or_else(|| body["access_token"].as_str()).filter(|token| !token.is_empty());
    token.map(Secret::new).ok_or_else(|| client.protocol(&reply, "there is no token in it"))
}

/// The token endpoint of the distribution project: a GET, with user and password if there are any.
async fn ask(
    client: &Client,
    mut url: Url,
    fields: &[(&str, String)],
    credentials: &Credentials,
) -> Result<Reply, OciError> {
    url.query_pairs_mut().extend_pairs(fields);
    let mut request = client.http.request(Method::GET, url.clone());
    if let Credentials::Basic { encoded, .. } = credentials {
        request = request.header(AUTHORIZATION, Authorization::basic(encoded).header()?);
    }
    let describe = format!("GET {}", url.path());
    client.receive(request, &url, describe, Take::Memory(MAX_ANSWER)).await
}

/// The refresh of `OAuth2`: an identity token buys an access token.
async fn buy(
    client: &Client,
    url: &Url,
    mut fields: Vec<(&str, String)>,
    token: &Secret,
) -> Result<Reply, OciError> {
    fields.push(("grant_type", "refresh_token".to_owned()));
    fields.push(("client_id", CLIENT_ID.to_owned()));
    fields.push(("refresh_token", token.expose().to_owned()));
    // A URL's query and a form have one encoding; this saves a dependency.
    let mut form = url.clone();
    form.set_query(None);
    form.query_pairs_mut().extend_pairs(&fields);
    let request = client
        .http
        .request(Method::POST, url.clone())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form.query().unwrap_or_default().to_owned());
    client.receive(request, url, format!("POST {}", url.path()), Take::Memory(MAX_ANSWER)).await
}
