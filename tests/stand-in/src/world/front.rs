//! A TCP server that takes whatever comes: TLS under any name, HTTP/1 and HTTP/2, or a few lines of anything else.
//! It notes the bytes as they came and what they were after decryption.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::events::{Events, readable};
use super::{http2, proxy};

/// As long as a client may be silent before the server speaks first.
const SILENCE: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(20);
const SHOWN: usize = 1200;
/// What `GET /large` returns.
const LARGE: usize = 8 << 20;
const MAX_HEAD: usize = 16 << 10;

/// The name of the host that has an address; none while nobody is there.
pub type WhoseAddress = Arc<dyn Fn(IpAddr) -> Option<String> + Send + Sync>;

/// Serves for ever.
pub fn serve(listener: TcpListener, whose: &WhoseAddress, config: &Arc<ServerConfig>, events: &Events) {
    let (whose, config, events) = (Arc::clone(whose), Arc::clone(config), events.clone());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (whose, config, events) = (Arc::clone(&whose), Arc::clone(&config), events.clone());
            thread::spawn(move || {
                let _ = handle(stream, &whose, &config, &events);
            });
        }
    });
}

fn handle(
    mut stream: TcpStream,
    whose: &WhoseAddress,
    config: &Arc<ServerConfig>,
    events: &Events,
) -> io::Result<()> {
    let (at, from) = (stream.local_addr()?, stream.peer_addr()?);
    let Some(name) = whose(at.ip().to_canonical()) else {
        // As a host that is gone: the connection is reset.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        return Ok(());
    };
    let label = format!("{name}:{}", at.port());
    events.note(format!("{label} accept from={from}"));
    stream.set_read_timeout(Some(SILENCE))?;
    let mut first = [0; 1];
    if stream.peek(&mut first).is_err() {
        events.note(format!("{label} silent from={from}"));
        stream.write_all(b"SSH-2.0-stand-in\r\n")?;
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    if name == "relay" {
        return proxy::handle(stream, &proxy::no_names());
    }
    let recorder = Recorder { stream, label: label.clone(), events: events.clone(), seen: Vec::new() };
    if first[0] != 0x16 {
        return converse(recorder, &label, None);
    }
    let mut connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    let mut recorder = recorder;
    while connection.is_handshaking() {
        connection.complete_io(&mut recorder)?;
    }
    let sni = connection.server_name().unwrap_or("-").to_owned();
    let alpn = connection.alpn_protocol().map_or("-".to_owned(), readable);
    let label = format!("{label} tls sni={sni} alpn={alpn}");
    events.note(label.clone());
    recorder.label.clone_from(&label);
    converse(StreamOwned::new(connection, recorder), &label, Some(events))
}

/// Notes what was read, from the connection's beginning.
struct Recorder {
    stream: TcpStream,
    label: String,
    events: Events,
    seen: Vec<u8>,
}

impl Read for Recorder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.stream.read(buffer)?;
        if length > 0 && self.seen.len() < SHOWN {
            self.seen.extend(&buffer[..length]);
            let shown = &self.seen[..self.seen.len().min(SHOWN)];
            self.events.note(format!("{} raw | {}", self.label, readable(shown)));
        }
        Ok(length)
    }
}

impl Write for Recorder {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Answers until the client ends it; what was decrypted is noted where `events` are given.
fn converse(mut stream: impl Read + Write, label: &str, events: Option<&Events>) -> io::Result<()> {
    let mut pending = Vec::new();
    let mut chunk = vec![0; 65_536];
    let mut http2 = http2::Server::default();
    let mut is_http2 = false;
    let mut upgraded = false;
    loop {
        let length = stream.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        let bytes = &chunk[..length];
        if let Some(events) = events {
            events.note(format!("{label} | {}", readable(&bytes[..length.min(SHOWN)])));
        }
        is_http2 |= pending.is_empty() && http2::begins(bytes);
        if is_http2 {
            stream.write_all(&http2.answer(bytes))?;
        } else if upgraded {
            stream.write_all(bytes)?;
        } else {
            pending.extend(bytes);
            while let Some(reply) = next_reply(&mut pending) {
                upgraded |= reply.starts_with(b"HTTP/1.1 101");
                stream.write_all(&reply)?;
            }
        }
        stream.flush()?;
    }
}

/// Takes a complete request off the front of `pending` and answers it.
fn next_reply(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(&pending[..pending.len().min(MAX_HEAD)]).to_ascii_lowercase();
    let first = text.lines().next().unwrap_or_default();
    if !first.contains(" http/1") {
        // Something else: a line is answered by a line.
        let whole = pending.ends_with(b"\n");
        if whole {
            pending.clear();
        }
        return whole.then(|| b"stand-in reached\r\n".to_vec());
    }
    let end = ["\r\n\r\n", "\n\n"].iter().filter_map(|end| Some(text.find(end)? + end.len())).min()?;
    let head = &text[..end];
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let chunked = head.contains("transfer-encoding");
    let size = if chunked { pending.len() } else { end + length.unwrap_or(0) };
    if pending.len() < size {
        return None;
    }
    pending.drain(..size);
    if head.contains("upgrade: websocket") && !head.contains("sec-websocket-version: 13") {
        return Some(
            "HTTP/1.1 426 Upgrade Required\r\nsec-websocket-version: 13\r\ncontent-length: 0\r\n\r\n".into(),
        );
    }
    if head.contains("upgrade: websocket") {
        let reply = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n";
        return Some(reply.into());
    }
    let body = if first.contains(" /large") { vec![b'x'; LARGE] } else { b"stand-in reached\n".to_vec() };
    let mut reply =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", body.len())
            .into_bytes();
    if !first.starts_with("head ") {
        reply.extend(body);
    }
    Some(reply)
}
