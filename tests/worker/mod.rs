//! The real DNS worker, `sandboxd dns`, started as the daemon starts it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, QCLASS, QTYPE, Question, RCODE, TYPE};

/// A running worker, in the daemon's place.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) child: Child,
    stream: UnixStream,
    said: BufReader<UnixStream>,
}

impl Worker {
    /// Starts it in the calling thread's network namespace, and waits until it is at work.
    pub(crate) fn start(v4: &UdpSocket, v6: Option<&UdpSocket>) -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        ours.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
        let copy = |socket: &UdpSocket| OwnedFd::from(socket.try_clone().expect("a copy"));
        // On another machine than the one that built the tests, it is said where the program lies.
        let program = std::env::var_os("SANDBOXD").unwrap_or_else(|| env!("CARGO_BIN_EXE_sandboxd").into());
        let child = Command::new(program)
            .arg("dns")
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(copy(v4))
            .stderr(v6.map_or_else(Stdio::null, |socket| Stdio::from(copy(socket))))
            .spawn()
            .expect("start sandboxd");
        let said = BufReader::new(ours.try_clone().expect("a copy"));
        let mut worker = Self { child, stream: ours, said };
        assert_eq!(worker.heard(), "", "an empty line says that it is at work");
        worker
    }

    /// Tells it what to answer.
    pub(crate) fn tell(&self, table: &str) {
        (&self.stream).write_all(format!("{table}\n").as_bytes()).expect("tell the worker");
    }

    /// Ends the conversation, as the daemon's end does.
    pub(crate) fn hang_up(&self) {
        self.stream.shutdown(std::net::Shutdown::Both).expect("hang up");
    }

    /// The next line that it says.
    pub(crate) fn heard(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a line of the worker's");
        line.trim_end_matches('\n').to_owned()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A question for a name's IPv4 or IPv6 addresses.
pub(crate) fn question(name: &str, kind: TYPE) -> Vec<u8> {
    let mut packet = Packet::new_query(0x7a7a);
    let name = Name::new(name).expect("a name");
    packet.questions.push(Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().expect("a question")
}

/// What an answer says: the code, and the addresses.
pub(crate) fn read(answer: &[u8]) -> (RCODE, Vec<String>) {
    let packet = Packet::parse(answer).expect("an answer");
    let addresses = packet.answers.iter().map(|record| match &record.rdata {
        RData::A(a) => std::net::Ipv4Addr::from(a.address).to_string(),
        RData::AAAA(a) => std::net::Ipv6Addr::from(a.address).to_string(),
        other => panic!("{other:?}"),
    });
    (packet.rcode(), addresses.collect())
}
