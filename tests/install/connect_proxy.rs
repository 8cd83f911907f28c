//! A proxy that tunnels with CONNECT (RFC 9110, section 9.3.6) and writes down what it was asked.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What it does with a tunnel.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    /// To the one server, whatever name was asked for.
    Tunnel,
    /// Only with this in the header `Proxy-Authorization`.
    Password(&'static str),
    /// With this status in answer.
    Refuse(&'static str),
    /// By closing the connection instead of an answer.
    Cut,
    /// By closing the connection after so many bytes of the server's.
    CutAfter(usize),
}

/// A running proxy; it ends with the test's process.
pub(crate) struct ConnectProxy {
    seen: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    /// Listens on `address`, in the calling thread's network namespace, and leads to `server`.
    pub(crate) fn start(address: SocketAddr, server: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let proxy = Self { seen: Arc::clone(&seen) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away early is what some tests are about.
                let _ = serve(&stream, server, manner, &seen);
            }
        });
        proxy
    }

    /// The request lines and credentials since the last time.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn serve(
    client: &TcpStream,
    server: SocketAddr,
    manner: Manner,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    let mut credentials = String::new();
    let mut line = String::new();
    reader.read_line(&mut line)?;
    seen.lock().unwrap().push(line.trim_end().to_owned());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("proxy-authorization") {
            value.clone_into(&mut credentials);
            seen.lock().unwrap().push(value.to_owned());
        }
    }
    let refused = match manner {
        Manner::Cut => return Ok(()),
        Manner::Refuse(status) => Some(status),
        Manner::Password(wanted) if credentials != wanted => Some("407 Proxy Authentication Required"),
        _ => None,
    };
    let mut writer = client;
    if let Some(status) = refused {
        return write!(writer, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    }
    let upstream = TcpStream::connect(server)?;
    write!(writer, "HTTP/1.1 200 OK\r\n\r\n")?;
    let limit = if let Manner::CutAfter(limit) = manner { limit as u64 } else { u64::MAX };
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = std::io::copy(&mut reader, &mut &upstream);
            let _ = upstream.shutdown(Shutdown::Write);
        });
        let _ = std::io::copy(&mut std::io::Read::take(&upstream, limit), &mut writer);
        let _ = client.shutdown(Shutdown::Both);
    });
    Ok(())
}
