//! What the table notes of what it refuses, against a real kernel, and the table of audit mode.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod lab;

use std::net::{SocketAddr, UdpSocket};

use agent_sandbox::firewall;
use agent_sandbox::firewall::plan::{Upstream, is_closed_in_audit, plan, plan_in};
use agent_sandbox::firewall::ruleset::Flow;
use agent_sandbox::policy::Mode;
use lab::{Lab, tcp_probe, udp_probe, udp_socket};
use socket2::{Domain, Protocol, Socket, Type};

const TCP: u8 = 6;
const UDP: u8 = 17;
const USER: u32 = 65534;
const SERVERS: [&str; 2] = ["203.0.113.10:5432", "[2001:db8::10]:5432"];

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn as_user<T: Send>(lab: &Lab, work: impl FnOnce() -> T + Send) -> T {
    lab.inside(|| {
        let user = rustix::process::Uid::from_raw(USER);
        rustix::thread::set_thread_res_uid(user, user, user).unwrap();
        work()
    })
}

fn flow(target: &str, protocol: u8, uid: u32) -> Flow {
    let target = address(target);
    Flow { address: target.ip(), protocol, port: target.port(), uid }
}

fn noted(lab: &Lab, mode: Mode) -> Vec<(Flow, u64)> {
    let mut flows = lab.inside(|| firewall::flows(&plan_in(mode, &Upstream::None))).unwrap();
    flows.sort_unstable();
    flows
}

fn open_lab(mode: Mode) -> Option<Lab> {
    let lab = Lab::new()?;
    for server in SERVERS {
        lab.tcp_server(server);
        lab.udp_server(server);
    }
    lab.inside(|| firewall::apply(&plan_in(mode, &Upstream::None))).unwrap();
    Some(lab)
}

#[test]
fn what_is_refused_is_noted_with_whose_it_was_and_how_often() {
    let Some(lab) = open_lab(Mode::Enforce) else { return };
    assert_eq!(noted(&lab, Mode::Enforce), []);
    let mut expected = Vec::new();
    for server in SERVERS {
        let target = address(server);
        as_user(&lab, || (0..2).for_each(|_| assert!(tcp_probe(target).is_err())));
        as_user(&lab, || assert!(udp_probe(&udp_socket(target.ip(), 0), target).is_err()));
        lab.inside(|| assert!(tcp_probe(target).is_err()));
        expected.extend([
            (flow(server, TCP, USER), 2),
            (flow(server, UDP, USER), 1),
            (flow(server, TCP, 0), 1),
        ]);
    }
    // A ping has no port; a datagram for many hosts is background noise, and so is what answers the sandbox itself.
    lab.inside(|| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap();
        assert!(socket.send_to(&[8, 0, 0xf7, 0xfe, 0, 0, 0, 1], &address("203.0.113.10:0").into()).is_err());
        let socket = UdpSocket::bind("203.0.113.2:0").unwrap();
        assert!(socket.send_to(b"x", "224.0.0.251:5353").is_err());
        assert!(socket.send_to(b"x", "203.0.113.255:9").is_err());
    });
    expected.push((flow("203.0.113.10:0", 1, 0), 1));
    let mut found = noted(&lab, Mode::Enforce);
    // A kernel may send a request anew before it takes in the refusal.
    for (flow, packets) in &mut found {
        let (_, least) = expected.iter().find(|(other, _)| other == flow).unwrap();
        assert!(*packets >= *least, "{flow:?}: {packets}");
        *packets = *least;
    }
    expected.sort_unstable();
    assert_eq!(found, expected);
    // That something is noted is no difference from the plan.
    lab.inside(|| firewall::verify(&plan(&Upstream::None), &std::collections::BTreeSet::new())).unwrap();
}

