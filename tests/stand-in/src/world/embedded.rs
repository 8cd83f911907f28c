//! Docker's embedded resolver: it sits at 127.0.0.11 in the container and asks its upstream as uid 0.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);

/// Runs something in the network namespace from which the upstream is asked.
pub type Place = Arc<dyn Fn(&mut (dyn FnMut() + Send)) + Send + Sync>;

/// Serves both sockets for ever; `place` says where from the upstream is asked.
pub fn serve(udp: UdpSocket, tcp: TcpListener, upstream: SocketAddr, place: Place) {
    let place_of_udp = Arc::clone(&place);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let Ok((length, from)) = udp.recv_from(&mut buffer) else { continue };
            let (query, place) = (buffer[..length].to_vec(), Arc::clone(&place_of_udp));
            let Ok(reply_to) = udp.try_clone() else { continue };
            thread::spawn(move || {
                if let Some(answer) = ask_udp(&query, upstream, &place) {
                    let _ = reply_to.send_to(&answer, from);
                }
            });
        }
    });
    thread::spawn(move || {
        for client in tcp.incoming().flatten() {
            let place = Arc::clone(&place);
            thread::spawn(move || pass_tcp(client, upstream, &place));
        }
    });
}

fn ask_udp(query: &[u8], upstream: SocketAddr, place: &Place) -> Option<Vec<u8>> {
    let mut socket = None;
    place(&mut || socket = UdpSocket::bind("0.0.0.0:0").ok());
    let socket = socket?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.send_to(query, upstream).ok()?;
    let mut answer = vec![0; 4096];
    let length = socket.recv(&mut answer).ok()?;
    answer.truncate(length);
    Some(answer)
}

fn pass_tcp(mut client: TcpStream, upstream: SocketAddr, place: &Place) -> Option<()> {
    let mut server = None;
    place(&mut || server = TcpStream::connect_timeout(&upstream, PATIENCE).ok());
    let mut server = server?;
    client.set_read_timeout(Some(PATIENCE)).ok()?;
    server.set_read_timeout(Some(PATIENCE)).ok()?;
    loop {
        pass_message(&mut client, &mut server)?;
        pass_message(&mut server, &mut client)?;
    }
}

fn pass_message(from: &mut TcpStream, to: &mut TcpStream) -> Option<()> {
    let mut length = [0; 2];
    from.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    from.read_exact(&mut message).ok()?;
    to.write_all(&[&length[..], &message].concat()).ok()
}
