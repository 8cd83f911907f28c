//! What is refused is noted, and in audit mode let through as far as a policy could allow it.

use std::net::{IpAddr, Ipv4Addr};

use super::{
    BEGUN, NFPROTO_IPV4, NFPROTO_IPV6, TCP, UDP, accept, address_type, l4, mark_connection, meta_is, rule,
    syn_alone,
};
use crate::firewall::ruleset::{
    AddressOf, CmpOp, Expr, Family, Holds, MetaKey, PayloadBase, REG, Register, Set,
};
use crate::policy::AWS_METADATA;

/// `RTN_UNICAST` of rtnetlink(7): an address of one host.
const RTN_UNICAST: u32 = 1;

/// The chain that notes.
pub(super) const NOTE: &str = "note";

/// Flows of a family that a set of noted ones holds. Whoever is refused chooses what is noted, so it is bounded.
pub const MOST_FLOWS: u32 = 512;

/// How long a noted flow stays, in seconds: many times as long as the daemon takes to look.
const FLOW_SECONDS: u64 = 3600;

/// Sets of what was refused, and in audit mode of what was let through.
pub(super) const NOTED: [Set; 2] = [
    Set { name: "noted4", holds: Holds::Flows { most: MOST_FLOWS }, family: Family::V4 },
    Set { name: "noted6", holds: Holds::Flows { most: MOST_FLOWS }, family: Family::V6 },
];

/// Notes what is about to be refused, by whose socket. What the kernel sends by itself has none, and what is for many
/// hosts at once is background noise.
pub(super) fn note() -> Vec<Vec<Expr>> {
    let mut rules = Vec::new();
    for set in NOTED {
        // What comes after a connection's first packet is late, as where the other side ended it.
        let first = [l4(TCP), syn_alone()].concat();
        for (only, has_port) in [(first, true), (l4(UDP), true), (not(&[TCP, UDP]), false)] {
            let note = Expr::Note { set: set.name.to_owned(), from: REG, seconds: FLOW_SECONDS };
            rules.push(rule(&[flow_key(set, only, has_port), vec![note]]));
        }
    }
    rules
}

/// Notes the port that an answer over loopback comes from. That nobody else has this address says what it was.
pub(super) fn note_local() -> Vec<Expr> {
    let [protocol, port, uid] = [9, 10, 11].map(Register);
    vec![
        Expr::Number { number: u32::from_ne_bytes(Ipv4Addr::LOCALHOST.octets()), to: REG },
        Expr::Meta { key: MetaKey::L4Proto, to: protocol },
        Expr::Payload { base: PayloadBase::Transport, offset: 0, len: 2, to: port },
        Expr::Number { number: 0, to: uid },
        Expr::Note { set: NOTED[0].name.to_owned(), from: REG, seconds: FLOW_SECONDS },
    ]
}

/// Lets TCP through that was noted, and so nothing that was not, as when somebody has filled the sets.
pub(super) fn accept_noted() -> Vec<Vec<Expr>> {
    let accept_those_in = |set: Set| {
        let noted = vec![Expr::Lookup { set: set.name.to_owned(), from: REG }];
        let first = [l4(TCP), syn_alone()].concat();
        rule(&[flow_key(set, first, true), noted, mark_connection(BEGUN), vec![accept()]])
    };
    NOTED.map(accept_those_in).to_vec()
}

/// What a set of flows holds of a packet to one host: address, protocol, port, whose socket.
fn flow_key(set: Set, only: Vec<Expr>, has_port: bool) -> Vec<Expr> {
    let (nfproto, offset, rest) = match set.family {
        Family::V4 => (NFPROTO_IPV4, 16, [9, 10, 11]),
        Family::V6 => (NFPROTO_IPV6, 24, [2, 13, 14]),
    };
    let [protocol, port, uid] = rest.map(Register);
    let port = if has_port {
        Expr::Payload { base: PayloadBase::Transport, offset: 2, len: 2, to: port }
    } else {
        Expr::Number { number: 0, to: port }
    };
    let key = vec![
        Expr::Payload { base: PayloadBase::Network, offset, len: set.family.address_len(), to: REG },
        Expr::Meta { key: MetaKey::L4Proto, to: protocol },
        port,
        Expr::Meta { key: MetaKey::SkUid, to: uid },
    ];
    rule(&[meta_is(MetaKey::NfProto, vec![nfproto]), one_host(), only, key])
}

/// What audit mode keeps closed, each a mask and the address behind it: link-local addresses (RFC 3927, RFC 4291 section
/// 2.5.6), and others where clouds have their metadata and host services. No name may lead there, either.
const CLOSED4: [([u8; 4], [u8; 4]); 4] = [
    ([255, 255, 0, 0], [169, 254, 0, 0]),
    ([255, 192, 0, 0], [100, 64, 0, 0]),
    ([255, 255, 255, 0], [192, 0, 0, 0]),
    ([255; 4], [168, 63, 129, 16]),
];
const CLOSED6: [([u8; 16], [u8; 16]); 2] = [
    (
        [0xff, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
    ([255; 16], AWS_METADATA.octets()),
];

/// Whether audit mode keeps an address closed.
pub fn is_closed_in_audit(address: IpAddr) -> bool {
    let within = |mask: &[u8], prefix: &[u8], octets: &[u8]| {
        octets.iter().zip(mask).map(|(octet, mask)| octet & mask).eq(prefix.iter().copied())
    };
    match address {
        IpAddr::V4(v4) => CLOSED4.iter().any(|(mask, prefix)| within(mask, prefix, &v4.octets())),
        IpAddr::V6(v6) => CLOSED6.iter().any(|(mask, prefix)| within(mask, prefix, &v6.octets())),
    }
}

pub(super) fn closed_in_audit() -> Vec<Vec<Expr>> {
    let v4 = CLOSED4.iter().map(|(mask, prefix)| (NFPROTO_IPV4, 16, mask.to_vec(), prefix.to_vec()));
    let v6 = CLOSED6.iter().map(|(mask, prefix)| (NFPROTO_IPV6, 24, mask.to_vec(), prefix.to_vec()));
    let to = |(nfproto, offset, mask, prefix): (u8, u32, Vec<u8>, Vec<u8>)| {
        let mut exprs = meta_is(MetaKey::NfProto, vec![nfproto]);
        let len = u32::try_from(mask.len()).unwrap_or(u32::MAX);
        exprs.extend([
            Expr::Payload { base: PayloadBase::Network, offset, len, to: REG },
            Expr::Mask { register: REG, mask },
            Expr::Cmp { from: REG, op: CmpOp::Eq, data: prefix },
        ]);
        exprs
    };
    v4.chain(v6).map(to).collect()
}

/// A destination that is one host, neither several nor ourselves.
fn one_host() -> Vec<Expr> {
    address_type(AddressOf::Destination, CmpOp::Eq, RTN_UNICAST)
}

/// Any other transport protocol than these.
fn not(protocols: &[u8]) -> Vec<Expr> {
    let other = |protocol: &u8| Expr::Cmp { from: REG, op: CmpOp::Neq, data: vec![*protocol] };
    let load = Expr::Meta { key: MetaKey::L4Proto, to: REG };
    std::iter::once(load).chain(protocols.iter().map(other)).collect()
}
