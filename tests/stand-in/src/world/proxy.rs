//! An HTTP proxy that connects whoever asks to whatever is asked for: what an attack on a proxy must succeed
//! against before it says anything about a careful one.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How a name is turned into an address.
pub(super) type Lookup = Arc<dyn Fn(&str) -> Option<std::net::IpAddr> + Send + Sync>;

/// Serves on `listener`; `lookup` resolves names.
pub fn serve(
    listener: TcpListener,
    lookup: impl Fn(&str) -> Option<std::net::IpAddr> + Send + Sync + 'static,
) {
    let lookup: Lookup = Arc::new(lookup);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let lookup = Arc::clone(&lookup);
            thread::spawn(move || {
                let _ = handle(stream, &lookup);
            });
        }
    });
}

/// For a proxy that knows addresses only.
pub(super) fn no_names() -> Lookup {
    Arc::new(|_| None)
}

/// Reads a CONNECT request or one in absolute form, or a SOCKS5 greeting, and relays.
pub(super) fn handle(mut client: TcpStream, lookup: &Lookup) -> io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let length = client.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        head.extend(&chunk[..length]);
        if head.starts_with(&[5]) || head.windows(4).any(|four| four == b"\r\n\r\n") {
            break;
        }
    }
    if head.starts_with(&[5]) {
        return socks(client);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut words = text.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let authority = target.trim_start_matches("http://").split('/').next().unwrap_or_default();
    // As careless programs do: what stands before an @ is credentials.
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let Some(address) = resolve(authority, lookup) else { return Ok(()) };
    let mut server = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            server.write_all(&head[end + 4..])?;
        }
    } else {
        server.write_all(&head)?;
    }
    relay(client, server)
}

fn socks(mut client: TcpStream) -> io::Result<()> {
    client.write_all(&[5, 0])?;
    let mut request = [0; 10];
    client.read_exact(&mut request)?;
    let address = SocketAddr::from((
        [request[4], request[5], request[6], request[7]],
        u16::from_be_bytes([request[8], request[9]]),
    ));
    let server = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    relay(client, server)
}

fn resolve(authority: &str, lookup: &Lookup) -> Option<SocketAddr> {
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    let host = if port.contains(']') { authority } else { host };
    let port = port.parse().unwrap_or(80);
    let host = host.trim_matches(['[', ']']);
    if let Some(address) = lookup(host) {
        return Some((address, port).into());
    }
    // Decimal, octal and hexadecimal forms of an address are the C library's to read; it must not ask for a name.
    let numeric = host.bytes().all(|byte| byte.is_ascii_hexdigit() || b".x".contains(&byte));
    let numeric = numeric && host.starts_with(|first: char| first.is_ascii_digit());
    numeric.then(|| (host, port).to_socket_addrs().ok()?.next())?
}

fn relay(client: TcpStream, server: TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    let up = thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
    let _ = up.join();
    Ok(())
}
