//! What the kernel really holds, and whether that is the plan.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::decode::decode;
use super::encode::{GET_CHAIN, GET_RULE, GET_SET_ELEM, policy_and_type};
use super::netlink::{Netfilter, NetlinkError};
use super::nla::Attributes;
use super::ruleset::{
    BaseChain, Chain, ChainKind, Endpoint, Expr, Family, Flow, Holds, InetHook, Ruleset, Set,
};

/// The first difference between plan and kernel, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Difference(String);

/// `NFT_TABLE_F_DORMANT` cannot be seen in chains and rules, so the hook is what shows a table at work:
/// the kernel lists a base chain's hook whether the table sleeps or not, hence the table's flags are read too.
const TABLE_FLAGS: u16 = 2;
const GET_TABLE: u8 = 1;

/// The chains of our table as the kernel lists them; a table that is absent or dormant has none.
pub fn table(socket: &mut Netfilter, ruleset: &Ruleset) -> Result<Vec<Chain>, NetlinkError> {
    if !is_awake(socket, ruleset.table)? {
        return Ok(Vec::new());
    }
    let mut chains = Vec::new();
    for object in socket.dump(GET_CHAIN, &[(1, ruleset.table)])? {
        let chain = Attributes::new(&object);
        if chain.string(1) != Some(ruleset.table) {
            continue;
        }
        let name = chain.string(3).unwrap_or_default().to_owned();
        let rules = rules(socket, ruleset.table, &name)?;
        chains.push(Chain { name, base: base(&chain), rules });
    }
    Ok(chains)
}

fn is_awake(socket: &mut Netfilter, table: &str) -> Result<bool, NetlinkError> {
    let tables = socket.dump(GET_TABLE, &[])?;
    Ok(tables
        .iter()
        .map(|object| Attributes::new(object))
        .any(|object| object.string(1) == Some(table) && object.be32(TABLE_FLAGS).unwrap_or(0) == 0))
}

/// A base chain whose type does not have the policy that such a chain gets here (drop, for a filter) reads as no
/// base chain, and so differs.
fn base(chain: &Attributes<'_>) -> Option<BaseChain> {
    let hook = chain.nested(4)?;
    let number = hook.be32(1)?;
    let hooks = [InetHook::LocalIn, InetHook::Forward, InetHook::LocalOut, InetHook::PostRouting];
    let hooked = hooks.into_iter().find(|h| *h as u32 == number)?;
    let priority = i32::from_be_bytes(hook.get(2)?.try_into().ok()?);
    let found = (chain.be32(5)?, chain.string(7)?);
    let kind =
        [ChainKind::Filter, ChainKind::Nat].into_iter().find(|kind| policy_and_type(*kind) == found)?;
    Some(BaseChain { kind, hook: hooked, priority })
}

fn rules(socket: &mut Netfilter, table: &str, chain: &str) -> Result<Vec<Vec<Expr>>, NetlinkError> {
    let objects = socket.dump(GET_RULE, &[(1, table), (2, chain)])?;
    let ours = |rule: &Attributes<'_>| rule.string(1) == Some(table) && rule.string(2) == Some(chain);
    Ok(objects
        .iter()
        .map(|object| Attributes::new(object))
        .filter(ours)
        .map(|rule| {
            let expressions = rule.nested(4).unwrap_or(Attributes::new(&[]));
            expressions.map(|(_, element)| decode(&Attributes::new(element))).collect()
        })
        .collect())
}

/// The endpoints that the table's sets hold now.
pub fn endpoints(socket: &mut Netfilter, ruleset: &Ruleset) -> Result<BTreeSet<Endpoint>, NetlinkError> {
    let mut endpoints = BTreeSet::new();
    for set in ruleset.sets.iter().filter(|set| set.holds == Holds::Endpoints) {
        elements(socket, ruleset.table, set, |key, _| {
            endpoints.insert(endpoint(set.family, key)?);
            Some(())
        })?;
    }
    Ok(endpoints)
}

/// The flows that the table's rules have noted, and how many packets each was.
pub fn flows(socket: &mut Netfilter, ruleset: &Ruleset) -> Result<Vec<(Flow, u64)>, NetlinkError> {
    let mut flows = Vec::new();
    for set in ruleset.sets.iter().filter(|set| set.holds != Holds::Endpoints) {
        elements(socket, ruleset.table, set, |key, element| {
            let counter = element.nested(7).filter(|counter| counter.string(1) == Some("counter"));
            let packets = counter.and_then(|counter| counter.nested(2)?.be64(2)).unwrap_or(1);
            flows.push((flow(set.family, key)?, packets));
            Some(())
        })?;
    }
    Ok(flows)
}

