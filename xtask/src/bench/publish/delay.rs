//! A loopback proxy that makes round trips long, and nothing else: what flows is not limited.
//!
//! Each direction takes half a round trip. A proxy accepts a connection at once, while a far host's answer to the first
//! packet takes a round trip; so the first bytes of a connection are held for that much longer.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

/// What is read at once.
const PIECE: usize = 64 << 10;
/// Pieces that are under way in one direction: more than any test sends within a round trip.
const UNDER_WAY: usize = 2048;

/// When to hand bytes on; no bytes are the end.
type Held = (Instant, Vec<u8>);

/// Starts a proxy to a port on this machine; its threads end with the process. Returns its own port.
pub(super) fn start(upstream: u16, round_trip: Duration) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // Whoever is refused by the upstream sees the connection end.
            let _ = connect(client, upstream, round_trip);
        }
    });
    Ok(port)
}

fn connect(client: TcpStream, upstream: u16, round_trip: Duration) -> io::Result<()> {
    let established = Instant::now() + round_trip;
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream))?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let half = round_trip / 2;
    pass_on(client.try_clone()?, server.try_clone()?, established, half);
    pass_on(server, client, established, half);
    Ok(())
}

fn pass_on(from: TcpStream, to: TcpStream, established: Instant, half: Duration) {
    let (sender, receiver) = mpsc::sync_channel(UNDER_WAY);
    thread::spawn(move || read(from, &sender, established, half));
    thread::spawn(move || write(to, receiver));
}

fn read(mut from: TcpStream, sender: &SyncSender<Held>, established: Instant, half: Duration) {
    let mut piece = vec![0; PIECE];
    loop {
        // A connection that was cut ends, as far as the other side is concerned.
        let length = from.read(&mut piece).unwrap_or_default();
        let at = Instant::now().max(established) + half;
        if sender.send((at, piece[..length].to_vec())).is_err() || length == 0 {
            return;
        }
    }
}

fn write(mut to: TcpStream, receiver: Receiver<Held>) {
    for (at, bytes) in receiver {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if bytes.is_empty() || to.write_all(&bytes).is_err() {
            // The other side may have ended it already.
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(40);

    /// A server that sends back what it gets.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                thread::spawn(move || io::copy(&mut &stream, &mut &stream));
            }
        });
        port
    }

    #[test]
    fn setting_up_takes_a_round_trip_and_each_exchange_another() {
        let port = start(echo(), ROUND_TRIP).unwrap();
        let mut begun = Instant::now();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let mut exchange = || {
            let mut byte = [7];
            stream.write_all(&byte).unwrap();
            stream.read_exact(&mut byte).unwrap();
            let took = begun.elapsed();
            begun = Instant::now();
            took
        };
        let (first, second) = (exchange(), exchange());
        assert!(first >= 2 * ROUND_TRIP, "{first:?}");
        assert!(second >= ROUND_TRIP, "{second:?}");
    }

    #[test]
    fn everything_arrives_in_order_and_so_does_the_end() {
        let port = start(echo(), ROUND_TRIP).unwrap();
        let sent: Vec<u8> = (0..8_u32 << 20).map(|number| (number / 251).to_le_bytes()[0]).collect();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let copy = sent.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&copy).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        writing.join().unwrap();
        assert!(back == sent, "{} of {} bytes came back", back.len(), sent.len());
    }

    #[test]
    fn a_connection_that_nobody_takes_ends() {
        let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let port = start(closed, ROUND_TRIP).unwrap();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_or_default(), 0);
    }
}
