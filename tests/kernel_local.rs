//! TCP over loopback between the agent's cell and others, against a real kernel: each connection is seen to succeed
//! without the rules, and to be refused with them. A hop limit makes a socket the cell's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod lab;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use agent_sandbox::firewall;
use agent_sandbox::firewall::plan::{CELL_HOPS, MARK, Upstream, plan, plan_in, plan_with};
use agent_sandbox::firewall::ruleset::{Expr, Ruleset, Verdict};
use agent_sandbox::policy::Mode;
use lab::Lab;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

const PATIENCE: Duration = Duration::from_secs(5);
/// Where the sandbox's own listeners are.
const OURS: [u16; 3] = [15353, 15443, 15080];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Cell,
    Others,
}
use Who::{Cell, Others};

/// Listens on, and the addresses of it that a client may use.
const FORMS: [(&str, &[&str]); 4] = [
    ("127.0.0.1:3000", &["127.0.0.1:3000", "0.0.0.0:3000", "[::ffff:127.0.0.1]:3000"]),
    ("[::1]:3001", &["[::1]:3001", "[::]:3001"]),
    (
        "[::]:3002",
        &[
            "127.0.0.1:3002",
            "127.1.2.3:3002",
            "[::1]:3002",
            "203.0.113.2:3002",
            "[2001:db8::2]:3002",
            "[::ffff:203.0.113.2]:3002",
        ],
    ),
    ("0.0.0.0:3003", &["127.0.0.1:3003", "203.0.113.2:3003"]),
];

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A socket made inside, as an unprivileged user.
fn socket(lab: &Lab, address: SocketAddr, who: Who) -> Socket {
    as_user(lab, || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).unwrap();
        if who == Cell {
            label(&socket, address);
        }
        socket
    })
}

/// As the cell's supervisor does it.
fn label(socket: &Socket, address: SocketAddr) {
    if address.is_ipv6() {
        socket.set_unicast_hops_v6(CELL_HOPS.into()).unwrap();
    }
    // A socket for IPv6 may have a mapped address.
    SockRef::from(socket).set_ttl_v4(CELL_HOPS.into()).unwrap();
}

fn as_user<T: Send>(lab: &Lab, work: impl FnOnce() -> T + Send) -> T {
    lab.inside(|| {
        let nobody = rustix::process::Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        work()
    })
}

fn listener(lab: &Lab, at: &str, who: Who) -> TcpListener {
    let socket = socket(lab, address(at), who);
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address(at).into()).unwrap();
    socket.listen(64).unwrap();
    socket.into()
}

/// Answers on a thread for the rest of the test, by greeting.
fn serve(listener: TcpListener) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = (&stream).write_all(b"reached\n");
        }
    });
}

/// Connects to a greeting.
fn connect(lab: &Lab, to: &str, who: Who) -> io::Result<TcpStream> {
    greeted(&socket(lab, address(to), who), to)
}

fn greeted(socket: &Socket, to: &str) -> io::Result<TcpStream> {
    socket.connect_timeout(&address(to).into(), PATIENCE)?;
    let mut stream = TcpStream::from(socket.try_clone()?);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.read_exact(&mut [0; 8])?;
    Ok(stream)
}

fn assert_refused(result: io::Result<TcpStream>, what: &str) {
    let error = result.expect_err(what);
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{what}: {error}");
}

fn apply(lab: &Lab, ruleset: &Ruleset) {
    lab.inside(|| firewall::apply(ruleset)).unwrap();
}

/// The table, but nothing is judged by whose it is.
fn without_the_rules() -> Ruleset {
    let mut ruleset = plan(&Upstream::None);
    let judges = |expr: &Expr| matches!(expr, Expr::Verdict(Verdict::Jump(chain)) if chain == "local");
    let output = ruleset.chains.iter_mut().find(|chain| chain.name == "output").unwrap();
    output.rules.retain(|rule| !rule.iter().any(judges));
    ruleset
}

