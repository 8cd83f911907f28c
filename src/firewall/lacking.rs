//! Why a kernel refused the table, for whoever runs the host: which part of netfilter it lacks.
//!
//! A refusal tells the message of the batch, and so the rule, but not which of the rule's expressions is unknown. That
//! is found by handing the rule over again, a little longer each time, in batches that are never committed.

use std::io;

use rustix::io::Errno;

use super::FirewallError;
use super::encode::{self, Batch, Subject};
use super::netlink::{Netfilter, NetlinkError};
use super::ruleset::{Chain, ChainKind, Ruleset};

/// A part of the kernel that is not there.
#[derive(Debug, thiserror::Error)]
#[error("the host's kernel lacks {part}: {}use a kernel that has it ({error})", remedy(*.module))]
pub struct Lacking {
    part: String,
    module: Option<&'static str>,
    error: io::Error,
}

fn remedy(module: Option<&str>) -> String {
    module.map(|module| format!("run `modprobe {module}` on the host, or ")).unwrap_or_default()
}

/// The module that an expression comes in, where it is not always a part of nf_tables itself.
fn module(expression: &str) -> Option<&'static str> {
    Some(match expression {
        "counter" => "nft_counter",
        "ct" => "nft_ct",
        "fib" => "nft_fib_inet",
        "redir" => "nft_redir",
        "reject" => "nft_reject_inet",
        _ => return None,
    })
}

/// Says what it means that the table was not taken.
pub(super) fn explain(error: NetlinkError, ruleset: &Ruleset) -> FirewallError {
    explain_by(error, ruleset, |trial| Netfilter::open()?.commit(trial))
}

fn explain_by(
    error: NetlinkError,
    ruleset: &Ruleset,
    tried: impl FnMut(&Batch) -> Result<(), NetlinkError>,
) -> FirewallError {
    match error {
        NetlinkError::Io { error, .. } if is_absent(&error) => {
            Lacking { part: "nfnetlink".to_owned(), module: Some("nfnetlink"), error }.into()
        }
        NetlinkError::Refused { message, error } => refused(message, error, ruleset, tried),
        other => other.into(),
    }
}

fn refused(
    message: u32,
    error: io::Error,
    ruleset: &Ruleset,
    tried: impl FnMut(&Batch) -> Result<(), NetlinkError>,
) -> FirewallError {
    let absent = is_absent(&error);
    let what = match encode::subject(ruleset, message) {
        // The batch as such: nobody in the kernel takes it.
        None if absent => {
            return Lacking { part: "nf_tables".to_owned(), module: Some("nf_tables"), error }.into();
        }
        None => "the batch".to_owned(),
        Some(Subject::Table) => format!("table inet {}", ruleset.table),
        Some(Subject::Set(set)) => format!("set {}", set.name),
        Some(Subject::Chain(chain))
            if absent && chain.base.is_some_and(|base| base.kind == ChainKind::Nat) =>
        {
            let part = "NAT of nf_tables".to_owned();
            return Lacking { part, module: Some("nft_chain_nat"), error }.into();
        }
        Some(Subject::Chain(chain)) => format!("chain {}", chain.name),
        Some(Subject::Rule(chain, index)) if absent => {
            let culprit = culprit(ruleset, chain, index, tried);
            let part = format!("\"{culprit}\" of nf_tables");
            return Lacking { part, module: module(&culprit), error }.into();
        }
        Some(Subject::Rule(chain, index)) => format!("rule {} of chain {}", index + 1, chain.name),
    };
    if absent {
        return Lacking { part: format!("what {what} needs of nf_tables"), module: None, error }.into();
    }
    FirewallError::Refused { what, error }
}

/// The expression with which a rule is first refused; all of them, if none is by itself.
fn culprit(
    ruleset: &Ruleset,
    chain: &Chain,
    index: usize,
    mut tried: impl FnMut(&Batch) -> Result<(), NetlinkError>,
) -> String {
    let rule = chain.rules.get(index).map(Vec::as_slice).unwrap_or_default();
    for (position, expr) in rule.iter().enumerate() {
        let trial = encode::trial(ruleset, &chain.name, &rule[..=position]);
        if let Err(NetlinkError::Refused { .. }) = tried(&trial) {
            return encode::name(expr);
        }
    }
    rule.iter().map(encode::name).collect::<Vec<_>>().join(" ")
}

/// Whether an error means that what was asked for is not there, rather than wrong or forbidden.
fn is_absent(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::NOENT | Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::plan::{Upstream, plan};

    fn error(errno: Errno) -> io::Error {
        errno.into()
    }

    fn explained(refusal: NetlinkError, ruleset: &Ruleset, lacks: &str) -> String {
        // A kernel that knows every expression but one: the name stands in the batch, with its terminating zero.
        let name = format!("{lacks}\0");
        explain_by(refusal, ruleset, |trial| {
            let unknown = trial.bytes.windows(name.len()).any(|window| window == name.as_bytes());
            let refusal = NetlinkError::Refused { message: 9, error: error(Errno::NOENT) };
            if unknown { Err(refusal) } else { Ok(()) }
        })
        .to_string()
    }

    #[test]
    fn each_missing_part_is_named_with_what_to_do() {
        let ruleset = plan(&Upstream::None);
        for (lacks, module) in [
            ("counter", "nft_counter"),
            ("ct", "nft_ct"),
            ("fib", "nft_fib_inet"),
            ("redir", "nft_redir"),
            ("reject", "nft_reject_inet"),
        ] {
            let message = (1..99).find(|message| match encode::subject(&ruleset, *message) {
                Some(Subject::Rule(chain, index)) => {
                    chain.rules[index].iter().any(|expr| encode::name(expr) == lacks)
                }
                _ => false,
            });
            let refusal = NetlinkError::Refused { message: message.unwrap(), error: error(Errno::NOENT) };
            let expected = format!(
                "the host's kernel lacks \"{lacks}\" of nf_tables: run `modprobe {module}` on the host, or use a \
                 kernel that has it (No such file or directory (os error 2))"
            );
            assert_eq!(explained(refusal, &ruleset, lacks), expected);
        }
        let refusal = NetlinkError::Refused { message: 0, error: error(Errno::OPNOTSUPP) };
        assert!(explained(refusal, &ruleset, "").contains("modprobe nf_tables`"));
        let refusal = NetlinkError::Io { action: "open", error: error(Errno::PROTONOSUPPORT) };
        assert!(explained(refusal, &ruleset, "").contains("modprobe nfnetlink`"));
        let is_nat = |message: &u32| {
            matches!(encode::subject(&ruleset, *message), Some(Subject::Chain(chain))
                if chain.base.is_some_and(|base| base.kind == ChainKind::Nat))
        };
        let refusal =
            NetlinkError::Refused { message: (1..99).find(is_nat).unwrap(), error: error(Errno::NOENT) };
        assert!(explained(refusal, &ruleset, "").contains("modprobe nft_chain_nat`"));
        let refusal = NetlinkError::Refused { message: 4, error: error(Errno::OPNOTSUPP) };
        assert!(explained(refusal, &ruleset, "").contains("lacks what set allow4 needs of nf_tables: use a"));
    }

    #[test]
    fn what_is_not_missing_is_not_called_so() {
        let ruleset = plan(&Upstream::None);
        let refusal = NetlinkError::Refused { message: 1, error: error(Errno::PERM) };
        let expected = "nf_tables refused table inet agent_sandbox: Operation not permitted (os error 1)";
        assert_eq!(explained(refusal, &ruleset, "fib"), expected);
    }
}
