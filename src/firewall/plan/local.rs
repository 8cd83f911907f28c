//! TCP over loopback between the agent's cell and processes outside it, such as an editor's server.
//!
//! A connection that the cell begins completes only with a listener that is the cell's, too. Sockets of the cell have a
//! hop limit of their own, which packets show: a connection's first one that of who connects, the answer that of who
//! listens. Nothing else tells the listener before it has taken the connection. A priority would show as well, but is
//! lost on a socket that was accepted, and such a one can be disconnected and connected elsewhere.

use std::collections::BTreeSet;

use super::noted::note_local;
use super::{
    BEGUN, EMBEDDED_RESOLVER, NFPROTO_IPV4, NFPROTO_IPV6, OUR_TCP_PORTS, accept, ct_state, destination_port,
    ipv4_destination, is_connection_marked, jump, loopback, mark, mark_connection, meta_is, rule, tcp,
    tcp_flags, to_us,
};
use crate::firewall::ruleset::{CmpOp, Expr, MetaKey, PayloadBase, REG, RejectWith, Verdict};

/// Time to live and hop limit of the cell's TCP sockets. Others have 64, unless somebody asks for another.
pub const CELL_HOPS: u8 = crate::ipc::HOPS.to_le_bytes()[0];

/// The two families, and where their headers have the hop limit: RFC 791 section 3.1, RFC 8200 section 3.
const FAMILIES: [(u8, u32); 2] = [(NFPROTO_IPV4, 8), (NFPROTO_IPV6, 7)];

/// Mark of connections that the cell has begun. [`BEGUN`] is another: over any other interface they count for nothing.
const OF_THE_CELL: u32 = 0x0a5b_0004;

/// Mark of those that somebody outside has answered, and was not heard.
const CLOSED: u32 = 0x0a5b_0005;

/// The chain for what begins connections over loopback, and for the answers to that.
pub(super) const LOCAL: &str = "local";

/// The chain for what the cell begins.
pub(super) const CELL: &str = "cell";

/// `IP_CT_NEW` and so on begin at 1; bit 0 is what connection tracking does not understand, bit 6 what it does not see.
const INVALID: u32 = 1;
const UNTRACKED: u32 = 1 << 6;

/// Lengths of a TCP header in words of four bytes.
const HEADER_WORDS: std::ops::RangeInclusive<u8> = 5..=15;

/// RST and ACK in the two bytes whose other half says how long the header is.
const RESET: [u8; 2] = [0, 0b1_0100];

/// Sends beginnings and answers to be judged, before anything is accepted that could be one of them.
pub(super) fn judge() -> Vec<Expr> {
    rule(&[loopback(), tcp(), tcp_flags(0b10, 0b10), vec![jump(LOCAL)]])
}

/// Marks what the cell has begun as such when it arrives, and not as what others begin with us.
pub(super) fn keep_mark() -> Vec<Vec<Expr>> {
    [OF_THE_CELL, CLOSED].map(|mark| rule(&[is_connection_marked(mark), vec![accept()]])).to_vec()
}

/// Judges answers by who listens.
pub(super) fn local() -> Vec<Vec<Expr>> {
    let mut rules: Vec<_> = FAMILIES.into_iter().flat_map(judged).collect();
    // The daemon connects where the cell asked for, and a name may lead to this container's own address.
    let by_the_daemon = || rule(&[tcp(), tcp_flags(0b1_0111, 0b10), mark()]);
    rules.push(rule(&[by_the_daemon(), ipv4_destination(EMBEDDED_RESOLVER.octets()), vec![accept()]]));
    rules.push(rule(&[by_the_daemon(), vec![Expr::Counter, Expr::Reject(RejectWith::TcpReset)]]));
    rules
}

