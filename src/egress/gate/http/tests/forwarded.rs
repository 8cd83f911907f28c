//! What the server gets.

use super::*;

fn forward(bytes: &str) -> String {
    let head = read(bytes).unwrap();
    let out = String::from_utf8(head.forward(bytes.as_bytes()).unwrap()).unwrap();
    assert!(out.len() <= bytes.len() + 32, "{out}");
    // The server reads the same request.
    let again = read(&out).unwrap();
    assert_eq!((again.len, &again.method, again.body), (out.len(), &head.method, head.body));
    assert!(again.authority.same(&head.authority, 80) && again.version == head.version);
    assert!(matches!(again.form, Form::Origin | Form::Asterisk) && again.close == head.close);
    assert_eq!(String::from_utf8(again.forward(out.as_bytes()).unwrap()).unwrap(), out);
    out
}

#[test]
fn the_target_as_to_a_server() {
    let line = |method: &str, target: &str| {
        forward(&format!("{method} {target} HTTP/1.1\r\nHost: api.example\r\n\r\n"))
            .split("\r\n")
            .next()
            .unwrap()
            .to_owned()
    };
    for (method, target, expected) in [
        ("GET", "/a/b?c", "GET /a/b?c HTTP/1.1"),
        ("GET", "//evil.example/", "GET //evil.example/ HTTP/1.1"),
        ("GET", "http://API.example/a?b", "GET /a?b HTTP/1.1"),
        ("GET", "http://api.example:80", "GET / HTTP/1.1"),
        ("GET", "http://api.example?a/b", "GET /?a/b HTTP/1.1"),
        ("OPTIONS", "http://api.example", "OPTIONS * HTTP/1.1"),
        ("OPTIONS", "http://api.example/", "OPTIONS / HTTP/1.1"),
        ("OPTIONS", "*", "OPTIONS * HTTP/1.1"),
    ] {
        assert_eq!(line(method, target), expected);
    }
}

#[test]
fn fields_that_stay_and_fields_that_go() {
    let bytes = "POST http://api.example:8080/x HTTP/1.1\r\nAccept: a\r\nHOST: API.example:8080\r\n\
        Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nproxy-anything: x\r\nKeep-Alive: 5\r\n\
        TE: trailers\r\nConnection: TE, close\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nExpect: 100-continue\r\n\
        Content-Length: 3\r\nAccept:  b \r\nTrailer: X\r\n\r\n";
    assert_eq!(
        forward(bytes),
        "POST /x HTTP/1.1\r\nHost: api.example:8080\r\nAccept: a\r\nContent-Length: 3\r\nAccept:  b \r\n\
         Trailer: X\r\nConnection: close\r\n\r\n"
    );
    let socket = with("Upgrade: WebSocket\r\nSec-WebSocket-Key: x\r\nConnection: keep-alive, upgrade\r\n");
    assert_eq!(
        forward(&socket),
        "POST / HTTP/1.1\r\nHost: api.example\r\nSec-WebSocket-Key: x\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\n\r\n"
    );
    let plain = with("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n");
    assert_eq!(forward(&plain), "POST / HTTP/1.1\r\nHost: api.example\r\n\r\n");
    let old = "GET http://api.example/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(forward(old), "GET / HTTP/1.0\r\nHost: api.example\r\nConnection: close\r\n\r\n");
    let address = "GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n";
    assert_eq!(forward(address), "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n");
}

#[test]
fn a_tunnel_is_not_for_the_server() {
    let bytes = "CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\r\n";
    assert_eq!(read(bytes).unwrap().forward(bytes.as_bytes()), None);
    let head = read("GET / HTTP/1.1\r\nHost: api.example\r\n\r\n").unwrap();
    assert_eq!(head.forward(b"GET"), None, "other bytes than those that it was read from");
}
