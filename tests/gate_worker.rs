//! The gate's worker as a process, with the test in the daemon's place: what it asks for, what it passes on, what who is
//! refused is told, and what it cannot do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agent_sandbox::egress::words::{MAX_WORD, Verdict, Why, Wish, Word};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    recv, sendmsg, socketpair,
};

const PATIENCE: Duration = Duration::from_secs(10);
/// A TLS hello for `api.example`, as short as it can be.
const HELLO: &[u8] = b"\x16\x03\x01\x00\x43\x01\x00\x00\x3f\x03\x03\
    0123456789abcdef0123456789abcdef\x00\x00\x02\x13\x01\x01\x00\x00\x14\
    \x00\x00\x00\x10\x00\x0e\x00\x00\x0bapi.example";
const REQUEST: &[u8] = b"GET /path HTTP/1.1\r\nHost: api.example\r\n\r\n";
const ACCESS_DENIED: &[u8] = b"\x15\x03\x03\x00\x02\x02\x31";
const INTERNAL_ERROR: &[u8] = b"\x15\x03\x03\x00\x02\x02\x50";
const UNRECOGNIZED_NAME: &[u8] = b"\x15\x03\x03\x00\x02\x02\x70";

/// A running worker.
struct Gate {
    child: Child,
    control: OwnedFd,
    tls: SocketAddr,
    http: SocketAddr,
}

impl Gate {
    fn start() -> Self {
        Self::start_within("unlimited", "unlimited")
    }

    /// With a container's limits on memory, in KiB, and descriptors.
    fn start_within(memory: &str, descriptors: &str) -> Self {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        for listener in &listeners {
            listener.set_nonblocking(true).unwrap();
        }
        let [tls, http] = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
        let (control, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        set_socket_timeout(&control, Timeout::Recv, Some(PATIENCE)).unwrap();
        let script =
            "[ $1 = unlimited ] || ulimit -v $1; [ $2 = unlimited ] || ulimit -n $2; exec \"$0\" gate";
        let child = Command::new("/bin/sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_sandboxd"), memory, descriptors])
            .env_clear()
            .stdin(theirs)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let gate = Self { child, control, tls, http };
        let descriptors = [listeners[0].as_fd(), listeners[1].as_fd()];
        gate.send(b"th", &descriptors);
        assert_eq!(gate.hear(), Word::Alive);
        gate
    }

    fn send(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(descriptors.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
        sendmsg(&self.control, &[IoSlice::new(message)], &mut ancillary, SendFlags::empty()).unwrap();
    }

    fn hear(&self) -> Word {
        let mut message = [0; MAX_WORD];
        let (_, len) = recv(&self.control, &mut message[..], RecvFlags::empty()).expect("a word in time");
        Word::decode(&message[..len]).expect("a word that reads")
    }

    fn hear_wish(&self, host: &str, port: u16) -> u32 {
        match self.hear() {
            Word::Wish(Wish { id, name, port: wanted, .. }) => {
                assert_eq!((name.as_str(), wanted), (host, port));
                id
            }
            other => panic!("{other:?}"),
        }
    }

    fn hear_complaint(&self) -> (u16, Option<String>, Why) {
        match self.hear() {
            Word::Complaint(complaint) => (complaint.port, complaint.said, complaint.why),
            other => panic!("{other:?}"),
        }
    }

    fn hear_complaint_within(&self, time: Duration) -> (u16, Option<String>, Why) {
        set_socket_timeout(&self.control, Timeout::Recv, Some(time)).unwrap();
        self.hear_complaint()
    }

    /// Passes over what was said so far.
    fn forget(&self) {
        while recv(&self.control, &mut [0; MAX_WORD][..], RecvFlags::DONTWAIT).is_ok() {}
    }

    /// Makes the connection that was wished for, and returns the server's end of it.
    fn connect(&self, id: u32) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        upstream.set_nonblocking(true).unwrap();
        self.send(&Verdict::Connected.encode(id), &[upstream.as_fd()]);
        let server = listener.accept().unwrap().0;
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        server
    }

    fn refuse(&self, id: u32, verdict: &Verdict) {
        self.send(&verdict.encode(id), &[]);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(at: SocketAddr, words: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(at).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(words).unwrap();
    client
}

fn read_exactly(mut from: &TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes).unwrap();
    bytes
}

