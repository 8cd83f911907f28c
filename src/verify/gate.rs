//! Connections to ports 443 and 80, which the gate judges by name.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::denied::{judge, refused_packets};
use super::hello::{self, ACCESS_DENIED, Reply};
use super::{Outcome, Row};

const PATIENCE: Duration = Duration::from_secs(5);
/// Below a top level domain that RFC 2606 keeps from existing. Nobody can list it.
pub(super) const NOBODY: &str = "agent-sandbox-verify.invalid";

/// TLS and HTTP to addresses that nobody has, for a host that nobody can list.
pub(super) fn rows() -> Vec<Row> {
    let tls = "TLS for a host that is not allowed is refused, whatever its address";
    let http = "HTTP for a host that is not allowed is refused, whatever its address";
    vec![
        row("net.tls4", tls, "192.0.2.1:443", &hello::client_hello(NOBODY), is_denied),
        row("net.tls6", tls, "[2001:db8:ffff::1]:443", &hello::client_hello(NOBODY), is_denied),
        row("net.http4", http, "192.0.2.1:80", &request(), is_forbidden),
        row("net.http6", http, "[2001:db8:ffff::1]:80", &request(), is_forbidden),
    ]
}

fn request() -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {NOBODY}\r\nConnection: close\r\n\r\n").into_bytes()
}

fn is_denied(answer: &[u8]) -> bool {
    hello::read(answer) == Some(Reply::Alert(ACCESS_DENIED))
}

fn is_forbidden(answer: &[u8]) -> bool {
    answer.starts_with(b"HTTP/1.1 403 ")
}

/// That somebody refuses does not show that the sandbox does; that the table has counted does.
fn row(id: &str, claim: &'static str, target: &str, words: &[u8], refused: fn(&[u8]) -> bool) -> Row {
    let row = |outcome, detail: String| Row::new(id, claim, outcome, detail);
    let Ok(target) = target.parse::<SocketAddr>() else {
        return row(Outcome::NotApplicable, "there is no such address".to_owned());
    };
    let before = refused_packets();
    let result = exchange(target, words);
    let counted = matches!((before, refused_packets()), (Some(before), Some(after)) if after > before);
    match result {
        Ok(answer) if counted && refused(&answer) => row(Outcome::Pass, "the gate refuses it".to_owned()),
        Ok(_) if counted => row(Outcome::Fail, "an answer came that is not the gate's refusal".to_owned()),
        Ok(_) => row(Outcome::Fail, "it went out, past the gate".to_owned()),
        Err(error) if counted => row(
            Outcome::Warn,
            format!("it does not leave, and the gate does not answer ({error}): see agent-sandbox status"),
        ),
        Err(error) => super::denied::row(id, claim, judge(&error)),
    }
}

/// Connects, says something, and returns the beginning of what comes back.
pub(super) fn exchange(target: SocketAddr, words: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(words)?;
    let mut answer = vec![0; 64];
    let len = stream.read(&mut answer)?;
    answer.truncate(len);
    Ok(answer)
}
