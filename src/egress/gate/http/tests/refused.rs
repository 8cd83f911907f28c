//! Each refusal, with what it would do if the gate and the server read it differently.

use super::*;

fn check(what: &str, bytes: &str, expected: Refusal) {
    assert_eq!(read(bytes), Err(expected), "{what}: {bytes:?}");
    assert!(!expected.to_string().is_empty());
}

#[test]
fn first_lines() {
    for (what, line, expected) in [
        ("the server's first frame names another host", "PRI * HTTP/2.0", Refusal::Http2),
        ("no fields, no host", "GET /", Refusal::Http09),
        ("a version with other rules", "GET / HTTP/1.2", Refusal::Version),
        ("the same", "GET / HTTP/2.0", Refusal::Version),
        ("one that some take for 1.1", "GET / HTTP/01.1", Refusal::Version),
        ("lower case, which some take", "GET / http/1.1", Refusal::Version),
        (
            "the target ends at the first or at the last space",
            "GET / HTTP/1.1 HTTP/1.1",
            Refusal::RequestLine,
        ),
        ("two spaces, which some join", "GET  / HTTP/1.1", Refusal::RequestLine),
        ("a tab, which some split at", "GET\t/ HTTP/1.1", Refusal::Method),
        ("a space before it, which some skip", " GET / HTTP/1.1", Refusal::RequestLine),
        ("no method", "/ HTTP/1.1", Refusal::Method),
        ("a method that is no word", "GE(T / HTTP/1.1", Refusal::Method),
        ("a fragment, which ends the target for some", "GET /#x HTTP/1.1", Refusal::Target),
        ("raw bytes", "GET /\u{fc} HTTP/1.1", Refusal::Target),
        ("a path without a slash joins the host", "GET x HTTP/1.1", Refusal::Form),
        ("a port and more", "GET @evil.example/ HTTP/1.1", Refusal::Form),
        ("authority-form is for CONNECT", "GET api.example:80 HTTP/1.1", Refusal::Form),
        ("asterisk-form is for OPTIONS", "GET * HTTP/1.1", Refusal::Form),
        ("a scheme that is not ours", "GET https://api.example/ HTTP/1.1", Refusal::Scheme),
        ("one that opens files", "GET file:///etc/passwd HTTP/1.1", Refusal::Scheme),
        ("FTP through the proxy", "GET ftp://api.example/ HTTP/1.1", Refusal::Scheme),
        ("which is the host?", "GET http://api.example@evil.example/ HTTP/1.1", Refusal::UserInfo),
        ("and here?", "GET http://evil.example:80@api.example/ HTTP/1.1", Refusal::UserInfo),
        (
            "a backslash is a slash for some",
            "GET http://evil.example\\@api.example/ HTTP/1.1",
            Refusal::UserInfo,
        ),
        ("the same", "GET http://api.example\\x/ HTTP/1.1", Refusal::BadHost),
        ("no host", "GET http:///x HTTP/1.1", Refusal::NoHost),
        ("Host is allowed, the target not", "GET http://evil.example/ HTTP/1.1", Refusal::OtherHost),
        ("another port", "GET http://api.example:81/ HTTP/1.1", Refusal::OtherHost),
        ("a tunnel to a path", "CONNECT / HTTP/1.1", Refusal::Form),
        ("a tunnel to a URL", "CONNECT http://api.example:443/ HTTP/1.1", Refusal::Form),
        ("a tunnel to no port", "CONNECT api.example HTTP/1.1", Refusal::Port),
        ("Host is allowed, the tunnel not", "CONNECT evil.example:443 HTTP/1.1", Refusal::OtherHost),
        ("a tunnel with a user", "CONNECT x@api.example:443 HTTP/1.1", Refusal::UserInfo),
    ] {
        check(what, &format!("{line}{HOST}\r\n"), expected);
    }
}

