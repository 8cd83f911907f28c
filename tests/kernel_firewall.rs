//! The firewall against a real kernel: each attack is seen to succeed without the table, and to fail with it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod lab;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use agent_sandbox::firewall::plan::{MARK, Upstream, plan};
use agent_sandbox::firewall::ruleset::{AddressOf, Expr, PayloadBase, Ruleset};
use agent_sandbox::firewall::{self, FirewallError};
use lab::{Lab, tcp_probe, udp_probe, udp_socket};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

const SERVER4: &str = "203.0.113.10:5432";
const SERVER6: &str = "[2001:db8::10]:5432";
const OTHER_PORT: &str = "203.0.113.10:8080";
const OTHER_HOST: &str = "203.0.113.1:5432";
const DNS4: &str = "203.0.113.10:53";
const DNS6: &str = "[2001:db8::10]:53";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn marked() -> UdpSocket {
    let socket = udp_socket(address(DNS4).ip(), 0);
    SockRef::from(&socket).set_mark(MARK).unwrap();
    socket
}

/// As an unprivileged user would send: the filter sees the uid of who made the socket.
fn as_user<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                rustix::thread::set_thread_res_uid(
                    rustix::process::Uid::from_raw(65534),
                    rustix::process::Uid::from_raw(65534),
                    rustix::process::Uid::from_raw(65534),
                )
                .unwrap();
                work()
            })
            .join()
            .unwrap()
    })
}

fn open_lab() -> Option<Lab> {
    let lab = Lab::new()?;
    for server in [SERVER4, SERVER6, OTHER_PORT, OTHER_HOST, DNS4] {
        lab.tcp_server(server);
    }
    for server in [SERVER4, SERVER6, DNS4, DNS6] {
        lab.udp_server(server);
    }
    Some(lab)
}

#[test]
fn default_deny_closes_what_was_open() {
    let Some(lab) = open_lab() else { return };
    let tcp = [SERVER4, SERVER6, OTHER_PORT, OTHER_HOST, DNS4];
    let udp = [SERVER4, SERVER6, DNS4, DNS6];
    for target in tcp {
        assert_eq!(lab.tcp(target), Ok(()), "without the table, TCP {target}");
    }
    for target in udp {
        assert_eq!(lab.udp(target), Ok(()), "without the table, UDP {target}");
    }
    lab.inside(|| firewall::apply(&plan(&Upstream::None))).unwrap();
    for target in tcp {
        let error = lab.tcp(target).unwrap_err();
        assert!(error.contains("refused"), "TCP {target} must be reset, not left to retransmit: {error}");
    }
    for target in udp {
        assert!(lab.udp(target).is_err(), "UDP {target}");
    }
}

#[test]
fn only_the_listed_address_and_port_opens_and_only_for_tcp() {
    let Some(lab) = open_lab() else { return };
    let ruleset = plan(&Upstream::None);
    lab.inside(|| {
        firewall::apply(&ruleset).unwrap();
        firewall::set_endpoints(&ruleset, &[(address(SERVER4), 60), (address(SERVER6), 60)]).unwrap();
    });
    assert_eq!(lab.tcp(SERVER4), Ok(()));
    assert_eq!(lab.tcp(SERVER6), Ok(()));
    for target in [OTHER_PORT, OTHER_HOST, DNS4] {
        assert!(lab.tcp(target).is_err(), "TCP {target}");
    }
    for target in [SERVER4, SERVER6] {
        assert!(lab.udp(target).is_err(), "UDP {target}");
    }
    // Taken off the list again: new connections are refused, at once and without a gap in the table.
    lab.inside(|| firewall::set_endpoints(&ruleset, &[(address(SERVER6), 60)])).unwrap();
    assert!(lab.tcp(SERVER4).is_err());
    assert_eq!(lab.tcp(SERVER6), Ok(()));
}

#[test]
fn an_endpoint_closes_by_itself_when_nobody_renews_it() {
    let Some(lab) = open_lab() else { return };
    let ruleset = plan(&Upstream::None);
    lab.inside(|| {
        firewall::apply(&ruleset).unwrap();
        firewall::set_endpoints(&ruleset, &[(address(SERVER4), 2)]).unwrap();
    });
    assert_eq!(lab.tcp(SERVER4), Ok(()));
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert!(lab.tcp(SERVER4).is_err());
}

