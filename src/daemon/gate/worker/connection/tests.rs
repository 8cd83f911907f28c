//! One connection, step by step, between two pairs of sockets.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rustix::net::sockopt;

use super::super::flow::TURNS;
use super::late::HALF_OPEN;
use super::*;

/// As short as a hello for `api.example` can be.
const HELLO: &[u8] = b"\x16\x03\x01\x00\x43\x01\x00\x00\x3f\x03\x03\
    0123456789abcdef0123456789abcdef\x00\x00\x02\x13\x01\x01\x00\x00\x14\
    \x00\x00\x00\x10\x00\x0e\x00\x00\x0bapi.example";
/// What is read at a time here.
const READ: usize = 1024;
const CONTINUES: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

struct Lab {
    connection: Connection,
    client: TcpStream,
    server: Option<TcpStream>,
    buffer: Vec<u8>,
    pipes: Pipes,
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    one.set_nodelay(true).unwrap();
    let other = listener.accept().unwrap().0;
    other.set_nonblocking(true).unwrap();
    (one, other)
}

impl Lab {
    /// A client that has said something.
    fn new(kind: Kind, words: &[u8]) -> Self {
        let (mut client, gate) = pair();
        client.write_all(words).unwrap();
        let from = client.local_addr().unwrap();
        let connection = Connection::new(kind, gate.into(), from, Instant::now());
        let (buffer, pipes) = (vec![0; READ], Pipes::default());
        Self { connection, client, server: None, buffer, pipes }
    }

    /// With the kernel's word that something may have come.
    fn step(&mut self) -> Step {
        for is_upstream in [false, true] {
            self.connection.stir(is_upstream, epoll::EventFlags::IN);
        }
        self.step_untold()
    }

    fn step_untold(&mut self) -> Step {
        let (buffer, pipes) = (&mut self.buffer[..], &mut self.pipes);
        self.connection.step(&mut Tools { buffer, pipes, said: None, id: 0 })
    }

    /// Goes on until nothing is left to do.
    fn settle(&mut self) {
        while self.step() == Step::Again {}
    }

    /// The same, with a server that was asked for.
    fn connected(mut self) -> Self {
        self.settle();
        let (server, gate) = pair();
        self.connection.answered(Verdict::Connected, Some(gate.into()));
        self.server = Some(server);
        self.settle();
        self
    }

    /// Sends as much as there is room for.
    fn flood(&mut self, with: &[u8]) -> usize {
        let many = with.repeat(64 * 1024 / with.len());
        self.client.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(len) = self.client.write(&many[sent % with.len()..]) {
            sent += len;
        }
        self.client.set_nonblocking(false).unwrap();
        sent
    }

    fn there(from: &TcpStream) -> Vec<u8> {
        from.set_nonblocking(true).unwrap();
        let mut bytes = Vec::new();
        let mut from = from;
        let _ = from.read_to_end(&mut bytes);
        bytes
    }
}

/// Each of these once read for as long as more came, while everybody else waited.
#[test]
fn others_have_their_turn_in_the_middle_of_a_flood() {
    let last = b"GET / HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n";
    let body = b"POST / HTTP/1.1\r\nHost: api.example\r\nContent-Length: 99999999999\r\n\r\n";
    let change_of_cipher = b"\x14\x03\x03\0\x01\x01";
    let mut refused = Lab::new(Kind::Tls, b"SSH-2.0-x\r\n");
    refused.settle();
    for (what, mut lab, words) in [
        ("refused", refused, &b"x"[..]),
        ("behind a last request", Lab::new(Kind::Http, last).connected(), b"x"),
        ("a body", Lab::new(Kind::Http, body).connected(), b"x"),
        ("before the server's hello", Lab::new(Kind::Tls, HELLO).connected(), change_of_cipher),
    ] {
        let sent = lab.flood(words);
        assert!(sent > 4 * READ * TURNS as usize, "{sent} bytes are no flood");
        assert_eq!(lab.step(), Step::Again, "{what}");
    }
}

#[test]
fn who_waits_to_be_told_to_continue_is_told_once_for_each_request() {
    let post = b"POST / HTTP/1.1\r\nHost: api.example\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let mut lab = Lab::new(Kind::Http, post).connected();
    let mut told = || {
        // As soon as the server has the head, the client is told, and not with whatever happens next.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            lab.settle();
            head.extend(Lab::there(lab.server.as_ref().unwrap()));
        }
        let told = Lab::there(&lab.client);
        lab.client.write_all(b"ab").unwrap();
        lab.client.write_all(post).unwrap();
        told
    };
    assert_eq!(told(), CONTINUES);
    assert_eq!(told(), CONTINUES);
}

