//! Who is who in this internet: names, addresses, and what the policy lists.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use stand_in::world::{Answer, Clock, Lookup, WhoseAddress};

/// What the container's policy allows, in the policy file's form.
pub(crate) const POLICY: &str = r#"{"format":3,"mode":"enforce","rules":[
    {"name":"api.example","ports":[80,443],"from":"test"},
    {"name":"shared.example","ports":[80,443],"from":"test"},
    {"name":"www.example","ports":[443],"from":"test"},
    {"name":"many.example","ports":[443],"from":"test"},
    {"name":"relay.example","ports":[80],"from":"test"},
    {"name":"rotate.example","ports":[443],"from":"test"},
    {"name":"silent.example","ports":[443],"from":"test"},
    {"name":"case.example","ports":[443],"from":"test"},
    {"name":"types.example","ports":[443],"from":"test"},
    {"name":"timing.example","ports":[443],"from":"test"},
    {"name":"edns.example","ports":[443],"from":"test"},
    {"name":"svcb.example","ports":[443],"from":"test"},
    {"name":"extra.example","ports":[443],"from":"test"},
    {"name":"class.example","ports":[443],"from":"test"},
    {"name":"update.example","ports":[443],"from":"test"},
    {"name":"hosts.example","ports":[443],"from":"test"},
    {"name":"resolv.example","ports":[443],"from":"test"},
    {"name":"*.zone.example","ports":[80,443],"from":"test"},
    {"name":"db.example","ports":[5432],"from":"test"},
    {"name":"git.example","ports":[22],"from":"test"},
    {"name":"host.docker.internal","ports":[9418],"from":"test"},
    {"name":"rebind-loopback.example","ports":[80],"from":"test"},
    {"name":"rebind-metadata.example","ports":[80],"from":"test"},
    {"name":"rebind-gateway.example","ports":[80],"from":"test"},
    {"name":"rebind-sibling.example","ports":[80],"from":"test"},
    {"name":"rebind-ula.example","ports":[80],"from":"test"},
    {"name":"rebind-mapped.example","ports":[80],"from":"test"},
    {"name":"rebind-nat64.example","ports":[80],"from":"test"},
    {"name":"rebind-cname.example","ports":[80],"from":"test"},
    {"name":"rebind-flip.example","ports":[80],"from":"test"},
    {"name":"rebind-mixed.example","ports":[80],"from":"test"}]}"#;

const ROTATING: u8 = 101;
const ROTATING_HOSTS: u32 = 8;

fn beyond4(last: u8) -> IpAddr {
    Ipv4Addr::new(203, 0, 113, last).into()
}

fn beyond6(last: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, last).into()
}

fn both(last: u8, last6: u16) -> Vec<IpAddr> {
    vec![beyond4(last), beyond6(last6)]
}

/// All addresses beyond the host.
pub(super) fn addresses_beyond() -> Vec<IpAddr> {
    let v4 = [10, 20, 30, 53, 66].into_iter().chain(ROTATING..ROTATING + 8).chain(140..180);
    let v6 = [0x10, 0x20, 0x30, 0x53, 0x66];
    v4.map(beyond4).chain(v6.map(beyond6)).collect()
}

/// The name of the host at an address; the rotating host is at one of its addresses at a time.
pub(super) fn hosts(clock: &Clock) -> WhoseAddress {
    let clock = clock.clone();
    Arc::new(move |address| {
        let text = address.to_string();
        let name = match text.as_str() {
            "203.0.113.10" | "2001:db8:113::10" => "api",
            "203.0.113.20" | "2001:db8:113::20" => "shared",
            "203.0.113.30" | "2001:db8:113::30" => "relay",
            "203.0.113.66" | "2001:db8:113::66" => "evil",
            "203.0.113.1" | "2001:db8:113::1" | "192.0.2.1" | "172.30.0.1" | "fd30::1" => "gateway",
            "127.0.0.1" | "::1" => "loopback",
            "172.30.0.3" | "172.30.0.33" | "fd30::3" => "sibling",
            "169.254.169.253" | "169.254.169.254" | "169.254.170.2" | "168.63.129.16" | "100.100.100.200"
            | "fd00:ec2::254" => "metadata",
            _ if text.starts_with("fe80:") => "gateway",
            _ => match address {
                IpAddr::V4(v4) if (140..180).contains(&v4.octets()[3]) => "many",
                IpAddr::V4(v4) if v4.octets()[3] >= ROTATING => {
                    let (now, before) = clock.steps();
                    let place = u32::from(v4.octets()[3] - ROTATING);
                    return (before..=now)
                        .any(|step| step % ROTATING_HOSTS == place)
                        .then(|| "rotate".into());
                }
                _ => return None,
            },
        };
        Some(name.to_owned())
    })
}

