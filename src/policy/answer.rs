//! Which addresses a DNS answer for a listed name may hold.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name::HostName;

/// A metadata service among private addresses.
pub const AWS_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Why an address in an answer is not used: the range it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer {address} is {range}, which a listed name may not lead to")]
pub struct RefusedAddress {
    /// The address.
    pub address: IpAddr,
    /// The range's common name.
    pub range: &'static str,
}

/// Refuses addresses that would lead a public name to the host, its network or a metadata service
/// (DNS rebinding). Ranges: IANA special-purpose address registries (RFC 6890).
///
/// Names of this network, siblings and the host, may have private addresses: nobody outside can say what they mean.
pub fn check_answer(name: &HostName, address: IpAddr) -> Result<IpAddr, RefusedAddress> {
    let is_private = match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.segments()[0] & 0xfe00 == 0xfc00 && v6 != AWS_METADATA,
    };
    if name.is_local() && is_private {
        return Ok(address);
    }
    let range = match address {
        IpAddr::V4(v4) => refused_v4(v4),
        IpAddr::V6(v6) => refused_v6(v6),
    };
    match range {
        Some(range) => Err(RefusedAddress { address, range }),
        None => Ok(address),
    }
}

fn refused_v4(v4: Ipv4Addr) -> Option<&'static str> {
    let octets = v4.octets();
    match octets {
        [0, ..] => Some("\"this network\""),
        [127, ..] => Some("loopback"),
        [169, 254, ..] => Some("link-local (metadata services)"),
        [100, 64..=127, ..] => Some("carrier-grade NAT (metadata services)"),
        [168, 63, 129, 16] => Some("a cloud's host service"),
        [224..=239, ..] => Some("multicast"),
        [240..=255, ..] => Some("reserved or broadcast"),
        [192, 0, 0, _] => Some("an IETF protocol assignment (metadata services)"),
        [198, 18 | 19, ..] => Some("benchmarking"),
        _ if v4.is_private() => Some("private"),
        _ => None,
    }
}

fn refused_v6(v6: Ipv6Addr) -> Option<&'static str> {
    if v6.is_unspecified() || v6.is_loopback() {
        return Some("loopback or unspecified");
    }
    let segments = v6.segments();
    let tail = Ipv4Addr::from((u32::from(segments[6]) << 16) | u32::from(segments[7]));
    match segments {
        // IPv4 in IPv6 clothes: mapped, compatible, NAT64 (RFC 6052, RFC 8215), 6to4 and Teredo reach an
        // IPv4 host that the other table judges; none of them is an answer that a public name needs.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] => Some(refused_v4(tail).unwrap_or("an embedded IPv4 address")),
        [0x64, 0xff9b, ..] => Some("a NAT64 address"),
        [0x2002, ..] => Some("a 6to4 address"),
        [0x2001, 0, ..] => Some("a Teredo address"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0xfec0..=0xfeff, ..] => Some("site-local"),
        [0xfc00..=0xfdff, ..] => Some("unique local (private)"),
        [0xff00..=0xffff, ..] => Some("multicast"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        for (address, allowed) in [
            ("160.79.104.10", true),
            ("203.0.113.10", true),
            ("100.63.255.255", true),
            ("172.15.0.1", true),
            ("2606:4700::1", true),
            ("2001:db8::1", true),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("100.64.0.1", false),
            ("100.100.100.200", false),
            ("127.0.0.11", false),
            ("168.63.129.16", false),
            ("169.254.169.254", false),
            ("172.17.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.192", false),
            ("192.168.0.1", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:203.0.113.1", false),
            ("64:ff9b::a00:1", false),
            ("64:ff9b:1::1", false),
            ("2002:a00:1::", false),
            ("2001:0:1::", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("ff02::1", false),
        ] {
            let (public, address) = (HostName::parse("a.example").unwrap(), address.parse().unwrap());
            assert_eq!(check_answer(&public, address).is_ok(), allowed, "{address}");
        }
    }

    #[test]
    fn names_of_this_network_may_have_private_addresses() {
        for (name, address, allowed) in [
            ("db", "172.18.0.3", true),
            ("db", "fd12::3", true),
            ("host.docker.internal", "192.168.65.254", true),
            ("db.example", "172.18.0.3", false),
            ("db", "203.0.113.1", true),
            ("db", "127.0.0.1", false),
            ("db", "169.254.169.254", false),
            ("db", "fd00:ec2::254", false),
            ("db", "::ffff:172.18.0.3", false),
            ("db", "fe80::1", false),
        ] {
            let (name, address) = (HostName::parse(name).unwrap(), address.parse().unwrap());
            assert_eq!(check_answer(&name, address).is_ok(), allowed, "{name} {address}");
        }
    }
}