#[test]
fn hosts() {
    for (what, value, expected) in [
        ("none", "", Refusal::NoHost),
        ("a port alone", ":80", Refusal::NoHost),
        ("two", "api.example, evil.example", Refusal::BadHost),
        ("two with a space", "api.example evil.example", Refusal::BadHost),
        ("a path", "api.example/evil.example", Refusal::BadHost),
        ("a user", "api.example@evil.example", Refusal::UserInfo),
        ("no port behind the colon", "api.example:", Refusal::Port),
        ("port 0", "api.example:0", Refusal::Port),
        ("too high a port", "api.example:65536", Refusal::Port),
        ("a signed port", "api.example:+80", Refusal::Port),
        ("a port with a zero before it", "api.example:080", Refusal::Port),
        ("two ports", "api.example:80:443", Refusal::BadHost),
        ("a dot at its end", "api.example.", Refusal::TrailingDot),
        ("an empty label", "api..example", Refusal::BadHost),
        ("a wildcard", "*.example", Refusal::BadHost),
        ("an underscore", "a_b.example", Refusal::BadHost),
        ("letters beyond ASCII", "b\u{fc}cher.example", Refusal::BadHost),
        ("escapes", "api%2eexample", Refusal::BadHost),
        ("IPv6 without brackets", "::1", Refusal::BadHost),
        ("brackets that stay open", "[::1", Refusal::BadHost),
        ("no address in them", "[api.example]", Refusal::BadHost),
        ("a zone", "[fe80::1%25eth0]", Refusal::BadHost),
        ("a name behind them", "[::1]api.example", Refusal::BadHost),
    ] {
        check(what, &format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n"), expected);
    }
    check("none at all", "GET / HTTP/1.1\r\n\r\n", Refusal::NoHost);
    check("none for a proxy", "GET http://api.example/ HTTP/1.1\r\n\r\n", Refusal::NoHost);
    check("none in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", Refusal::NoHost);
}

#[test]
fn fields() {
    for (what, fields, expected) in [
        ("the first or the last counts", "Host: evil.example\r\n", Refusal::Twice("Host")),
        ("the same twice", "host: api.example\r\n", Refusal::Twice("Host")),
        ("folded: a value for some, a field for others", "X: y\r\n Host: evil.example\r\n", Refusal::Fold),
        ("folded with a tab", "X: y\r\n\tz\r\n", Refusal::Fold),
        ("some skip the field, some the space", "Content-Length : 5\r\n", Refusal::SpaceBeforeColon),
        ("the same with a tab", "Content-Length\t: 5\r\n", Refusal::SpaceBeforeColon),
        ("no colon", "Content-Length\r\n", Refusal::FieldName),
        ("no name", ": 5\r\n", Refusal::FieldName),
        ("no word", "Content Length: 5\r\n", Refusal::FieldName),
        ("bytes in a name", "Content-Length\u{fc}: 5\r\n", Refusal::FieldName),
        ("the same for CGI", "Content_Length: 5\r\n", Refusal::Lookalike("Content-Length")),
        ("the same for CGI", "transfer_encoding: chunked\r\n", Refusal::Lookalike("Transfer-Encoding")),
        ("LF alone ends a line for some", "X: y\nHost: evil.example\r\n", Refusal::BareLf),
        ("CR alone does for others", "X: y\rHost: evil.example\r\n", Refusal::BareCr),
        ("two CR", "X: y\r\r\n", Refusal::BareCr),
        ("NUL ends a text for some", "X: y\0z\r\n", Refusal::Control(0)),
        ("vertical tab is a space for some", "Transfer-Encoding: \u{b}chunked\r\n", Refusal::Control(11)),
        ("delete", "X: \u{7f}\r\n", Refusal::Control(0x7f)),
        (
            "the first or the last counts",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            Refusal::Twice("Content-Length"),
        ),
        ("the same twice", "Content-Length: 5\r\nContent-Length: 5\r\n", Refusal::Twice("Content-Length")),
        ("a list", "Content-Length: 5, 5\r\n", Refusal::Length),
        ("a sign", "Content-Length: +5\r\n", Refusal::Length),
        ("a minus", "Content-Length: -1\r\n", Refusal::Length),
        ("octal for some", "Content-Length: 010\r\n", Refusal::Length),
        ("hexadecimal for some", "Content-Length: 0x5\r\n", Refusal::Length),
        ("nothing", "Content-Length:\r\n", Refusal::Length),
        ("a fraction", "Content-Length: 5.0\r\n", Refusal::Length),
        ("runs over", "Content-Length: 18446744073709551621\r\n", Refusal::Length),
        (
            "chunks end it for some, the length for others",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            Refusal::BothLengths,
        ),
        ("the other way round", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Refusal::BothLengths),
        (
            "twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            Refusal::Twice("Transfer-Encoding"),
        ),
        ("a list", "Transfer-Encoding: gzip, chunked\r\n", Refusal::Coding),
        ("chunked not last", "Transfer-Encoding: chunked, identity\r\n", Refusal::Coding),
        ("identity", "Transfer-Encoding: identity\r\n", Refusal::Coding),
        ("upper case, which some do not know", "Transfer-Encoding: Chunked\r\n", Refusal::Coding),
        ("almost", "Transfer-Encoding: xchunked\r\n", Refusal::Coding),
        ("quoted", "Transfer-Encoding: \"chunked\"\r\n", Refusal::Coding),
        ("nothing", "Transfer-Encoding:\r\n", Refusal::Coding),
        (
            "removes a length on the way",
            "Connection: Content-Length\r\nContent-Length: 5\r\n",
            Refusal::ConnectionOption,
        ),
        ("removes the host", "Connection: close, host\r\n", Refusal::ConnectionOption),
        ("no option", "Connection:\r\n", Refusal::ConnectionOption),
        ("something else expected", "Expect: 100-continue, x\r\n", Refusal::Expect),
        ("twice", "Expect: 100-continue\r\nExpect: 100-continue\r\n", Refusal::Twice("Expect")),
        ("twice", "Upgrade: h2c\r\nUpgrade: websocket\r\n", Refusal::Twice("Upgrade")),
        (
            "a body before the new protocol",
            "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n",
            Refusal::NoBody,
        ),
    ] {
        check(what, &with(fields), expected);
    }
    let old = with("Transfer-Encoding: chunked\r\n").replace("1.1", "1.0");
    check("no chunks in HTTP/1.0", &old, Refusal::OldChunked);
    let tunnel = "CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\nContent-Length: 5\r\n\r\n";
    check("a tunnel that begins later for some", tunnel, Refusal::NoBody);
}

#[test]
fn beginnings() {
    for (what, bytes, expected) in [
        ("an empty line, which some skip", "\r\nGET / HTTP/1.1\r\n", Refusal::EmptyLine),
        ("an empty line of LF", "\nGET / HTTP/1.1\r\n", Refusal::BareLf),
        ("CR", "\rGET / HTTP/1.1\r\n", Refusal::BareCr),
        ("TLS where HTTP is expected", "\u{16}\u{3}\u{1}", Refusal::Control(0x16)),
        ("SSH", "SSH-2.0-x\r\n", Refusal::RequestLine),
        ("mail", "EHLO evil.example\r\n", Refusal::Http09),
    ] {
        check(what, bytes, expected);
    }
}
