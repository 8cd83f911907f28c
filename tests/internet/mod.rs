//! An internet for the sandbox, in four network namespaces without an uplink: a container on a bridge, a second one
//! beside it, the host behind the bridge with services of its own, and everything beyond. Whether something got out
//! is read from what the receiving hosts and the cable noted, never from what the sender saw.

mod container;
mod firewalls;
mod names;

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use stand_in::world::{
    self, Authority, Clock, Events, Place, WhoseAddress, serve_dns, serve_embedded_resolver,
    serve_open_proxy, serve_tcp, watch,
};
use tempfile::TempDir;

use crate::lab::{ip, ip_batch, output, run_in};
use container::Container;
pub(crate) use container::{Signal, Who};
pub(crate) use names::POLICY;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// The container's Ethernet address, by which its frames are known.
const CONTAINER: [u8; 6] = [0x02, 0x42, 0xac, 0x1e, 0x00, 0x02];
/// Where Docker's embedded resolver really listens.
const EMBEDDED: &str = "127.0.0.11:45353";
/// Ports of the hosts beyond, and of the host and the other container.
const PORTS: [u16; 20] = [
    22, 25, 80, 443, 853, 2375, 3128, 3306, 5432, 5555, 6379, 8080, 8443, 8888, 9090, 9418, 10250, 11211,
    27017, 40_000,
];
/// Where the attacker's host sends datagrams back.
const ECHO: u16 = 4000;
/// Where clients look for a proxy in the container: the gate's listener, once there is a gate.
pub(crate) const PROXY_PORT: u16 = 15080;
/// Another container's proxy, which serves whoever asks.
const RELAY_PORT: u16 = 3129;

/// From where Docker's embedded resolver asks its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResolverAsks {
    /// From the container's namespace, as uid 0: the usual case.
    FromTheContainer,
    /// From the host's namespace, as where the host has a resolver on loopback.
    FromTheHost,
}

/// The four namespaces with all their servers; removed on drop.
#[derive(Debug)]
pub(crate) struct Internet {
    /// What reached whom.
    pub(crate) events: Events,
    container: Container,
    namespaces: Namespaces,
    folder: TempDir,
    clock: Clock,
}

