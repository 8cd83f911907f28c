//! The plan: which rules hold. Pure; a table's text is in `ARCHITECTURE.md`.

mod local;
mod noted;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::ruleset::{
    AddressOf, BaseChain, Chain, ChainKind, CmpOp, Expr, Family, Holds, InetHook, MetaKey, PayloadBase, REG,
    Register, RejectWith, Ruleset, Set, Verdict,
};
use crate::policy::Mode;
pub use local::CELL_HOPS;
use local::{CELL, LOCAL};
pub use noted::{MOST_FLOWS, is_closed_in_audit};
use noted::{NOTE, NOTED, accept_noted, closed_in_audit, note};

/// Name of the table; nothing else in the container uses it, and no other table is touched.
pub const TABLE: &str = "agent_sandbox";

/// Firewall mark of the daemon's own sockets. Setting one needs `CAP_NET_ADMIN` or `CAP_NET_RAW`.
pub const MARK: u32 = 0x0a5b_0001;

/// Mark of the connection tracking entries that this table has let begin. An entry without it is older than the
/// table, or was made up in the middle of a connection.
const BEGUN: u32 = 0x0a5b_0002;

/// Set of allowed IPv4 endpoints.
pub const ALLOW4: Set = Set { name: "allow4", holds: Holds::Endpoints, family: Family::V4 };

/// Set of allowed IPv6 endpoints.
pub const ALLOW6: Set = Set { name: "allow6", holds: Holds::Endpoints, family: Family::V6 };

/// Docker's embedded resolver. It listens in the container's own network namespace, and its questions to the
/// upstream resolvers leave from there too, unmarked and as uid 0.
pub const EMBEDDED_RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// Where on loopback the daemon's responder answers DNS questions.
pub const RESPONDER_PORT: u16 = 15353;

/// Where on loopback the gate takes connections to port 443.
pub const GATE_TLS_PORT: u16 = 15443;

/// Where on loopback the gate takes connections to port 80, and proxy requests.
pub const GATE_HTTP_PORT: u16 = 15080;

/// The TCP ports of ours that flows are redirected to.
const OUR_TCP_PORTS: [u16; 3] = [RESPONDER_PORT, GATE_TLS_PORT, GATE_HTTP_PORT];

/// Who may send the embedded resolver's questions upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// The container does not use the embedded resolver.
    None,
    /// It uses these resolvers, as Docker wrote into resolv.conf.
    Known(Vec<Ipv4Addr>),
    /// It uses resolvers that Docker does not name: port 53 of any host, for uid 0 only.
    Unknown,
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;
const DNS_PORT: u16 = 53;
/// `IP_CT_ESTABLISHED` as a state bit.
const CT_ESTABLISHED: u32 = 2;
/// `IP_CT_NEW` as a state bit.
const CT_NEW: u32 = 8;
/// `RTN_LOCAL` of rtnetlink(7): an address of our own.
const RTN_LOCAL: u32 = 2;

/// Before Docker's NAT for its embedded resolver, which is at -100 (`NF_IP_PRI_NAT_DST`).
const BEFORE_DOCKERS_NAT: i32 = -110;

/// The table that denies everything but the endpoints in its sets, answers to inbound connections, loopback
/// and the daemon's own DNS questions, and that has everybody else's DNS questions answered on loopback.
pub fn plan(upstream: &Upstream) -> Ruleset {
    plan_in(Mode::Enforce, upstream)
}

/// The same, or in audit mode the table that lets TCP out to all hosts, and notes where.
pub fn plan_in(mode: Mode, upstream: &Upstream) -> Ruleset {
    plan_with(mode, upstream, &BTreeSet::new())
}

