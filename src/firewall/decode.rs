//! An expression as the kernel lists it. What this program never writes reads as [`Expr::Unknown`].

use super::encode::{
    CHECKSUM_INET, CT_MARK, CT_STATE, FIB_RESULT_ADDRTYPE, ICMPX_ADMIN_PROHIBITED, NOTE_UPDATE,
    RANGE_PROTO_SPECIFIED, REJECT_ICMPX, REJECT_TCP_RESET, TCP_CHECKSUM_AT, VERDICT_ACCEPT, VERDICT_DROP,
    VERDICT_JUMP,
};
use super::nla::Attributes;
use super::ruleset::{AddressOf, CmpOp, Expr, MetaKey, PayloadBase, Register, RejectWith, Verdict};

/// Reads an expression as the kernel lists it.
pub(super) fn decode(element: &Attributes<'_>) -> Expr {
    let name = element.string(1).unwrap_or_default();
    let data = element.nested(2).unwrap_or(Attributes::new(&[]));
    decode_known(name, &data).unwrap_or_else(|| Expr::Unknown(name.to_owned()))
}

fn decode_known(name: &str, data: &Attributes<'_>) -> Option<Expr> {
    let value = |kind| data.nested(kind).and_then(|d| d.get(1)).map(<[u8]>::to_vec);
    let register = |kind| data.be32(kind).map(Register);
    Some(match name {
        "meta" => {
            let key = data.be32(2)?;
            let keys = [MetaKey::Mark, MetaKey::OifName, MetaKey::SkUid, MetaKey::NfProto, MetaKey::L4Proto];
            Expr::Meta { key: keys.into_iter().find(|k| *k as u32 == key)?, to: register(1)? }
        }
        // Of one direction only, or of another key: not ours.
        "ct" if data.get(3).is_some() => return None,
        "ct" => match (data.be32(2)?, register(1), register(4)) {
            (CT_STATE, Some(to), None) => Expr::CtState { to },
            (CT_MARK, Some(to), None) => Expr::CtMark { to },
            (CT_MARK, None, Some(from)) => Expr::SetCtMark { from },
            _ => return None,
        },
        "fib" if data.be32(2)? == FIB_RESULT_ADDRTYPE => {
            let flags = data.be32(3)?;
            let sides = [AddressOf::Source, AddressOf::Destination];
            Expr::AddressType { of: sides.into_iter().find(|side| *side as u32 == flags)?, to: register(1)? }
        }
        "payload" => {
            let base = data.be32(2)?;
            let bases = [PayloadBase::Network, PayloadBase::Transport];
            let base = bases.into_iter().find(|b| *b as u32 == base)?;
            let (offset, len) = (data.be32(3)?, data.be32(4)?);
            match (register(1), register(5)) {
                (Some(to), None) => Expr::Payload { base, offset, len, to },
                (None, Some(from)) => {
                    let checksum = (data.be32(6)?, data.be32(7)?, data.be32(8).unwrap_or(0));
                    let known = checksum == (CHECKSUM_INET, TCP_CHECKSUM_AT, 0);
                    known.then_some(Expr::Write { base, offset, len, from })?
                }
                _ => return None,
            }
        }
        "bitwise" => {
            let (mask, xor) = (value(4)?, value(5)?);
            let plain = data.be32(1)? == data.be32(2)? && data.be32(6).unwrap_or(0) == 0;
            let register = plain.then_some(register(1)?)?;
            if xor.iter().all(|byte| *byte == 0) {
                Expr::Mask { register, mask }
            } else {
                Expr::Replace { register, keep: mask, with: xor }
            }
        }
        "cmp" => {
            let op = data.be32(2)?;
            let op = [CmpOp::Eq, CmpOp::Neq].into_iter().find(|o| *o as u32 == op)?;
            Expr::Cmp { from: register(1)?, op, data: value(3)? }
        }
        "lookup" if data.be32(5).unwrap_or(0) == 0 && data.get(3).is_none() => {
            Expr::Lookup { set: data.string(1)?.to_owned(), from: register(2)? }
        }
        // With nothing but a count beside each element, and for elements that are there or new (no `NFT_DYNSET_F_INV`).
        "dynset"
            if data.be32(3)? == NOTE_UPDATE
                && data.be32(9).unwrap_or(0) & 1 == 0
                && data.get(5).is_none()
                && data.nested(7)?.string(1) == Some("counter") =>
        {
            let milliseconds = data.be64(6)?;
            let seconds = milliseconds / 1000;
            let whole = seconds.saturating_mul(1000) == milliseconds;
            whole.then_some(Expr::Note { set: data.string(1)?.to_owned(), from: register(4)?, seconds })?
        }
        "counter" => Expr::Counter,
        "reject" if data.be32(1)? == REJECT_TCP_RESET => Expr::Reject(RejectWith::TcpReset),
        "reject" if data.be32(1)? == REJECT_ICMPX && data.get(2)? == [ICMPX_ADMIN_PROHIBITED] => {
            Expr::Reject(RejectWith::AdminProhibited)
        }
        "redir" if data.be32(3)? == RANGE_PROTO_SPECIFIED && data.be32(1)? == data.be32(2)? => {
            Expr::Redirect { port: register(1)? }
        }
        "immediate" if data.be32(1)? != 0 => {
            let (to, value) = (register(1)?, value(2)?);
            match *value.as_slice() {
                [high, low] => Expr::Port { port: u16::from_be_bytes([high, low]), to },
                [a, b, c, d] => Expr::Number { number: u32::from_ne_bytes([a, b, c, d]), to },
                _ => return None,
            }
        }
        "immediate" => {
            let verdict = data.nested(2)?.nested(2)?;
            Expr::Verdict(match verdict.be32(1)? {
                VERDICT_ACCEPT => Verdict::Accept,
                VERDICT_DROP => Verdict::Drop,
                VERDICT_JUMP => Verdict::Jump(verdict.string(2)?.to_owned()),
                _ => return None,
            })
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::encode::{expression, named};
    use super::super::nla::Writer;
    use super::*;
    use crate::firewall::plan::{Upstream, plan};

    #[test]
    fn every_planned_expression_reads_back_as_itself() {
        let plan = plan(&Upstream::Unknown);
        for expr in plan.chains.iter().flat_map(|chain| chain.rules.iter().flatten()) {
            let mut writer = Writer::new();
            expression(&mut writer, expr);
            assert_eq!(&decode(&Attributes::new(&writer.into_bytes())), expr);
        }
    }

    #[test]
    fn a_changed_expression_does_not_read_back_as_planned() {
        let mut writer = Writer::new();
        named(&mut writer, "reject", |d| d.be32(1, 0));
        assert_eq!(decode(&Attributes::new(&writer.into_bytes())), Expr::Unknown("reject".to_owned()));
        let mut writer = Writer::new();
        named(&mut writer, "log", |_| {});
        assert_eq!(decode(&Attributes::new(&writer.into_bytes())), Expr::Unknown("log".to_owned()));
        // A redirect to a range of ports, to any port, at random, or for ever (persistent) is another one.
        for (min, max, flags) in
            [(1, Some(2), 2), (1, None, 2), (1, Some(1), 0), (1, Some(1), 6), (1, Some(1), 10)]
        {
            let mut writer = Writer::new();
            named(&mut writer, "redir", |d| {
                d.be32(1, min);
                if let Some(max) = max {
                    d.be32(2, max);
                }
                d.be32(3, flags);
            });
            assert_eq!(decode(&Attributes::new(&writer.into_bytes())), Expr::Unknown("redir".to_owned()));
        }
        // Bytes written with another checksum, or into another place's.
        for (kind, at, flags) in [(0, 16, 0), (1, 10, 0), (1, 16, 1)] {
            let mut writer = Writer::new();
            named(&mut writer, "payload", |d| {
                for (attribute, value) in [(2, 2), (3, 12), (4, 2), (5, 1), (6, kind), (7, at), (8, flags)] {
                    d.be32(attribute, value);
                }
            });
            assert_eq!(decode(&Attributes::new(&writer.into_bytes())), Expr::Unknown("payload".to_owned()));
        }
        // Four bytes are no port.
        let mut writer = Writer::new();
        named(&mut writer, "immediate", |d| {
            d.be32(1, 1);
            d.nested(2, |data| data.bytes(1, &[0; 3]));
        });
        assert_eq!(decode(&Attributes::new(&writer.into_bytes())), Expr::Unknown("immediate".to_owned()));
    }
}
