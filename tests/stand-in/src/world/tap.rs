//! A listener on the cable: every frame that a host sends, whatever the protocol.

use std::fmt::Write as _;
use std::io::Read as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::events::{Events, hex, readable};

/// `htons(ETH_P_ALL)`.
const EVERY_PROTOCOL: u16 = 3u16.to_be();
const SHOWN: usize = 700;

/// Notes each frame that comes from the Ethernet address `from`, as `wire proto=... src=... dst=... dport=... | ...`.
pub fn watch(from: [u8; 6], events: &Events) -> anyhow::Result<()> {
    let protocol = Protocol::from(i32::from(EVERY_PROTOCOL));
    let mut socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
    socket.set_recv_buffer_size(8 << 20)?;
    let events = events.clone();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        loop {
            let Ok(length) = socket.read(&mut buffer) else {
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            if length > 14 && buffer[6..12] == from {
                events.note(describe(&buffer[12..length]));
            }
        }
    });
    Ok(())
}

/// A frame from its type field on.
fn describe(frame: &[u8]) -> String {
    let (kind, packet) = frame.split_at(2);
    match (kind, packet.len()) {
        ([8, 0], 20..) => {
            let header = (usize::from(packet[0] & 15) * 4).min(packet.len());
            let (src, dst) = (v4(&packet[12..16]), v4(&packet[16..20]));
            let options = readable(&packet[20.min(header)..header]);
            let fragment = u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff;
            let ports = fragment == 0;
            line(packet[9], &src.to_string(), &dst.to_string(), &packet[header..], ports, &options)
        }
        ([0x86, 0xdd], 40..) => {
            let (src, dst) = (v6(&packet[8..24]), v6(&packet[24..40]));
            line(packet[6], &src.to_string(), &dst.to_string(), &packet[40..], true, "")
        }
        _ => format!("wire ether={} | {}", hex(kind), readable(&packet[..packet.len().min(SHOWN)])),
    }
}

fn line(protocol: u8, src: &str, dst: &str, payload: &[u8], ports: bool, options: &str) -> String {
    let shown = &payload[..payload.len().min(SHOWN)];
    let mut text = format!("wire proto={protocol} src={src} dst={dst} ");
    match (protocol, ports, payload) {
        (6 | 17 | 33 | 132 | 136, true, [a, b, c, d, ..]) => {
            let port = |high: &u8, low: &u8| u16::from_be_bytes([*high, *low]);
            let _ = write!(text, "sport={} dport={} ", port(a, b), port(c, d));
        }
        // Kernel-made messages hold addresses, which read best in hexadecimal.
        (0 | 2 | 58, ..) => {
            let _ = write!(text, "hex={} ", hex(shown));
        }
        _ => {}
    }
    text + "| " + options + &readable(shown)
}

fn v4(bytes: &[u8]) -> Ipv4Addr {
    <[u8; 4]>::try_from(bytes).unwrap_or_default().into()
}

fn v6(bytes: &[u8]) -> Ipv6Addr {
    <[u8; 16]>::try_from(bytes).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_described_by_what_a_test_looks_for() {
        let mut udp = vec![8, 0, 0x45, 0, 0, 31, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        udp.extend([0, 9, 0, 53, 0, 11, 0, 0, b'a', b'b', b'c']);
        assert_eq!(describe(&udp), "wire proto=17 src=10.0.0.1 dst=10.0.0.2 sport=9 dport=53 | ...5....abc");
        // A later fragment has no ports.
        udp[9] = 1;
        assert!(!describe(&udp).contains("dport"));
        let mut six = vec![0x86, 0xdd, 0x60, 0, 0, 0, 0, 4, 58, 255];
        six.extend([0; 15].iter().chain(&[1]).chain(&[0; 15]).chain(&[2]).chain(&[143, 0, 0xff, 0x1e]));
        assert_eq!(describe(&six), "wire proto=58 src=::1 dst=::2 hex=8f00ff1e | ....");
        for cut in 2..udp.len() {
            describe(&udp[..cut]);
        }
    }
}