/// The same, with TCP ports of others on loopback that are open to the agent's cell, too, whatever the mode is.
pub fn plan_with(mode: Mode, upstream: &Upstream, local_ports: &BTreeSet<u16>) -> Ruleset {
    let chain = |name: &str, kind, hook, priority, rules| Chain {
        name: name.to_owned(),
        base: Some(BaseChain { kind, hook, priority }),
        rules,
    };
    Ruleset {
        table: TABLE,
        sets: [ALLOW4, ALLOW6].into_iter().chain(NOTED).collect(),
        chains: vec![
            chain("output", ChainKind::Filter, InetHook::LocalOut, 0, output(mode)),
            chain("arrive", ChainKind::Filter, InetHook::LocalIn, 0, arrive()),
            // Nobody in the container may route for others, or for a namespace of their own.
            chain("forward", ChainKind::Filter, InetHook::Forward, 0, refuse().to_vec()),
            chain("leave", ChainKind::Filter, InetHook::PostRouting, 0, leave()),
            chain("divert", ChainKind::Nat, InetHook::LocalOut, BEFORE_DOCKERS_NAT, divert(upstream)),
            Chain { name: "dns".to_owned(), base: None, rules: dns(upstream) },
            Chain { name: NOTE.to_owned(), base: None, rules: note() },
            Chain { name: LOCAL.to_owned(), base: None, rules: local::local() },
            Chain { name: CELL.to_owned(), base: None, rules: local::cell(local_ports) },
        ],
    }
}

fn output(mode: Mode) -> Vec<Vec<Expr>> {
    // What the daemon sends and was redirected: whoever used the same port before has left a connection tracking entry.
    // What answers users must not answer the daemon, which opens what it learns, and connects where it was asked to.
    let not_back = |protocol: u8, port: u16| {
        let drop = vec![Expr::Counter, Expr::Verdict(Verdict::Drop)];
        rule(&[mark(), l4(protocol), destination_port(port), drop])
    };
    let mut rules = vec![not_back(UDP, RESPONDER_PORT)];
    rules.extend(OUR_TCP_PORTS.map(|port| not_back(TCP, port)));
    rules.extend([
        // Neighbour and router solicitation and advertisement (RFC 4861): without them IPv6 has no neighbours,
        // and a solicitation may have no source address yet.
        rule(&[l4(ICMPV6), icmp_type(133), vec![accept()]]),
        rule(&[l4(ICMPV6), icmp_type(135), vec![accept()]]),
        rule(&[l4(ICMPV6), icmp_type(136), vec![accept()]]),
        // The resets that this table itself sends bear the address of whom they are sent for. A reset makes no
        // connection tracking entry, so nothing can be built on it.
        rule(&[loopback(), l4(TCP), reset_alone(), vec![accept()]]),
        // Anybody may bind an address that is not ours (IPV6_FREEBIND). Sent to ourselves over loopback, such a
        // packet would make a connection tracking entry as if that host had called us, and the "answer" would
        // be an established flow to it.
        rule(&[foreign_source(), vec![Expr::Counter, Expr::Verdict(Verdict::Drop)]]),
        // Docker's resolver only ever answers. Anybody may bind 127.0.0.11:53, which it leaves free, and a packet
        // from there to the port that the daemon will ask from would turn its question into an "answer" to them.
        rule(&[
            ipv4_source(EMBEDDED_RESOLVER.octets()),
            not_established(),
            vec![Expr::Counter, Expr::Verdict(Verdict::Drop)],
        ]),
        local::judge(),
    ]);
    // Redirected questions and connections. Their interface is still the one that they would have left by, hence by
    // address; the chain "leave" sees to it that they go nowhere but to loopback.
    rules.extend(to_us(UDP, RESPONDER_PORT));
    rules.extend(OUR_TCP_PORTS.iter().flat_map(|port| to_us(TCP, *port)));
    rules.extend([
        // DNS stands before "established": a question's port can be taken over by somebody else while the
        // connection tracking entry of the daemon's own question lives.
        rule(&[ipv4_destination(EMBEDDED_RESOLVER.octets()), vec![jump("dns")]]),
        rule(&[l4(UDP), destination_port(DNS_PORT), vec![jump("dns")]]),
        rule(&[l4(TCP), destination_port(DNS_PORT), vec![jump("dns")]]),
        rule(&[established(), begun_under_this_table(), vec![accept()]]),
        // What the daemon connects to, which is what the gate was asked for.
        rule(&[mark(), l4(TCP), mark_connection(BEGUN), vec![accept()]]),
        rule(&[loopback(), vec![accept()]]),
        rule(&[endpoint(ALLOW4), mark_connection(BEGUN), vec![accept()]]),
        rule(&[endpoint(ALLOW6), mark_connection(BEGUN), vec![accept()]]),
        vec![jump(NOTE)],
    ]);
    if mode == Mode::Audit {
        // What an entry of the policy could allow: TCP, and not to a cloud's metadata.
        rules.extend(
            closed_in_audit()
                .into_iter()
                .flat_map(|to| refuse().map(|refusal| [to.clone(), refusal].concat())),
        );
        rules.extend(accept_noted());
    }
    rules.extend(refuse());
    rules
}

