//! Connections to ports 443 and 80 against a real kernel: they come to the gate and go nowhere else, whatever a user
//! tries. Each attack is seen to succeed where the rule against it is missing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod lab;

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use agent_sandbox::firewall;
use agent_sandbox::firewall::plan::{GATE_HTTP_PORT, GATE_TLS_PORT, MARK, RESPONDER_PORT, Upstream, plan};
use agent_sandbox::firewall::ruleset::{Expr, MetaKey, Ruleset, Verdict};
use lab::Lab;
use socket2::{Domain, SockRef, Socket, Type};

const HOSTS: [&str; 2] = ["203.0.113.10", "[2001:db8::10]"];
/// First packets may be lost while neighbours find each other, and are sent again.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// A lab with servers on the ports that matter, which greet with "reached".
fn open_lab() -> Option<Lab> {
    let lab = Lab::new()?;
    for host in HOSTS {
        for port in [443, 80, 53, 8080] {
            lab.tcp_server(&format!("{host}:{port}"));
        }
    }
    Some(lab)
}

/// In the gate's place: each of the ports says which it is.
fn gate(lab: &Lab) {
    for port in [GATE_TLS_PORT, GATE_HTTP_PORT, RESPONDER_PORT] {
        for host in ["127.0.0.1", "[::1]"] {
            let listener = lab.inside(|| TcpListener::bind(format!("{host}:{port}")).unwrap());
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let _ = (&stream).write_all(format!("{port:08}").as_bytes());
                }
            });
        }
    }
}

fn apply(lab: &Lab, ruleset: &Ruleset) {
    lab.inside(|| firewall::apply(ruleset)).unwrap();
}

