//! DNS questions against a real kernel: they are answered on loopback and go nowhere, whatever a user tries. Each
//! attack is seen to succeed where the rule against it is missing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod lab;
#[expect(dead_code, reason = "other tests use the rest of it")]
mod worker;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use agent_sandbox::firewall;
use agent_sandbox::firewall::plan::{MARK, RESPONDER_PORT, Upstream, plan};
use agent_sandbox::firewall::ruleset::{AddressOf, Expr, MetaKey, Ruleset, Verdict};
use lab::Lab;
use simple_dns::{RCODE, TYPE};
use socket2::{Domain, SockRef, Socket, Type};
use worker::{Worker, question, read};

const DNS4: &str = "203.0.113.10:53";
const DNS6: &str = "[2001:db8::10]:53";
const EMBEDDED: &str = "127.0.0.11:53";
const TABLE: &str = r#"{"names":{"api.example":["203.0.113.10"]},"zones":[],"all":false}"#;
const PATIENCE: Duration = Duration::from_millis(500);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// As an unprivileged user would: the filter sees the uid of who made the socket.
fn as_user<T: Send>(lab: &Lab, work: impl FnOnce() -> T + Send) -> T {
    lab.inside(|| {
        let nobody = rustix::process::Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        work()
    })
}

/// What a socket of the target's family gets back.
fn exchange(socket: &UdpSocket, target: SocketAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(message, target)?;
    let mut answer = vec![0; 4096];
    let len = socket.recv(&mut answer)?;
    answer.truncate(len);
    Ok(answer)
}

fn any(family_of: SocketAddr) -> UdpSocket {
    lab::udp_socket(family_of.ip(), 0)
}

fn ask(lab: &Lab, target: &str, name: &str) -> io::Result<(RCODE, Vec<String>)> {
    let target = address(target);
    as_user(lab, || exchange(&any(target), target, &question(name, TYPE::A))).map(|answer| read(&answer))
}

/// The responder's port, held as the daemon holds it.
fn hold_port(lab: &Lab) -> (UdpSocket, UdpSocket) {
    lab.inside(|| {
        let bind = |ip: &str| UdpSocket::bind(format!("{ip}:{RESPONDER_PORT}")).unwrap();
        (bind("127.0.0.1"), bind("[::1]"))
    })
}

fn responder(lab: &Lab) -> (Worker, UdpSocket, UdpSocket) {
    let (v4, v6) = hold_port(lab);
    let worker = lab.inside(|| Worker::start(&v4, Some(&v6)));
    worker.tell(TABLE);
    (worker, v4, v6)
}

fn apply(lab: &Lab, ruleset: &Ruleset) {
    lab.inside(|| firewall::apply(ruleset)).unwrap();
}

/// The plan without some rules, which is what an attack must succeed against.
fn without(upstream: &Upstream, unwanted: impl Fn(&[Expr]) -> bool) -> Ruleset {
    let mut weak = plan(upstream);
    let count = |ruleset: &Ruleset| ruleset.chains.iter().map(|chain| chain.rules.len()).sum::<usize>();
    let before = count(&weak);
    for chain in &mut weak.chains {
        chain.rules.retain(|rule| !unwanted(rule));
    }
    assert!(count(&weak) < before, "the rule that was to go is not there");
    weak
}

fn drops(rule: &[Expr]) -> bool {
    rule.last() == Some(&Expr::Verdict(Verdict::Drop))
}

