//! Where bodies end, and what passes.

use super::*;

/// Behind a chunked head that was allowed.
fn chunked() -> Stream {
    let mut stream = Stream::default();
    let head = with("Transfer-Encoding: chunked\r\n");
    assert!(matches!(stream.step(head.as_bytes()), Ok(Step::Head(_))));
    stream.allow();
    stream
}

fn allowed(head: &str) -> Stream {
    let mut stream = Stream::default();
    assert!(matches!(stream.step(head.as_bytes()), Ok(Step::Head(_))), "{head}");
    stream.allow();
    stream
}

#[test]
fn nothing_passes_before_it_is_allowed() {
    let mut stream = Stream::default();
    let bytes = with("Content-Length: 3\r\n");
    let Ok(Step::Head(head)) = stream.step(format!("{bytes}abc").as_bytes()) else { panic!() };
    assert_eq!(head.len, bytes.len());
    assert_eq!(stream.step(b"abc"), Ok(Step::More));
    stream.allow();
    assert_eq!(stream.step(b"a"), Ok(Step::Pass(1)));
    // To the end of the body and not a byte further.
    assert_eq!(stream.step(b"bcGET"), Ok(Step::Pass(2)));
    assert_eq!(stream.step(b"GET"), Ok(Step::More));
    stream.allow();
    assert_eq!(stream.step(b"GET"), Ok(Step::More), "there is nothing to allow");
}

#[test]
fn chunks() {
    for bytes in [
        "0\r\n\r\n",
        "3\r\nabc\r\n0\r\n\r\n",
        "00003\r\nabc\r\n000\r\n\r\n",
        "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
        "3;name;other=value;text=\"a; b\"\r\nabc\r\n0;last\r\n\r\n",
        "1\r\na\r\n1\r\nb\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n",
    ] {
        let next = with("");
        let all = format!("{bytes}{next}");
        let mut stream = chunked();
        assert_eq!(stream.step(all.as_bytes()), Ok(Step::Pass(bytes.len())), "{bytes:?}");
        assert!(matches!(stream.step(next.as_bytes()), Ok(Step::Head(_))));
        // In two pieces, and as the caller sees it: what did not pass comes again.
        for cut in 0..bytes.len() {
            let mut stream = chunked();
            let Ok(Step::Pass(passed)) = stream.step(&all.as_bytes()[..cut]) else {
                assert_eq!(stream.step(all.as_bytes()), Ok(Step::Pass(bytes.len())));
                continue;
            };
            assert!(passed <= cut);
            assert_eq!(stream.step(&all.as_bytes()[passed..]), Ok(Step::Pass(bytes.len() - passed)));
        }
    }
}

#[test]
fn chunks_that_are_refused() {
    let long = format!("1;x={}\r\n", "a".repeat(300));
    let trailer = format!("0\r\n{}\r\n", "X: y\r\n".repeat(1000));
    let line = format!("0\r\nX: {}\r\n\r\n", "a".repeat(5000));
    for (what, bytes, expected) in [
        ("no size", "\r\nabc", Refusal::ChunkSize),
        ("no digit", "x\r\n", Refusal::ChunkSize),
        ("a sign", "+3\r\nabc\r\n", Refusal::ChunkSize),
        ("a minus", "-1\r\n", Refusal::ChunkSize),
        ("a prefix", "0x3\r\nabc\r\n", Refusal::ChunkSize),
        ("a space before it", " 3\r\nabc\r\n", Refusal::ChunkSize),
        ("a space behind it", "3 \r\nabc\r\n", Refusal::ChunkSize),
        ("runs over in 64 bits", "10000000000000003\r\nabc\r\n", Refusal::ChunkSize),
        ("runs over in 60 bits", "1000000000000003\r\nabc\r\n", Refusal::ChunkSize),
        ("LF alone", "3\nabc\r\n", Refusal::BareLf),
        ("LF alone in an extension", "3;a\nabc\r\n0\r\n\r\n", Refusal::BareLf),
        ("CR alone in an extension", "3;a\rb\r\nabc\r\n", Refusal::BareCr),
        ("NUL in an extension", "3;a=\"\0\"\r\nabc\r\n", Refusal::Control(0)),
        ("a space in an extension", "3; a\r\nabc\r\n", Refusal::ChunkExtension),
        ("an extension without a name", "3;\r\nabc\r\n", Refusal::ChunkExtension),
        ("an extension without a value", "3;a=\r\nabc\r\n", Refusal::ChunkExtension),
        ("a text that stays open", "3;a=\"\r\nabc\r\n", Refusal::ChunkExtension),
        ("a text that ends early for some", "3;a=\"\\\"\r\nabc\r\n", Refusal::ChunkExtension),
        ("something behind a text", "3;a=\"b\"c\r\nabc\r\n", Refusal::ChunkExtension),
        ("endless extensions", &long, Refusal::ChunkExtension),
        ("a chunk that goes on", "3\r\nabcd\r\n", Refusal::ChunkEnd),
        ("a chunk that ends in LF", "3\r\nabc\n0\r\n\r\n", Refusal::ChunkEnd),
        ("a chunk that ends in CR", "3\r\nabc\r0\r\n\r\n", Refusal::ChunkEnd),
        ("a length behind the body", "0\r\nContent-Length: 5\r\n\r\n", Refusal::Trailer),
        ("a host behind the body", "0\r\nhost: evil.example\r\n\r\n", Refusal::Trailer),
        ("a coding behind the body", "0\r\nTransfer_Encoding: chunked\r\n\r\n", Refusal::Trailer),
        ("the next request, without an empty line", "0\r\nGET / HTTP/1.1\r\n", Refusal::FieldName),
        ("folded", "0\r\nX: y\r\n z\r\n\r\n", Refusal::Fold),
        ("endless fields", &trailer, Refusal::LongTrailer),
        ("an endless field", &line, Refusal::LongTrailer),
        ("LF alone at the end", "0\r\n\n", Refusal::BareLf),
    ] {
        for piece in [1, bytes.len()] {
            assert_eq!(run(&mut chunked(), bytes, piece).1, Err(expected), "{what}: {bytes:?}");
        }
    }
}

