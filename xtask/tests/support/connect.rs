//! An HTTP proxy that tunnels, and may want a login.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A running proxy; its threads end with the test.
pub struct Connect {
    pub port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Connect {
    /// Starts a proxy that lets in whoever shows this `Proxy-Authorization`, or everybody.
    pub fn start(login: Option<&str>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (recorded, login) = (Arc::clone(&seen), login.map(str::to_owned));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, login) = (Arc::clone(&recorded), login.clone());
                std::thread::spawn(move || tunnel(stream.unwrap(), &seen, login.as_deref()));
            }
        });
        Self { port, seen }
    }

    /// The first line of each request so far.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn tunnel(mut client: TcpStream, seen: &Mutex<Vec<String>>, login: Option<&str>) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    seen.lock().unwrap().push(head[0].clone());
    let shown = head.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.trim().to_owned())
    });
    if login.is_some() && shown.as_deref() != login {
        let _ = client.write_all(
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        );
        return;
    }
    let target = head[0].split(' ').nth(1).unwrap();
    let Ok(mut server) = TcpStream::connect(target) else {
        let _ = client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
        return;
    };
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let (mut server_reads, mut client_writes) = (server.try_clone().unwrap(), client);
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut server_reads, &mut client_writes);
        let _ = client_writes.shutdown(std::net::Shutdown::Write);
    });
    let _ = std::io::copy(&mut reader, &mut server);
    let _ = server.shutdown(std::net::Shutdown::Write);
    let _ = back.join();
}