/// Questions to every place that a user may think of; what goes wrong while sending is not told.
fn ask_everywhere(lab: &Lab) {
    as_user(lab, || {
        let message = question("leak.example", TYPE::A);
        for target in [
            DNS4,
            DNS6,
            "203.0.113.77:53",
            "203.0.113.255:53",
            "224.0.0.251:53",
            "[ff02::fb]:53",
            "[2001:db8::77]:53",
        ] {
            let target = address(target);
            let socket = any(target);
            socket.set_broadcast(true).unwrap();
            SockRef::from(&socket).set_multicast_if_v6(2).ok();
            for _ in 0..2 {
                let _ = exchange(&socket, target, &message);
            }
        }
        // In fragments, of which only the first has a port.
        let _ = exchange(&any(address(DNS4)), address(DNS4), &[b'x'; 6000]);
        let _ = exchange(&any(address(DNS6)), address(DNS6), &[b'x'; 6000]);
    });
}

#[test]
fn no_question_reaches_the_cable() {
    let Some(lab) = Lab::new() else { return };
    lab.count_arrivals();
    ask_everywhere(&lab);
    assert!(lab.arrivals() > 10, "without the table the questions arrive");
    let Some(lab) = Lab::new() else { return };
    lab.count_arrivals();
    apply(&lab, &plan(&Upstream::None));
    ask_everywhere(&lab);
    let _responder = responder(&lab);
    ask_everywhere(&lab);
    assert_eq!(lab.arrivals(), 0);
}

#[test]
fn every_question_is_answered_from_what_the_daemon_knows() {
    let Some(lab) = Lab::new() else { return };
    for upstream in
        [Upstream::None, Upstream::Unknown, Upstream::Known(vec!["203.0.113.10".parse().unwrap()])]
    {
        apply(&lab, &plan(&upstream));
        let (mut worker, _v4, _v6) = responder(&lab);
        let mut refused = 0;
        for server in [DNS4, DNS6, EMBEDDED, "203.0.113.77:53"] {
            let known = (RCODE::NoError, vec!["203.0.113.10".to_owned()]);
            assert_eq!(ask(&lab, server, "api.example").unwrap(), known, "{server} {upstream:?}");
            assert_eq!(ask(&lab, server, "evil.example").unwrap(), (RCODE::NameError, vec![]), "{server}");
            refused += 1;
        }
        for _ in 0..refused {
            assert_eq!(worker.heard(), "evil.example");
        }
        // As musl asks: all servers at once, through one socket.
        let answers = as_user(&lab, || {
            let socket = any(address(DNS4));
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            for server in [DNS4, EMBEDDED, "203.0.113.77:53"] {
                let _ = socket.send_to(&question("api.example", TYPE::A), address(server));
            }
            (0..3).take_while(|_| socket.recv(&mut [0; 512]).is_ok()).count()
        });
        assert!(answers >= 1, "one answer is enough to musl");
        // Over TCP nobody answers, and nothing hangs.
        assert!(lab.tcp(DNS4).unwrap_err().contains("refused"));
    }
}

#[test]
fn servers_on_loopback_are_asked_as_they_are() {
    let Some(lab) = Lab::new() else { return };
    apply(&lab, &plan(&Upstream::None));
    let _responder = responder(&lab);
    let own = as_user(&lab, || UdpSocket::bind("127.0.0.1:53")).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((len, from)) = own.recv_from(&mut buffer) {
            let _ = own.send_to(&buffer[..len], from);
        }
    });
    let target = address("127.0.0.1:53");
    assert_eq!(as_user(&lab, || exchange(&any(target), target, b"mine")).unwrap(), b"mine");
}

#[test]
fn nobody_takes_the_responders_port() {
    let Some(lab) = Lab::new() else { return };
    let try_all = |lab: &Lab| {
        as_user(lab, || {
            ["127.0.0.1", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]"].map(|ip| {
                let target = address(&format!("{ip}:{RESPONDER_PORT}"));
                let socket = Socket::new(Domain::for_address(target), Type::DGRAM, None).unwrap();
                socket.set_reuse_address(true).unwrap();
                socket.set_reuse_port(true).unwrap();
                socket.bind(&target.into()).is_ok()
            })
        })
    };
    assert_eq!(try_all(&lab), [true; 5], "without a daemon the port is anybody's");
    let _held = hold_port(&lab);
    assert_eq!(try_all(&lab), [false; 5]);
}

