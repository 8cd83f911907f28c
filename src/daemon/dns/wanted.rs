//! Names below a listed zone that somebody has asked for.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::daemon::lookup::{Answer, Lookup};
use crate::egress::answer::Names;
use crate::policy::HostName;

/// Names that are kept.
const MAX_WANTED: usize = 256;
/// How long one is answered without anybody asking again.
const KEPT: Duration = Duration::from_secs(300);

/// The names, each with its addresses as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Wanted(BTreeMap<HostName, (Instant, Option<Vec<IpAddr>>)>);

impl Wanted {
    /// Somebody asks for a name. Says whether there is news.
    pub(super) fn want(&mut self, name: &HostName, lookup: &Arc<Lookup>) -> bool {
        let now = Instant::now();
        self.0.retain(|_, (since, _)| now.duration_since(*since) < KEPT);
        if !self.0.contains_key(name) {
            if self.0.len() >= MAX_WANTED
                && let Some(oldest) =
                    self.0.iter().min_by_key(|(_, (since, _))| *since).map(|(name, _)| name.clone())
            {
                self.0.remove(&oldest);
            }
            self.0.insert(name.clone(), (now, None));
        }
        self.learn(lookup)
    }

    /// Takes in what has become known of those that are not; says whether that is anything.
    pub(super) fn learn(&mut self, lookup: &Arc<Lookup>) -> bool {
        let mut is_news = false;
        for (name, (_, known)) in self.0.iter_mut().filter(|(_, (_, known))| known.is_none()) {
            match lookup.get(name, None) {
                Answer::Addresses(addresses) => *known = Some(addresses),
                // Who asks is told that there are none now.
                Answer::Problem(_) => *known = Some(Vec::new()),
                Answer::Pending => continue,
            }
            is_news = true;
        }
        is_news
    }

    /// Adds them to what is answered. Those without addresses are forgotten with that, so that they are asked for again.
    pub(super) fn add_to(&mut self, names: &mut Names) {
        for (name, (_, known)) in &self.0 {
            if let Some(addresses) = known {
                names.names.entry(name.clone()).or_insert_with(|| addresses.clone());
            }
        }
        self.0.retain(|_, (_, known)| known.as_ref().is_none_or(|addresses| !addresses.is_empty()));
    }
}
