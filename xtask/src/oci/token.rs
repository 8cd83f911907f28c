//! Getting a bearer token from the place that a registry names.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, StatusCode, Url};

use super::auth::Authorization;
use super::credentials::Credentials;
use super::error::OciError;
use super::grants::Scope;
use super::secret::Secret;
use super::transport::{Access, Client, Reply, Take};

/// The name under which tokens are asked for; registries only log it.
const CLIENT_ID: &str = "devcontainer";
/// No answer with a token comes near this.
const MAX_ANSWER: usize = 1 << 20;
/// No server takes a header of this size.
const MAX_TOKEN: usize = 64 << 10;
/// What a token is good for if nobody says: so the distribution project defines it.
const LIFETIME: Duration = Duration::from_secs(60);
/// Shorter than this none is of use.
const SHORTEST_LIFETIME: f64 = 1.0;
const LONGEST_LIFETIME: f64 = 24.0 * 3600.0;

/// A token.
pub(super) struct Token {
    pub(super) text: Secret,
    pub(super) lifetime: Duration,
}

/// Another way to ask, and the refusals after which it may help.
struct Fallback<'a> {
    after: &'static [StatusCode],
    scopes: Vec<String>,
    credentials: &'a Credentials,
}

const ANY_REFUSAL: &[StatusCode] = &[StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
/// Known to the registry, and without the right: that is no wrong password.
const NO_RIGHT: &[StatusCode] = &[StatusCode::FORBIDDEN];

/// Fetches a token for a scope from a realm that is trusted. `missing` is what the registry itself
/// says that a token has to be good for.
pub(super) async fn fetch(
    client: &Client,
    scope: &Scope,
    realm: &Url,
    service: Option<&str>,
    missing: Option<&str>,
) -> Result<Token, OciError> {
    let mut credentials = client.keyring.find(&scope.repository);
    if client.grants.is_refused(credentials) {
        credentials = &Credentials::Anonymous;
    }
    let wanted = scopes(scope, client.access, missing);
    let refusal = request(client, realm, &wanted, service, credentials).await?;
    if refusal.status.is_success() {
        return read(client, &refusal);
    }
    for Fallback { after, scopes, credentials: shown } in fallbacks(client.access, scope, credentials) {
        if !after.contains(&refusal.status) {
            continue;
        }
        let reply = request(client, realm, &scopes, service, shown).await?;
        if reply.status.is_success() {
            if shown != credentials {
                client.grants.set_refused(credentials);
                client.note(&format!(
                    "the registry {} refused access {}, so it is read without them",
                    client.registry(),
                    credentials.describe()
                ));
            }
            return read(client, &reply);
        }
    }
    Err(client.refused(&refusal))
}

fn fallbacks<'a>(access: Access, scope: &Scope, credentials: &'a Credentials) -> Vec<Fallback<'a>> {
    let mut fallbacks = Vec::new();
    let alone = Scope { from: None, ..scope.clone() };
    if scope.from.is_some() {
        // Without the right to read there, nothing is mounted from there, and all is uploaded.
        fallbacks.push(Fallback { after: ANY_REFUSAL, scopes: scopes(&alone, access, None), credentials });
    }
    match access {
        // Who may only read still learns that there is nothing new.
        Access::PullPush => fallbacks.push(Fallback {
            after: NO_RIGHT,
            scopes: scopes(&alone, Access::Pull, None),
            credentials,
        }),
        // An old login does not keep anybody from reading what is public.
        Access::Pull if *credentials != Credentials::Anonymous => fallbacks.push(Fallback {
            after: ANY_REFUSAL,
            scopes: scopes(&alone, access, None),
            credentials: &Credentials::Anonymous,
        }),
        Access::Pull => {}
    }
    fallbacks
}

/// What a token has to be good for. The right to write is asked for at once, so that the first
/// write needs no second token.
fn scopes(scope: &Scope, access: Access, missing: Option<&str>) -> Vec<String> {
    let actions = match access {
        Access::Pull => "pull",
        Access::PullPush => "pull,push",
    };
    let mut scopes = vec![format!("repository:{}:{actions}", scope.repository)];
    scopes.extend(scope.from.iter().map(|from| format!("repository:{from}:pull")));
    // Some registries know a repository by another name. Nothing but what we came for is asked for.
    let wanted = |text: &&str| {
        let actions = text.strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':'));
        let allowed = |action| action == "pull" || (action == "push" && access == Access::PullPush);
        actions.is_some_and(|(_, actions)| actions.split(',').all(allowed))
    };
    for text in missing.unwrap_or_default().split_whitespace().filter(wanted) {
        if !scopes.iter().any(|scope| scope == text) {
            scopes.push(text.to_owned());
        }
    }
    scopes
}

async fn request(
    client: &Client,
    realm: &Url,
    scopes: &[String],
    service: Option<&str>,
    credentials: &Credentials,
) -> Result<Reply, OciError> {
    let mut reply = match credentials {
        Credentials::Identity { token, .. } => buy(client, realm, scopes, service, token).await?,
        other => ask(client, realm, scopes, service, other).await?,
    };
    reply.with = credentials.describe();
    Ok(reply)
}