/// Everything up to its end; that of a connection which was cut is one, too.
fn read_all(mut from: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = from.read_to_end(&mut bytes);
    bytes
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn tls_goes_to_the_host_of_its_hello_and_both_ways() {
    let gate = Gate::start();
    // Byte by byte, as nobody sends it.
    let mut client = client(gate.tls, b"");
    client.set_nodelay(true).unwrap();
    for byte in HELLO {
        client.write_all(&[*byte]).unwrap();
    }
    let id = gate.hear_wish("api.example", 443);
    let mut server = gate.connect(id);
    assert_eq!(read_exactly(&server, HELLO.len()), HELLO);
    // A server's hello that is no request for another one.
    let answer = [&b"\x16\x03\x03\x00\x30\x02\x00\x00\x2c\x03\x03"[..], &[7; 64]].concat();
    server.write_all(&answer).unwrap();
    assert_eq!(read_exactly(&client, answer.len()), answer);
    let much: Vec<u8> = (0..3_000_000_u32).map(|n| u8::try_from(n % 253).unwrap()).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (&client).write_all(&much).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
        });
        assert_eq!(read_all(&server), much);
    });
    server.write_all(b"bye").unwrap();
    drop(server);
    assert_eq!(read_all(&client), b"bye");
}

#[test]
fn its_words_say_where_the_client_is() {
    let gate = Gate::start();
    let asks = client(gate.tls, HELLO);
    let Word::Wish(wish) = gate.hear() else { panic!("no wish") };
    assert_eq!(wish.client, asks.local_addr().unwrap());
    let breaks = client(gate.http, b"\0\0\0\0");
    let Word::Complaint(complaint) = gate.hear() else { panic!("no complaint") };
    assert_eq!(complaint.client, breaks.local_addr().unwrap());
}