/// Sends, as a user, from a socket that is bound to the interface of the cable.
fn send_by_interface(lab: &Lab) {
    as_user(lab, || {
        for target in [DNS4, DNS6, EMBEDDED, "127.0.0.1:15353", "[::1]:15353"] {
            let target = address(target);
            let socket = any(target);
            SockRef::from(&socket).bind_device(Some(b"eth0")).expect("no right is needed");
            for _ in 0..2 {
                let _ = socket.send_to(b"a secret", target);
            }
        }
    });
}

#[test]
fn a_socket_bound_to_an_interface_sends_nothing_there() {
    let lab = |ruleset: &Ruleset| {
        let lab = Lab::new()?;
        // As a container has one: without it, loopback addresses would be looked for on the cable, in vain.
        lab.inside_output(&["ip", "route", "add", "default", "via", "203.0.113.1"]);
        lab.inside_output(&["ip", "-6", "route", "add", "default", "via", "2001:db8::1"]);
        lab.count_arrivals();
        apply(&lab, ruleset);
        Some(lab)
    };
    let local = |of| move |expr: &Expr| matches!(expr, Expr::AddressType { of: found, .. } if *found == of);
    let weak = without(&Upstream::None, |rule| rule.iter().any(local(AddressOf::Destination)));
    let Some(open) = lab(&weak) else { return };
    send_by_interface(&open);
    assert!(open.arrivals() > 0, "redirected questions leave where the rule is missing");
    let Some(closed) = lab(&plan(&Upstream::None)) else { return };
    let _responder = responder(&closed);
    send_by_interface(&closed);
    assert_eq!(closed.arrivals(), 0);
}

/// Asks with the address of a host outside as the source, to which the answer would go.
fn ask_in_anothers_name(lab: &Lab) {
    as_user(lab, || {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
        rustix::net::sockopt::set_ipv6_freebind(&socket, true).unwrap();
        socket.bind(&address("[2001:db8::10]:443").into()).unwrap();
        let target = address("[2001:db8::77]:53");
        let _ = socket.send_to(&question("secret.example", TYPE::A), &target.into());
    });
}

#[test]
fn a_question_in_anothers_name_is_not_read() {
    let source = |rule: &[Expr]| {
        rule.iter().any(|expr| matches!(expr, Expr::AddressType { of: AddressOf::Source, .. }))
    };
    for (ruleset, reads) in [
        (without(&Upstream::None, source), &["secret.example", "own.example"][..]),
        (plan(&Upstream::None), &["own.example"]),
    ] {
        let Some(lab) = Lab::new() else { return };
        lab.count_arrivals();
        apply(&lab, &ruleset);
        let (mut worker, _v4, _v6) = responder(&lab);
        ask_in_anothers_name(&lab);
        ask(&lab, DNS6, "own.example").unwrap();
        for name in reads {
            assert_eq!(worker.heard(), *name);
        }
        // Bound to loopback, the responder could not send its answer there either.
        assert_eq!(lab.arrivals(), 0);
    }
}

/// A user asks from the port that the daemon's question will come from, with the responder's port in the user's
/// hands. Returns what the daemon got: 'R' from the resolver, 'A' from the attacker.
fn who_answers_the_daemon(lab: &Lab, resolver: SocketAddr, source: &str) -> io::Result<u8> {
    let serve = |socket: UdpSocket, name: u8| {
        std::thread::spawn(move || {
            while let Ok((_, from)) = socket.recv_from(&mut [0; 64]) {
                let _ = socket.send_to(&[name], from);
            }
        });
    };
    serve(lab.outside(|| UdpSocket::bind(resolver)).unwrap(), b'R');
    let (attacker4, attacker6) = as_user(lab, || {
        let bind = |ip: &str| UdpSocket::bind(format!("{ip}:{RESPONDER_PORT}")).unwrap();
        (bind("127.0.0.1"), bind("[::1]"))
    });
    serve(attacker4, b'A');
    serve(attacker6, b'A');
    let source = address(source);
    let primed = as_user(lab, || exchange(&UdpSocket::bind(source)?, resolver, b"prime"))?;
    assert_eq!(primed, b"A", "questions of users come to whoever has the port");
    lab.inside(|| {
        let question = UdpSocket::bind(source)?;
        SockRef::from(&question).set_mark(MARK)?;
        question.set_read_timeout(Some(PATIENCE))?;
        question.connect(resolver)?;
        question.send(b"question")?;
        let mut answer = [0; 64];
        question.recv(&mut answer)?;
        Ok(answer[0])
    })
}