/// The token endpoint of the distribution project: a GET, with user and password if there are any.
async fn ask(
    client: &Client,
    realm: &Url,
    scopes: &[String],
    service: Option<&str>,
    credentials: &Credentials,
) -> Result<Reply, OciError> {
    let mut url = bare(realm);
    url.query_pairs_mut()
        .extend_pairs(scopes.iter().map(|scope| ("scope", scope.as_str())))
        .extend_pairs(service.map(|service| ("service", service)));
    let authorization = match credentials {
        Credentials::Basic { encoded, .. } => Some(Authorization::basic(encoded).header()?),
        _ => None,
    };
    let request = || {
        let request = client.http.request(Method::GET, url.clone());
        match &authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    };
    let describe = format!("GET {}", url.path());
    client.persist(request, &url, &describe, Take::Memory(MAX_ANSWER), true).await
}

/// The refresh of `OAuth2`: an identity token buys an access token.
async fn buy(
    client: &Client,
    realm: &Url,
    scopes: &[String],
    service: Option<&str>,
    token: &Secret,
) -> Result<Reply, OciError> {
    let url = bare(realm);
    // A URL's query and a form have one encoding; this saves a dependency.
    let mut form = url.clone();
    form.set_query(None);
    form.query_pairs_mut()
        .append_pair("scope", &scopes.join(" "))
        .extend_pairs(service.map(|service| ("service", service)))
        .append_pair("grant_type", "refresh_token")
        .append_pair("client_id", CLIENT_ID)
        .append_pair("refresh_token", token.expose());
    let request = || {
        client
            .http
            .request(Method::POST, url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned())
    };
    let describe = format!("POST {}", url.path());
    client.persist(request, &url, &describe, Take::Memory(MAX_ANSWER), true).await
}

/// A realm without what does not belong into it: a user of the registry's choice, above all.
fn bare(realm: &Url) -> Url {
    let mut url = realm.clone();
    url.set_fragment(None);
    // Only addresses that cannot have a user refuse to have none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

fn read(client: &Client, reply: &Reply) -> Result<Token, OciError> {
    let body: serde_json::Value = serde_json::from_slice(&reply.body)
        .map_err(|_| client.protocol(reply, "it is no JSON, and so has no token in it"))?;
    for name in ["token", "access_token", "refresh_token"] {
        client.keep_secret(body[name].as_str().unwrap_or_default());
    }
    let mut tokens = ["token", "access_token"].into_iter().filter_map(|name| body[name].as_str());
    let text = tokens
        .find(|token| !token.is_empty())
        .ok_or_else(|| client.protocol(reply, "there is no token in it"))?;
    if text.len() > MAX_TOKEN {
        return Err(client.protocol(reply, format!("its token is larger than {} KiB", MAX_TOKEN >> 10)));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(client.protocol(reply, "its token holds characters that no header may hold"));
    }
    Ok(Token { text: Secret::new(text), lifetime: lifetime(&body["expires_in"]) })
}

/// How long a token is good for; some write the number as a text.
fn lifetime(said: &serde_json::Value) -> Duration {
    let seconds = said.as_f64().or_else(|| said.as_str()?.trim().parse().ok());
    match seconds {
        Some(seconds) if seconds.is_finite() => {
            Duration::from_secs_f64(seconds.clamp(SHORTEST_LIFETIME, LONGEST_LIFETIME))
        }
        _ => LIFETIME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::reference::Repository;
    use serde_json::json;

    #[test]
    fn lifetimes_as_they_are_written() {
        for (said, seconds) in [
            (json!(300), 300.0),
            (json!(1.5), 1.5),
            (json!(0.5), 1.0),
            (json!("3600"), 3600.0),
            (json!(null), 60.0),
            (json!("soon"), 60.0),
            (json!("inf"), 60.0),
            (json!(0), 1.0),
            (json!(-5), 1.0),
            (json!(1e300), 86400.0),
        ] {
            assert_eq!(lifetime(&said), Duration::from_secs_f64(seconds), "{said}");
        }
    }

    #[test]
    fn no_more_is_asked_for_than_we_came_for() {
        let scope = Scope {
            repository: Repository::parse("a/b").unwrap(),
            from: Some(Repository::parse("c").unwrap()),
        };
        for (access, missing, expected) in [
            (Access::PullPush, None, vec!["repository:a/b:pull,push", "repository:c:pull"]),
            (Access::Pull, None, vec!["repository:a/b:pull", "repository:c:pull"]),
            (
                Access::PullPush,
                Some(
                    "repository:other/b:pull,push registry:catalog:* repository:a/b:delete repository:a/b:pull,push",
                ),
                vec!["repository:a/b:pull,push", "repository:c:pull", "repository:other/b:pull,push"],
            ),
            (Access::Pull, Some("repository:x:pull,push"), vec!["repository:a/b:pull", "repository:c:pull"]),
        ] {
            assert_eq!(scopes(&scope, access, missing), expected);
        }
    }
}
