//! The program as a test uses it: started on free ports, spoken to, and read.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

struct StandIn {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    at: HashMap<String, SocketAddr>,
}

impl StandIn {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stand-in"));
        for server in ["--dns", "--messages", "--http", "--tcp", "--udp"] {
            command.args([server, "127.0.0.1:0"]);
        }
        command.args(["--zone", "a.example=10.0.0.1", "--command", "id"]).args(flags);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut started = Self { child, lines, at: HashMap::new() };
        loop {
            let line = started.line();
            if line["ready"] == true {
                return started;
            }
            let name = line["listening"].as_str().unwrap().to_owned();
            started.at.insert(name, line["at"].as_str().unwrap().parse().unwrap());
        }
    }

    fn line(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    fn tcp(&self, name: &str, send: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.at[name]).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(send).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        reply
    }

    fn udp(&self, name: &str, send: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send_to(send, self.at[name]).unwrap();
        let mut reply = vec![0; 600];
        let length = socket.recv(&mut reply).unwrap();
        reply.truncate(length);
        reply
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A query for the A record of a.example.
const QUERY: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";

#[test]
fn every_server_answers_and_logs() {
    let mut stand_in = StandIn::start();

    assert!(stand_in.udp("dns", QUERY).ends_with(&[10, 0, 0, 1]));
    let line = stand_in.line();
    assert_eq!((&line["dns"], &line["type"]), (&"a.example".into(), &"A".into()));
    assert_eq!((&line["from"], &line["over"]), (&"127.0.0.1".into(), &"udp".into()));
    let framed = [&[0, u8::try_from(QUERY.len()).unwrap()], QUERY].concat();
    assert!(stand_in.tcp("dns-tcp", &framed).ends_with(&[10, 0, 0, 1]));
    assert_eq!(stand_in.line()["over"], "tcp");

    assert_eq!(stand_in.tcp("tcp", b"SSH-2.0-x\r\n"), b"stand-in reached\n");
    assert_eq!(stand_in.line()["from"], "127.0.0.1");
    assert_eq!(stand_in.udp("udp", b"ping"), b"ping");
    assert_eq!(stand_in.line()["udp"], "ping");

    let reply = stand_in.tcp("http", b"GET /secret?x HTTP/1.1\r\nHost: h.example\r\n\r\n");
    assert!(reply.ends_with(b"\r\n\r\nstand-in reached\n"), "{reply:?}");
    let line = stand_in.line();
    assert_eq!((&line["http"], &line["host"]), (&"/secret?x".into(), &"h.example".into()));

    let reply = stand_in.tcp("messages", b"HEAD / HTTP/1.1\r\n\r\n");
    assert!(reply.starts_with(b"HTTP/1.1 200 OK"), "{reply:?}");
    assert_eq!(stand_in.line()["method"], "HEAD");
}

#[test]
fn a_host_with_turns_comes_and_goes() {
    let stand_in = StandIn::start_with(&["--rotate", "1", "--turn", "0/3"]);
    let started = Instant::now();
    let (mut met, mut refused) = (0, 0);
    // Away, and then back.
    while refused == 0 || met == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "met {met} times, refused {refused} times");
        match TcpStream::connect(stand_in.at["messages"]) {
            Ok(_) if refused > 0 => met += 1,
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
                refused += 1;
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // Others have no turns.
    assert_eq!(stand_in.tcp("tcp", b""), b"stand-in reached\n");
}

#[test]
fn garbage_ends_nothing_but_itself() {
    let mut stand_in = StandIn::start();
    for name in ["dns-tcp", "messages", "http"] {
        stand_in.tcp(name, &[0xff; 3000]);
        stand_in.tcp(name, b"");
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&[0xff; 900], stand_in.at["dns"]).unwrap();
    assert!(stand_in.udp("dns", QUERY).ends_with(&[10, 0, 0, 1]));
    assert_eq!(stand_in.line()["dns"], "a.example");
}