#[test]
fn dns_leaves_only_with_the_mark() {
    let Some(lab) = open_lab() else { return };
    lab.inside(|| firewall::apply(&plan(&Upstream::None))).unwrap();
    lab.inside(|| udp_probe(&marked(), address(DNS4))).unwrap();
    assert!(lab.udp(DNS4).is_err(), "uid 0 without the mark");
    assert!(lab.inside(|| as_user(|| udp_probe(&udp_socket(address(DNS4).ip(), 0), address(DNS4)))).is_err());
    // The mark opens nothing but DNS.
    assert!(lab.inside(|| udp_probe(&marked(), address(SERVER4))).is_err());
    let refused = lab.inside(|| as_user(|| SockRef::from(&udp_socket(address(DNS4).ip(), 0)).set_mark(MARK)));
    assert!(refused.is_err(), "a user must not be able to mark a socket");
}

#[test]
fn the_port_of_a_dns_question_cannot_be_taken_over() {
    let Some(lab) = open_lab() else { return };
    lab.inside(|| firewall::apply(&plan(&Upstream::None))).unwrap();
    // The daemon asks and is answered: an established entry in connection tracking. Then its port is free.
    let port = lab.inside(|| {
        let socket = marked();
        udp_probe(&socket, address(DNS4)).unwrap();
        socket.local_addr().unwrap().port()
    });
    let stolen =
        lab.inside(|| as_user(move || udp_probe(&udp_socket(address(DNS4).ip(), port), address(DNS4))));
    assert!(stolen.is_err(), "a question went out through a taken-over port");
}

#[test]
fn the_embedded_resolver_is_closed_to_all_but_the_daemon_and_may_itself_ask_upstream() {
    let Some(lab) = open_lab() else { return };
    let embedded = address("127.0.0.11:53");
    let resolver = lab.inside(|| UdpSocket::bind("127.0.0.11:53").unwrap());
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((len, from)) = resolver.recv_from(&mut buffer) {
            let _ = resolver.send_to(&buffer[..len], from);
        }
    });
    let as_nobody =
        |target: SocketAddr| lab.inside(|| as_user(|| udp_probe(&udp_socket(target.ip(), 0), target)));
    let as_root = |target: SocketAddr| lab.inside(|| udp_probe(&udp_socket(target.ip(), 0), target));
    as_nobody(embedded).expect("without the table the resolver answers");
    let known = Upstream::Known(vec!["203.0.113.10".parse().unwrap()]);
    for (upstream, upstream_open) in [(Upstream::Unknown, true), (known, true), (Upstream::None, false)] {
        lab.inside(|| firewall::apply(&plan(&upstream))).unwrap();
        assert!(as_nobody(embedded).is_err(), "{upstream:?}");
        assert!(as_root(embedded).is_err(), "{upstream:?}");
        lab.inside(|| udp_probe(&marked(), embedded)).expect("the daemon asks");
        assert_eq!(as_root(address(DNS4)).is_ok(), upstream_open, "{upstream:?}");
        assert!(as_root(address(SERVER4)).is_err(), "{upstream:?}");
        assert!(as_nobody(address(DNS4)).is_err(), "{upstream:?}");
    }
    let elsewhere = Upstream::Known(vec!["203.0.113.77".parse().unwrap()]);
    lab.inside(|| firewall::apply(&plan(&elsewhere))).unwrap();
    assert!(as_root(address(DNS4)).is_err(), "an upstream that Docker does not name");
}

/// Whether an echo request is answered (RFC 792, RFC 4443).
fn is_pinged(address: IpAddr) -> bool {
    let (domain, protocol, request, reply) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, [8, 0, 0xf7, 0xfe, 0, 0, 0, 1], 0),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, [128, 0, 0, 0, 0, 0, 0, 1], 129),
    };
    let mut socket = Socket::new(domain, Type::RAW, Some(protocol)).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
    socket.send_to(&request, &SocketAddr::new(address, 0).into()).unwrap();
    // Neighbours are discovered meanwhile, and IPv4 shows its header of twenty bytes.
    let header = if address.is_ipv4() { 20 } else { 0 };
    let mut message = [0; 64];
    (0..8).any(|_| socket.read(&mut message).is_ok() && message[header] == reply)
}