/// Has each element's key read, and the element.
fn elements(
    socket: &mut Netfilter,
    table: &str,
    set: &Set,
    mut read: impl FnMut(&[u8], &Attributes<'_>) -> Option<()>,
) -> Result<(), NetlinkError> {
    for object in socket.dump(GET_SET_ELEM, &[(1, table), (2, set.name)])? {
        let list = Attributes::new(&object);
        for (_, element) in list.nested(3).unwrap_or(Attributes::new(&[])) {
            let element = Attributes::new(element);
            let key = element.nested(1).and_then(|key| key.get(1));
            key.and_then(|key| read(key, &element))
                .ok_or(NetlinkError::Garbled("a set element without a key"))?;
        }
    }
    Ok(())
}

/// How many packets the table's counting rules, which are those that refuse, have seen.
pub fn refused_packets(socket: &mut Netfilter, ruleset: &Ruleset) -> Result<u64, NetlinkError> {
    let mut packets = 0_u64;
    for object in socket.dump(GET_RULE, &[(1, ruleset.table)])? {
        let rule = Attributes::new(&object);
        if rule.string(1) != Some(ruleset.table) {
            continue;
        }
        for (_, element) in rule.nested(4).unwrap_or(Attributes::new(&[])) {
            let element = Attributes::new(element);
            if element.string(1) == Some("counter") {
                packets += element.nested(2).and_then(|counter| counter.be64(2)).unwrap_or(0);
            }
        }
    }
    Ok(packets)
}

fn endpoint(family: Family, key: &[u8]) -> Option<Endpoint> {
    let (address, port) = address(family, key)?;
    Some(SocketAddr::new(address, u16::from_be_bytes(port.get(..2)?.try_into().ok()?)))
}

/// Each part of a key is padded to four bytes. The uid is a number of this machine's, the port one of the network's.
fn flow(family: Family, key: &[u8]) -> Option<Flow> {
    let (address, rest) = address(family, key)?;
    let [protocol, _, _, _, high, low, _, _, uid @ ..] = rest else { return None };
    let port = u16::from_be_bytes([*high, *low]);
    Some(Flow { address, protocol: *protocol, port, uid: u32::from_ne_bytes(uid.try_into().ok()?) })
}

fn address(family: Family, key: &[u8]) -> Option<(IpAddr, &[u8])> {
    let (address, rest) = key.split_at_checked(usize::try_from(family.address_len()).ok()?)?;
    let address = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)),
    };
    Some((address, rest))
}

/// Says whether the kernel's chains are exactly the planned ones.
pub fn compare(planned: &Ruleset, held: &[Chain]) -> Result<(), Difference> {
    let differs = |text: String| Err(Difference(text));
    if held.is_empty() {
        return differs(format!("table inet {} is absent or dormant", planned.table));
    }
    for chain in &planned.chains {
        let Some(found) = held.iter().find(|other| other.name == chain.name) else {
            return differs(format!("chain {} is absent", chain.name));
        };
        if found.base != chain.base {
            return differs(format!(
                "chain {} is not hooked in with the planned type, priority and policy",
                chain.name
            ));
        }
        if found.rules.len() != chain.rules.len() {
            let (has, wants) = (found.rules.len(), chain.rules.len());
            return differs(format!("chain {} has {has} rules instead of {wants}", chain.name));
        }
        let odd = found.rules.iter().zip(&chain.rules).position(|(a, b)| a != b);
        if let Some(index) = odd {
            return differs(format!("rule {} of chain {} was changed", index + 1, chain.name));
        }
    }
    match held.iter().find(|chain| !planned.chains.iter().any(|other| other.name == chain.name)) {
        Some(chain) => differs(format!("chain {} was added", chain.name)),
        None => Ok(()),
    }
}

/// Says whether the sets hold nothing but what was put there. Fewer is right: elements time out.
pub fn compare_endpoints(planned: &BTreeSet<Endpoint>, held: &BTreeSet<Endpoint>) -> Result<(), Difference> {
    match held.difference(planned).next() {
        Some(endpoint) => Err(Difference(format!("{endpoint} is open and was not planned"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::plan::{Upstream, plan};

    #[test]
    fn each_kind_of_tampering_is_a_difference() {
        let planned = plan(&Upstream::None);
        assert_eq!(compare(&planned, &planned.chains), Ok(()));
        let tamper = |change: &dyn Fn(&mut Vec<Chain>)| {
            let mut held = planned.chains.clone();
            change(&mut held);
            compare(&planned, &held).unwrap_err().to_string()
        };
        assert!(tamper(&|held| held.clear()).contains("absent or dormant"));
        assert!(tamper(&|held| drop(held.remove(0))).contains("chain output is absent"));
        assert!(tamper(&|held| held[0].base = None).contains("not hooked in"));
        let questions = |held: &mut Vec<Chain>| held.iter().position(|chain| chain.name == "divert").unwrap();
        assert!(tamper(&|held| drop(held[0].rules.pop())).contains("rules instead of"));
        assert!(
            tamper(&|held| {
                let index = questions(held);
                held[index].base.as_mut().unwrap().priority = -90;
            })
            .contains("chain divert is not hooked in")
        );
        assert!(
            tamper(&|held| {
                let index = questions(held);
                let port = held[index].rules.last_mut().unwrap().iter_mut().find_map(|expr| match expr {
                    Expr::Port { port, .. } => Some(port),
                    _ => None,
                });
                *port.unwrap() = 53;
            })
            .contains("of chain divert was changed")
        );
        assert!(tamper(&|held| held[0].rules.swap(0, 1)).contains("rule 1 of chain output"));
        let renamed = |held: &mut Vec<Chain>| {
            held.iter_mut().filter(|chain| chain.name == "dns").for_each(|chain| chain.name = "x".to_owned());
        };
        assert!(tamper(&renamed).contains("chain dns is absent"));
        let added = Chain { name: "y".to_owned(), base: None, rules: Vec::new() };
        assert!(tamper(&|held| held.push(added.clone())).contains("chain y was added"));
    }

    #[test]
    fn an_endpoint_that_nobody_planned_is_a_difference() {
        let one: Endpoint = "203.0.113.1:443".parse().unwrap();
        let two: Endpoint = "[2001:db8::1]:443".parse().unwrap();
        let planned = BTreeSet::from([one]);
        assert_eq!(compare_endpoints(&planned, &BTreeSet::new()), Ok(()));
        assert_eq!(compare_endpoints(&planned, &planned), Ok(()));
        assert!(compare_endpoints(&planned, &BTreeSet::from([one, two])).is_err());
    }
}