/// The client reads nothing, the server everything.
#[test]
fn words_that_nobody_reads_are_not_piled_up() {
    let get = b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n";
    let mut lab = Lab::new(Kind::Http, get).connected();
    let (server, many) = (lab.server.take().unwrap(), get.repeat(1000));
    let small = socket2::SockRef::from(&lab.connection.client);
    small.set_send_buffer_size(4096).unwrap();
    lab.client.set_nonblocking(true).unwrap();
    let (mut sent, mut idle) = (0, 0);
    // Until nothing goes on, or so much that it must have been piled up.
    while idle < 200 && sent < 60_000_000 {
        if let Ok(len) = lab.client.write(&many[sent % get.len()..]) {
            (sent, idle) = (sent + len, 0);
        } else {
            idle += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
        lab.settle();
        Lab::there(&server);
    }
    let waits = lab.connection.down.room();
    assert!(waits <= 2 * CONTINUES.len(), "{waits}");
}

/// The same hello with data behind it that waits for no answer.
fn early_data(hello: &[u8]) -> Vec<u8> {
    let mut hello = [hello, b"\0\x2a\0\0"].concat();
    for length in [4, 8, 51] {
        hello[length] += 4;
    }
    hello
}

/// The client sends what it can, the server takes nothing.
#[test]
fn a_connection_has_its_share_of_memory() {
    let early = early_data(HELLO);
    let data = [&b"\x17\x03\x03\x40\x00"[..], &[b'x'; 1 << 14]].concat();
    let post = b"POST / HTTP/1.1\r\nHost: api.example\r\nContent-Length: 99999999999\r\n\r\n";
    for (what, kind, words, more) in [
        ("held", Kind::Tls, HELLO, &data[..]),
        ("early data", Kind::Tls, &early[..], &data[..]),
        ("a body", Kind::Http, post, b"x"),
    ] {
        let mut lab = Lab::new(kind, words).connected();
        lab.buffer = vec![0; CHUNK];
        for _ in 0..4 {
            // Whatever sizes it comes in.
            lab.client.write_all(&more.repeat(20_000 / more.len() + 1)).unwrap();
            lab.settle();
        }
        for _ in 0..200 {
            lab.flood(more);
            lab.settle();
            if lab.connection.input.len() >= MAX_HELD || !lab.connection.up.is_empty() {
                break;
            }
        }
        let Connection { input, up, down, .. } = &lab.connection;
        assert!(input.len() >= MAX_HELD || !up.is_empty(), "{what}: the server took all of it");
        let taken = input.capacity() + up.room() + down.room();
        assert!(taken <= MOST_MEMORY, "{what}: {taken}");
    }
}

#[test]
fn a_server_that_outlives_its_client_is_let_go() {
    for (kind, words) in [(Kind::Tls, HELLO), (Kind::Http, &b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"[..])]
    {
        let mut lab = Lab::new(kind, words).connected();
        let later = Instant::now() + 2 * HALF_OPEN;
        assert!(!lab.connection.is_late(later), "somebody is there");
        lab.client.shutdown(std::net::Shutdown::Write).unwrap();
        lab.settle();
        assert!(!lab.connection.is_late(Instant::now()));
        assert!(lab.connection.is_late(later));
        assert!(lab.connection.give_up().is_none());
        assert_eq!(lab.step(), Step::Over);
    }
}

#[test]
fn what_the_kernel_has_not_told_is_not_looked_for() {
    let mut lab = Lab::new(Kind::Tls, HELLO).connected();
    lab.server.as_mut().unwrap().write_all(b"\x16\x03\x03\x00\x30").unwrap();
    assert_eq!(lab.step_untold(), Step::Waits);
    assert_eq!(Lab::there(&lab.client), b"");
    lab.settle();
    assert_eq!(Lab::there(&lab.client), b"\x16\x03\x03\x00\x30");
}

#[test]
fn a_server_is_asked_whether_it_is_there_once_a_connection_lasts() {
    let mut lab = Lab::new(Kind::Tls, HELLO).connected();
    let asks = |lab: &Lab| {
        let upstream = lab.connection.upstream().unwrap();
        (sockopt::socket_keepalive(upstream).unwrap(), sockopt::tcp_keepidle(upstream).unwrap())
    };
    lab.connection.guard(Instant::now());
    assert!(!asks(&lab).0);
    lab.connection.guard(Instant::now() + Duration::from_secs(10));
    assert_eq!(asks(&lab), (true, Duration::from_secs(60)));
}
