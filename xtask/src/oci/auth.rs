//! Answering a registry's challenge, and showing the answer again where it will be asked for.

use std::sync::Arc;

use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};

use super::challenge::{self, Challenge};
use super::credentials::Credentials;
use super::error::OciError;
use super::grants::{Grant, Scope, Way};
use super::realm::authority;
use super::secret::Secret;
use super::token;
use super::transport::{Client, Reply};

/// The word for a token that is good, and not for this.
const INSUFFICIENT: &str = "insufficient_scope";

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

impl Client {
    /// What to show for a scope: what was granted, or, where that has expired or the registry has
    /// asked for credentials before, something new. Nothing where it never asked.
    pub(super) async fn authorization(&self, scope: &Scope) -> Result<Option<Arc<Grant>>, OciError> {
        let slot = self.grants.slot(scope);
        let mut held = slot.lock().await;
        if let Some(grant) = held.as_ref().filter(|grant| grant.is_fresh()) {
            return Ok(Some(Arc::clone(grant)));
        }
        let Some(way) = self.grants.way() else {
            return Ok(None);
        };
        held.clone_from(&self.obtain(scope, &way, None).await?);
        Ok(held.clone())
    }

    /// Whether an answer asks for another authorization than it was shown.
    pub(super) fn asks(&self, reply: &Reply) -> bool {
        // Elsewhere nothing is shown, whatever is asked for.
        self.may_see(&reply.url)
            && match reply.status {
                StatusCode::UNAUTHORIZED => true,
                StatusCode::FORBIDDEN => insufficient(&challenges(reply)).is_some(),
                _ => false,
            }
    }

    /// Gets what an answer asks for.
    pub(super) async fn renew(&self, scope: &Scope, reply: &Reply) -> Result<(), OciError> {
        let slot = self.grants.slot(scope);
        let mut held = slot.lock().await;
        let same = match (&*held, &reply.grant) {
            (Some(held), Some(shown)) => Arc::ptr_eq(held, shown),
            (Some(_), None) => false,
            (None, _) => true,
        };
        if !same {
            // Another request got it meanwhile.
            return Ok(());
        }
        let challenges = challenges(reply);
        let way = self.way(scope, reply, &challenges)?;
        if matches!(way, Way::Basic) && reply.grant.is_some() && matches!(self.grants.way(), Some(Way::Basic))
        {
            // The same password again would be refused again, and counted against its user.
            return Err(self.refused(reply));
        }
        let grant = self.obtain(scope, &way, insufficient(&challenges)).await?;
        self.grants.set_way(way);
        *held = grant;
        Ok(())
    }

    /// The way in that a challenge names, if it may be taken.
    fn way(&self, scope: &Scope, reply: &Reply, challenges: &[Challenge]) -> Result<Way, OciError> {
        let mut problem = None;
        for challenge in challenges {
            let Challenge::Bearer { realm, service, .. } = challenge else { continue };
            let Ok(realm) = Url::parse(realm) else {
                problem
                    .get_or_insert_with(|| self.protocol(reply, "the realm of its challenge is no address"));
                continue;
            };
            if self.trusted.realm(&self.base, &realm) {
                return Ok(Way::Bearer { realm, service: service.clone() });
            }
            problem.get_or_insert_with(|| OciError::Realm {
                registry: authority(&self.base).unwrap_or_default(),
                realm: authority(&realm).unwrap_or_default(),
            });
        }
        let pair = matches!(self.keyring.find(&scope.repository), Credentials::Basic { .. });
        if pair && challenges.contains(&Challenge::Basic) {
            return Ok(Way::Basic);
        }
        Err(match problem {
            Some(problem) => problem,
            None if challenges.is_empty() => {
                self.protocol(reply, "it wants authentication, and does not say how")
            }
            None => self.refused(reply),
        })
    }

    async fn obtain(
        &self,
        scope: &Scope,
        way: &Way,
        missing: Option<&str>,
    ) -> Result<Option<Arc<Grant>>, OciError> {
        match way {
            Way::Basic => Ok(match self.keyring.find(&scope.repository) {
                Credentials::Basic { encoded, .. } => Some(Grant::new(Authorization::basic(encoded), None)),
                _ => None,
            }),
            Way::Bearer { realm, service } => {
                let token = token::fetch(self, scope, realm, service.as_deref(), missing).await?;
                Ok(Some(Grant::new(Authorization::bearer(&token.text), Some(token.lifetime))))
            }
        }
    }
}

fn challenges(reply: &Reply) -> Vec<Challenge> {
    challenge::parse(reply.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()))
}

/// What the registry misses in a token, if that is what it says.
fn insufficient(challenges: &[Challenge]) -> Option<&str> {
    challenges.iter().find_map(|challenge| match challenge {
        Challenge::Bearer { error: Some(error), scope, .. } if error == INSUFFICIENT => {
            Some(scope.as_deref().unwrap_or_default())
        }
        _ => None,
    })
}
