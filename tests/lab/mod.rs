//! Two network namespaces joined by a cable, and no way out of either: "inside" plays the container,
//! "outside" the internet. Needs root; who is not root is told so, and in CI that is a failure.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

static COUNTER: AtomicU32 = AtomicU32::new(0);
const PATIENCE: Duration = Duration::from_secs(3);

/// A pair of namespaces; removed on drop.
#[derive(Debug)]
pub(crate) struct Lab {
    inside: String,
    outside: String,
}

impl Lab {
    /// Builds the namespaces, or says why this test does not run.
    pub(crate) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "kernel tests need root, and CI must run them");
            eprintln!("SKIPPED: this test makes network namespaces and needs root: run it with sudo");
            return None;
        }
        let id = format!("{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let lab = Self { inside: format!("as-in-{id}"), outside: format!("as-out-{id}") };
        let (inside, outside) = (lab.inside.as_str(), lab.outside.as_str());
        for namespace in [inside, outside] {
            ip(&["netns", "add", namespace]);
        }
        ip(&["-n", inside, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", outside]);
        for (namespace, v4, v6) in [
            (inside, &["203.0.113.2/24"][..], &["2001:db8::2/64"][..]),
            (outside, &["203.0.113.1/24", "203.0.113.10/24"][..], &["2001:db8::1/64", "2001:db8::10/64"][..]),
        ] {
            let mut lines = vec!["link set lo up".to_owned()];
            lines.extend(v4.iter().map(|address| format!("addr add {address} dev eth0")));
            lines.extend(v6.iter().map(|address| format!("addr add {address} dev eth0 nodad")));
            lines.push("link set eth0 up".to_owned());
            ip_batch(namespace, &lines);
        }
        for namespace in [inside, outside] {
            let routes = output("ip", &["-n", namespace, "route", "show", "default"]);
            assert!(routes.is_empty(), "a way out of the lab: {routes}");
        }
        // As in a Docker container: any user may bind any port.
        lab.inside(|| fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")).expect("a sysctl");
        Some(lab)
    }

    /// Runs something in the container's place.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        run_in(&self.inside, work)
    }

    /// Runs something on the internet's side.
    pub(crate) fn outside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        run_in(&self.outside, work)
    }

    /// The names of both namespaces, the container's first.
    pub(crate) fn names(&self) -> (&str, &str) {
        (&self.inside, &self.outside)
    }

    /// Runs a program in the container's place and returns what it prints.
    pub(crate) fn inside_output(&self, command: &[&str]) -> String {
        let mut all = vec!["netns", "exec", self.inside.as_str()];
        all.extend_from_slice(command);
        output("ip", &all)
    }

    /// Has everything counted that comes over the cable but neighbour discovery.
    pub(crate) fn count_arrivals(&self) {
        let rules = "add table inet count; \
            add chain inet count in { type filter hook prerouting priority -300; }; \
            add rule inet count in iifname eth0 meta l4proto icmpv6 accept; \
            add rule inet count in iifname eth0 counter";
        output("ip", &["netns", "exec", &self.outside, "nft", rules]);
    }

    /// How many packets came over the cable since the counting began.
    pub(crate) fn arrivals(&self) -> u64 {
        let list = output("ip", &["netns", "exec", &self.outside, "nft", "list table inet count"]);
        let mut words = list.split_whitespace().skip_while(|word| *word != "packets").skip(1);
        words.next().and_then(|count| count.parse().ok()).expect("a counter")
    }

    /// A TCP server outside that greets, for the rest of the test.
    pub(crate) fn tcp_server(&self, address: &str) {
        let address: SocketAddr = address.parse().expect("an address");
        let listener = run_in(&self.outside, || TcpListener::bind(address).expect("bind outside"));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = (&stream).write_all(b"reached\n");
            }
        });
    }

    /// A UDP echo outside, for the rest of the test.
    pub(crate) fn udp_server(&self, address: &str) {
        let address: SocketAddr = address.parse().expect("an address");
        let socket = run_in(&self.outside, || UdpSocket::bind(address).expect("bind outside"));
        thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..len], from);
            }
        });
    }

    /// Whether TCP from inside gets through to a greeting; the error text where it does not.
    pub(crate) fn tcp(&self, address: &str) -> Result<(), String> {
        let address: SocketAddr = address.parse().expect("an address");
        self.inside(|| tcp_probe(address)).map_err(|error| error.to_string())
    }

    /// Whether a UDP echo comes back inside.
    pub(crate) fn udp(&self, address: &str) -> Result<(), String> {
        let address: SocketAddr = address.parse().expect("an address");
        self.inside(|| udp_probe(&udp_socket(address.ip(), 0), address)).map_err(|error| error.to_string())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in [&self.inside, &self.outside] {
            let _ = Command::new("ip").args(["netns", "del", namespace]).status();
        }
    }
}

/// The calling thread's, and its later threads', network namespace: one without any way out.
#[derive(Debug)]
pub(crate) struct Nowhere(String);

impl Nowhere {
    /// Moves the calling thread there.
    pub(crate) fn enter() -> Self {
        let name = format!("as-nowhere-{}", std::process::id());
        ip(&["netns", "add", &name]);
        let nowhere = Self(name);
        let file = File::open(format!("/run/netns/{}", nowhere.0)).expect("the namespace");
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("setns");
        let routes = output("ip", &["route", "show"]) + &output("ip", &["-6", "route", "show"]);
        assert!(routes.trim().is_empty(), "a way out: {routes}");
        nowhere
    }
}

impl Drop for Nowhere {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// Connects and waits for the greeting.
pub(crate) fn tcp_probe(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut greeting = [0; 8];
    stream.read_exact(&mut greeting)
}

/// A UDP socket of the address's family on a port (0: any).
pub(crate) fn udp_socket(family_of: IpAddr, port: u16) -> UdpSocket {
    let any: IpAddr = if family_of.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    UdpSocket::bind((any, port)).expect("bind")
}

/// Sends and waits for the echo.
pub(crate) fn udp_probe(socket: &UdpSocket, address: SocketAddr) -> std::io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.send_to(b"hello", address)?;
    let mut buffer = [0; 16];
    socket.recv_from(&mut buffer).map(|_| ())
}

pub(crate) fn run_in<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        scope
            .spawn(|| {
                let file = File::open(format!("/run/netns/{namespace}")).expect("the namespace");
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("setns");
                work()
            })
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

pub(crate) fn ip(arguments: &[&str]) {
    output("ip", arguments);
}

/// Several commands in one process: starting one takes long where the processor is emulated.
pub(crate) fn ip_batch(namespace: &str, lines: &[String]) {
    let mut child = Command::new("ip")
        .args(["-n", namespace, "-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("run a program");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(lines.join("\n").as_bytes()).expect("write to a pipe");
    drop(stdin);
    assert!(child.wait().expect("its end").success(), "ip -batch: {lines:?}");
}

pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("run a program");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