#[test]
fn what_others_listen_on_is_closed_to_the_cell_by_every_address() {
    let Some(lab) = Lab::new() else { return };
    for (at, _) in FORMS {
        serve(listener(&lab, at, Others));
    }
    let forms = || FORMS.iter().flat_map(|(_, forms)| forms.iter());
    apply(&lab, &without_the_rules());
    for to in forms() {
        connect(&lab, to, Cell).unwrap_or_else(|error| panic!("without the rules, {to}: {error}"));
    }
    for mode in [Mode::Enforce, Mode::Audit] {
        apply(&lab, &plan_in(mode, &Upstream::None));
        for to in forms() {
            assert_refused(connect(&lab, to, Cell), to);
            connect(&lab, to, Others).unwrap_or_else(|error| panic!("{to} for others: {error}"));
        }
    }
}

#[test]
fn a_refusal_comes_at_once_and_also_to_who_does_not_wait() {
    let Some(lab) = Lab::new() else { return };
    let listener = listener(&lab, "127.0.0.1:3000", Others);
    listener.set_nonblocking(true).unwrap();
    apply(&lab, &plan(&Upstream::None));
    let began = Instant::now();
    // Where it took a retransmission each, it would be a second for each.
    for _ in 0..100 {
        assert_refused(connect(&lab, "127.0.0.1:3000", Cell), "the port");
    }
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
    let socket = socket(&lab, address("127.0.0.1:3000"), Cell);
    socket.set_nonblocking(true).unwrap();
    let _ = socket.connect(&address("127.0.0.1:3000").into());
    let end = Instant::now() + PATIENCE;
    while socket.peer_addr().is_err() && Instant::now() < end {
        if let Some(error) = socket.take_error().unwrap() {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    assert!(socket.peer_addr().is_err() && Instant::now() < end);
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "nobody is to be accepted");
}

#[test]
fn the_listeners_side_of_a_refused_connection_goes_too() {
    let Some(lab) = Lab::new() else { return };
    let _listener = listener(&lab, "127.0.0.1:3000", Others);
    apply(&lab, &plan(&Upstream::None));
    for _ in 0..8 {
        assert_refused(connect(&lab, "127.0.0.1:3000", Cell), "the port");
    }
    // Half-open connections are state 03. Left alone, one would stay for a minute.
    let half_open = || {
        let table = lab.inside(|| fs::read_to_string("/proc/thread-self/net/tcp")).unwrap();
        table.lines().filter(|line| line.split_whitespace().nth(3) == Some("03")).count()
    };
    let end = Instant::now() + Duration::from_secs(30);
    while half_open() > 0 {
        assert!(Instant::now() < end, "{} are half open", half_open());
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_cell_reaches_its_own_and_others_reach_everybody() {
    let Some(lab) = Lab::new() else { return };
    apply(&lab, &plan(&Upstream::None));
    for (at, forms) in FORMS {
        serve(listener(&lab, at, Cell));
        for to in forms {
            for who in [Cell, Others] {
                connect(&lab, to, who).unwrap_or_else(|error| panic!("{who:?} to {to}: {error}"));
            }
        }
    }
    // To a port that nobody listens on, and to itself.
    assert_refused(connect(&lab, "127.0.0.1:3999", Cell), "a port of nobody's");
    let own = socket(&lab, address("127.0.0.1:3998"), Cell);
    own.bind(&address("127.0.0.1:3998").into()).unwrap();
    own.connect_timeout(&address("127.0.0.1:3998").into(), PATIENCE).unwrap();
    // Published ports: who comes from outside is not asked.
    let stream = lab.outside(|| TcpStream::connect_timeout(&address("203.0.113.2:3002"), PATIENCE)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    (&stream).read_exact(&mut [0; 8]).unwrap();
}

#[test]
fn the_sandboxs_own_ports_and_those_of_the_policy_are_open() {
    let Some(lab) = Lab::new() else { return };
    for port in OURS.into_iter().chain([3000, 3001]) {
        serve(listener(&lab, &format!("127.0.0.1:{port}"), Others));
        serve(listener(&lab, &format!("[::1]:{port}"), Others));
    }
    // Elsewhere the same port is somebody else's.
    serve(listener(&lab, "127.0.0.2:15080", Others));
    let open = BTreeSet::from([3000]);
    for mode in [Mode::Enforce, Mode::Audit] {
        apply(&lab, &plan_with(mode, &Upstream::None, &open));
        for host in ["127.0.0.1", "[::1]"] {
            for port in OURS.into_iter().chain([3000]) {
                let to = format!("{host}:{port}");
                connect(&lab, &to, Cell).unwrap_or_else(|error| panic!("{to}: {error}"));
            }
            assert_refused(connect(&lab, &format!("{host}:3001"), Cell), "a port that is not listed");
        }
        assert_refused(connect(&lab, "127.0.0.2:15080", Cell), "another address");
    }
    apply(&lab, &plan(&Upstream::None));
    assert_refused(connect(&lab, "127.0.0.1:3000", Cell), "a port that is no longer listed");
}

/// The port that the client comes from is the client's choice, and is an answer's destination.
#[test]
fn no_port_of_the_clients_opens_what_is_closed() {
    let Some(lab) = Lab::new() else { return };
    serve(listener(&lab, "[::]:3000", Others));
    let attempt = |from: &str, to: &str| {
        let socket = socket(&lab, address(from), Cell);
        socket.set_reuse_address(true).unwrap();
        socket.bind(&address(from).into()).unwrap();
        greeted(&socket, to)
    };
    let ports = OURS.into_iter().chain([53, 80, 443]);
    let tries: Vec<_> = ports
        .flat_map(|port| {
            [("127.0.0.1", "127.0.0.1"), ("[::1]", "[::1]"), ("203.0.113.2", "127.0.0.1")]
                .map(|(from, to)| (format!("{from}:{port}"), format!("{to}:3000")))
        })
        .collect();
    apply(&lab, &plan(&Upstream::None));
    for (from, to) in &tries {
        assert_refused(attempt(from, to), from);
    }
    // Servers on the ports that are redirected elsewhere.
    for port in [53, 80, 443] {
        serve(listener(&lab, &format!("127.0.0.1:{port}"), Others));
        assert_refused(connect(&lab, &format!("127.0.0.1:{port}"), Cell), "a server of others");
    }
}

#[test]
fn a_port_changes_hands() {
    let Some(lab) = Lab::new() else { return };
    apply(&lab, &plan(&Upstream::None));
    let first = listener(&lab, "127.0.0.1:3000", Cell);
    let mut living = {
        let ours = socket(&lab, address("127.0.0.1:3000"), Cell);
        ours.connect(&address("127.0.0.1:3000").into()).unwrap();
        (TcpStream::from(ours), first.accept().unwrap().0)
    };
    drop(first);
    let second = listener(&lab, "127.0.0.1:3000", Others);
    serve(second.try_clone().unwrap());
    assert_refused(connect(&lab, "127.0.0.1:3000", Cell), "the port is somebody else's now");
    assert!(goes_on(&mut living), "a living connection with who had it before");
    // The same two ports over and over: for the cell, for others, for the cell when the port is its own again.
    let from_port = |who| {
        let socket = socket(&lab, address("127.0.0.1:3000"), who);
        socket.set_reuse_address(true).unwrap();
        // No trace of it stays that would be in the next one's way.
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        socket.bind(&address("127.0.0.1:3777").into()).unwrap();
        greeted(&socket, "127.0.0.1:3000")
    };
    assert_refused(from_port(Cell), "the cell");
    // Within milliseconds the listener's kernel still takes the beginning for a wrong one of the connection before, and
    // resets both.
    let end = Instant::now() + PATIENCE;
    while from_port(Others).is_err() {
        assert!(Instant::now() < end, "others, from the port that the cell has left");
    }
    assert_refused(from_port(Cell), "the cell, after others");
}

#[test]
fn what_lives_when_the_table_comes_goes_on() {
    let Some(lab) = Lab::new() else { return };
    let pair = |at: &str| {
        let listener = listener(&lab, at, Others);
        let ours = socket(&lab, address(at), Cell);
        ours.connect(&address(at).into()).unwrap();
        (TcpStream::from(ours), listener.accept().unwrap().0)
    };
    let mut before = [pair("127.0.0.1:3000"), pair("[::1]:3000")];
    apply(&lab, &plan(&Upstream::None));
    for pair in &mut before {
        assert!(goes_on(pair));
    }
    // The table is put back.
    let listener = listener(&lab, "127.0.0.1:3001", Cell);
    let ours = socket(&lab, address("127.0.0.1:3001"), Cell);
    ours.connect(&address("127.0.0.1:3001").into()).unwrap();
    let mut living = (TcpStream::from(ours), listener.accept().unwrap().0);
    apply(&lab, &plan(&Upstream::None));
    assert!(goes_on(&mut living));
}

fn goes_on((ours, theirs): &mut (TcpStream, TcpStream)) -> bool {
    let mut bytes = [0; 4];
    for end in [&*ours, &*theirs] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    ours.write_all(b"ping").is_ok()
        && theirs.read_exact(&mut bytes).is_ok()
        && theirs.write_all(b"pong").is_ok()
        && ours.read_exact(&mut bytes).is_ok()
}

/// With TCP Fast Open a connection's first packet has bytes that the listener's program gets before it answers.
#[test]
fn no_byte_gets_to_others_ahead_of_the_answer() {
    // Server and client, with no cookie asked for.
    const FAST_OPEN: &str = "1543";
    let Some(lab) = Lab::new() else { return };
    lab.inside(|| fs::write("/proc/sys/net/ipv4/tcp_fastopen", FAST_OPEN)).unwrap();
    let attempt = |at: &str| {
        let listening = socket(&lab, address(at), Others);
        listening.bind(&address(at).into()).unwrap();
        listening.listen(8).unwrap();
        listening.set_nonblocking(true).unwrap();
        let ours = socket(&lab, address(at), Cell);
        let sent = ours.send_to_with_flags(b"secret", &address(at).into(), libc::MSG_FASTOPEN);
        let accepted = TcpListener::from(listening).accept();
        let mut bytes = [0; 6];
        let arrived = accepted.is_ok_and(|(mut stream, _)| stream.read_exact(&mut bytes).is_ok());
        (sent, arrived)
    };
    apply(&lab, &without_the_rules());
    for at in ["127.0.0.1:3000", "[::1]:3000"] {
        assert!(attempt(at).1, "without the rules, {at}");
    }
    apply(&lab, &plan(&Upstream::None));
    for at in ["127.0.0.1:3001", "[::1]:3001"] {
        let (sent, arrived) = attempt(at);
        assert!(!arrived, "{at}: {sent:?}");
    }
    // Between two of the cell's own it works, if after a retry.
    let listener = listener(&lab, "127.0.0.1:3002", Cell);
    let ours = socket(&lab, address("127.0.0.1:3002"), Cell);
    ours.send_to_with_flags(b"hello", &address("127.0.0.1:3002").into(), libc::MSG_FASTOPEN).unwrap();
    let mut accepted = listener.accept().unwrap().0;
    accepted.set_read_timeout(Some(PATIENCE)).unwrap();
    accepted.read_exact(&mut [0; 5]).unwrap();
}

/// A listener whose queue is full answers without noting anything (SYN cookies).
#[test]
fn cookies_make_no_difference() {
    const ALWAYS: &str = "2";
    let Some(lab) = Lab::new() else { return };
    lab.inside(|| fs::write("/proc/sys/net/ipv4/tcp_syncookies", ALWAYS)).unwrap();
    serve(listener(&lab, "127.0.0.1:3000", Others));
    serve(listener(&lab, "127.0.0.1:3001", Cell));
    apply(&lab, &without_the_rules());
    connect(&lab, "127.0.0.1:3000", Cell).unwrap();
    apply(&lab, &plan(&Upstream::None));
    assert_refused(connect(&lab, "127.0.0.1:3000", Cell), "the port of others");
    connect(&lab, "127.0.0.1:3001", Cell).unwrap();
}

/// A socket that was accepted, disconnected and connected elsewhere is the cell's still.
#[test]
fn an_accepted_socket_stays_the_cells() {
    let Some(lab) = Lab::new() else { return };
    for (own, of_others) in [("127.0.0.1:3001", "127.0.0.1:3000"), ("[::1]:3001", "[::1]:3000")] {
        serve(listener(&lab, of_others, Others));
        let cells = listener(&lab, own, Cell);
        let reused = |lab: &Lab| {
            let client = socket(lab, address(own), Cell);
            client.connect(&address(own).into()).unwrap();
            let accepted = Socket::from(cells.accept().unwrap().0);
            drop(client);
            rustix::net::connect_unspec(&accepted).unwrap();
            as_user(lab, || greeted(&accepted, of_others))
        };
        apply(&lab, &without_the_rules());
        reused(&lab).unwrap();
        apply(&lab, &plan(&Upstream::None));
        assert_refused(reused(&lab), "an accepted socket, connected anew");
    }
}

/// Or the cell would ask for a name of the container's own.
#[test]
fn the_daemon_connects_to_nobody_here_but_dockers_resolver() {
    let Some(lab) = Lab::new() else { return };
    for at in ["[::]:3000", "127.0.0.11:5353"] {
        serve(listener(&lab, at, Others));
    }
    let attempt = |to: &str| {
        let socket =
            lab.inside(|| Socket::new(Domain::for_address(address(to)), Type::STREAM, None)).unwrap();
        socket.set_mark(MARK).unwrap();
        greeted(&socket, to)
    };
    let own = ["127.0.0.1:3000", "203.0.113.2:3000", "[::1]:3000", "[2001:db8::2]:3000"];
    apply(&lab, &without_the_rules());
    for to in own {
        attempt(to).unwrap_or_else(|error| panic!("without the rules, {to}: {error}"));
    }
    apply(&lab, &plan(&Upstream::None));
    for to in own {
        assert_refused(attempt(to), to);
    }
    attempt("127.0.0.11:5353").unwrap();
}

/// What connection tracking does not know is nothing to judge by.
#[test]
fn what_cannot_be_judged_is_closed_to_the_cell() {
    let Some(lab) = Lab::new() else { return };
    serve(listener(&lab, "127.0.0.1:3000", Others));
    serve(listener(&lab, "127.0.0.1:3001", Cell));
    apply(&lab, &plan(&Upstream::None));
    let untracked = "add table inet other; add chain inet other out { type filter hook output priority -300; }; \
        add rule inet other out oifname lo notrack";
    lab.inside_output(&["nft", untracked]);
    for port in ["127.0.0.1:3000", "127.0.0.1:3001"] {
        assert_refused(connect(&lab, port, Cell), port);
        connect(&lab, port, Others).unwrap();
    }
}

#[test]
fn a_refusal_is_counted_and_noted_by_its_port() {
    let Some(lab) = Lab::new() else { return };
    let ruleset = plan(&Upstream::None);
    serve(listener(&lab, "127.0.0.1:3000", Others));
    serve(listener(&lab, "[::1]:3001", Others));
    serve(listener(&lab, "127.0.0.1:3002", Cell));
    apply(&lab, &ruleset);
    connect(&lab, "127.0.0.1:3002", Cell).unwrap();
    connect(&lab, "127.0.0.1:3000", Others).unwrap();
    let counted = || lab.inside(|| firewall::refused_packets(&ruleset)).unwrap();
    let noted = || lab.inside(|| firewall::flows(&ruleset)).unwrap();
    assert_eq!(noted(), []);
    let before = counted();
    for to in ["127.0.0.1:3000", "[::1]:3001"] {
        assert_refused(connect(&lab, to, Cell), to);
    }
    assert!(counted() >= before + 2, "{before}, {}", counted());
    let mut flows: Vec<_> = noted().into_iter().map(|(flow, _)| (flow.local_port(), flow.protocol)).collect();
    flows.sort_unstable();
    assert_eq!(flows, [(Some(3000), 6), (Some(3001), 6)]);
}
