//! The authority for every name of this internet, and the recursive resolver that the container's one asks. It
//! answers leniently and notes each question, whatever its form.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::events::{Events, readable};

const A: u16 = 1;
const CNAME: u16 = 5;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const MAX_UDP: usize = 512;

/// The time by which a host's addresses change.
#[derive(Debug, Clone)]
pub struct Clock {
    start: Instant,
    period: Duration,
}

impl Clock {
    /// A clock that steps once in `period`.
    pub fn new(period: Duration) -> Self {
        Self { start: Instant::now(), period }
    }

    /// The step that is current, and the one before while its answers may still hold.
    pub fn steps(&self) -> (u32, u32) {
        let steps = |time: Duration| {
            u32::try_from(time.as_millis() / self.period.as_millis().max(1)).unwrap_or_default()
        };
        let elapsed = self.start.elapsed();
        (steps(elapsed), steps(elapsed.saturating_sub(self.period * 3 / 2)))
    }
}

/// What a name leads to.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To these addresses.
    Addresses(Vec<IpAddr>),
    /// To what another name leads to.
    Alias(&'static str),
}

/// Gets a name in lower case and how often it was asked for; returns where it leads, for how many seconds.
pub type Lookup = Arc<dyn Fn(&str, u32) -> Option<(Answer, u32)> + Send + Sync>;

/// Serves UDP and TCP for ever.
pub fn serve(at: &str, udp: UdpSocket, tcp: TcpListener, lookup: Lookup, events: &Events) {
    let server =
        Arc::new(Server { at: at.to_owned(), lookup, events: events.clone(), asked: Mutex::default() });
    let over_tcp = Arc::clone(&server);
    thread::spawn(move || {
        let mut buffer = vec![0; 65_535];
        loop {
            let Ok((length, from)) = udp.recv_from(&mut buffer) else { continue };
            if let Some(answer) = server.answer(&buffer[..length], "udp", MAX_UDP) {
                let _ = udp.send_to(&answer, from);
            }
        }
    });
    thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            let server = Arc::clone(&over_tcp);
            thread::spawn(move || server.converse(stream));
        }
    });
}

struct Server {
    at: String,
    lookup: Lookup,
    events: Events,
    asked: Mutex<HashMap<(String, u16), u32>>,
}

impl Server {
    fn converse(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length).ok()?;
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query).ok()?;
            let answer = self.answer(&query, "tcp", usize::from(u16::MAX))?;
            let length = u16::try_from(answer.len()).ok()?.to_be_bytes();
            stream.write_all(&[&length[..], &answer].concat()).ok()?;
        }
    }

    fn answer(&self, query: &[u8], over: &str, limit: usize) -> Option<Vec<u8>> {
        let (head, rest) = query.split_at_checked(12)?;
        let opcode = (head[2] >> 3) & 15;
        let Some((name, end)) = read_name(rest) else {
            self.events.note(format!("dns at={} odd over={over} | {}", self.at, readable(query)));
            return None;
        };
        let fixed = rest.get(end..end + 4)?;
        let kind = u16::from_be_bytes([fixed[0], fixed[1]]);
        let class = u16::from_be_bytes([fixed[2], fixed[3]]);
        let lower = name.to_ascii_lowercase();
        let count = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let count = asked.entry((lower.clone(), kind)).or_default();
            *count += 1;
            *count
        };
        let shown = readable(&query[..query.len().min(600)]);
        self.events.note(format!(
            "dns at={} q={name} type={kind} class={class} op={opcode} count={count} over={over} | {shown}",
            self.at
        ));
        if head[2] & 0x80 != 0 {
            return None;
        }
        let question = &rest[..end + 4];
        let (code, records) = self.records(&lower, kind, count);
        let build = |flags: u8, records: &[Vec<u8>]| {
            let mut reply = vec![head[0], head[1], 0x84 | (head[2] & 1) | flags, 0x80 | code, 0, 1];
            reply.extend(u16::try_from(records.len()).unwrap_or_default().to_be_bytes());
            reply.extend([0; 4]);
            reply.extend(question);
            reply.extend(records.concat());
            reply
        };
        let whole = build(0, &records);
        Some(if whole.len() > limit { build(2, &[]) } else { whole })
    }

    /// The response code and the records for a question, with aliases followed.
    fn records(&self, name: &str, kind: u16, count: u32) -> (u8, Vec<Vec<u8>>) {
        let (mut records, mut name) = (Vec::new(), name.to_owned());
        for _ in 0..8 {
            let Some((answer, ttl)) = (self.lookup)(&name, count) else {
                return (3, records);
            };
            match answer {
                Answer::Alias(to) => {
                    records.push(record(&name, CNAME, ttl, &write_name(to)));
                    to.clone_into(&mut name);
                }
                Answer::Addresses(addresses) => {
                    for address in addresses {
                        match address {
                            IpAddr::V4(v4) if kind == A => {
                                records.push(record(&name, A, ttl, &v4.octets()));
                            }
                            IpAddr::V6(v6) if kind == AAAA => {
                                records.push(record(&name, AAAA, ttl, &v6.octets()));
                            }
                            _ => {}
                        }
                    }
                    if kind == TXT {
                        records.push(record(&name, TXT, ttl, b"\x11downstream-answer"));
                    }
                    break;
                }
            }
        }
        (0, records)
    }
}

