//! An npm registry on loopback that serves what a test puts into it, well or badly.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// One answer to a GET.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
    /// How much of the body is sent before the connection is closed.
    pub(crate) sent: usize,
}

impl Answer {
    /// 200 with the whole body.
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { status: 200, location: None, sent: body.len(), body }
    }

    /// A redirect to `location`.
    pub(crate) fn redirect(location: &str) -> Self {
        Self { status: 302, location: Some(location.to_owned()), ..Self::ok("") }
    }
}

/// A running registry; it ends with the test's process.
pub(crate) struct Registry {
    address: SocketAddr,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
}

impl Registry {
    /// Serves on a free port.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(Mutex::new(HashMap::new()));
        let served = Arc::clone(&answers);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that goes away early is what some tests are about.
                let _ = serve(&stream.unwrap(), &served);
            }
        });
        Self { address, answers }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers GETs of `path` from now on.
    pub(crate) fn put(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }
}

fn serve(stream: &TcpStream, answers: &Mutex<HashMap<String, Answer>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines.by_ref() {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let answer = answers.lock().unwrap().get(path).cloned();
    let answer = answer.unwrap_or(Answer { status: 404, ..Answer::ok("") });
    let location = answer.location.map_or(String::new(), |url| format!("location: {url}\r\n"));
    let length = answer.body.len();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {} -\r\ncontent-length: {length}\r\nconnection: close\r\n{location}\r\n",
        answer.status
    )?;
    stream.write_all(&answer.body[..answer.sent])
}