/// Lets through what is for the daemon.
fn to_us(protocol: u8, port: u16) -> [Vec<Expr>; 2] {
    [ipv4_destination([127, 0, 0, 1]), ipv6_destination(Ipv6Addr::LOCALHOST.octets())]
        .map(|address| rule(&[address, l4(protocol), destination_port(port), vec![accept()]]))
}

/// Marks the connections that others begin with us, so that we may answer: TCP, and pings. What was open before the
/// table was there stays unmarked: the kernel takes a TCP packet without SYN for the beginning of a connection, too,
/// and in UDP nothing tells a beginning from what the other side of an old flow sends, whose way in through the
/// host's address translation is still open.
fn arrive() -> Vec<Vec<Expr>> {
    let mut rules = local::keep_mark();
    rules.extend([
        rule(&[l4(TCP), syn_alone(), new(), mark_connection(BEGUN)]),
        rule(&[l4(ICMP), icmp_type(8), new(), mark_connection(BEGUN)]),
        rule(&[l4(ICMPV6), icmp_type(128), new(), mark_connection(BEGUN)]),
        vec![accept()],
    ]);
    rules
}

/// What is addressed to ourselves leaves by loopback or not at all. Anybody may bind a socket to an interface
/// (`SO_BINDTODEVICE`), and what it sends to 127.0.0.1, redirected or not, is then routed out by that interface.
fn leave() -> Vec<Vec<Expr>> {
    vec![
        rule(&[loopback(), vec![accept()]]),
        rule(&[local_destination(), vec![Expr::Counter, Expr::Verdict(Verdict::Drop)]]),
        vec![accept()],
    ]
}

/// Sends DNS questions to the responder and connections that name their host to the gate: all but the daemon's own,
/// those to servers on loopback, and the embedded resolver's questions. The counter tells `verify` that a question was
/// answered here.
fn divert(upstream: &Upstream) -> Vec<Vec<Expr>> {
    let to = |protocol: u8, port: u16, ours: u16| {
        let to = Expr::Port { port: ours, to: REG };
        [l4(protocol), destination_port(port), vec![Expr::Counter, to, Expr::Redirect { port: REG }]].concat()
    };
    let questions = || [to(UDP, DNS_PORT, RESPONDER_PORT), to(TCP, DNS_PORT, RESPONDER_PORT)];
    let mut rules = leaving_questions(upstream, &destination_port(DNS_PORT));
    rules.extend(questions().map(|to| rule(&[ipv4_destination(EMBEDDED_RESOLVER.octets()), to])));
    rules.push(rule(&[loopback(), vec![accept()]]));
    rules.extend(questions());
    rules.extend([(443, GATE_TLS_PORT), (80, GATE_HTTP_PORT)].map(|(port, ours)| to(TCP, port, ours)));
    rules
}

