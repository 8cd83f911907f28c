//! The host, as seen from the container: its gateway, or the first address of the container's own network.

use std::fs;
use std::net::Ipv4Addr;

use super::Row;
use super::denied::{self, Met};

const CLAIM: &str = "the host behind the gateway, and neighbours, are closed";

/// A port that no host serves: what matters is who refuses, and our own kernel must be first.
pub(super) const PORT: u16 = 1;

pub(super) fn row() -> Row {
    let table = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let met = match target(&table) {
        Some(gateway) => denied::udp(&format!("{gateway}:{PORT}")),
        None => Met::NoRoute,
    };
    denied::row("net.gateway", CLAIM, met)
}

fn target(table: &str) -> Option<Ipv4Addr> {
    let routes = || table.lines().skip(1).filter_map(parse);
    let gateway = routes().find(|route| route.mask == 0).map(|route| route.gateway);
    let neighbour = || routes().find(|route| route.mask != 0).map(|route| route.destination | 1);
    gateway.or_else(neighbour).map(Ipv4Addr::from)
}

struct Route {
    destination: u32,
    gateway: u32,
    mask: u32,
}

/// `/proc/net/route`: addresses as hexadecimal numbers in the machine's byte order.
fn parse(line: &str) -> Option<Route> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let number = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok().map(u32::from_be);
    Some(Route { destination: number(1)?, gateway: number(2)?, mask: number(7)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_gateway_or_else_the_networks_first_address() {
        let link = "eth0 007100CB 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
        let default = "eth0 00000000 010011AC 0003 0 0 0 00000000 0 0 0\n";
        assert_eq!(target(&format!("{HEAD}{link}{default}")), Some("172.17.0.1".parse().unwrap()));
        assert_eq!(target(&format!("{HEAD}{link}")), Some("203.0.113.1".parse().unwrap()));
        assert_eq!(target(HEAD), None);
    }
}