#[test]
fn a_flood_is_bounded_and_refused_all_the_same() {
    let Some(lab) = open_lab(Mode::Enforce) else { return };
    let sent = lab.inside(|| {
        let socket = UdpSocket::bind("203.0.113.2:0").unwrap();
        (10_000..13_000).filter(|port| socket.send_to(b"x", ("203.0.113.10", *port)).is_ok()).count()
    });
    assert_eq!(sent, 0);
    let flows = noted(&lab, Mode::Enforce).len();
    assert!((1..=512).contains(&flows), "{flows}");
    assert!(lab.tcp(SERVERS[0]).unwrap_err().contains("refused"));
}

#[test]
fn audit_mode_lets_tcp_through_and_notes_it_and_nothing_else() {
    let Some(lab) = open_lab(Mode::Audit) else { return };
    for server in SERVERS {
        let target = address(server);
        as_user(&lab, || tcp_probe(target)).unwrap();
        assert!(as_user(&lab, || udp_probe(&udp_socket(target.ip(), 0), target)).is_err(), "UDP {server}");
    }
    let found: Vec<Flow> = noted(&lab, Mode::Audit).into_iter().map(|(flow, _)| flow).collect();
    for server in SERVERS {
        for protocol in [TCP, UDP] {
            assert!(found.contains(&flow(server, protocol, USER)), "{server} {protocol}: {found:?}");
        }
    }
    assert_eq!(found.len(), 4, "answers are not noted: {found:?}");
}

/// Metadata services hand out a cloud's credentials.
#[test]
fn audit_mode_keeps_metadata_services_closed() {
    let Some(lab) = Lab::new() else { return };
    let ip = |place: &str, words: &str| {
        let words = ["-n", place].into_iter().chain(words.split(' '));
        assert!(std::process::Command::new("ip").args(words).status().unwrap().success());
    };
    let (inside, outside) = lab.names();
    let services = [
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "203.0.113.10",
    ];
    let targets = services.map(|service| SocketAddr::new(service.parse().unwrap(), 8080).to_string());
    for (service, target) in services.iter().zip(&targets) {
        ip(inside, &format!("route add {service} dev eth0"));
        if *service != "203.0.113.10" {
            let now = if service.contains(':') { " nodad" } else { "" };
            ip(outside, &format!("addr add {service} dev eth0{now}"));
        }
        lab.tcp_server(target);
        lab.tcp(target).unwrap();
    }
    lab.inside(|| firewall::apply(&plan_in(Mode::Audit, &Upstream::None))).unwrap();
    for (service, target) in services.iter().zip(&targets) {
        let closed = is_closed_in_audit(service.parse().unwrap());
        assert_eq!(closed, *service != "203.0.113.10", "{service}");
        assert_eq!(lab.tcp(target).is_err(), closed, "{service}");
    }
    assert_eq!(noted(&lab, Mode::Audit).len(), services.len());
}

/// Whoever fills the list first cannot then connect without being on it.
#[test]
fn audit_mode_lets_nothing_through_that_is_not_noted() {
    let Some(lab) = open_lab(Mode::Audit) else { return };
    lab.tcp_server("203.0.113.10:5433");
    let filled = |of: &str| {
        as_user(&lab, || {
            let socket = udp_socket(address(of).ip(), 0);
            (10_000..13_000).filter(|port| socket.send_to(b"x", (address(of).ip(), *port)).is_ok()).count()
        });
    };
    let known = address(SERVERS[0]);
    as_user(&lab, || tcp_probe(known)).unwrap();
    for server in SERVERS {
        filled(server);
    }
    for server in ["203.0.113.10:5433", SERVERS[1]] {
        let connected = as_user(&lab, || tcp_probe(address(server)));
        let listed = noted(&lab, Mode::Audit).iter().any(|(found, _)| *found == flow(server, TCP, USER));
        assert!(connected.is_err() || listed, "{server} was reached and is on no list");
        assert!(connected.is_err(), "{server}: the list was not full");
    }
    // What is on it goes on.
    as_user(&lab, || tcp_probe(known)).unwrap();
    lab.inside(|| {
        firewall::verify(&plan_in(Mode::Audit, &Upstream::None), &std::collections::BTreeSet::new())
    })
    .unwrap();
}