/// The rules of one family.
fn judged((family, offset): (u8, u32)) -> Vec<Vec<Expr>> {
    let hops = |op| hops(family, offset, op);
    let answer = || rule(&[tcp(), tcp_flags(0b1_0111, 0b1_0010), hops(CmpOp::Neq)]);
    let begins = |op| rule(&[tcp(), tcp_flags(0b1_0111, 0b10), hops(op)]);
    let refused = |mark| rule(&[answer(), is_connection_marked(mark)]);
    let mut rules = vec![
        rule(&[refused(OF_THE_CELL), note_local()]),
        // Who connects is told at once, by what the answer is turned into, that nobody listens. Who listens says the
        // same a second later again, and is told then.
        rule(&[
            refused(OF_THE_CELL),
            vec![Expr::Counter],
            mark_connection(CLOSED),
            into_a_reset(),
            vec![accept()],
        ]),
        rule(&[refused(CLOSED), vec![Expr::Counter, Expr::Reject(RejectWith::TcpReset)]]),
        // Whose connection it answers is not known.
        rule(&[answer(), ct_state(INVALID, CmpOp::Neq), vec![Expr::Counter, Expr::Verdict(Verdict::Drop)]]),
    ];
    // The port of a connection of the cell's that came to nothing is free for others.
    rules.extend(
        [OF_THE_CELL, CLOSED]
            .map(|mark| rule(&[begins(CmpOp::Neq), is_connection_marked(mark), mark_connection(BEGUN)])),
    );
    rules.push(rule(&[begins(CmpOp::Eq), vec![jump(CELL)]]));
    rules
}

/// Marks what the cell begins, but with the daemon and with ports that the policy opens.
pub(super) fn cell(open: &BTreeSet<u16>) -> Vec<Vec<Expr>> {
    let mut rules: Vec<_> = OUR_TCP_PORTS.iter().flat_map(|port| to_us(super::TCP, *port)).collect();
    rules.extend(open.iter().map(|port| rule(&[tcp(), destination_port(*port), vec![accept()]])));
    // Bytes beside a connection's beginning (TCP Fast Open) reach who listens before there is an answer. Without
    // them the kernel tries again.
    rules.extend(HEADER_WORDS.map(|words| {
        rule(&[tcp(), with_bytes_behind(words), vec![Expr::Counter, Expr::Verdict(Verdict::Drop)]])
    }));
    rules.push(mark_connection(OF_THE_CELL));
    // What cannot be marked cannot be judged.
    rules.push(rule(&[
        tcp(),
        ct_state(INVALID | UNTRACKED, CmpOp::Neq),
        vec![Expr::Counter, Expr::Reject(RejectWith::TcpReset)],
    ]));
    rules
}

fn hops(family: u8, offset: u32, op: CmpOp) -> Vec<Expr> {
    let mut exprs = meta_is(MetaKey::NfProto, vec![family]);
    exprs.push(Expr::Payload { base: PayloadBase::Network, offset, len: 1, to: REG });
    exprs.push(Expr::Cmp { from: REG, op, data: vec![CELL_HOPS] });
    exprs
}

fn into_a_reset() -> Vec<Expr> {
    let base = PayloadBase::Transport;
    vec![
        Expr::Payload { base, offset: 12, len: 2, to: REG },
        Expr::Replace { register: REG, keep: vec![0xff, 0], with: RESET.to_vec() },
        Expr::Write { base, offset: 12, len: 2, from: REG },
    ]
}

/// A header of so many words, and at least one byte behind it: one that is not there cannot be loaded, which ends the
/// rule.
fn with_bytes_behind(words: u8) -> Vec<Expr> {
    let base = PayloadBase::Transport;
    vec![
        Expr::Payload { base, offset: 12, len: 1, to: REG },
        Expr::Mask { register: REG, mask: vec![0xf0] },
        Expr::Cmp { from: REG, op: CmpOp::Eq, data: vec![words << 4] },
        Expr::Payload { base, offset: u32::from(words) * 4, len: 1, to: REG },
        Expr::Mask { register: REG, mask: vec![0] },
        Expr::Cmp { from: REG, op: CmpOp::Eq, data: vec![0] },
    ]
}
