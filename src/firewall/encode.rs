//! A ruleset as one netlink batch. Numbers are those of `linux/netfilter/nf_tables.h`.

use std::net::IpAddr;

use super::nla::Writer;
use super::ruleset::{
    Chain, ChainKind, Endpoint, Expr, Family, Holds, Register, RejectWith, Ruleset, Set, Verdict,
};

/// `NFPROTO_INET`
pub(super) const INET: u8 = 1;
/// `NFNL_SUBSYS_NFTABLES`
pub(super) const SUBSYSTEM: u8 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

pub(super) const NEW_TABLE: u8 = 0;
const DEL_TABLE: u8 = 2;
pub(super) const NEW_CHAIN: u8 = 3;
pub(super) const GET_CHAIN: u8 = 4;
pub(super) const NEW_RULE: u8 = 6;
pub(super) const GET_RULE: u8 = 7;
const NEW_SET: u8 = 9;
pub(super) const NEW_SET_ELEM: u8 = 12;
pub(super) const GET_SET_ELEM: u8 = 13;
const DEL_SET_ELEM: u8 = 14;

const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_APPEND: u16 = 0x800;

pub(super) const VERDICT_DROP: u32 = 0;
pub(super) const VERDICT_ACCEPT: u32 = 1;
const SET_TIMEOUT: u32 = 0x10;
/// `NFT_SET_EVAL`: rules add to it.
const SET_EVAL: u32 = 0x20;
/// `NFT_DYNSET_OP_UPDATE`: adds an element, or renews its time-out.
pub(super) const NOTE_UPDATE: u32 = 1;
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
const TYPE_PROTOCOL: u32 = 12;
const TYPE_SERVICE: u32 = 13;
const TYPE_UID: u32 = 24;
pub(super) const FIB_RESULT_ADDRTYPE: u32 = 3;
/// `NFT_CT_STATE`
pub(super) const CT_STATE: u32 = 0;
/// `NFT_CT_MARK`
pub(super) const CT_MARK: u32 = 3;
/// `NF_NAT_RANGE_PROTO_SPECIFIED`: a redirect to a port of ours.
pub(super) const RANGE_PROTO_SPECIFIED: u32 = 2;
/// `NFT_PAYLOAD_CSUM_INET`
pub(super) const CHECKSUM_INET: u32 = 1;
/// Where a TCP header has its checksum (RFC 9293 section 3.1).
pub(super) const TCP_CHECKSUM_AT: u32 = 16;
pub(super) const REJECT_TCP_RESET: u32 = 1;
pub(super) const REJECT_ICMPX: u32 = 2;
pub(super) const ICMPX_ADMIN_PROHIBITED: u8 = 3;
pub(super) const VERDICT_JUMP: u32 = (-3_i32).cast_unsigned();
/// Elements in one message: an attribute's length is 16 bits.
const ELEMENTS_A_MESSAGE: usize = 500;

/// A batch that is committed as a whole or not at all.
#[derive(Debug)]
pub struct Batch {
    pub(super) bytes: Vec<u8>,
    /// How many of its messages ask for an acknowledgement; their sequence numbers start at 1.
    pub(super) acks: u32,
    sequence: u32,
}

impl Batch {
    fn new() -> Self {
        let mut batch = Self { bytes: Vec::new(), acks: 0, sequence: 0 };
        batch.push(BATCH_BEGIN, 0, 0, u16::from(SUBSYSTEM), |_| {});
        batch
    }

    fn nft(&mut self, message: u8, flags: u16, fill: impl FnOnce(&mut Writer)) {
        self.acks += 1;
        self.push((u16::from(SUBSYSTEM) << 8) | u16::from(message), flags | NLM_F_ACK, INET, 0, fill);
    }

    fn push(&mut self, kind: u16, flags: u16, family: u8, resource: u16, fill: impl FnOnce(&mut Writer)) {
        let bytes = message(kind, flags | NLM_F_REQUEST, self.sequence, family, resource, fill);
        self.sequence += 1;
        self.bytes.extend_from_slice(&bytes);
    }

    fn end(mut self) -> Self {
        self.push(BATCH_END, 0, 0, u16::from(SUBSYSTEM), |_| {});
        self
    }
}

/// One message: `struct nlmsghdr`, `struct nfgenmsg`, attributes.
fn message(
    kind: u16,
    flags: u16,
    sequence: u32,
    family: u8,
    resource: u16,
    fill: impl FnOnce(&mut Writer),
) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(&0_u32.to_ne_bytes());
    writer.raw(&kind.to_ne_bytes());
    writer.raw(&flags.to_ne_bytes());
    writer.raw(&sequence.to_ne_bytes());
    writer.raw(&0_u32.to_ne_bytes());
    writer.raw(&[family, 0]);
    writer.raw(&resource.to_be_bytes());
    fill(&mut writer);
    let mut bytes = writer.into_bytes();
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&len.to_ne_bytes());
    bytes
}

