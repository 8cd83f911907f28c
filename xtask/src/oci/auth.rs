//! Answering a registry's challenge.

use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};

use super::challenge::{self, Challenge};
use super::credentials::Credentials;
use super::error::OciError;
use super::reference::Repository;
use super::secret::Secret;
use super::token;
use super::transport::{Client, Reply};

/// What goes into the `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization(Secret);

impl Authorization {
    /// A bearer token.
    pub fn bearer(token: &Secret) -> Self {
        Self(Secret::new(format!("Bearer {}", token.expose())))
    }

    /// User and password, encoded already.
    pub fn basic(encoded: &Secret) -> Self {
        Self(Secret::new(format!("Basic {}", encoded.expose())))
    }

    /// The header's value, marked so that no layer below prints it.
    pub fn header(&self) -> Result<HeaderValue, OciError> {
        let mut value = HeaderValue::from_str(self.0.expose()).map_err(|_| {
            OciError::Credentials("the credentials hold characters that no HTTP header may hold".to_owned())
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// The authorization that a 401 asks for.
pub async fn answer(
    client: &Client,
    repository: &Repository,
    reply: &Reply,
) -> Result<Authorization, OciError> {
    let headers = reply.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let challenges = challenge::parse(headers);
    let bearer = challenges.iter().find_map(|challenge| match challenge {
        Challenge::Bearer { realm, service } => Some((realm, service.as_deref())),
        Challenge::Basic => None,
    });
    if let Some((realm, service)) = bearer {
        let token = token::fetch(client, repository, reply, realm, service).await?;
        return Ok(Authorization::bearer(&token));
    }
    match &client.credentials {
        Credentials::Basic { encoded, .. } if challenges.contains(&Challenge::Basic) => {
            Ok(Authorization::basic(encoded))
        }
        _ if challenges.is_empty() => {
            Err(client.protocol(reply, "it wants authentication, and does not say how"))
        }
        _ => Err(client.refused(reply)),
    }
}