impl Internet {
    /// Builds everything; needs root, and panics where it finds a way out.
    pub(crate) fn new(resolver: ResolverAsks) -> Self {
        let id = format!("{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let namespaces =
            Namespaces(["in", "beside", "host", "beyond"].map(|place| format!("as-{place}-{id}")));
        let [inside, beside, host, beyond] = &namespaces.0;
        for namespace in &namespaces.0 {
            ip(&["netns", "add", namespace]);
        }
        cables(&namespaces.0);
        for namespace in [host, beyond] {
            let routes = output("ip", &["-n", namespace, "route", "show", "default"])
                + &output("ip", &["-n", namespace, "-6", "route", "show", "default"]);
            let allowed = routes.lines().all(|line| namespace == beyond && line.contains(" dev eth0"));
            assert!(allowed, "a way out of the internet: {routes}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new().expect("an authority");
        let events = Events::default();
        let clock = Clock::new(Duration::from_secs(1));
        write_shared(&folder, &authority);
        let config = authority.server().expect("a TLS server");
        run_in(host, || watch(CONTAINER, &events)).expect("listen on the cable");
        for (namespace, ports) in [(beyond, &PORTS[..]), (host, &PORTS), (beside, &PORTS)] {
            let whose: WhoseAddress = names::hosts(&clock);
            for port in ports {
                // What serves stays in the namespace, too: a relay connects from there.
                run_in(namespace, || {
                    let listener = TcpListener::bind(("::", *port)).expect("bind");
                    serve_tcp(listener, &whose, &config, &events);
                });
            }
        }
        for (name, v4, v6) in
            [("dns", "203.0.113.53", "2001:db8:113::53"), ("evil", "203.0.113.66", "2001:db8:113::66")]
        {
            for address in [v4, v6] {
                let at = SocketAddr::new(address.parse().expect("an address"), 53);
                let (udp, tcp) = run_in(beyond, || {
                    (UdpSocket::bind(at).expect("bind"), TcpListener::bind(at).expect("bind"))
                });
                let lookup = if name == "evil" { names::lies(&clock) } else { names::lookup(&clock) };
                serve_dns(name, udp, tcp, lookup, &events);
            }
        }
        for address in ["203.0.113.66", "2001:db8:113::66"] {
            let at = SocketAddr::new(address.parse().expect("an address"), ECHO);
            echo(run_in(beyond, || UdpSocket::bind(at)).expect("bind"));
        }
        run_in(beside, || {
            let listener = TcpListener::bind(("::", RELAY_PORT)).expect("bind");
            serve_open_proxy(listener, |_| None);
        });
        run_in(inside, || {
            for (address, port) in [("127.0.0.1", 80), ("127.0.0.1", 7777), ("::1", 80), ("::1", 7777)] {
                let listener = TcpListener::bind((address, port)).expect("bind");
                serve_tcp(listener, &names::hosts(&clock), &config, &events);
            }
        });
        let container = Container::start(inside, folder.path());
        let internet = Self { events, container, namespaces, folder, clock };
        internet.embedded_resolver(resolver);
        internet
    }

    /// Docker's resolver and its address translation.
    fn embedded_resolver(&self, resolver: ResolverAsks) {
        let [inside, _, host, _] = &self.namespaces.0;
        nft(
            inside,
            "add table ip docker; \
             add chain ip docker out { type nat hook output priority -100; }; \
             add rule ip docker out ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:45353; \
             add rule ip docker out ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:45353; \
             add chain ip docker post { type nat hook postrouting priority 100; }; \
             add rule ip docker post ip saddr 127.0.0.11 udp sport 45353 snat to 127.0.0.11:53; \
             add rule ip docker post ip saddr 127.0.0.11 tcp sport 45353 snat to 127.0.0.11:53",
        );
        let from = match resolver {
            ResolverAsks::FromTheContainer => inside.clone(),
            ResolverAsks::FromTheHost => host.clone(),
        };
        let place: Place = Arc::new(move |work| run_in(&from, work));
        let (udp, tcp) = run_in(inside, || {
            (UdpSocket::bind(EMBEDDED).expect("bind"), TcpListener::bind(EMBEDDED).expect("bind"))
        });
        serve_embedded_resolver(udp, tcp, "203.0.113.53:53".parse().expect("an address"), place);
    }

    /// A careless proxy in the container, which connects to whatever is asked for.
    pub(crate) fn open_proxy(&self) {
        let listener =
            run_in(&self.namespaces.0[0], || TcpListener::bind(("127.0.0.1", PROXY_PORT))).expect("bind");
        let (lookup, inside) = (names::lookup(&self.clock), self.namespaces.0[0].clone());
        let find = move |name: &str| -> Option<IpAddr> {
            if let Ok(address) = name.parse() {
                return Some(address);
            }
            match lookup(&name.to_ascii_lowercase(), 1)?.0 {
                world::Answer::Addresses(list) => list.first().copied(),
                world::Answer::Alias(_) => None,
            }
        };
        // Its connections must leave from the container.
        run_in(&inside, || serve_open_proxy(listener, find));
    }

    /// A command in the container.
    pub(crate) fn command(&self, who: Who) -> Command {
        self.container.command(who)
    }

    /// A folder that the container sees under the same path.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Sends a signal to the sandbox's processes in the container, all or the workers alone, and says to how many.
    pub(crate) fn signal_sandbox(&self, signal: Signal, workers_only: bool) -> usize {
        self.container.signal("sandboxd", signal, workers_only)
    }

    /// The seed's firewall, as its script writes it.
    pub(crate) fn seed_firewall(&self) {
        nft(&self.namespaces.0[0], &firewalls::seed(&names::seed_addresses(&self.clock)));
    }

    /// Puts the policy where the daemon reads it, and starts the daemon; returns once names are resolved.
    pub(crate) fn start_sandbox(&self) {
        firewalls::start_sandbox(self);
    }

    /// Connects again and again from the other container to a port of ours, as a partner of the agent's would.
    pub(crate) fn partner(&self, port: u16) {
        let (beside, events) = (self.namespaces.0[1].clone(), self.events.clone());
        std::thread::spawn(move || {
            run_in(&beside, || {
                use std::io::Read as _;
                let target = SocketAddr::from(([172, 30, 0, 2], port));
                for _ in 0..40 {
                    let mut heard = [0; 200];
                    if let Ok(mut stream) =
                        std::net::TcpStream::connect_timeout(&target, Duration::from_millis(300))
                        && stream.set_read_timeout(Some(Duration::from_millis(300))).is_ok()
                        && let Ok(length) = stream.read(&mut heard)
                    {
                        events.note(format!("partner | {}", world::readable(&heard[..length])));
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        });
    }
}

/// Their names; removed on drop, however far the building got.
#[derive(Debug)]
struct Namespaces([String; 4]);

impl Drop for Namespaces {
    fn drop(&mut self) {
        for namespace in &self.0 {
            let _ = Command::new("ip").args(["netns", "del", namespace]).status();
        }
    }
}

/// Sends every datagram back.
fn echo(socket: UdpSocket) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_535];
        loop {
            if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..length], from);
            }
        }
    });
}