/// A request for a list; `attributes` narrow it down.
pub(super) fn dump(message_type: u8, sequence: u32, attributes: &[(u16, &str)]) -> Vec<u8> {
    let kind = (u16::from(SUBSYSTEM) << 8) | u16::from(message_type);
    message(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence, INET, 0, |w| {
        for (attribute, value) in attributes {
            w.string(*attribute, value);
        }
    })
}

/// The whole table anew, in place of whatever table of this name there is.
pub fn replace_table(ruleset: &Ruleset) -> Batch {
    let mut batch = empty_table(ruleset);
    for chain in &ruleset.chains {
        for rule in &chain.rules {
            new_rule(&mut batch, ruleset.table, &chain.name, rule);
        }
    }
    batch.end()
}

/// The table with its sets and chains, which rules may name, and not yet a rule.
fn empty_table(ruleset: &Ruleset) -> Batch {
    let mut batch = Batch::new();
    // Add, remove, add: removing alone would fail where there is none yet.
    batch.nft(NEW_TABLE, NLM_F_CREATE, |w| w.string(1, ruleset.table));
    batch.nft(DEL_TABLE, 0, |w| w.string(1, ruleset.table));
    batch.nft(NEW_TABLE, NLM_F_CREATE, |w| w.string(1, ruleset.table));
    for (id, set) in (1_u32..).zip(&ruleset.sets) {
        new_set(&mut batch, ruleset.table, set, id);
    }
    for chain in &ruleset.chains {
        new_chain(&mut batch, ruleset.table, chain);
    }
    batch
}

/// What one message of [`replace_table`]'s batch is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject<'a> {
    /// The table.
    Table,
    /// A set.
    Set(&'a Set),
    /// A chain.
    Chain(&'a Chain),
    /// A chain's rule, counted from 0.
    Rule(&'a Chain, usize),
}

/// Finds a message of [`replace_table`]'s batch by its sequence number; the messages that frame the batch have none.
pub(super) fn subject<'a>(ruleset: &'a Ruleset, message: u32) -> Option<Subject<'a>> {
    let rules = |chain: &'a Chain| (0..chain.rules.len()).map(move |index| Subject::Rule(chain, index));
    std::iter::repeat_n(Subject::Table, 3)
        .chain(ruleset.sets.iter().map(Subject::Set))
        .chain(ruleset.chains.iter().map(Subject::Chain))
        .chain(ruleset.chains.iter().flat_map(rules))
        .nth(usize::try_from(message.checked_sub(1)?).ok()?)
}

/// A table with only one rule, in a batch without an end: the kernel judges each message and then drops them all.
pub(super) fn trial(ruleset: &Ruleset, chain: &str, rule: &[Expr]) -> Batch {
    let mut batch = empty_table(ruleset);
    new_rule(&mut batch, ruleset.table, chain, rule);
    batch
}

/// An expression's name among those of nf_tables.
pub(super) fn name(expr: &Expr) -> String {
    let mut writer = Writer::new();
    expression(&mut writer, expr);
    super::nla::Attributes::new(&writer.into_bytes()).string(1).unwrap_or_default().to_owned()
}

/// New elements in place of whatever the sets hold.
pub fn replace_elements(ruleset: &Ruleset, endpoints: &[(Endpoint, u64)]) -> Batch {
    let mut batch = Batch::new();
    for set in ruleset.sets.iter().filter(|set| set.holds == Holds::Endpoints) {
        batch.nft(DEL_SET_ELEM, 0, |w| {
            w.string(1, ruleset.table);
            w.string(2, set.name);
        });
        let elements: Vec<_> =
            endpoints.iter().filter(|(endpoint, _)| family(endpoint.ip()) == set.family).collect();
        for chunk in elements.chunks(ELEMENTS_A_MESSAGE) {
            batch.nft(NEW_SET_ELEM, NLM_F_CREATE, |w| {
                w.string(1, ruleset.table);
                w.string(2, set.name);
                w.nested(3, |list| {
                    for (endpoint, seconds) in chunk {
                        list.nested(1, |element| {
                            element.nested(1, |key| key.bytes(1, &key_bytes(*endpoint)));
                            element.be64(4, seconds.saturating_mul(1000));
                        });
                    }
                });
            });
        }
    }
    batch.end()
}