#[test]
fn loopback_and_answers_to_inbound_connections_work() {
    let Some(lab) = open_lab() else { return };
    lab.inside(|| firewall::apply(&plan(&Upstream::None))).unwrap();
    let listener = lab.inside(|| std::net::TcpListener::bind("0.0.0.0:3000").unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut &stream, b"reached\n");
        }
    });
    lab.inside(|| tcp_probe(address("127.0.0.1:3000"))).unwrap();
    lab.outside(|| tcp_probe(address("203.0.113.2:3000"))).expect("a published port");
    for own in ["203.0.113.2", "2001:db8::2"] {
        assert!(lab.outside(|| is_pinged(own.parse().unwrap())), "{own} answers a ping");
    }
}

#[test]
fn reading_back_sees_tampering_and_applying_again_mends_it() {
    let Some(lab) = open_lab() else { return };
    let ruleset = plan(&Upstream::None);
    let verify = || lab.inside(|| firewall::verify(&ruleset, &BTreeSet::new()));
    assert!(matches!(verify(), Err(FirewallError::Differs(_))), "an absent table must not pass");
    for tamper in [
        &["nft", "flush", "chain", "inet", "agent_sandbox", "output"][..],
        &["nft", "insert", "rule", "inet", "agent_sandbox", "output", "accept"],
        &["nft", "add", "rule", "inet", "agent_sandbox", "dns", "accept"],
        &["nft", "flush", "chain", "inet", "agent_sandbox", "leave"],
        &["nft", "insert", "rule", "inet", "agent_sandbox", "divert", "udp dport 53 redirect to :53"],
        &["nft", "insert", "rule", "inet", "agent_sandbox", "divert", "accept"],
        &["nft", "chain", "inet", "agent_sandbox", "output", "{ policy accept; }"],
        &["nft", "add", "table", "inet", "agent_sandbox", "{ flags dormant; }"],
        &["nft", "add", "element", "inet", "agent_sandbox", "allow4", "{ 198.51.100.1 . 443 }"],
        &["nft", "delete", "table", "inet", "agent_sandbox"],
        &["nft", "flush", "ruleset"],
    ] {
        lab.inside(|| firewall::apply(&ruleset)).unwrap();
        verify().unwrap();
        lab.inside_output(tamper);
        assert!(matches!(verify(), Err(FirewallError::Differs(_))), "{tamper:?}");
    }
    lab.inside(|| firewall::apply(&ruleset)).unwrap();
    assert!(lab.tcp(SERVER4).is_err());
}

#[test]
fn other_tables_are_left_alone() {
    let Some(lab) = open_lab() else { return };
    lab.inside_output(&[
        "nft",
        "add table ip nat; add chain ip nat DOCKER_OUTPUT; add rule ip nat DOCKER_OUTPUT counter",
    ]);
    let before = lab.inside_output(&["nft", "list", "table", "ip", "nat"]);
    lab.inside(|| firewall::apply(&plan(&Upstream::None))).unwrap();
    lab.inside(|| firewall::apply(&plan(&Upstream::Unknown))).unwrap();
    assert_eq!(lab.inside_output(&["nft", "list", "table", "ip", "nat"]), before);
}

/// Forges, as a user, an inbound flow from a foreign address over loopback, and "answers" it.
fn answer_a_forged_flow(lab: &Lab) -> std::io::Result<()> {
    lab.inside(|| {
        as_user(|| {
            let (remote, own) = (address("[2001:db8::10]:5432"), address("[2001:db8::2]:5555"));
            let forger = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None)?;
            rustix::net::sockopt::set_ipv6_freebind(&forger, true)?;
            forger.bind(&remote.into())?;
            let own_socket = UdpSocket::bind(own)?;
            // Refused or dropped, the forged packet tells nobody; what counts is whether the answer gets out.
            let _ = forger.send_to(b"as if from afar", &own.into());
            own_socket.set_read_timeout(Some(std::time::Duration::from_millis(300)))?;
            let _ = own_socket.recv_from(&mut [0; 64]);
            // The first packets may be lost while neighbours find each other.
            (0..3)
                .map(|_| udp_probe(&own_socket, remote))
                .find(Result::is_ok)
                .unwrap_or_else(|| Err(std::io::ErrorKind::TimedOut.into()))
        })
    })
}

