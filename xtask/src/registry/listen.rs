//! The port on this machine's loopback.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use super::server::ServeError;

/// Binds both families, since `localhost` may mean either of them.
pub(super) fn bind(port: u16) -> Result<(u16, Vec<TcpListener>), ServeError> {
    // A free port of one family may be taken in the other; then another is tried.
    for attempt in 0..16 {
        let listen = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => ServeError::PortInUse(port),
            _ => ServeError::Io(error),
        };
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(listen)?;
        let bound = v4.local_addr()?.port();
        let mut listeners = vec![v4];
        match TcpListener::bind((Ipv6Addr::LOCALHOST, bound)) {
            Ok(v6) => listeners.push(v6),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && port == 0 && attempt < 15 => continue,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(ServeError::PortInUse(bound));
            }
            // There are machines without IPv6.
            Err(_) => {}
        }
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        return Ok((bound, listeners));
    }
    Err(ServeError::PortInUse(port))
}