#[test]
fn nobody_answers_the_daemon_through_a_redirect() {
    let marked_drop = |rule: &[Expr]| {
        drops(rule) && rule.iter().any(|expr| matches!(expr, Expr::Meta { key: MetaKey::Mark, .. }))
    };
    for (resolver, source) in [(DNS4, "203.0.113.2:40000"), (DNS6, "[2001:db8::2]:40000")] {
        let Some(lab) = Lab::new() else { return };
        apply(&lab, &without(&Upstream::None, marked_drop));
        let answer = who_answers_the_daemon(&lab, address(resolver), source).unwrap();
        assert_eq!(answer, b'A', "{resolver}: the attack works where the rule is missing");
        let Some(lab) = Lab::new() else { return };
        apply(&lab, &plan(&Upstream::None));
        let refused = who_answers_the_daemon(&lab, address(resolver), source).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{resolver}: the question is not sent");
    }
}

#[test]
fn dockers_resolver_serves_the_daemon_and_its_upstream_alone() {
    let Some(lab) = Lab::new() else { return };
    lab.inside_output(&[
        "nft",
        "add table ip docker; \
         add chain ip docker out { type nat hook output priority -100; }; \
         add rule ip docker out ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:5353; \
         add chain ip docker post { type nat hook postrouting priority 100; }; \
         add rule ip docker post ip saddr 127.0.0.11 udp sport 5353 snat to 127.0.0.11:53",
    ]);
    let docker = lab.inside(|| UdpSocket::bind("127.0.0.11:5353")).unwrap();
    std::thread::spawn(move || {
        while let Ok((_, from)) = docker.recv_from(&mut [0; 64]) {
            let _ = docker.send_to(b"R", from);
        }
    });
    lab.udp_server(DNS4);
    let before = lab.inside_output(&["nft", "--stateless", "list", "table", "ip", "docker"]);
    let known = Upstream::Known(vec!["203.0.113.10".parse().unwrap()]);
    for upstream in [Upstream::Unknown, known] {
        apply(&lab, &plan(&upstream));
        let (embedded, server) = (address(EMBEDDED), address(DNS4));
        let (mut worker, _v4, _v6) = responder(&lab);
        let marked = lab.inside(|| {
            let socket = any(embedded);
            SockRef::from(&socket).set_mark(MARK).unwrap();
            exchange(&socket, embedded, b"question")
        });
        assert_eq!(marked.unwrap(), b"R", "the daemon asks Docker's resolver, {upstream:?}");
        assert_eq!(lab.inside(|| exchange(&any(server), server, b"as uid 0")).unwrap(), b"as uid 0");
        assert_eq!(ask(&lab, EMBEDDED, "evil.example").unwrap().0, RCODE::NameError);
        assert_eq!(worker.heard(), "evil.example");
        // uid 0 asks through the daemon, too.
        let root = lab.inside(|| exchange(&any(embedded), embedded, &question("api.example", TYPE::A)));
        assert_eq!(read(&root.unwrap()).1, ["203.0.113.10"]);
    }
    assert_eq!(lab.inside_output(&["nft", "--stateless", "list", "table", "ip", "docker"]), before);
}