fn write_shared(folder: &TempDir, authority: &Arc<Authority>) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    fs::write(folder.path().join("ca.pem"), authority.pem()).expect("write");
}

/// Four hosts and their cables; the host in the middle forwards.
fn cables([inside, beside, host, beyond]: &[String; 4]) {
    let mac = CONTAINER.map(|byte| format!("{byte:02x}")).join(":");
    for (namespace, ours, theirs) in [(inside, "eth0", "vc"), (beside, "eth0", "vs"), (beyond, "eth0", "wan")]
    {
        let pair = ["link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", host.as_str()];
        ip(&[&["-n", namespace.as_str()], &pair[..]].concat());
    }
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    ip_batch(
        host,
        &lines(
            "link set lo up
             link add br0 type bridge
             link set vc master br0
             link set vs master br0
             addr add 172.30.0.1/24 dev br0
             addr add fd30::1/64 dev br0 nodad
             addr add 203.0.113.1/24 dev wan
             addr add 2001:db8:113::1/64 dev wan nodad
             addr add 169.254.169.254/32 dev lo
             addr add 169.254.169.253/32 dev lo
             addr add 169.254.170.2/32 dev lo
             addr add 168.63.129.16/32 dev lo
             addr add 100.100.100.200/32 dev lo
             addr add 192.0.2.1/32 dev lo
             addr add fd00:ec2::254/128 dev lo nodad
             link set vc up
             link set vs up
             link set wan up
             link set br0 up",
        ),
    );
    let container = |last: u8| {
        lines(&format!(
            "link set lo up
             addr add 172.30.0.{last}/24 dev eth0
             addr add fd30::{last}/64 dev eth0 nodad
             link set eth0 up
             route add default via 172.30.0.1
             route add default via fd30::1"
        ))
    };
    ip(&["-n", inside, "link", "set", "eth0", "address", &mac]);
    ip_batch(inside, &container(2));
    ip_batch(beside, &container(3));
    ip(&["-n", beside, "addr", "add", "172.30.0.33/24", "dev", "eth0"]);
    let mut far = lines("link set lo up\nlink set eth0 up");
    far.extend(names::addresses_beyond().iter().map(|address| match address {
        IpAddr::V4(v4) => format!("addr add {v4}/24 dev eth0"),
        IpAddr::V6(v6) => format!("addr add {v6}/64 dev eth0 nodad"),
    }));
    far.extend(lines("route add default via 203.0.113.1\nroute add default via 2001:db8:113::1"));
    ip_batch(beyond, &far);
    let set = |namespace: &str, key: &str, value: &str| {
        run_in(namespace, || fs::write(format!("/proc/sys/net/{key}"), value)).expect("a sysctl");
    };
    set(host, "ipv4/ip_forward", "1");
    set(host, "ipv6/conf/all/forwarding", "1");
    set(beyond, "ipv4/tcp_fastopen", "1027");
    // As in a Docker container: any user may bind any port, and may ping.
    set(inside, "ipv4/ip_unprivileged_port_start", "0");
    set(inside, "ipv4/ping_group_range", "0 2147483647");
}

/// Runs a script of nft's in a namespace.
fn nft(namespace: &str, script: &str) {
    output("ip", &["netns", "exec", namespace, "nft", script]);
}
