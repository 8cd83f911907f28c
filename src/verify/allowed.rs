//! The other half: what is allowed must work, or people switch the sandbox off.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{Outcome, Row};
use crate::client;
use crate::status::NameStatus;

const PATIENCE: Duration = Duration::from_secs(3);
const CLAIM: &str = "an allowed name can be reached";

pub(super) fn rows() -> Vec<Row> {
    match client::status() {
        Ok(status) => status.names.iter().map(row).collect(),
        Err(_) => Vec::new(),
    }
}

fn row(name: &NameStatus) -> Row {
    let row =
        |outcome, detail: String| Row::new(format!("net.allowed.{}", name.name), CLAIM, outcome, detail);
    let targets = || {
        let addresses = name.addresses.iter();
        addresses.flat_map(|address| name.ports.iter().map(|port| SocketAddr::new(*address, *port)))
    };
    if targets().next().is_none() {
        let problem = name.problem.clone();
        return row(Outcome::Warn, problem.unwrap_or_else(|| "no addresses yet".to_owned()));
    }
    let mut failure = String::new();
    for target in targets() {
        match TcpStream::connect_timeout(&target, PATIENCE) {
            Ok(_) => return row(Outcome::Pass, format!("connected to {target}")),
            Err(error) => failure = format!("{target}: {error}"),
        }
    }
    row(Outcome::Warn, failure)
}
