//! Rules for other protocols than those of the gate, such as `db.example:5432`, against a real kernel: exactly the
//! name's addresses open, on that port, and what happens to connections when these addresses change. The name's
//! answers and their times are the test's; what they open is what the daemon opens for them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod lab;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use agent_sandbox::egress::addresses::Addresses;
use agent_sandbox::egress::query::Record;
use agent_sandbox::firewall;
use agent_sandbox::firewall::plan::{Upstream, plan};
use agent_sandbox::policy::{HostName, Policy};
use lab::{Lab, tcp_probe, udp_probe, udp_socket};

const POLICY: &str = "db.example:5432, git.example:22";
/// Seconds for which an answer holds.
const TTL: u64 = 60;
/// For how many after that an address stays open.
const GRACE: u64 = 300;
const PATIENCE: Duration = Duration::from_secs(10);

/// The policy's names, what is known of them, and the clock by which they are known.
struct Known {
    policy: Policy,
    addresses: Addresses,
    start: Instant,
}

impl Known {
    fn new() -> Self {
        let policy = Policy::from_options(POLICY).unwrap();
        Self { policy, addresses: Addresses::default(), start: Instant::now() }
    }

    /// The answer to a question for a name, that many seconds after the start.
    fn answer(&mut self, name: &str, addresses: &[&str], at: u64) {
        let ttl = u32::try_from(TTL).unwrap();
        let records = addresses.iter().map(|text| Record { address: text.parse().unwrap(), ttl });
        let name = HostName::parse(name).unwrap();
        self.addresses.learn(&name, Ok(records.collect()), self.start + Duration::from_secs(at));
    }

    /// Opens in the kernel what is to be open at a time.
    fn open(&self, lab: &Lab, at: u64) {
        let endpoints = self.addresses.endpoints(&self.policy, self.start + Duration::from_secs(at));
        lab.inside(|| firewall::set_endpoints(&plan(&Upstream::None), &endpoints)).unwrap();
    }
}

/// Hosts outside with a server on every port that a test asks for.
fn open_lab() -> Option<Lab> {
    let lab = Lab::new()?;
    lab.outside(|| {
        for address in ["203.0.113.11/24", "203.0.113.22/24"] {
            lab::ip(&["addr", "add", address, "dev", "eth0"]);
        }
    });
    for port in [22, 5432, 5433, 9418] {
        for host in ["203.0.113.1", "203.0.113.10", "203.0.113.11", "203.0.113.22", "[2001:db8::10]"] {
            lab.tcp_server(&format!("{host}:{port}"));
            lab.udp_server(&format!("{host}:{port}"));
        }
    }
    Some(lab)
}

/// As an unprivileged user would.
fn as_user<T: Send>(lab: &Lab, work: impl FnOnce() -> T + Send) -> T {
    lab.inside(|| {
        let nobody = rustix::process::Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        work()
    })
}

/// Whether a user gets through to a greeting; where not, it has to be a refusal.
fn tcp(lab: &Lab, address: &str) -> bool {
    let target: SocketAddr = address.parse().unwrap();
    match as_user(lab, || tcp_probe(target)) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused, "{address}: {error}");
            false
        }
    }
}

fn udp(lab: &Lab, address: &str) -> bool {
    let target: SocketAddr = address.parse().unwrap();
    // The first packets may be lost while neighbours find each other.
    as_user(lab, || (0..3).any(|_| udp_probe(&udp_socket(target.ip(), 0), target).is_ok()))
}

#[test]
fn a_rule_opens_the_names_addresses_on_its_port_and_nothing_beside() {
    let Some(lab) = open_lab() else { return };
    let listed = ["203.0.113.10:5432", "[2001:db8::10]:5432", "203.0.113.11:22"];
    let unlisted = [
        // Other ports of the same hosts, that of the other rule among them.
        "203.0.113.10:22",
        "203.0.113.10:5433",
        "[2001:db8::10]:22",
        "203.0.113.11:5432",
        "203.0.113.11:9418",
        // The same ports of others: a host that no rule names, and the gateway.
        "203.0.113.22:5432",
        "203.0.113.22:22",
        "203.0.113.1:5432",
        "203.0.113.1:22",
    ];
    for target in listed.iter().chain(&unlisted) {
        assert!(tcp(&lab, target), "without the table, TCP {target}");
        assert!(udp(&lab, target), "without the table, UDP {target}");
    }
    lab.inside(|| firewall::apply(&plan(&Upstream::None))).unwrap();
    for target in listed {
        assert!(!tcp(&lab, target), "before the name is known, {target}");
    }
    let mut known = Known::new();
    known.answer("db.example", &["203.0.113.10", "2001:db8::10"], 0);
    known.answer("git.example", &["203.0.113.11"], 0);
    // What is known of a name that no rule lists opens nothing.
    known.answer("other.example", &["203.0.113.22"], 0);
    known.open(&lab, 0);
    for target in listed {
        assert!(tcp(&lab, target), "TCP {target}");
        assert!(!udp(&lab, target), "a rule is for TCP: UDP {target}");
    }
    for target in unlisted {
        assert!(!tcp(&lab, target), "TCP {target}");
        assert!(!udp(&lab, target), "UDP {target}");
    }
}

