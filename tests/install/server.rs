//! A web server on loopback that serves what a test puts into it, well or badly.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// One answer to a GET.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
    /// The length in the head; the connection is closed after the body in any case.
    pub(crate) length: usize,
    /// Says no length, and sends the body in pieces.
    pub(crate) chunked: bool,
    /// When to stop without closing the connection.
    pub(crate) hang: Option<Hang>,
}

/// Where a server falls silent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hang {
    BeforeHead,
    InHead,
    AfterBody,
}

impl Answer {
    /// 200 with the whole body.
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { status: 200, location: None, length: body.len(), body, chunked: false, hang: None }
    }

    /// A redirect to `location`.
    pub(crate) fn redirect(location: &str) -> Self {
        Self { status: 302, location: Some(location.to_owned()), ..Self::ok("") }
    }

    /// Closes the connection when `missing` bytes are still to come.
    pub(crate) fn cut(mut self, missing: usize) -> Self {
        self.body.truncate(self.length - missing);
        self
    }

    /// In pieces, without a length in the head.
    pub(crate) fn chunked(self) -> Self {
        Self { chunked: true, ..self }
    }

    /// Falls silent.
    pub(crate) fn hang(self, hang: Hang) -> Self {
        Self { hang: Some(hang), ..self }
    }
}

/// Any port of this machine's own address.
const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Longer than any test waits.
const SILENCE: Duration = Duration::from_secs(20);

type Answers = Arc<Mutex<HashMap<String, Answer>>>;

/// A running server; it ends with the test's process.
pub(crate) struct Server {
    address: SocketAddr,
    tls: bool,
    answers: Answers,
}

impl Server {
    /// Serves plain HTTP on a free port of loopback.
    pub(crate) fn start() -> Self {
        Self::start_at(LOOPBACK, None)
    }

    /// Serves HTTPS on a free port of loopback.
    pub(crate) fn start_tls(config: ServerConfig) -> Self {
        Self::start_at(LOOPBACK, Some(config))
    }

    /// Serves on `address`, in the calling thread's network namespace.
    pub(crate) fn start_at(address: SocketAddr, config: Option<ServerConfig>) -> Self {
        let config = config.map(Arc::new);
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Answers::default();
        let (tls, served) = (config.is_some(), Arc::clone(&answers));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                // A client that goes away early is what some tests are about.
                let _ = match &config {
                    None => serve(stream, &served),
                    Some(config) => {
                        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                        serve(StreamOwned::new(connection, stream), &served)
                    }
                };
            }
        });
        Self { address, tls, answers }
    }

    /// `http://127.0.0.1:PORT`, or with https.
    pub(crate) fn url(&self) -> String {
        format!("http{}://{}", if self.tls { "s" } else { "" }, self.address)
    }

    /// Answers GETs of `path` from now on.
    pub(crate) fn put(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }
}

fn serve(stream: impl Read + Write, answers: &Mutex<HashMap<String, Answer>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut lines = stream.by_ref().lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let answer = answers.lock().unwrap().get(path).cloned();
    let answer = answer.unwrap_or(Answer { status: 404, ..Answer::ok("") });
    let location = answer.location.map_or(String::new(), |url| format!("location: {url}\r\n"));
    let stream = stream.get_mut();
    let silence = |at: Hang| {
        if answer.hang == Some(at) {
            thread::sleep(SILENCE);
        }
    };
    silence(Hang::BeforeHead);
    write!(stream, "HTTP/1.1 {} -\r\n", answer.status)?;
    stream.flush()?;
    silence(Hang::InHead);
    write!(stream, "connection: close\r\n{location}")?;
    if answer.chunked {
        write!(stream, "transfer-encoding: chunked\r\n\r\n")?;
        for piece in answer.body.chunks(5000) {
            write!(stream, "{:x}\r\n", piece.len())?;
            stream.write_all(piece)?;
            write!(stream, "\r\n")?;
        }
        // Only the last piece, of no bytes, says that it was all.
        if answer.body.len() == answer.length {
            write!(stream, "0\r\n\r\n")?;
        }
    } else {
        write!(stream, "content-length: {}\r\n\r\n", answer.length)?;
        stream.write_all(&answer.body)?;
    }
    stream.flush()?;
    silence(Hang::AfterBody);
    Ok(())
}