/// As it would be if all that comes in were taken for a beginning.
fn marking_all_that_arrives(mut ruleset: Ruleset) -> Ruleset {
    let arrive = ruleset.chains.iter_mut().find(|chain| chain.name == "arrive").unwrap();
    for rule in &mut arrive.rules {
        if let Some(at) = rule.iter().position(|expr| matches!(expr, Expr::CtState { .. })) {
            rule.drain(..at);
        }
    }
    ruleset
}

#[test]
fn a_flow_forged_over_loopback_opens_nothing() {
    let Some(lab) = open_lab() else { return };
    // Without the rule against foreign sources the attack works, though default-deny is in force. That datagrams are
    // not marked where they come in would be in its way, too.
    let mut weak = marking_all_that_arrives(plan(&Upstream::None));
    weak.chains[0].rules.retain(|rule| {
        !rule.iter().any(|expr| matches!(expr, Expr::AddressType { of: AddressOf::Source, .. }))
    });
    lab.inside(|| firewall::apply(&weak)).unwrap();
    assert!(lab.udp(SERVER6).is_err(), "the plain way is closed");
    answer_a_forged_flow(&lab).expect("the attack works where the rule is missing");
    lab.inside_output(&["nft", "flush", "ruleset"]);
    let Some(lab) = open_lab() else { return };
    lab.inside(|| firewall::apply(&plan(&Upstream::None))).unwrap();
    assert!(answer_a_forged_flow(&lab).is_err(), "an answer to a forged flow left");
}

/// Docker's NAT for its resolver, a resolver that answers 'R', and a user on the port that it leaves free. Returns
/// who got the daemon's question: 'R', or 'A' for the attacker.
fn who_answers_the_daemon(lab: &Lab) -> std::io::Result<u8> {
    lab.inside_output(&[
        "nft",
        "add table ip docker; \
         add chain ip docker out { type nat hook output priority -100; }; \
         add rule ip docker out ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:5353; \
         add chain ip docker post { type nat hook postrouting priority 100; }; \
         add rule ip docker post ip saddr 127.0.0.11 udp sport 5353 snat to 127.0.0.11:53",
    ]);
    let serve = |socket: UdpSocket, name: u8| {
        std::thread::spawn(move || {
            while let Ok((_, from)) = socket.recv_from(&mut [0; 64]) {
                let _ = socket.send_to(&[name], from);
            }
        });
    };
    serve(lab.inside(|| UdpSocket::bind("127.0.0.11:5353")).unwrap(), b'R');
    let attacker = lab.inside(|| as_user(|| UdpSocket::bind("127.0.0.11:53"))).unwrap();
    // One packet to the port that the question will come from.
    let _ = attacker.send_to(b"prime", "127.0.0.1:40000");
    serve(attacker, b'A');
    lab.inside(|| {
        let question = UdpSocket::bind("127.0.0.1:40000")?;
        SockRef::from(&question).set_mark(MARK)?;
        question.set_read_timeout(Some(std::time::Duration::from_secs(1)))?;
        question.connect("127.0.0.11:53")?;
        question.send(b"question")?;
        let mut answer = [0; 64];
        question.recv(&mut answer)?;
        Ok(answer[0])
    })
}

#[test]
fn nobody_can_answer_in_the_embedded_resolvers_place() {
    let Some(lab) = open_lab() else { return };
    let from_resolver = |rule: &Vec<Expr>| {
        rule.iter().any(|expr| matches!(expr, Expr::Payload { base: PayloadBase::Network, offset: 12, .. }))
    };
    let mut weak = plan(&Upstream::Unknown);
    weak.chains[0].rules.retain(|rule| !from_resolver(rule));
    lab.inside(|| firewall::apply(&weak)).unwrap();
    assert_eq!(who_answers_the_daemon(&lab).unwrap(), b'A', "the attack works where the rule is missing");
    let Some(lab) = open_lab() else { return };
    lab.inside(|| firewall::apply(&plan(&Upstream::Unknown))).unwrap();
    assert_eq!(who_answers_the_daemon(&lab).unwrap(), b'R');
}