/// Who greets at the other end of a socket that is to be connected.
fn greeting(socket: Socket, target: SocketAddr) -> io::Result<String> {
    socket.connect_timeout(&target.into(), PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut greeting = [0; 8];
    TcpStream::from(socket).read_exact(&mut greeting)?;
    Ok(String::from_utf8_lossy(&greeting).into_owned())
}

fn socket(target: SocketAddr) -> Socket {
    Socket::new(Domain::for_address(target), Type::STREAM, None).unwrap()
}

fn who_greets(lab: &Lab, target: SocketAddr) -> String {
    as_user(lab, || greeting(socket(target), target)).unwrap_or_else(|error| error.to_string())
}

#[test]
fn connections_come_to_the_gate_whatever_address_they_are_for() {
    let Some(lab) = open_lab() else { return };
    for host in HOSTS {
        assert_eq!(who_greets(&lab, address(&format!("{host}:443"))), "reached\n", "without the table");
    }
    apply(&lab, &plan(&Upstream::None));
    for host in HOSTS {
        for port in [443, 80, 53] {
            let met = who_greets(&lab, address(&format!("{host}:{port}")));
            assert!(met.contains("refused"), "with nobody there: {met}");
        }
    }
    gate(&lab);
    for host in HOSTS.into_iter().chain(["203.0.113.77", "[2001:db8::77]"]) {
        for (port, ours) in [(443, GATE_TLS_PORT), (80, GATE_HTTP_PORT), (53, RESPONDER_PORT)] {
            assert_eq!(who_greets(&lab, address(&format!("{host}:{port}"))), format!("{ours:08}"), "{host}");
        }
        assert!(who_greets(&lab, address(&format!("{host}:8080"))).contains("refused"), "{host}");
    }
    // Nor is being uid 0 another way, where the embedded resolver's questions leave as such.
    apply(&lab, &plan(&Upstream::Unknown));
    let target = address("203.0.113.10:443");
    assert_eq!(lab.inside(|| greeting(socket(target), target)).unwrap(), format!("{GATE_TLS_PORT:08}"));
    // A server of the user's own on loopback is asked as it is.
    let own = lab.inside(|| TcpListener::bind("127.0.0.1:443").unwrap());
    std::thread::spawn(move || {
        for stream in own.incoming().flatten() {
            let _ = (&stream).write_all(b"my own!\n");
        }
    });
    assert_eq!(who_greets(&lab, address("127.0.0.1:443")), "my own!\n");
}

#[test]
fn what_the_daemon_makes_leaves_and_stays_where_it_was_made_to() {
    let Some(lab) = open_lab() else { return };
    apply(&lab, &plan(&Upstream::None));
    gate(&lab);
    for host in HOSTS {
        let target = address(&format!("{host}:443"));
        let marked = || {
            let socket = socket(target);
            socket.set_mark(MARK).unwrap();
            socket
        };
        assert_eq!(lab.inside(|| greeting(marked(), target)).unwrap(), "reached\n");
        // Handed over: not marked any more, it goes on; connected anew, it comes to the gate like any other.
        let handed = lab.inside(|| {
            let socket = marked();
            socket.connect_timeout(&target.into(), PATIENCE).unwrap();
            socket.set_mark(0).unwrap();
            socket
        });
        handed.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut greeted = [0; 8];
        (&handed).read_exact(&mut greeted).unwrap();
        assert_eq!(&greeted, b"reached\n");
        let again = as_user(&lab, || {
            rustix::net::connect_unspec(&handed)?;
            handed.connect_timeout(&target.into(), PATIENCE)?;
            let mut greeted = [0; 8];
            (&handed).read_exact(&mut greeted)?;
            io::Result::Ok(String::from_utf8_lossy(&greeted).into_owned())
        });
        assert_ne!(again.unwrap_or_default(), "reached\n");
    }
    let refused = as_user(&lab, || SockRef::from(&socket(address("127.0.0.1:1"))).set_mark(MARK));
    assert!(refused.is_err(), "a user must not be able to mark a socket");
}

/// The plan without some rules, which is what an attack must succeed against.
fn without(unwanted: impl Fn(&[Expr]) -> bool) -> Ruleset {
    let mut weak = plan(&Upstream::None);
    let count = |ruleset: &Ruleset| ruleset.chains.iter().map(|chain| chain.rules.len()).sum::<usize>();
    let before = count(&weak);
    for chain in &mut weak.chains {
        chain.rules.retain(|rule| !unwanted(rule));
    }
    assert!(count(&weak) < before, "the rule that was to go is not there");
    weak
}

/// Connects from a port from which a user has just been at the gate; the user's end is gone, its connection tracking entry
/// is not. Returns who greets the daemon.
fn from_a_used_port(lab: &Lab, target: SocketAddr) -> io::Result<String> {
    const PORT: u16 = 40_000;
    let bound = || {
        let socket = socket(target);
        socket.set_reuse_address(true).unwrap();
        let own = if target.is_ipv4() { "203.0.113.2" } else { "[2001:db8::2]" };
        socket.bind(&address(&format!("{own}:{PORT}")).into()).unwrap();
        socket
    };
    as_user(lab, || {
        let used = bound();
        used.set_linger(Some(Duration::ZERO)).unwrap();
        greeting(used, target).unwrap();
    });
    lab.inside(|| {
        let socket = bound();
        socket.set_mark(MARK).unwrap();
        greeting(socket, target)
    })
}

#[test]
fn the_daemons_connection_never_comes_back_to_the_gate() {
    let Some(lab) = open_lab() else { return };
    let is_way_out = |rule: &[Expr]| {
        rule.iter().any(|expr| matches!(expr, Expr::Meta { key: MetaKey::Mark, .. }))
            && rule.last() == Some(&Expr::Verdict(Verdict::Accept))
    };
    // Where marked connections are redirected, too, they would come back.
    gate(&lab);
    apply(&lab, &without(is_way_out));
    let target = address("203.0.113.10:443");
    let back = lab.inside(|| {
        let socket = socket(target);
        socket.set_mark(MARK).unwrap();
        greeting(socket, target)
    });
    assert!(back.is_err(), "and there the rule for what comes back drops them: {back:?}");
    apply(&lab, &plan(&Upstream::None));
    for host in HOSTS {
        let met = from_a_used_port(&lab, address(&format!("{host}:443")));
        assert!(!met.as_deref().is_ok_and(|met| met.starts_with('0')), "{met:?}");
    }
}

#[test]
fn an_interface_of_ones_own_choice_is_no_way_around() {
    let Some(lab) = open_lab() else { return };
    apply(&lab, &plan(&Upstream::None));
    gate(&lab);
    lab.count_arrivals();
    for host in HOSTS {
        let target = address(&format!("{host}:443"));
        let met = as_user(&lab, || {
            let socket = socket(target);
            socket.bind_device(Some(b"eth0"))?;
            greeting(socket, target)
        });
        assert_ne!(met.unwrap_or_default(), "reached\n");
    }
    assert_eq!(lab.arrivals(), 0);
}