/// A connection of a user's, and the server's end of it.
struct Living(TcpStream, TcpStream);

impl Living {
    fn begin(lab: &Lab, at: &str) -> Self {
        let listener = lab.outside(|| TcpListener::bind(at)).unwrap();
        let target: SocketAddr = at.parse().unwrap();
        let ours = as_user(lab, || TcpStream::connect_timeout(&target, PATIENCE)).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        for end in [&ours, &theirs] {
            end.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        Self(ours, theirs)
    }

    /// Whether bytes go both ways.
    fn goes_on(&mut self) -> bool {
        let Self(ours, theirs) = self;
        let mut bytes = [0; 4];
        ours.write_all(b"ping").is_ok()
            && theirs.read_exact(&mut bytes).is_ok()
            && theirs.write_all(b"pong").is_ok()
            && ours.read_exact(&mut bytes).is_ok()
    }
}

/// The name's old address is open for its time to live and a grace, the new one from the next answer on, and what lives
/// is never cut.
#[test]
fn when_an_address_changes_connections_live_on_and_the_old_address_closes() {
    let Some(lab) = Lab::new() else { return };
    lab.outside(|| lab::ip(&["addr", "add", "203.0.113.11/24", "dev", "eth0"]));
    lab.inside(|| firewall::apply(&plan(&Upstream::None))).unwrap();
    let mut known = Known::new();
    known.answer("db.example", &["203.0.113.10"], 0);
    known.open(&lab, 0);
    let mut living = Living::begin(&lab, "203.0.113.10:5432");
    lab.tcp_server("203.0.113.10:5432");
    lab.tcp_server("203.0.113.11:5432");
    assert!(!tcp(&lab, "203.0.113.11:5432"), "not the name's address yet");

    known.answer("db.example", &["203.0.113.11"], TTL);
    known.open(&lab, TTL);
    assert!(tcp(&lab, "203.0.113.11:5432"), "the new address, from the answer on");
    assert!(tcp(&lab, "203.0.113.10:5432"), "the old one, for who holds on to it");
    assert!(living.goes_on());

    // The last seconds of its grace; then it closes by itself, without a word of the daemon's.
    known.answer("db.example", &["203.0.113.11"], TTL + GRACE - 30);
    known.open(&lab, TTL + GRACE - 2);
    let closed = Instant::now() + PATIENCE;
    while tcp(&lab, "203.0.113.10:5432") {
        assert!(
            Instant::now() < closed,
            "a new connection to the old address must be refused after its grace"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(tcp(&lab, "203.0.113.11:5432"));
    assert!(living.goes_on(), "a living connection outlasts its address's grace");

    // And so it is when the daemon takes the address off its list, or a new daemon begins with an empty table.
    known.open(&lab, TTL + GRACE);
    assert!(!tcp(&lab, "203.0.113.10:5432"));
    assert!(living.goes_on());
    lab.inside(|| firewall::apply(&plan(&Upstream::None))).unwrap();
    assert!(!tcp(&lab, "203.0.113.11:5432"));
    assert!(living.goes_on());
}

#[test]
fn an_answer_that_stays_the_same_keeps_its_address_open() {
    let Some(lab) = open_lab() else { return };
    lab.inside(|| firewall::apply(&plan(&Upstream::None))).unwrap();
    let mut known = Known::new();
    known.answer("db.example", &["203.0.113.10"], 0);
    // Almost over, and then renewed: the kernel's time-out must be the new one.
    known.open(&lab, TTL + GRACE - 2);
    known.answer("db.example", &["203.0.113.10"], TTL + GRACE - 1);
    known.open(&lab, TTL + GRACE - 1);
    std::thread::sleep(Duration::from_secs(3));
    assert!(tcp(&lab, "203.0.113.10:5432"));
}

#[test]
fn after_its_grace_an_address_that_nobody_confirms_is_closed() {
    let Some(lab) = open_lab() else { return };
    lab.inside(|| firewall::apply(&plan(&Upstream::None))).unwrap();
    let mut known = Known::new();
    known.answer("db.example", &["203.0.113.10"], 0);
    known.open(&lab, TTL + GRACE - 60);
    assert!(tcp(&lab, "203.0.113.10:5432"));
    // The resolvers have been silent ever since.
    known.open(&lab, TTL + GRACE);
    assert!(!tcp(&lab, "203.0.113.10:5432"));
}
