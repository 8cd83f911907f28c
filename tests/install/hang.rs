//! Servers that fall silent. The installer's own patience is a minute and more, so these tests bring another.

use std::io::Read as _;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use agent_sandbox::install::fetch::{Client, FetchError, Waits};
use agent_sandbox::install::url::Url;

use crate::server::{Answer, Hang, Server};

const SHORT: Waits = Waits {
    connect: Duration::from_millis(300),
    stall: Duration::from_millis(300),
    body: Duration::from_millis(1500),
};

fn client() -> Client {
    Client::new(SHORT, &mut |_| {}).unwrap()
}

/// Fetches, and expects an error with `part` in it after no more than `most`.
fn fails(client: &Client, url: &str, most: Duration, part: &str) {
    let start = Instant::now();
    let error = client.read(&Url::parse(url).unwrap(), "*/*", 1 << 20).unwrap_err();
    assert!(start.elapsed() < most, "{:?}", start.elapsed());
    assert!(error.to_string().contains(part), "{error}");
}

#[test]
fn every_wait_has_an_end() {
    assert!(Waits::default().stall <= Duration::from_secs(60));
    let soon = Duration::from_secs(3);
    for (hang, part) in [
        (Hang::BeforeHead, "cannot fetch"),
        (Hang::InHead, "cannot fetch"),
        (Hang::AfterBody, "broke off after 900 bytes"),
    ] {
        let server = Server::start();
        server.put("/x", Answer::ok(vec![b'x'; 1000]).cut(100).hang(hang));
        fails(&client(), &(server.url() + "/x"), soon, part);
        let error = client().read(&Url::parse(&(server.url() + "/x")).unwrap(), "*/*", 1 << 20).unwrap_err();
        assert!(error.to_string().contains("no answer in time"), "{error}");
    }
    // The same server answers whoever asks for something else.
    let server = Server::start();
    server.put("/x", Answer::ok("fine").chunked());
    let url = Url::parse(&(server.url() + "/x")).unwrap();
    assert_eq!(client().read(&url, "*/*", 10).unwrap(), b"fine");

    // One that takes connections and says nothing, in TLS.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    fails(&client(), &format!("https://{}/", silent.local_addr().unwrap()), soon, "no answer in time");
}

/// A byte now and then, each in time, and never all of them.
#[test]
fn a_body_that_drips() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        use std::io::Write as _;
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    fails(&client(), &url, Duration::from_secs(5), "broke off after");
}

#[test]
fn a_chunked_body_that_is_cut() {
    let server = Server::start();
    let url = Url::parse(&(server.url() + "/x")).unwrap();
    for missing in [20_000, 5000, 1] {
        server.put("/x", Answer::ok(vec![b'x'; 20_000]).chunked().cut(missing));
        let error = client().read(&url, "*/*", 1 << 20).unwrap_err();
        assert!(matches!(error, FetchError::CutOff { .. }), "{error}");
    }
}
