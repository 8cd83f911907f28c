//! The other half: what is allowed must work, or people switch the sandbox off.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::hello::{self, INTERNAL_ERROR, Reply};
use super::{Outcome, Row, gate};
use crate::client;
use crate::status::NameStatus;

const PATIENCE: Duration = Duration::from_secs(3);
const CLAIM: &str = "an allowed name can be reached";
/// The gate takes the name, so any address does: one that nobody has (RFC 5737).
const ANY: [u8; 4] = [192, 0, 2, 1];

pub(super) fn rows() -> Vec<Row> {
    match client::status() {
        Ok(status) => status.names.iter().flat_map(rows_of).collect(),
        Err(_) => Vec::new(),
    }
}

/// One for each port. Ports 443 and 80 are tried by name, through the gate.
fn rows_of(name: &NameStatus) -> Vec<Row> {
    let row = |port: &u16| {
        let (outcome, detail) = match port {
            443 => tls(&name.name),
            80 => http(&name.name),
            port => by_address(name, *port),
        };
        Row::new(format!("net.allowed.{}:{port}", name.name), CLAIM, outcome, detail)
    };
    name.ports.iter().map(row).collect()
}

fn tls(name: &str) -> (Outcome, String) {
    match gate::exchange(SocketAddr::from((ANY, 443)), &hello::client_hello(name)) {
        Ok(answer) => match hello::read(&answer) {
            Some(Reply::Handshake) => (Outcome::Pass, "a TLS server answers".to_owned()),
            Some(Reply::Alert(INTERNAL_ERROR)) => {
                (Outcome::Warn, "the gate cannot connect to it: see agent-sandbox status".to_owned())
            }
            Some(Reply::Alert(alert)) => (Outcome::Warn, format!("TLS alert {alert}")),
            None => (Outcome::Warn, "what answers does not speak TLS".to_owned()),
        },
        Err(error) => (Outcome::Warn, error.to_string()),
    }
}

fn http(name: &str) -> (Outcome, String) {
    let request = format!("HEAD / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    match gate::exchange(SocketAddr::from((ANY, 80)), request.as_bytes()) {
        Ok(answer) if answer.starts_with(b"HTTP/1.1 502") => {
            (Outcome::Warn, "the gate cannot connect to it: see agent-sandbox status".to_owned())
        }
        Ok(answer) if answer.starts_with(b"HTTP/1.") => (Outcome::Pass, "an HTTP server answers".to_owned()),
        Ok(_) => (Outcome::Warn, "what answers does not speak HTTP".to_owned()),
        Err(error) => (Outcome::Warn, error.to_string()),
    }
}

fn by_address(name: &NameStatus, port: u16) -> (Outcome, String) {
    let mut failure = name.problem.clone().unwrap_or_else(|| "no addresses yet".to_owned());
    for address in &name.addresses {
        let target = SocketAddr::new(*address, port);
        match TcpStream::connect_timeout(&target, PATIENCE) {
            Ok(_) => return (Outcome::Pass, format!("connected to {target}")),
            Err(error) => failure = format!("{target}: {error}"),
        }
    }
    (Outcome::Warn, failure)
}
