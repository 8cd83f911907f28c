//! `/etc/hosts` and `/etc/resolv.conf`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// As many servers as the C library takes from `resolv.conf`.
const MAX_SERVERS: usize = 3;

/// What `/etc/hosts` says about `host`.
pub(super) fn in_hosts_file(text: &str, host: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else {
            continue;
        };
        if words.any(|name| name.eq_ignore_ascii_case(host)) {
            found.push(address);
        }
    }
    found
}

/// The part of `/etc/resolv.conf` that matters here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ResolvConf {
    pub(super) servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: usize,
}

impl ResolvConf {
    /// Reads the file as the C library does: what does not read is passed over.
    pub(super) fn parse(text: &str) -> Self {
        let mut conf = Self { servers: Vec::new(), search: Vec::new(), ndots: 1 };
        for line in text.lines() {
            let mut words = line.split(['#', ';']).next().unwrap_or_default().split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // A scope, as in fe80::1%eth0, has no place in a build container.
                    if let Some(Ok(address)) = words.next().map(str::parse) {
                        conf.servers.push(SocketAddr::new(address, 53));
                    }
                }
                // The last of these lines holds, as with the C library.
                Some("search" | "domain") => conf.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let mut ndots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    conf.ndots = ndots.next_back().unwrap_or(conf.ndots);
                }
                _ => {}
            }
        }
        conf.servers.truncate(MAX_SERVERS);
        if conf.servers.is_empty() {
            conf.servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
        }
        conf
    }

    /// The full names to try for `host`, in order.
    pub(super) fn candidates(&self, host: &str) -> Vec<String> {
        let bare = host.trim_end_matches('.').to_owned();
        if host.ends_with('.') {
            return vec![bare];
        }
        let searched = self.search.iter().map(|domain| format!("{bare}.{}", domain.trim_end_matches('.')));
        let dots = bare.matches('.').count();
        if dots >= self.ndots {
            std::iter::once(bare.clone()).chain(searched).collect()
        } else {
            searched.chain([bare.clone()]).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_file() {
        let text = "127.0.0.1 localhost\n# 10.0.0.9 r.example\n10.0.0.1\tother R.EXAMPLE # note\n::2 r.example\nbad r.example\n";
        let found = in_hosts_file(text, "r.example");
        assert_eq!(found, ["10.0.0.1".parse::<IpAddr>().unwrap(), "::2".parse().unwrap()]);
        assert!(in_hosts_file(text, "example").is_empty());
    }

    #[test]
    fn resolv_conf_and_the_names_it_makes() {
        let conf = ResolvConf::parse(
            "domain old\n; comment\nnameserver 10.0.0.2 # two\nnameserver fe80::1%eth0\nnameserver ::1\nsearch a.example b.example.\noptions rotate ndots:2\n",
        );
        assert_eq!(conf.servers, ["10.0.0.2:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
        for (host, want) in [
            ("r", vec!["r.a.example", "r.b.example", "r"]),
            ("r.x", vec!["r.x.a.example", "r.x.b.example", "r.x"]),
            ("r.x.y", vec!["r.x.y", "r.x.y.a.example", "r.x.y.b.example"]),
            ("r.", vec!["r"]),
        ] {
            assert_eq!(conf.candidates(host), want, "{host}");
        }
        let empty = ResolvConf::parse("");
        assert_eq!(empty.servers, ["127.0.0.1:53".parse().unwrap()]);
        assert_eq!(empty.candidates("r.x"), ["r.x"]);
    }
}