/// Address, then port, each padded to four bytes, as concatenations are laid out in registers.
pub(super) fn key_bytes(endpoint: Endpoint) -> Vec<u8> {
    let mut key = match endpoint.ip() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    key.extend_from_slice(&endpoint.port().to_be_bytes());
    key.extend_from_slice(&[0, 0]);
    key
}

fn family(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

fn new_set(batch: &mut Batch, table: &str, set: &Set, id: u32) {
    let address_type = match set.family {
        Family::V4 => TYPE_IPV4,
        Family::V6 => TYPE_IPV6,
    };
    let (flags, parts) = match set.holds {
        Holds::Endpoints => (SET_TIMEOUT, &[address_type, TYPE_SERVICE][..]),
        Holds::Flows { .. } => {
            (SET_TIMEOUT | SET_EVAL, &[address_type, TYPE_PROTOCOL, TYPE_SERVICE, TYPE_UID][..])
        }
    };
    let others = u32::try_from(parts.len().saturating_sub(1)).unwrap_or(u32::MAX);
    batch.nft(NEW_SET, NLM_F_CREATE, |w| {
        w.string(1, table);
        w.string(2, set.name);
        w.be32(3, flags);
        // Only the nft program reads the type: six bits for each part of a concatenation.
        w.be32(4, parts.iter().fold(0, |all, part| (all << 6) | part));
        w.be32(5, set.family.address_len() + 4 * others);
        if let Holds::Flows { most } = set.holds {
            w.nested(9, |description| description.be32(1, most));
        }
        w.be32(10, id);
    });
}

fn new_chain(batch: &mut Batch, table: &str, chain: &Chain) {
    batch.nft(NEW_CHAIN, NLM_F_CREATE, |w| {
        w.string(1, table);
        w.string(3, &chain.name);
        if let Some(base) = chain.base {
            w.nested(4, |hook| {
                hook.be32(1, base.hook as u32);
                hook.bytes(2, &base.priority.to_be_bytes());
            });
            let (policy, kind) = policy_and_type(base.kind);
            w.be32(5, policy);
            w.string(7, kind);
        }
    });
}

/// A chain kind's policy and type, as the kernel names them.
pub(super) fn policy_and_type(kind: ChainKind) -> (u32, &'static str) {
    match kind {
        ChainKind::Filter => (VERDICT_DROP, "filter"),
        ChainKind::Nat => (VERDICT_ACCEPT, "nat"),
    }
}

fn new_rule(batch: &mut Batch, table: &str, chain: &str, rule: &[Expr]) {
    batch.nft(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, |w| {
        w.string(1, table);
        w.string(2, chain);
        w.nested(4, |list| {
            for expr in rule {
                list.nested(1, |element| expression(element, expr));
            }
        });
    });
}

pub(super) fn expression(w: &mut Writer, expr: &Expr) {
    match expr {
        Expr::Meta { key, to } => named(w, "meta", |d| {
            d.be32(1, to.0);
            d.be32(2, *key as u32);
        }),
        Expr::CtState { to } => named(w, "ct", |d| {
            d.be32(1, to.0);
            d.be32(2, CT_STATE);
        }),
        Expr::CtMark { to } => named(w, "ct", |d| {
            d.be32(1, to.0);
            d.be32(2, CT_MARK);
        }),
        Expr::SetCtMark { from } => named(w, "ct", |d| {
            d.be32(2, CT_MARK);
            d.be32(4, from.0);
        }),
        Expr::Number { number, to } => named(w, "immediate", |d| {
            d.be32(1, to.0);
            d.nested(2, |data| data.bytes(1, &number.to_ne_bytes()));
        }),
        Expr::AddressType { of, to } => named(w, "fib", |d| {
            d.be32(1, to.0);
            d.be32(2, FIB_RESULT_ADDRTYPE);
            d.be32(3, *of as u32);
        }),
        Expr::Port { port, to } => named(w, "immediate", |d| {
            d.be32(1, to.0);
            d.nested(2, |data| data.bytes(1, &port.to_be_bytes()));
        }),
        Expr::Redirect { port } => named(w, "redir", |d| {
            d.be32(1, port.0);
            d.be32(2, port.0);
            d.be32(3, RANGE_PROTO_SPECIFIED);
        }),
        Expr::Payload { base, offset, len, to } => named(w, "payload", |d| {
            d.be32(1, to.0);
            d.be32(2, *base as u32);
            d.be32(3, *offset);
            d.be32(4, *len);
        }),
        Expr::Mask { register, mask } => bitwise(w, *register, mask, &vec![0; mask.len()]),
        Expr::Replace { register, keep, with } => bitwise(w, *register, keep, with),
        Expr::Write { base, offset, len, from } => named(w, "payload", |d| {
            d.be32(2, *base as u32);
            d.be32(3, *offset);
            d.be32(4, *len);
            d.be32(5, from.0);
            d.be32(6, CHECKSUM_INET);
            d.be32(7, TCP_CHECKSUM_AT);
        }),
        Expr::Cmp { from, op, data } => named(w, "cmp", |d| {
            d.be32(1, from.0);
            d.be32(2, *op as u32);
            d.nested(3, |value| value.bytes(1, data));
        }),
        Expr::Lookup { set, from } => named(w, "lookup", |d| {
            d.string(1, set);
            d.be32(2, from.0);
        }),
        Expr::Note { set, from, seconds } => named(w, "dynset", |d| {
            d.string(1, set);
            d.be32(3, NOTE_UPDATE);
            d.be32(4, from.0);
            d.be64(6, seconds.saturating_mul(1000));
            d.nested(7, |counter| named(counter, "counter", |_| {}));
        }),
        Expr::Counter => named(w, "counter", |_| {}),
        Expr::Reject(RejectWith::TcpReset) => named(w, "reject", |d| d.be32(1, REJECT_TCP_RESET)),
        Expr::Reject(RejectWith::AdminProhibited) => named(w, "reject", |d| {
            d.be32(1, REJECT_ICMPX);
            d.bytes(2, &[ICMPX_ADMIN_PROHIBITED]);
        }),
        Expr::Verdict(verdict) => named(w, "immediate", |d| {
            d.be32(1, 0);
            d.nested(2, |data| {
                data.nested(2, |v| match verdict {
                    Verdict::Accept => v.be32(1, VERDICT_ACCEPT),
                    Verdict::Drop => v.be32(1, VERDICT_DROP),
                    Verdict::Jump(chain) => {
                        v.be32(1, VERDICT_JUMP);
                        v.string(2, chain);
                    }
                });
            });
        }),
        // Never planned; the kernel refuses the name, and the batch with it.
        Expr::Unknown(name) => named(w, name, |_| {}),
    }
}

fn bitwise(w: &mut Writer, register: Register, mask: &[u8], xor: &[u8]) {
    named(w, "bitwise", |d| {
        d.be32(1, register.0);
        d.be32(2, register.0);
        d.be32(3, u32::try_from(mask.len()).unwrap_or(u32::MAX));
        d.nested(4, |data| data.bytes(1, mask));
        d.nested(5, |data| data.bytes(1, xor));
    });
}

pub(super) fn named(w: &mut Writer, name: &str, data: impl FnOnce(&mut Writer)) {
    w.string(1, name);
    w.nested(2, data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::nla::Attributes;
    use crate::firewall::plan::{Upstream, plan};

    #[test]
    fn each_message_of_the_batch_has_its_subject() {
        let plan = plan(&Upstream::Unknown);
        let batch = replace_table(&plan);
        let mut rest = batch.bytes.as_slice();
        let (mut message, mut named) = (0, 0);
        while let Some(len) = rest.first_chunk().map(|len| u32::from_ne_bytes(*len) as usize) {
            let attributes = Attributes::new(&rest[20..len]);
            let found = subject(&plan, message);
            let expected = match (rest[5] == SUBSYSTEM).then_some(rest[4]) {
                Some(NEW_TABLE | DEL_TABLE) => matches!(found, Some(Subject::Table)),
                Some(NEW_SET) => {
                    matches!(found, Some(Subject::Set(set)) if attributes.string(2) == Some(set.name))
                }
                Some(NEW_CHAIN) => {
                    matches!(found, Some(Subject::Chain(chain)) if attributes.string(3) == Some(&chain.name))
                }
                Some(NEW_RULE) => matches!(found, Some(Subject::Rule(chain, index))
                    if attributes.string(2) == Some(&chain.name)
                        && attributes.nested(4).unwrap().count() == chain.rules[index].len()),
                _ => found.is_none(),
            };
            assert!(expected, "message {message}: {found:?}");
            named += u32::from(found.is_some());
            message += 1;
            rest = &rest[len..];
        }
        assert_eq!(named, batch.acks);
    }

    #[test]
    fn keys_are_address_then_port_in_network_order() {
        assert_eq!(key_bytes("1.2.3.4:443".parse().unwrap()), [1, 2, 3, 4, 1, 187, 0, 0]);
        assert_eq!(key_bytes("[::1]:80".parse().unwrap()).len(), 20);
    }
}
