//! The internet's side: a host that answers hellos, and a resolver that knows where it is.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Context as _;
use rustix::event::epoll;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create, sendfile};
use rustix::net::{RecvFlags, recv};

use super::hello::{ANSWER, PURPOSE, Purpose};
use super::lab::{HOST, Lab, RESOLVER};

/// Bytes moved with one call where there is much.
const PIECE: usize = 256 * 1024;
/// How long the resolver's answers are good.
const TTL: u32 = 3600;

/// Bytes that servers have received.
pub(super) type Counter = Arc<AtomicU64>;

/// Starts both in a lab, for good.
pub(super) fn start(lab: &Lab, hello: usize) -> anyhow::Result<Counter> {
    let counter = Counter::default();
    let (listener, socket) = lab.outside(|| (TcpListener::bind(HOST), UdpSocket::bind(RESOLVER)))?;
    let (listener, socket) = (listener.context("the host")?, socket.context("the resolver")?);
    let received = Arc::clone(&counter);
    thread::spawn(move || host(&listener, hello, &received));
    thread::spawn(move || resolver(&socket));
    Ok(counter)
}

/// One thread answers all hellos, so that it costs little beside what is measured. A connection that is for more gets
/// a thread of its own.
fn host(listener: &TcpListener, hello: usize, counter: &Counter) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let watched = epoll::EventFlags::IN;
    epoll::add(&epoll, listener, epoll::EventData::new_u64(0), watched)?;
    let mut clients: HashMap<u64, (TcpStream, Vec<u8>)> = HashMap::new();
    let (mut number, mut buffer) = (0, vec![0; 4096]);
    loop {
        let mut events = Vec::with_capacity(256);
        if epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None).is_err() {
            continue;
        }
        for event in &events {
            let key = event.data.u64();
            if key == 0 {
                while let Ok((client, _)) = listener.accept() {
                    client.set_nonblocking(true)?;
                    client.set_nodelay(true)?;
                    number += 1;
                    epoll::add(&epoll, &client, epoll::EventData::new_u64(number), watched)?;
                    clients.insert(number, (client, Vec::new()));
                }
                continue;
            }
            let Some((client, heard)) = clients.get_mut(&key) else { continue };
            let before = heard.len();
            match client.read(&mut buffer) {
                Ok(len @ 1..) => heard.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                _ => {
                    clients.remove(&key);
                    continue;
                }
            }
            if before < hello && heard.len() >= hello {
                let _ = client.write(&ANSWER);
            }
            if let Some(purpose) = heard.get(hello..).and_then(Purpose::read)
                && let Some((client, heard)) = clients.remove(&key)
            {
                epoll::delete(&epoll, &client)?;
                client.set_nonblocking(false)?;
                let (rest, counter) = (heard[hello + PURPOSE..].to_vec(), Arc::clone(counter));
                thread::spawn(move || serve(client, purpose, &rest, &counter));
            }
        }
    }
}

fn serve(mut client: TcpStream, purpose: Purpose, rest: &[u8], counter: &Counter) -> anyhow::Result<()> {
    match purpose {
        Purpose::Down => send_on_and_on(&client),
        Purpose::Up => {
            take_all(&client, counter);
            Ok(())
        }
        Purpose::Both => thread::scope(|scope| {
            scope.spawn(|| take_all(&client, counter));
            send_on_and_on(&client)
        }),
        Purpose::Echo => {
            client.write_all(rest)?;
            let mut buffer = [0; 4096];
            loop {
                let len = client.read(&mut buffer)?;
                if len == 0 {
                    return Ok(());
                }
                client.write_all(&buffer[..len])?;
            }
        }
    }
}

/// Sends until the other side is gone, out of memory that is not copied: what moves the bytes is measured, not who
/// makes them.
pub(super) fn send_on_and_on(to: &TcpStream) -> anyhow::Result<()> {
    let source = File::from(memfd_create("source", MemfdFlags::CLOEXEC)?);
    ftruncate(&source, PIECE as u64)?;
    while sendfile(to, &source, Some(&mut 0), PIECE).is_ok_and(|sent| sent > 0) {}
    Ok(())
}

/// Takes whatever comes, without looking at it (`MSG_TRUNC` in `tcp(7)`).
pub(super) fn take_all(from: &TcpStream, counter: &AtomicU64) {
    let mut buffer = vec![0; PIECE];
    while let Ok((_, len @ 1..)) = recv(from.as_fd(), &mut buffer[..], RecvFlags::TRUNC) {
        counter.fetch_add(len as u64, Ordering::Relaxed);
    }
}

/// Every name is the host's, and has no IPv6 address.
fn resolver(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = [0; 1500];
    loop {
        let (len, from) = socket.recv_from(&mut buffer)?;
        if let Some(answer) = answer(&buffer[..len]) {
            let _ = socket.send_to(&answer, from);
        }
    }
}

fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let mut end = 12;
    while let len @ 1.. = usize::from(*question.get(end)?) {
        end += 1 + len;
    }
    end += 5;
    let is_a = question.get(end - 4..end)? == [0, 1, 0, 1];
    let mut bytes = question.get(..2)?.to_vec();
    bytes.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    bytes.extend(question.get(12..end)?);
    if let (true, std::net::IpAddr::V4(address)) = (is_a, HOST.ip()) {
        bytes.extend([0xc0, 12, 0, 1, 0, 1]);
        bytes.extend(TTL.to_be_bytes());
        bytes.extend([0, 4]);
        bytes.extend(address.octets());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resolver_answers_for_ipv4_alone() {
        let question =
            |kind: u8| [b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0".as_slice(), &[kind, 0, 1]].concat();
        let found = answer(&question(1)).unwrap();
        assert_eq!(&found[..12], b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0");
        assert!(found.ends_with(&[0, 4, 203, 0, 113, 10]));
        assert_eq!(answer(&question(28)).unwrap().get(7), Some(&0));
        assert_eq!(answer(b"\0\0"), None);
    }
}
