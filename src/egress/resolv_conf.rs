//! resolv.conf(5), and what Docker writes into it.

use std::net::{IpAddr, Ipv4Addr};

use crate::firewall::plan::{EMBEDDED_RESOLVER, Upstream};
use crate::policy::HostName;

/// What a resolv.conf says about where to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers in order, three at most as libc does.
    pub servers: Vec<IpAddr>,
    /// Who the embedded resolver, where it is used, asks in turn.
    pub upstream: Upstream,
}

const MAX_SERVERS: usize = 3;

/// The domains that resolvers try behind a name: the last `search` or `domain` line counts.
pub fn search_list(text: &str) -> Vec<HostName> {
    let mut lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        matches!(words.next(), Some("search" | "domain")).then_some(words)
    });
    let domains = lines.next_back().into_iter().flatten();
    domains.filter_map(|domain| HostName::parse(domain.trim_end_matches('.')).ok()).collect()
}

impl ResolvConf {
    /// Parses a resolv.conf. Lines that do not read are passed over, as libc does.
    pub fn parse(text: &str) -> Self {
        let servers: Vec<IpAddr> = text
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok())?
            })
            .take(MAX_SERVERS)
            .filter(is_beyond_reach)
            .collect();
        let embedded = servers.contains(&IpAddr::V4(EMBEDDED_RESOLVER));
        let upstream = if embedded { upstream(text) } else { Upstream::None };
        Self { servers, upstream }
    }
}

/// Any process in the container could serve DNS on loopback and answer as it likes; Docker's resolver is the
/// exception that the firewall guards.
fn is_beyond_reach(server: &IpAddr) -> bool {
    *server == IpAddr::V4(EMBEDDED_RESOLVER) || !(server.is_loopback() || server.is_unspecified())
}

/// Docker 25 and later notes `# ExtServers: [10.0.0.1 host(127.0.0.53)]`; those in `host(...)` are asked from
/// the host's network namespace.
fn upstream(text: &str) -> Upstream {
    let list = text
        .lines()
        .find_map(|line| line.strip_prefix("# ExtServers: [")?.split_once(']').map(|(list, _)| list));
    match list {
        Some(list) => {
            let servers: Vec<Ipv4Addr> =
                list.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            Upstream::Known(servers)
        }
        None => Upstream::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_lists() {
        let list = |text| search_list(text).into_iter().map(String::from).collect::<Vec<_>>();
        assert_eq!(list("search a.example B.example.\nnameserver 192.0.2.1\n"), ["a.example", "b.example"]);
        assert_eq!(list("domain a.example\nsearch b.example\n"), ["b.example"]);
        assert_eq!(list("search .\noptions ndots:0\n"), [""; 0]);
        assert_eq!(list("# search a.example\n"), [""; 0]);
    }

    #[test]
    fn resolv_confs() {
        let v4 = |text: &str| IpAddr::V4(text.parse().unwrap());
        for (text, servers, upstream) in [
            ("nameserver 192.0.2.1\nsearch x\n", vec![v4("192.0.2.1")], Upstream::None),
            ("nameserver 127.0.0.11\noptions ndots:0\n", vec![v4("127.0.0.11")], Upstream::Unknown),
            (
                "nameserver 127.0.0.11\n# ExtServers: [192.0.2.7 host(127.0.0.53)]\n",
                vec![v4("127.0.0.11")],
                Upstream::Known(vec!["192.0.2.7".parse().unwrap()]),
            ),
            (
                "nameserver 127.0.0.11\n# ExtServers: [host(127.0.0.53)]\n",
                vec![v4("127.0.0.11")],
                Upstream::Known(vec![]),
            ),
            ("nameserver 127.0.0.1\nnameserver 0.0.0.0\n", vec![], Upstream::None),
            ("#nameserver 192.0.2.1\nnameserver\nnameserver x\n", vec![], Upstream::None),
            (
                "nameserver ::1\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3",
                vec![v4("192.0.2.1"), v4("192.0.2.2")],
                Upstream::None,
            ),
        ] {
            assert_eq!(ResolvConf::parse(text), ResolvConf { servers, upstream }, "{text}");
        }
    }
}