/// The questions that may leave: the daemon's, and the embedded resolver's to its upstreams. `to_dns` tells questions
/// from other packets, where there are others.
fn leaving_questions(upstream: &Upstream, to_dns: &[Expr]) -> Vec<Vec<Expr>> {
    let mut rules = vec![rule(&[mark(), vec![accept()]])];
    let to_dns = || to_dns.to_vec();
    let uid_0 = meta_is(MetaKey::SkUid, 0_u32.to_ne_bytes().to_vec());
    match upstream {
        Upstream::None => {}
        Upstream::Known(servers) => {
            for server in servers {
                rules.push(rule(&[
                    uid_0.clone(),
                    ipv4_destination(server.octets()),
                    to_dns(),
                    vec![accept()],
                ]));
            }
        }
        Upstream::Unknown => {
            // Not towards the embedded resolver itself: there even uid 0 asks through the daemon.
            rules.push(rule(&[
                uid_0,
                meta_is(MetaKey::NfProto, vec![NFPROTO_IPV4]),
                load_ipv4_destination(),
                vec![Expr::Cmp { from: REG, op: CmpOp::Neq, data: EMBEDDED_RESOLVER.octets().to_vec() }],
                to_dns(),
                vec![accept()],
            ]));
        }
    }
    rules
}

/// What is left of DNS: the questions that may leave, and servers on loopback, which themselves get no further
/// than anybody else. Questions over UDP come here only if they could not be redirected.
fn dns(upstream: &Upstream) -> Vec<Vec<Expr>> {
    let mut rules = leaving_questions(upstream, &[]);
    // Before loopback, which the embedded resolver is on.
    rules.extend(
        refuse().into_iter().map(|refusal| [ipv4_destination(EMBEDDED_RESOLVER.octets()), refusal].concat()),
    );
    rules.push(rule(&[loopback(), vec![accept()]]));
    rules.extend(refuse());
    rules
}

/// Refuses and counts whatever is left, as fast as each protocol allows.
fn refuse() -> [Vec<Expr>; 2] {
    let reject = |with| vec![Expr::Counter, Expr::Reject(with)];
    [rule(&[l4(TCP), reject(RejectWith::TcpReset)]), reject(RejectWith::AdminProhibited)]
}

fn rule<const N: usize>(parts: &[Vec<Expr>; N]) -> Vec<Expr> {
    parts.concat()
}

fn accept() -> Expr {
    Expr::Verdict(Verdict::Accept)
}

fn jump(chain: &str) -> Expr {
    Expr::Verdict(Verdict::Jump(chain.to_owned()))
}

fn meta_is(key: MetaKey, data: Vec<u8>) -> Vec<Expr> {
    vec![Expr::Meta { key, to: REG }, Expr::Cmp { from: REG, op: CmpOp::Eq, data }]
}

fn mark() -> Vec<Expr> {
    meta_is(MetaKey::Mark, MARK.to_ne_bytes().to_vec())
}

fn tcp() -> Vec<Expr> {
    l4(TCP)
}

fn l4(protocol: u8) -> Vec<Expr> {
    meta_is(MetaKey::L4Proto, vec![protocol])
}

fn loopback() -> Vec<Expr> {
    let mut name = b"lo".to_vec();
    name.resize(16, 0);
    meta_is(MetaKey::OifName, name)
}

fn payload_is(base: PayloadBase, offset: u32, data: Vec<u8>) -> Vec<Expr> {
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    vec![Expr::Payload { base, offset, len, to: REG }, Expr::Cmp { from: REG, op: CmpOp::Eq, data }]
}

fn destination_port(port: u16) -> Vec<Expr> {
    payload_is(PayloadBase::Transport, 2, port.to_be_bytes().to_vec())
}

fn icmp_type(kind: u8) -> Vec<Expr> {
    payload_is(PayloadBase::Transport, 0, vec![kind])
}

fn load_ipv4_destination() -> Vec<Expr> {
    vec![Expr::Payload { base: PayloadBase::Network, offset: 16, len: 4, to: REG }]
}

fn ipv4_source(address: [u8; 4]) -> Vec<Expr> {
    let mut exprs = meta_is(MetaKey::NfProto, vec![NFPROTO_IPV4]);
    exprs.extend(payload_is(PayloadBase::Network, 12, address.to_vec()));
    exprs
}