#[test]
fn a_user_cannot_write_the_table() {
    let Some(lab) = open_lab() else { return };
    let ruleset = plan(&Upstream::None);
    lab.inside(|| firewall::apply(&ruleset)).unwrap();
    let refused = |result: Result<(), FirewallError>| {
        assert!(result.unwrap_err().to_string().contains("Operation not permitted"));
    };
    refused(lab.inside(|| as_user(|| firewall::apply(&ruleset))));
    refused(lab.inside(|| as_user(|| firewall::set_endpoints(&ruleset, &[(address(SERVER4), 60)]))));
    assert!(lab.tcp(SERVER4).is_err());
}

/// Opens a connection with what is outside, applies a table, and tries to send more through it. `before` says
/// whether connection tracking watched the connection from its beginning, as where Docker has rules of its own.
fn an_old_connection_still_carries(lab: &Lab, ruleset: &Ruleset, before: bool) -> bool {
    if before {
        let rules = "add table inet other; add chain inet other in { type filter hook input priority 0; }; \
            add rule inet other in ct state invalid counter";
        lab.inside_output(&["nft", rules]);
    }
    let listener = lab.outside(|| TcpListener::bind("203.0.113.10:7000")).unwrap();
    let mut ours = lab.inside(|| TcpStream::connect("203.0.113.10:7000")).unwrap();
    let (mut theirs, _) = listener.accept().unwrap();
    lab.inside(|| firewall::apply(ruleset)).unwrap();
    let patience = Some(std::time::Duration::from_secs(1));
    theirs.set_read_timeout(patience).unwrap();
    ours.set_read_timeout(patience).unwrap();
    // The other side speaks first, which makes a connection of its own in the eyes of connection tracking.
    theirs.write_all(b"are you there?").unwrap();
    let _ = ours.read(&mut [0; 64]);
    let _ = ours.write_all(b"secret");
    theirs.read(&mut [0; 64]).is_ok_and(|length| length > 0)
}

#[test]
fn a_connection_older_than_the_table_carries_nothing_more() {
    let mut weak = plan(&Upstream::None);
    for rule in &mut weak.chains[0].rules {
        if let Some(at) = rule.iter().position(|expr| matches!(expr, Expr::CtMark { .. })) {
            rule.drain(at..at + 2);
        }
    }
    for before in [true, false] {
        let Some(lab) = open_lab() else { return };
        assert!(an_old_connection_still_carries(&lab, &weak, before), "the attack works without the mark");
        let Some(lab) = open_lab() else { return };
        assert!(!an_old_connection_still_carries(&lab, &plan(&Upstream::None), before), "watched: {before}");
    }
}

/// The same over UDP, where the user's socket is asked from outside after the table has come. Both sides use one port
/// each, as through the host's address translation, which lets in what comes from where something went.
fn an_old_flow_still_carries(lab: &Lab, ruleset: &Ruleset, remote: &str, own: &str) -> bool {
    let theirs = lab.outside(|| UdpSocket::bind(remote)).unwrap();
    let ours = lab.inside(|| as_user(|| UdpSocket::bind(own))).unwrap();
    let patience = Some(std::time::Duration::from_secs(1));
    theirs.set_read_timeout(patience).unwrap();
    ours.set_read_timeout(patience).unwrap();
    ours.connect(remote).unwrap();
    // The first datagram waits for the neighbour to be found, and may be lost over that.
    let (_, from) = (0..5)
        .find_map(|_| {
            ours.send(b"before").unwrap();
            theirs.recv_from(&mut [0; 64]).ok()
        })
        .expect("without the table it arrives");
    lab.inside(|| firewall::apply(ruleset)).unwrap();
    theirs.send_to(b"are you there?", from).unwrap();
    ours.recv(&mut [0; 64]).expect("what comes in comes in");
    let _ = ours.send(b"secret");
    let mut message = [0; 64];
    while theirs.recv(&mut message).is_ok() {
        if message.starts_with(b"secret") {
            return true;
        }
    }
    false
}

