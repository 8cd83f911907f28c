//! The names that exist in this internet.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context as _;

/// Names, and how they are answered.
#[derive(Debug)]
pub(crate) struct Zones {
    /// How long an answer holds, in seconds.
    pub(crate) ttl: u32,
    /// How long an answer over UDP takes.
    pub(crate) delay: Duration,
    names: BTreeMap<String, Vec<IpAddr>>,
}

impl Default for Zones {
    fn default() -> Self {
        Self { ttl: 60, delay: Duration::ZERO, names: BTreeMap::new() }
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

    /// The addresses of `name`, if it exists.
    pub(crate) fn find(&self, name: &str) -> Option<&[IpAddr]> {
        self.names.get(&normal(name)).map(Vec::as_slice)
    }
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
