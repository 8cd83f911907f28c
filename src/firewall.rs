//! Default-deny egress in an nf_tables table of our own, for IPv4 and IPv6.
//!
//! [`plan`] turns a policy's addresses into a [`ruleset`]; [`encode`] writes it as one atomic netlink batch;
//! [`netlink`] hands it to the kernel, and [`lacking`] says what a kernel lacks that does not take it; [`readback`]
//! asks the kernel what it holds and compares. Other tables, Docker's NAT for 127.0.0.11 among them, are never touched.

mod decode;
pub mod encode;
pub mod lacking;
pub mod netlink;
pub mod nla;
pub mod plan;
pub mod readback;
pub mod ruleset;

use std::collections::BTreeSet;
use std::io;

use crate::firewall::lacking::Lacking;
use crate::firewall::netlink::NetlinkError;
use crate::firewall::readback::Difference;
use crate::firewall::ruleset::{Endpoint, Flow, Ruleset};

/// Why the firewall is not in force.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// The kernel refused, or could not be asked.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The kernel cannot hold the table.
    #[error(transparent)]
    Lacking(#[from] Lacking),
    /// The kernel refused a part of the table that it could hold.
    #[error("nf_tables refused {what}: {error}")]
    Refused {
        /// Which part.
        what: String,
        /// The kernel's error.
        error: io::Error,
    },
    /// The kernel holds something else than was planned.
    #[error("the kernel's table differs from the plan: {0}")]
    Differs(#[from] Difference),
}

/// Replaces the whole table in one transaction and reads it back.
///
/// At no moment is the table absent: the kernel commits removal and addition together.
pub fn apply(ruleset: &Ruleset) -> Result<(), FirewallError> {
    let replace = || {
        let mut socket = netlink::Netfilter::open()?;
        socket.commit(&encode::replace_table(ruleset))?;
        Ok(socket)
    };
    let mut socket = replace().map_err(|error| lacking::explain(error, ruleset))?;
    verify_with(&mut socket, ruleset, &BTreeSet::new())
}

/// Replaces the allowed endpoints in one transaction, and reads the table back.
///
/// `endpoints` come with the seconds after which the kernel forgets them by itself.
pub fn set_endpoints(ruleset: &Ruleset, endpoints: &[(Endpoint, u64)]) -> Result<(), FirewallError> {
    let mut socket = netlink::Netfilter::open()?;
    socket.commit(&encode::replace_elements(ruleset, endpoints))?;
    let wanted = endpoints.iter().map(|(endpoint, _)| *endpoint).collect();
    verify_with(&mut socket, ruleset, &wanted)
}

/// Asks the kernel for the table and compares it with the plan; of the endpoints in its sets none may be other
/// than those in `open`.
pub fn verify(ruleset: &Ruleset, open: &BTreeSet<Endpoint>) -> Result<(), FirewallError> {
    verify_with(&mut netlink::Netfilter::open()?, ruleset, open)
}

/// How many packets the table has refused since it was put there.
pub fn refused_packets(ruleset: &Ruleset) -> Result<u64, FirewallError> {
    Ok(readback::refused_packets(&mut netlink::Netfilter::open()?, ruleset)?)
}

/// What the table's rules have noted of what they refused, and how many packets each was.
pub fn flows(ruleset: &Ruleset) -> Result<Vec<(Flow, u64)>, FirewallError> {
    Ok(readback::flows(&mut netlink::Netfilter::open()?, ruleset)?)
}

fn verify_with(
    socket: &mut netlink::Netfilter,
    ruleset: &Ruleset,
    open: &BTreeSet<Endpoint>,
) -> Result<(), FirewallError> {
    let held = readback::table(socket, ruleset)?;
    readback::compare(ruleset, &held)?;
    let held = readback::endpoints(socket, ruleset)?;
    Ok(readback::compare_endpoints(open, &held)?)
}
