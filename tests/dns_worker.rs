//! The DNS worker as a process: what it answers, what it says, and what it cannot do.

mod worker;

use std::fs;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use simple_dns::{RCODE, TYPE};
use worker::{Worker, question, read};

const TABLE: &str =
    r#"{"names":{"api.example":["203.0.113.1","2001:db8::1"],"soon.example":[]},"zones":[],"all":false}"#;

fn ask(at: &UdpSocket, message: &[u8]) -> std::io::Result<Vec<u8>> {
    let own = at.local_addr()?;
    let socket = UdpSocket::bind((own.ip(), 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.send_to(message, own)?;
    let mut answer = vec![0; 4096];
    let len = socket.recv(&mut answer)?;
    answer.truncate(len);
    Ok(answer)
}

#[test]
fn it_answers_on_both_sockets_from_its_table() {
    let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
    let v6 = UdpSocket::bind("[::1]:0").unwrap();
    let mut worker = Worker::start(&v4, Some(&v6));
    // Before it knows its table it answers nothing: a listed name would be refused.
    let early = UdpSocket::bind("127.0.0.1:0").unwrap();
    early.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    early.send_to(&question("api.example", TYPE::A), v4.local_addr().unwrap()).unwrap();
    assert!(early.recv(&mut [0; 512]).is_err());
    worker.tell(TABLE);
    early.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    early.recv(&mut [0; 512]).expect("the question has waited");
    worker.tell("");
    assert_eq!(worker.heard(), "", "asked whether it is still at work, it says so");
    for socket in [&v4, &v6] {
        let asked = |name, kind| read(&ask(socket, &question(name, kind)).unwrap());
        assert_eq!(asked("api.example", TYPE::A), (RCODE::NoError, vec!["203.0.113.1".to_owned()]));
        assert_eq!(asked("api.example", TYPE::AAAA), (RCODE::NoError, vec!["2001:db8::1".to_owned()]));
        assert_eq!(asked("soon.example", TYPE::A).0, RCODE::ServerFailure);
        assert_eq!(asked("Evil.example", TYPE::A).0, RCODE::NameError);
        assert_eq!(worker.heard(), "evil.example");
    }
    worker.tell(r#"{"names":{"soon.example":["203.0.113.7"]},"zones":[],"all":false}"#);
    let deadline = Instant::now() + Duration::from_secs(5);
    while read(&ask(&v4, &question("soon.example", TYPE::A)).unwrap()).0 != RCODE::NoError {
        assert!(Instant::now() < deadline, "a new table takes the old one's place");
    }
    assert_eq!(read(&ask(&v4, &question("api.example", TYPE::A)).unwrap()).0, RCODE::NameError);
}

#[test]
fn it_survives_what_is_no_question_and_a_daemon_that_does_not_listen() {
    let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
    let worker = Worker::start(&v4, None);
    worker.tell(TABLE);
    for message in [&b""[..], b"x", &[0xff; 1400], &[0; 12], &vec![0; 60_000]] {
        ask_without_waiting(&v4, message).unwrap();
    }
    // More refused names than the pipe to the daemon holds.
    for n in 0..20_000 {
        ask_without_waiting(&v4, &question(&format!("n{n}.{}.example", "a".repeat(60)), TYPE::A)).unwrap();
    }
    let answer = (0..10).find_map(|_| ask(&v4, &question("api.example", TYPE::A)).ok());
    assert_eq!(read(&answer.unwrap()).1, ["203.0.113.1"]);
}

fn ask_without_waiting(at: &UdpSocket, message: &[u8]) -> std::io::Result<()> {
    UdpSocket::bind("127.0.0.1:0")?.send_to(message, at.local_addr()?).map(drop)
}

#[test]
fn it_holds_no_right_and_has_room_for_little() {
    agent_sandbox::descriptors::keep_from_children();
    let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
    let worker = Worker::start(&v4, None);
    let proc = format!("/proc/{}", worker.child.id());
    let status = fs::read_to_string(format!("{proc}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    };
    assert_eq!(field("Name"), "sandboxd-dns", "told from the daemon");
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2", "it can make the calls that are listed alone");
    let limits = fs::read_to_string(format!("{proc}/limits")).unwrap();
    for limit in ["Max open files 38 38", "Max file size 0 0", "Max core file size 0 0"] {
        let found = limits
            .lines()
            .any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(limit));
        assert!(found, "{limit} in {limits}");
    }
    if rustix::process::geteuid().is_root() {
        assert_eq!(fs::read_dir(format!("{proc}/fd")).unwrap().count(), 3);
    }
}

#[test]
fn it_ends_with_the_daemon() {
    let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut worker = Worker::start(&v4, None);
    worker.hang_up();
    let deadline = Instant::now() + Duration::from_secs(5);
    let status = loop {
        match worker.child.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(Instant::now() < deadline, "it goes on without a daemon"),
        }
    };
    assert!(status.success(), "{status}");
}