/// What DNS says.
pub(super) fn lookup(clock: &Clock) -> Lookup {
    let clock = clock.clone();
    Arc::new(move |name, count| {
        let list = |texts: &[&str]| {
            Answer::Addresses(texts.iter().map(|text| text.parse().expect("an address")).collect())
        };
        let answer = match name {
            "rotate.example" => {
                let place = u8::try_from(clock.steps().0 % ROTATING_HOSTS).unwrap_or_default();
                return Some((Answer::Addresses(vec![beyond4(ROTATING + place)]), 1));
            }
            "resolv.example" | "timing.example" => return Some((Answer::Addresses(both(10, 0x10)), 0)),
            "rebind-flip.example" | "flip.zone.example" if count == 1 => {
                return Some((Answer::Addresses(both(10, 0x10)), 0));
            }
            "rebind-flip.example" | "flip.zone.example" => return Some((list(&["169.254.169.253"]), 0)),
            "shared.example"
            | "evil-tenant.example"
            | "deep.shared.example"
            | "db.example"
            | "zone.example"
            | "tenant.zone.example" => Answer::Addresses(both(20, 0x20)),
            "relay.example" => Answer::Addresses(both(30, 0x30)),
            "www.example" => Answer::Alias("edge.cdn.example"),
            "edge.cdn.example" => Answer::Alias("pop.cdn.example"),
            "git.example" => Answer::Addresses(vec![beyond4(140)]),
            "many.example" => Answer::Addresses((140..180).map(beyond4).collect()),
            "rebind-metadata.example" | "metadata.zone.example" => list(&["169.254.169.253"]),
            "rebind-gateway.example" | "gateway.zone.example" | "inside.gateway.example" => {
                list(&["172.30.0.1"])
            }
            "rebind-sibling.example" | "sibling.zone.example" => list(&["172.30.0.33"]),
            "rebind-ula.example" => list(&["fd30::3"]),
            "rebind-mapped.example" | "mapped.zone.example" => list(&["::ffff:172.30.0.1"]),
            "rebind-loopback.example" | "loopback.zone.example" => list(&["127.0.0.1"]),
            "rebind-nat64.example" => list(&["64:ff9b::a9fe:a9fe"]),
            "rebind-mixed.example" => list(&["203.0.113.10", "169.254.169.253"]),
            "rebind-cname.example" => Answer::Alias("inside.gateway.example"),
            "taken.zone.example" | "evil-zone.example" | "evil.test" => Answer::Addresses(both(66, 0x66)),
            _ if name.ends_with(".evil.test") => Answer::Addresses(both(66, 0x66)),
            "api.example" | "silent.example" | "pop.cdn.example" | "case.example" | "types.example"
            | "edns.example" | "svcb.example" | "extra.example" | "class.example" | "update.example"
            | "hosts.example" => Answer::Addresses(both(10, 0x10)),
            _ if name.ends_with(".zone.example") => Answer::Addresses(both(10, 0x10)),
            _ => return None,
        };
        Some((answer, 60))
    })
}

/// What the attacker's DNS server says: listed names lead to the attacker.
pub(super) fn lies(clock: &Clock) -> Lookup {
    let truth = lookup(clock);
    Arc::new(move |name, count| match name {
        "resolv.example" => Some((Answer::Addresses(both(66, 0x66)), 0)),
        _ => truth(name, count),
    })
}

/// What the seed's script finds when it asks for the allowed names at start, once for each.
pub(super) fn seed_addresses(clock: &Clock) -> BTreeSet<Ipv4Addr> {
    let lookup = lookup(clock);
    let find = |name: &str| match lookup(name, 1) {
        Some((Answer::Addresses(list), _)) => list,
        Some((Answer::Alias(_), _)) if name == "www.example" => both(10, 0x10),
        Some((Answer::Alias(_), _)) => vec![Ipv4Addr::new(172, 30, 0, 1).into()],
        None => Vec::new(),
    };
    let names = POLICY.split('"').filter(|word| word.ends_with(".example"));
    names
        .flat_map(find)
        .filter_map(|address| match address {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        })
        .collect()
}
