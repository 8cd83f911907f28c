//! Requests as clients send them, those that two readers take for different things, and random ones.

mod bodies;
mod forwarded;
mod pipelines;
mod refused;

use super::*;

const HOST: &str = "\r\nHost: api.example\r\n";

/// A request with these fields behind `Host`.
fn with(fields: &str) -> String {
    format!("POST / HTTP/1.1{HOST}{fields}\r\n")
}

fn read(bytes: &str) -> Result<Head, Refusal> {
    let whole = Reader::default().read(bytes.as_bytes());
    // Byte by byte the same comes out.
    let mut reader = Reader::default();
    let pieces =
        (0..=bytes.len()).map(|end| reader.read(&bytes.as_bytes()[..end])).find(|read| *read != Ok(None));
    assert_eq!(pieces.unwrap_or(Ok(None)), whole);
    whole.map(|head| head.unwrap_or_else(|| panic!("not whole: {bytes:?}")))
}

fn host(head: &Head) -> String {
    let port = head.authority.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", head.authority.host)
}

#[test]
fn heads_of_programs() {
    use Form::{Absolute, Asterisk, Authority, Origin};
    for (bytes, method, form, to, body, close) in [
        (
            "GET /a?b=c HTTP/1.1\r\nHost: API.Example\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n",
            "GET",
            Origin,
            "api.example",
            Body::None,
            false,
        ),
        (
            "GET / HTTP/1.1\r\nhost:api.example:8080\r\nConnection: keep-alive, TE\r\nTE: trailers\r\n\r\n",
            "GET",
            Origin,
            "api.example:8080",
            Body::None,
            false,
        ),
        (
            "GET / HTTP/1.0\r\nHost: api.example\r\nConnection: Keep-Alive\r\n\r\n",
            "GET",
            Origin,
            "api.example",
            Body::None,
            true,
        ),
        (
            "POST /x HTTP/1.1\r\nHost: a.example \t\r\nContent-Length: 12\r\nConnection: close\r\n\r\n",
            "POST",
            Origin,
            "a.example",
            Body::Length(12),
            true,
        ),
        (
            "PATCH /x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n",
            "PATCH",
            Origin,
            "a.example",
            Body::Chunked,
            false,
        ),
        (
            "GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\nProxy-Connection: Keep-Alive\r\n\r\n",
            "GET",
            Absolute,
            "a.example",
            Body::None,
            false,
        ),
        (
            "GET HTTP://a.example:80?q HTTP/1.1\r\nHost: A.example\r\n\r\n",
            "GET",
            Absolute,
            "a.example:80",
            Body::None,
            false,
        ),
        ("GET http://a.example HTTP/1.0\r\n\r\n", "GET", Absolute, "a.example", Body::None, true),
        (
            "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\nUser-Agent: x\r\n\r\n",
            "CONNECT",
            Authority,
            "a.example:443",
            Body::None,
            false,
        ),
        (
            "CONNECT a.example:443 HTTP/1.1\r\nHost: A.example\r\n\r\n",
            "CONNECT",
            Authority,
            "a.example:443",
            Body::None,
            false,
        ),
        ("CONNECT a.example:443 HTTP/1.0\r\n\r\n", "CONNECT", Authority, "a.example:443", Body::None, true),
        (
            "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "OPTIONS",
            Asterisk,
            "a.example",
            Body::None,
            false,
        ),
        (
            "GET / HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
            "GET",
            Origin,
            "169.254.169.254",
            Body::None,
            false,
        ),
        ("GET / HTTP/1.1\r\nHost: 0x7F.1\r\n\r\n", "GET", Origin, "0x7f.1", Body::None, false),
        (
            "GET / HTTP/1.1\r\nHost: [::FFFF:127.0.0.1]:81\r\n\r\n",
            "GET",
            Origin,
            "[::ffff:127.0.0.1]:81",
            Body::None,
            false,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a.example\r\nX-Name: b\u{fc}cher\r\nX-Empty:\r\n\r\n",
            "GET",
            Origin,
            "a.example",
            Body::None,
            false,
        ),
    ] {
        let head = read(bytes).unwrap_or_else(|refusal| panic!("{bytes}: {refusal}"));
        let got = (head.method.as_str(), head.form, host(&head), head.body, head.close);
        assert_eq!(got, (method, form, to.to_owned(), body, close), "{bytes}");
        assert_eq!(head.len, bytes.len());
        assert_eq!(head.name().is_none(), to.starts_with(['1', '0', '[']), "{bytes}");
        let more = format!("{bytes}GET ");
        assert_eq!(read(&more).unwrap().len, bytes.len(), "what follows is left alone");
    }
}

