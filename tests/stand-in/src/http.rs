//! As much HTTP/1.1 as a server needs that is asked by clients of all kinds.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;

use rustls::{ServerConnection, StreamOwned};

use crate::serve::Peer;

/// The request line and the headers together.
const MAX_HEAD: u64 = 64 << 10;

/// A conversation with all its tools has a few hundred kilobytes.
const MAX_BODY: u64 = 64 << 20;

/// A request that was read completely.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// GET, POST, ...
    pub(crate) method: String,
    /// The target, with its query.
    pub(crate) path: String,
    /// The value of the Host header.
    pub(crate) host: String,
    /// The value of the Authorization header.
    pub(crate) authorization: String,
    /// The body, of whatever framing.
    pub(crate) body: Vec<u8>,
    /// Whether the client ends the connection after this.
    pub(crate) last: bool,
}

/// What is sent back with status 200.
#[derive(Debug)]
pub(crate) struct Response {
    /// The media type.
    pub(crate) kind: &'static str,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Answers the requests of one connection until it ends.
pub(crate) fn serve(peer: &Peer, answer: impl Fn(&Request) -> Response) -> io::Result<()> {
    let Some(config) = &peer.manner.tls else { return converse(&peer.stream, peer, answer) };
    let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    converse(StreamOwned::new(connection, &peer.stream), peer, answer)
}

fn converse(stream: impl Read + Write, peer: &Peer, answer: impl Fn(&Request) -> Response) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let request = match read(&mut reader) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let reply = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                return reader.get_mut().write_all(reply);
            }
            Err(error) => return Err(error),
        };
        let response = answer(&request);
        let last = request.last || peer.is_leaving();
        let connection = if last { "close" } else { "keep-alive" };
        let mut reply = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: {connection}\r\n\r\n",
            response.kind,
            response.body.len()
        )
        .into_bytes();
        if request.method != "HEAD" {
            reply.extend(response.body);
        }
        reader.get_mut().write_all(&reply)?;
        reader.get_mut().flush()?;
        if last {
            return Ok(());
        }
    }
}

/// Reads the next request; none when the connection ended before one.
fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut head = reader.by_ref().take(MAX_HEAD);
    let Some(first) = line(&mut head)? else {
        return Ok(None);
    };
    let mut words = first.split(' ');
    let (Some(method), Some(path), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad());
    };
    if !version.starts_with("HTTP/1.") {
        return Err(bad());
    }
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        last: version == "HTTP/1.0",
        ..Request::default()
    };
    let (mut length, mut chunked) = (0, false);
    loop {
        let line = line(&mut head)?.ok_or_else(bad)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(bad)?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().map_err(|_| bad())?,
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => request.last |= value.eq_ignore_ascii_case("close"),
            "host" => value.clone_into(&mut request.host),
            "authorization" => value.clone_into(&mut request.authorization),
            _ => {}
        }
    }
    request.body = if chunked { read_chunks(reader)? } else { read_exactly(reader, length)? };
    Ok(Some(request))
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(&mut reader.by_ref().take(MAX_HEAD))?.ok_or_else(bad)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| bad())?;
        if size == 0 {
            // Trailers end with an empty line, like the headers they are.
            while line(&mut reader.by_ref().take(MAX_HEAD))?.is_some_and(|line| !line.is_empty()) {}
            return Ok(body);
        }
        if size > MAX_BODY - body.len() as u64 {
            return Err(bad());
        }
        body.extend(read_exactly(reader, size)?);
        if line(&mut reader.by_ref().take(2))?.is_none_or(|line| !line.is_empty()) {
            return Err(bad());
        }
    }
}

fn read_exactly(reader: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    if length > MAX_BODY {
        return Err(bad());
    }
    // What is announced is not believed before it comes.
    let mut body = Vec::new();
    let got = reader.by_ref().take(length).read_to_end(&mut body)?;
    if got as u64 == length { Ok(body) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The next line without its end; none at the end of the stream.
fn line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(bad());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map(Some).map_err(|_| bad())
}

fn bad() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not an HTTP/1 request")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> io::Result<Option<Request>> {
        read(&mut text.as_bytes())
    }

    #[test]
    fn requests() {
        let get = parsed("GET /a?b HTTP/1.1\r\nHost: x.example\r\n\r\n").unwrap().unwrap();
        assert_eq!((get.method.as_str(), get.path.as_str()), ("GET", "/a?b"));
        assert_eq!((get.host.as_str(), get.last), ("x.example", false));
        for text in [
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello rest",
            "POST / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: 1\r\n\r\n",
            "POST / HTTP/1.0\ncontent-length: 5\n\nhello",
        ] {
            assert_eq!(parsed(text).unwrap().unwrap().body, b"hello", "{text}");
        }
        assert!(parsed("GET / HTTP/1.0\r\n\r\n").unwrap().unwrap().last);
        assert!(parsed("GET / HTTP/1.1\r\nConnection: Close\r\n\r\n").unwrap().unwrap().last);
        assert_eq!(parsed("").unwrap(), None);
    }

    #[test]
    fn garbage() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
        for text in [
            "\u{16}\u{3}\u{1}\0 client hello\n",
            "GET\r\n\r\n",
            "GET / HTTP/2\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: cut",
            "GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
            "GET / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
            "GET / HTTP/1.1\r\ncontent-length: 9\r\n\r\nshort",
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
            &long,
        ] {
            assert!(parsed(text).is_err(), "{}", &text[..text.len().min(60)]);
        }
    }
}