fn ipv4_destination(address: [u8; 4]) -> Vec<Expr> {
    let mut exprs = meta_is(MetaKey::NfProto, vec![NFPROTO_IPV4]);
    exprs.extend(payload_is(PayloadBase::Network, 16, address.to_vec()));
    exprs
}

fn ipv6_destination(address: [u8; 16]) -> Vec<Expr> {
    let mut exprs = meta_is(MetaKey::NfProto, vec![NFPROTO_IPV6]);
    exprs.extend(payload_is(PayloadBase::Network, 24, address.to_vec()));
    exprs
}

fn established() -> Vec<Expr> {
    ct_state(CT_ESTABLISHED, CmpOp::Neq)
}

fn not_established() -> Vec<Expr> {
    ct_state(CT_ESTABLISHED, CmpOp::Eq)
}

fn new() -> Vec<Expr> {
    ct_state(CT_NEW, CmpOp::Neq)
}

/// Compares a bit of the state with zero.
fn ct_state(bit: u32, op: CmpOp) -> Vec<Expr> {
    vec![
        Expr::CtState { to: REG },
        Expr::Mask { register: REG, mask: bit.to_ne_bytes().to_vec() },
        Expr::Cmp { from: REG, op, data: vec![0; 4] },
    ]
}

fn mark_connection(mark: u32) -> Vec<Expr> {
    vec![Expr::Number { number: mark, to: REG }, Expr::SetCtMark { from: REG }]
}

fn begun_under_this_table() -> Vec<Expr> {
    is_connection_marked(BEGUN)
}

fn is_connection_marked(mark: u32) -> Vec<Expr> {
    let data = mark.to_ne_bytes().to_vec();
    vec![Expr::CtMark { to: REG }, Expr::Cmp { from: REG, op: CmpOp::Eq, data }]
}

/// The RST flag without SYN.
fn reset_alone() -> Vec<Expr> {
    tcp_flags(0b110, 0b100)
}

/// The SYN flag without ACK, RST and FIN.
fn syn_alone() -> Vec<Expr> {
    tcp_flags(0b1_0111, 0b10)
}

/// Flags are byte 13 (RFC 9293 section 3.1).
fn tcp_flags(mask: u8, flags: u8) -> Vec<Expr> {
    vec![
        Expr::Payload { base: PayloadBase::Transport, offset: 13, len: 1, to: REG },
        Expr::Mask { register: REG, mask: vec![mask] },
        Expr::Cmp { from: REG, op: CmpOp::Eq, data: vec![flags] },
    ]
}

/// A source address that is not one of this namespace's own.
fn foreign_source() -> Vec<Expr> {
    address_type(AddressOf::Source, CmpOp::Neq, RTN_LOCAL)
}

/// A destination address that is one of this namespace's own.
fn local_destination() -> Vec<Expr> {
    address_type(AddressOf::Destination, CmpOp::Eq, RTN_LOCAL)
}

fn address_type(of: AddressOf, op: CmpOp, kind: u32) -> Vec<Expr> {
    let data = kind.to_ne_bytes().to_vec();
    vec![Expr::AddressType { of, to: REG }, Expr::Cmp { from: REG, op, data }]
}

/// TCP to an `address . port` in the set; the port sits in the 4-byte register right behind the address.
fn endpoint(set: Set) -> Vec<Expr> {
    let (nfproto, offset, port_register) = match set.family {
        Family::V4 => (NFPROTO_IPV4, 16, Register(9)),
        Family::V6 => (NFPROTO_IPV6, 24, Register(2)),
    };
    let mut exprs = meta_is(MetaKey::NfProto, vec![nfproto]);
    exprs.extend(l4(TCP));
    exprs.push(Expr::Payload { base: PayloadBase::Network, offset, len: set.family.address_len(), to: REG });
    exprs.push(Expr::Payload { base: PayloadBase::Transport, offset: 2, len: 2, to: port_register });
    exprs.push(Expr::Lookup { set: set.name.to_owned(), from: REG });
    exprs
}
