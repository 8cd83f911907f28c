//! The names that exist in this internet.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context as _;

use crate::turn;

/// Names, and how they are answered.
#[derive(Debug)]
pub(crate) struct Zones {
    /// How long an answer holds, in seconds.
    pub(crate) ttl: u32,
    /// How long an answer over UDP takes.
    pub(crate) delay: Duration,
    /// After how long a name with several addresses moves to its next one; zero for all at once.
    pub(crate) rotate: Duration,
    names: BTreeMap<String, Vec<IpAddr>>,
}

impl Default for Zones {
    fn default() -> Self {
        Self { ttl: 60, delay: Duration::ZERO, rotate: Duration::ZERO, names: BTreeMap::new() }
    }
}

impl Zones {
    /// Adds `name=ip[,ip...]`; a name given again gets further addresses, one with none exists without any.
    pub(crate) fn add(&mut self, text: &str) -> anyhow::Result<()> {
        let (name, list) =
            text.split_once('=').with_context(|| format!("zone `{text}` is not name=ip[,ip...]"))?;
        let addresses = list.split(',').filter(|address| !address.is_empty()).map(|address| {
            address.parse::<IpAddr>().with_context(|| format!("zone `{text}`: `{address}` is no address"))
        });
        let addresses = addresses.collect::<anyhow::Result<Vec<_>>>()?;
        self.names.entry(normal(name)).or_default().extend(addresses);
        Ok(())
    }

    /// The addresses of `name` now, if it exists.
    pub(crate) fn find(&self, name: &str) -> Option<&[IpAddr]> {
        let all = self.names.get(&normal(name))?;
        if self.rotate.is_zero() || all.is_empty() {
            return Some(all);
        }
        let of = u64::try_from(all.len()).ok()?;
        let place = usize::try_from(turn::place(turn::now(), self.rotate, of)).ok()?;
        all.get(place..=place)
    }
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
