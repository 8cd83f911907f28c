//! What the registry granted: one authorization a scope, used until it expires.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;

use super::auth::Authorization;
use super::credentials::Credentials;
use super::reference::Repository;

/// A token that is about to expire is not used any more: the request takes time, too.
const MARGIN: Duration = Duration::from_secs(5);

/// What an authorization is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) repository: Repository,
    /// The repository to mount from, which is read.
    pub(super) from: Option<Repository>,
}

/// An authorization that was granted.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) authorization: Authorization,
    until: Option<Instant>,
}

/// How a registry wants to be shown credentials; a realm that is in here is trusted.
#[derive(Debug, Clone)]
pub(super) enum Way {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

/// Holds one scope's grant. Whoever gets a new one keeps the others waiting, so that they share it.
pub(super) type Slot = Arc<tokio::sync::Mutex<Option<Arc<Grant>>>>;

/// All grants of one registry.
#[derive(Debug, Default)]
pub(super) struct Grants {
    way: Mutex<Option<Way>>,
    slots: Mutex<HashMap<Scope, Slot>>,
    /// Credentials that were refused where reading went on without them.
    refused: Mutex<Vec<Credentials>>,
}

impl Grant {
    /// A grant that is good for a time, or until it is refused.
    pub(super) fn new(authorization: Authorization, lifetime: Option<Duration>) -> Arc<Self> {
        let good = lifetime.map(|lifetime| lifetime.saturating_sub(MARGIN.min(lifetime / 2)));
        Arc::new(Self { authorization, until: good.and_then(|good| Instant::now().checked_add(good)) })
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

impl Grants {
    /// The way in, once the registry has named it.
    pub(super) fn way(&self) -> Option<Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_way(&self, way: Way) {
        *self.way.lock().unwrap_or_else(PoisonError::into_inner) = Some(way);
    }

    /// Whether credentials were refused: they are not shown again, lest their user be locked out.
    pub(super) fn is_refused(&self, credentials: &Credentials) -> bool {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).contains(credentials)
    }

    pub(super) fn set_refused(&self, credentials: &Credentials) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).push(credentials.clone());
    }

    pub(super) fn slot(&self, scope: &Scope) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(scope.clone()).or_default())
    }
}