fn record(name: &str, kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = write_name(name);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(1u16.to_be_bytes());
    bytes.extend(ttl.to_be_bytes());
    bytes.extend(u16::try_from(data.len()).unwrap_or_default().to_be_bytes());
    bytes.extend(data);
    bytes
}

fn write_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap_or_default());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// A name without compression, and where it ends.
fn read_name(bytes: &[u8]) -> Option<(String, usize)> {
    let (mut at, mut labels) = (0, Vec::new());
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        match length {
            0 => return Some((labels.join("."), at)),
            1..=63 => labels.push(readable(bytes.get(at..at + length)?)),
            _ => return None,
        }
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn server() -> Server {
        let lookup: Lookup = Arc::new(|name, count| match name {
            "a.test" => Some((Answer::Alias("b.test"), 5)),
            "b.test" => Some((Answer::Addresses(vec![Ipv4Addr::from(count).into()]), 5)),
            "many.test" => Some((Answer::Addresses(vec![Ipv4Addr::LOCALHOST.into(); 60]), 5)),
            _ => None,
        });
        Server { at: "x".to_owned(), lookup, events: Events::default(), asked: Mutex::default() }
    }

    fn question(name: &str) -> Vec<u8> {
        let mut bytes = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
        bytes.extend(write_name(name));
        bytes.extend([0, 1, 0, 1]);
        bytes
    }

    #[test]
    fn aliases_are_followed_and_questions_counted() {
        let server = server();
        let answer = server.answer(&question("A.test"), "udp", MAX_UDP).unwrap();
        assert_eq!((answer[3] & 15, answer[7]), (0, 2));
        assert!(answer.ends_with(&[0, 4, 0, 0, 0, 1]));
        assert_eq!(server.answer(&question("no.test"), "udp", MAX_UDP).unwrap()[3] & 15, 3);
        assert!(server.events.all()[0].starts_with("dns at=x q=A.test type=1 class=1 op=0 count=1 over=udp"));
    }

    #[test]
    fn what_does_not_fit_is_cut_and_what_is_odd_is_noted() {
        let server = server();
        let cut = server.answer(&question("many.test"), "udp", MAX_UDP).unwrap();
        assert_eq!((cut[2] & 2, cut[7]), (2, 0));
        assert_eq!(server.answer(&question("many.test"), "tcp", 65_535).unwrap()[7], 60);
        let mut odd = question("a.test");
        odd[12] = 0xc0;
        assert!(server.answer(&odd, "udp", MAX_UDP).is_none());
        assert!(server.events.all().last().unwrap().contains(" odd "));
        for length in 0..odd.len() {
            server.answer(&question("a.test")[..length], "udp", MAX_UDP);
        }
    }
}