#[test]
fn a_flow_of_datagrams_older_than_the_table_carries_nothing_more() {
    let weak = marking_all_that_arrives(plan(&Upstream::None));
    for (remote, own) in
        [("203.0.113.10:7000", "203.0.113.2:7001"), ("[2001:db8::10]:7000", "[2001:db8::2]:7001")]
    {
        let Some(lab) = open_lab() else { return };
        assert!(an_old_flow_still_carries(&lab, &weak, remote, own), "the attack works where UDP is marked");
        let Some(lab) = open_lab() else { return };
        assert!(!an_old_flow_still_carries(&lab, &plan(&Upstream::None), remote, own), "{remote}");
    }
}

#[test]
fn a_connection_outlives_the_table_that_let_it_begin() {
    let Some(lab) = open_lab() else { return };
    let ruleset = plan(&Upstream::None);
    let listener = lab.outside(|| TcpListener::bind("203.0.113.10:7000")).unwrap();
    let mut ours = lab
        .inside(|| {
            firewall::apply(&ruleset).unwrap();
            firewall::set_endpoints(&ruleset, &[(address("203.0.113.10:7000"), 60)]).unwrap();
            TcpStream::connect("203.0.113.10:7000")
        })
        .unwrap();
    let (mut theirs, _) = listener.accept().unwrap();
    // A new daemon begins with an empty table, and a name's address may change while it is in use.
    lab.inside(|| firewall::apply(&ruleset)).unwrap();
    theirs.set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
    ours.write_all(b"still there").unwrap();
    assert!(theirs.read(&mut [0; 64]).is_ok_and(|length| length > 0));
}

#[test]
fn a_kernel_that_lacks_an_expression_is_told_by_its_name_and_holds_no_part_of_the_table() {
    let Some(lab) = open_lab() else { return };
    let lacking = |name: &str| {
        let mut ruleset = plan(&Upstream::None);
        let output = ruleset.chains.iter_mut().find(|chain| chain.name == "output").unwrap();
        output.rules[5].insert(1, Expr::Unknown(name.to_owned()));
        lab.inside(|| firewall::apply(&ruleset)).unwrap_err().to_string()
    };
    let expected = "the host's kernel lacks \"nosuch\" of nf_tables: use a kernel that has it";
    let told = lacking("nosuch");
    assert!(told.starts_with(expected), "{told}");
    assert_eq!(lab.inside_output(&["nft", "list", "tables"]), "");
    // A table that is there stays as it is.
    lab.inside(|| firewall::apply(&plan(&Upstream::None))).unwrap();
    lacking("nosuch");
    lab.inside(|| firewall::verify(&plan(&Upstream::None), &BTreeSet::new())).unwrap();
    assert!(lab.tcp(SERVER4).is_err());
}

#[test]
fn the_largest_policy_fits_into_one_transaction() {
    let Some(lab) = open_lab() else { return };
    let ruleset = plan(&Upstream::None);
    let many: Vec<(SocketAddr, u64)> = (0..256_u32 * 32)
        .map(|n| (SocketAddr::new(std::net::Ipv4Addr::from(0xc612_0000 + n).into(), 443), 60))
        .collect();
    lab.inside(|| {
        firewall::apply(&ruleset).unwrap();
        firewall::set_endpoints(&ruleset, &many).unwrap();
    });
}

/// An independent reader's view of the table: what `nft` prints.
#[test]
fn nft_lists_the_rules_that_architecture_describes() {
    let Some(lab) = open_lab() else { return };
    let ruleset = plan(&Upstream::Unknown);
    lab.inside(|| {
        firewall::apply(&ruleset).unwrap();
        firewall::set_endpoints(&ruleset, &[(address(SERVER4), 600), (address(SERVER6), 600)]).unwrap();
    });
    let listed = lab.inside_output(&["nft", "--stateless", "list", "table", "inet", "agent_sandbox"]);
    let expected = include_str!("expected/table.nft");
    assert_eq!(
        listed.trim(),
        expected.trim(),
        "update tests/expected/table.nft after reading the difference"
    );
}