#[test]
fn upgrades_and_expectations() {
    let upgrade = |fields: &str| read(&with(fields)).unwrap().upgrade;
    let both = |name: &str| upgrade(&format!("Connection: keep-alive, Upgrade\r\nUpgrade: {name}\r\n"));
    assert_eq!(both("websocket"), Some(Upgrade::WebSocket));
    assert_eq!(both("WebSocket"), Some(Upgrade::WebSocket));
    assert_eq!(both("h2c"), Some(Upgrade::Other));
    assert_eq!(both("websocket, h2c"), Some(Upgrade::Other));
    assert_eq!(upgrade("Upgrade: websocket\r\n"), None, "Connection does not name it");
    assert_eq!(upgrade("Connection: close, upgrade\r\nUpgrade: websocket\r\n"), None);
    let expects = |version: &str| {
        let bytes = with("Expect: 100-Continue\r\nContent-Length: 3\r\n").replace("1.1", version);
        read(&bytes).unwrap().expects_continue
    };
    assert!(expects("1.1") && !expects("1.0"));
}

#[test]
fn limits() {
    let line = |len: usize| with(&format!("X: {}\r\n", "a".repeat(len - 3)));
    assert!(read(&line(MAX_LINE)).is_ok());
    assert_eq!(read(&line(MAX_LINE + 1)), Err(Refusal::LongLine));
    let many = |count: usize| with(&"X: y\r\n".repeat(count - 1));
    assert!(read(&many(MAX_FIELDS)).is_ok());
    assert_eq!(read(&many(MAX_FIELDS + 1)), Err(Refusal::ManyFields));
    let field = format!("X: {}\r\n", "a".repeat(1019));
    let fixed = with("").len();
    let head = |len: usize| {
        let (whole, rest) = ((len - fixed) / 1024 - 1, (len - fixed) % 1024 + 1024);
        with(&format!("{}X: {}\r\n", field.repeat(whole), "a".repeat(rest - 5)))
    };
    assert_eq!(read(&head(MAX_HEAD)).unwrap().len, MAX_HEAD);
    assert_eq!(read(&head(MAX_HEAD + 1)), Err(Refusal::LongHead));
    let method = |len: usize| with("").replacen("POST", &"M".repeat(len), 1);
    assert!(read(&method(MAX_METHOD)).is_ok());
    assert_eq!(read(&method(MAX_METHOD + 1)), Err(Refusal::Method));
}

#[test]
fn what_the_refused_are_told() {
    let text =
        String::from_utf8(refuse(Status::Forbidden, "evil.example:80 is not allowed\u{1b}[2J\r\nX: y"))
            .unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 403 Forbidden\r\n") && head.ends_with("\r\nConnection: close"),
        "{head}"
    );
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
    assert_eq!(body, "evil.example:80 is not allowed?[2J??X: y\n");
    assert!(refuse(Status::BadGateway, &"\u{fc}".repeat(5000)).len() < 1200);
    for (status, line) in [
        (Status::BadRequest, "400 Bad Request"),
        (Status::Timeout, "408 Request Timeout"),
        (Status::BadGateway, "502 Bad Gateway"),
        (Status::Unavailable, "503 Service Unavailable"),
        (Status::GatewayTimeout, "504 Gateway Timeout"),
    ] {
        assert!(refuse(status, "x").starts_with(format!("HTTP/1.1 {line}\r\n").as_bytes()));
    }
}