/// Gives the bytes in pieces, as a caller does, and returns what passed and how it ended.
fn run(stream: &mut Stream, bytes: &str, piece: usize) -> (usize, Result<Step, Refusal>) {
    let (mut passed, mut end) = (0, 0);
    loop {
        match stream.step(&bytes.as_bytes()[passed..end]) {
            Ok(Step::Pass(len)) => passed += len,
            Ok(Step::More) if end < bytes.len() => end = bytes.len().min(end + piece),
            other => {
                // The same again.
                assert_eq!(stream.step(&bytes.as_bytes()[passed..end]), other);
                return (passed, other);
            }
        }
    }
}

#[test]
fn what_passed_before_a_refusal_is_whole() {
    let bytes = "3\r\nabc\r\n3\r\nabcX";
    for piece in 1..=bytes.len() {
        assert_eq!(run(&mut chunked(), bytes, piece), (bytes.len() - 1, Err(Refusal::ChunkEnd)));
    }
}

#[test]
fn after_the_last_request_nothing_passes() {
    let close = "Connection: close\r\n";
    for (head, body) in [
        (with(close), ""),
        (with(&format!("{close}Content-Length: 3\r\n")), "abc"),
        (with(&format!("{close}Transfer-Encoding: chunked\r\n")), "0\r\n\r\n"),
        (with("Connection: keep-alive\r\n").replace("1.1", "1.0"), ""),
    ] {
        let mut stream = allowed(&head);
        let next = format!("{body}{}", with(""));
        assert_eq!(run(&mut stream, &next, 5), (body.len(), Ok(Step::End)), "{head}");
    }
}

#[test]
fn tunnels() {
    let connect = "CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\r\n";
    let mut stream = Stream::default();
    assert!(matches!(stream.step(connect.as_bytes()), Ok(Step::Head(_))));
    assert_eq!(stream.step(b"\x16"), Ok(Step::More));
    stream.allow();
    assert_eq!(stream.step(b"GET / HTTP/1.1\r\n"), Ok(Step::Tunnel));
    assert_eq!(stream.step(b""), Ok(Step::Tunnel));
    // Behind another request the server's answer to that is still on its way.
    let mut stream = allowed(&with(""));
    assert_eq!(stream.step(connect.as_bytes()), Err(Refusal::LateUpgrade));
}

#[test]
fn web_sockets() {
    let socket = with("Connection: Upgrade\r\nUpgrade: websocket\r\n");
    let mut stream = allowed(&socket);
    assert!(stream.is_switching());
    assert_eq!(stream.step(with("").as_bytes()), Ok(Step::More), "the server has not agreed");
    stream.answered(b"HTTP/1.1 1");
    assert!(stream.is_switching());
    let mut refused = stream.clone();
    stream.answered(b"HTTP/1.1 101 Switching Protocols\r\n");
    assert!(!stream.is_switching());
    assert_eq!(stream.step(b"\x81\x05hello"), Ok(Step::Pass(7)));
    assert_eq!(stream.step(b""), Ok(Step::More));
    // It does not agree: another request in the shape of frames would be read as one.
    refused.answered(b"HTTP/1.1 200 OK\r\n");
    assert_eq!(refused.step(with("").as_bytes()), Ok(Step::End));
    let mut late = allowed(&with(""));
    assert_eq!(late.step(socket.as_bytes()), Err(Refusal::LateUpgrade));
    // An answer to another request changes nothing.
    let mut plain = allowed(&with("Content-Length: 3\r\n"));
    plain.answered(b"HTTP/1.1 101 Switching Protocols\r\n");
    assert_eq!(plain.step(b"abcdef"), Ok(Step::Pass(3)));
}
