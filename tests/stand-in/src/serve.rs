//! Listening, with a bound on how many connections are served at a time.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use rustls::ServerConfig;
use serde_json::json;

use crate::log;
use crate::turn::{self, Turn};

/// Connections that one listener serves at a time; the next one is closed unheard.
const MAX_CONNECTIONS: usize = 128;

/// Without a byte in either direction.
const PATIENCE: Duration = Duration::from_secs(30);

/// What lets the system recover from running out of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// An accepted connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The connection itself.
    pub(crate) stream: TcpStream,
    /// Its far end.
    pub(crate) from: SocketAddr,
    /// Its near end, which tells several listeners apart.
    pub(crate) at: SocketAddr,
    /// How it is served.
    pub(crate) manner: Manner,
}

/// How a server serves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manner {
    /// When the host is there, if it is not always.
    pub(crate) turn: Option<Turn>,
    /// In TLS.
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

impl Manner {
    /// Whether the host is not there now.
    fn is_away(&self) -> bool {
        self.turn.is_some_and(|turn| !turn.is_there(turn::now()))
    }
}

impl Peer {
    /// Whether the host is about to leave, so that an answer is the connection's last.
    pub(crate) fn is_leaving(&self) -> bool {
        self.manner.is_away()
    }
}

/// One of the connections that count towards the bound.
struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Serves TCP on `address` with a thread for each connection; with a turn, only while that is.
///
/// What goes wrong with one connection is that connection's end and nothing else.
pub(crate) fn tcp(
    name: &'static str,
    address: SocketAddr,
    manner: Manner,
    handle: impl Fn(&Peer) -> std::io::Result<()> + Send + Sync + 'static,
) -> anyhow::Result<JoinHandle<()>> {
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address} ({name})"))?;
    let address = listener.local_addr()?;
    log::line(&json!({"listening": name, "at": address.to_string()}));
    let handle = Arc::new(handle);
    Ok(thread::spawn(move || {
        let active = Arc::new(AtomicUsize::new(0));
        let mut listener = Some(listener);
        loop {
            if manner.is_away() {
                // Nobody listens, so who connects is refused.
                listener = None;
                thread::sleep(PAUSE);
                continue;
            }
            if listener.is_none() {
                // On Unix this sets SO_REUSEADDR: old connections may still be ending.
                listener = TcpListener::bind(address).ok();
            }
            let accepted = listener.as_ref().map(|listener| take(listener, manner.turn.is_some()));
            let Some(Ok((stream, from))) = accepted else {
                thread::sleep(PAUSE);
                continue;
            };
            let slot = Slot(Arc::clone(&active));
            if active.fetch_add(1, Ordering::AcqRel) >= MAX_CONNECTIONS {
                continue;
            }
            let (handle, manner) = (Arc::clone(&handle), manner.clone());
            let serve = move || {
                let _slot = slot;
                let _ = prepare(stream, from, manner).and_then(|peer| handle(&peer));
            };
            // Without a thread the connection is dropped, as it is beyond the bound.
            let _ = thread::Builder::new().spawn(serve);
        }
    }))
}

/// A UDP socket on `address`, and the address that it got.
pub(crate) fn bind_udp(name: &'static str, address: SocketAddr) -> anyhow::Result<(UdpSocket, SocketAddr)> {
    let socket = UdpSocket::bind(address).with_context(|| format!("cannot listen on {address} ({name})"))?;
    let bound = socket.local_addr()?;
    log::line(&json!({"listening": name, "at": bound.to_string()}));
    Ok((socket, bound))
}

/// Hands each datagram to `answer`, and sends back what it returns.
pub(crate) fn datagrams(socket: &UdpSocket, answer: impl Fn(&[u8], SocketAddr) -> Option<Vec<u8>>) {
    let mut buffer = vec![0; 65_535];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                if let Some(reply) = answer(&buffer[..length], from) {
                    let _ = socket.send_to(&reply, from);
                }
            }
            // An earlier reply that nobody took is reported here, too.
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// The next connection. A host with turns does not wait for one, as its turn may end meanwhile.
fn take(listener: &TcpListener, at_once: bool) -> std::io::Result<(TcpStream, SocketAddr)> {
    listener.set_nonblocking(at_once)?;
    let (stream, from) = listener.accept()?;
    stream.set_nonblocking(false)?;
    Ok((stream, from))
}

fn prepare(stream: TcpStream, from: SocketAddr, manner: Manner) -> std::io::Result<Peer> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let at = stream.local_addr()?;
    Ok(Peer { stream, from, at, manner })
}