#[test]
fn who_is_refused_is_told_why() {
    let gate = Gate::start();
    let no_name =
        [&b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03"[..], &[7; 32], b"\0\0\x02\x13\x01\x01\0\0\0"];
    let refused = Verdict::Refused("refused api.example: not in the policy".to_owned());
    let failed = Verdict::Failed("api.example cannot be reached: nobody is there".to_owned());
    for (verdict, alert) in [(&refused, ACCESS_DENIED), (&failed, INTERNAL_ERROR)] {
        let client = client(gate.tls, HELLO);
        gate.refuse(gate.hear_wish("api.example", 443), verdict);
        assert_eq!(read_all(&client), alert);
    }
    assert_eq!(read_all(&client(gate.tls, &no_name.concat())), UNRECOGNIZED_NAME);
    assert_eq!(gate.hear_complaint(), (443, None, Why::NoName));
    for (verdict, status) in [(&refused, "403 Forbidden"), (&failed, "502 Bad Gateway")] {
        let client = client(gate.http, REQUEST);
        gate.refuse(gate.hear_wish("api.example", 80), verdict);
        let said = text(&read_all(&client));
        assert!(said.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{said}");
        assert!(
            said.ends_with("api.example: not in the policy\n") || said.ends_with("nobody is there\n"),
            "{said}"
        );
    }
    for (at, words, status, complaint) in [
        (
            gate.http,
            &b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"[..],
            "403",
            (80, Some("10.0.0.1"), Why::Address),
        ),
        (
            gate.http,
            b"GET / HTTP/1.1\r\nHost: a.example:81\r\n\r\n",
            "403",
            (80, Some("a.example:81"), Why::OtherHost),
        ),
        (gate.http, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400", (80, None, Why::Broken)),
        (gate.http, b"GET / HTTP/1.1\r\n\r\n", "400", (80, None, Why::Broken)),
        (gate.tls, b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n", "400", (443, None, Why::NotTls)),
    ] {
        let said = text(&read_all(&client(at, words)));
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{}: {said}", text(words));
        let (port, what, why) = complaint;
        assert_eq!(gate.hear_complaint(), (port, what.map(str::to_owned), why));
    }
    assert_eq!(read_all(&client(gate.http, HELLO)), ACCESS_DENIED, "TLS where HTTP is spoken");
    assert_eq!(gate.hear_complaint(), (80, None, Why::NotHttp));
    assert_eq!(read_all(&client(gate.tls, b"SSH-2.0-x\r\n")).first(), Some(&b'H'));
    assert_eq!(gate.hear_complaint(), (443, None, Why::NotTls));
}

#[test]
fn every_request_of_a_connection_is_judged() {
    let gate = Gate::start();
    let mut client = client(gate.http, REQUEST);
    let mut server = gate.connect(gate.hear_wish("api.example", 80));
    let forwarded = "GET /path HTTP/1.1\r\nHost: api.example\r\n\r\n";
    assert_eq!(text(&read_exactly(&server, forwarded.len())), forwarded);
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    assert_eq!(read_exactly(&client, 40).last(), Some(&b'k'));
    client.write_all(REQUEST).unwrap();
    assert_eq!(text(&read_exactly(&server, forwarded.len())), forwarded);
    // For another host, behind a body so that both come at once.
    client.write_all(b"POST / HTTP/1.1\r\nHost: api.example\r\nContent-Length: 4\r\n\r\nbody").unwrap();
    client.write_all(b"GET /stolen HTTP/1.1\r\nHost: evil.test\r\n\r\n").unwrap();
    assert_eq!(gate.hear_complaint(), (80, Some("evil.test".to_owned()), Why::OtherHost));
    let rest = text(&read_all(&server));
    assert!(rest.ends_with("\r\n\r\nbody") && !rest.contains("stolen"), "{rest}");
    assert_eq!(read_all(&client), b"");
}

#[test]
fn it_is_a_proxy_that_looks_into_its_tunnels() {
    let gate = Gate::start();
    let absolute =
        b"GET http://api.example/x HTTP/1.1\r\nHost: api.example\r\nProxy-Connection: keep-alive\r\n\r\n";
    let _client = client(gate.http, absolute);
    let server = gate.connect(gate.hear_wish("api.example", 80));
    let forwarded = "GET /x HTTP/1.1\r\nHost: api.example\r\n\r\n";
    assert_eq!(text(&read_exactly(&server, forwarded.len())), forwarded);

    let tunnel = |host: &str| {
        let connect = format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n");
        let mut client = client(gate.http, connect.as_bytes());
        let server = gate.connect(gate.hear_wish(host, 443));
        let opened = b"HTTP/1.1 200 Connection established\r\n\r\n";
        assert_eq!(read_exactly(&client, opened.len()), opened);
        client.write_all(HELLO).unwrap();
        (client, server)
    };
    let (_client, server) = tunnel("api.example");
    assert_eq!(read_exactly(&server, HELLO.len()), HELLO);
    // Asked for with one name, used for another.
    let (client, server) = tunnel("other.example");
    assert_eq!(read_all(&client), ACCESS_DENIED);
    assert_eq!(gate.hear_complaint(), (80, Some("api.example".to_owned()), Why::OtherName));
    assert_eq!(read_all(&server), b"");
}

#[test]
fn a_flood_that_says_nothing_keeps_nobody_out() {
    let gate = Gate::start();
    let flood = || (0..900).map_while(|_| TcpStream::connect(gate.tls).ok()).collect::<Vec<_>>();
    let first = flood();
    let _client = client(gate.tls, HELLO);
    gate.hear_wish("api.example", 443);
    // After ten seconds each of them is told so, and does not count any more. Of many complaints some may be lost.
    let (port, said, why) = gate.hear_complaint_within(Duration::from_secs(30));
    assert_eq!((port, said, why), (443, None, Why::Silent));
    for silent in &first {
        silent.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(read_all(silent), ACCESS_DENIED);
    }
    gate.forget();
    let mut slow = client(gate.tls, &HELLO[..20]);
    let second = flood();
    slow.write_all(&HELLO[20..]).unwrap();
    gate.hear_wish("api.example", 443);
    drop((first, second));
}

#[test]
fn who_comes_when_all_descriptors_are_used_is_turned_away() {
    // Eight for each connection.
    let gate = Gate::start_within("unlimited", "64");
    let mut served: Vec<_> = (0..8)
        .map(|_| {
            let client = client(gate.tls, HELLO);
            let server = gate.connect(gate.hear_wish("api.example", 443));
            assert_eq!(read_exactly(&server, HELLO.len()), HELLO);
            (client, server)
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(read_all(&client(gate.tls, HELLO)), b"", "closed without a word, and nothing asked for");
    }
    for (client, server) in &mut served {
        server.write_all(&[7; 16]).unwrap();
        assert_eq!(read_exactly(client, 16), [7; 16], "who is served goes on to be");
    }
    // Somebody leaves, and there is room for another.
    drop(served.pop());
    let deadline = Instant::now() + PATIENCE;
    let id = loop {
        let next = client(gate.tls, HELLO);
        next.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        // Turned away while the worker has not noticed yet.
        match (&next).read(&mut [0; 1]) {
            Ok(0) => assert!(Instant::now() < deadline, "there is no room for another"),
            _ => break gate.hear_wish("api.example", 443),
        }
    };
    gate.connect(id);
}

#[test]
fn out_of_memory_it_ends_and_has_passed_nothing() {
    let mut gate = Gate::start_within("24000", "unlimited");
    // Heads without an end, in lines that are not too long, of which it keeps as much as it may, until it has no room
    // for one more.
    let line = "x".repeat(15_000);
    let head = format!("GET / HTTP/1.1\r\nX-One: {line}\r\nX-Two: {line}");
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut kept = Vec::new();
    let status = loop {
        if let Some(status) = gate.child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "{} connections are no burden", kept.len());
        if let Ok(mut client) = TcpStream::connect(gate.http) {
            client.set_write_timeout(Some(PATIENCE)).unwrap();
            let _ = client.write_all(head.as_bytes());
            kept.push(client);
        }
    };
    assert!(!status.success(), "{status}");
    // Not one wish: whatever it still said is that it was there.
    let mut message = [0; MAX_WORD];
    while let Ok((_, len)) = recv(&gate.control, &mut message[..], RecvFlags::DONTWAIT) {
        if len == 0 {
            break;
        }
        assert!(!matches!(Word::decode(&message[..len]), Some(Word::Wish(_))));
    }
}

#[test]
fn it_holds_no_right() {
    let gate = Gate::start();
    let proc = format!("/proc/{}", gate.child.id());
    let status = fs::read_to_string(format!("{proc}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    };
    assert_eq!(field("Name"), "sandboxd-gate");
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!((field("NoNewPrivs").as_str(), field("Seccomp").as_str()), ("1", "2"));
}

#[test]
fn it_answers_the_daemons_pulse_and_ends_with_it() {
    let mut gate = Gate::start();
    gate.refuse(u32::MAX, &Verdict::Connected);
    assert_eq!(gate.hear(), Word::Alive);
    rustix::net::shutdown(&gate.control, rustix::net::Shutdown::Both).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match gate.child.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(Instant::now() < deadline, "it goes on without a daemon"),
        }
    };
    assert!(status.success(), "{status}");
}
