//! Questions over TCP: a few clients at a time, none for long.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

use crate::egress::message::{Framed, MAX_QUESTION, frame, framed};

/// Clients at the same time; of more, those that came first go.
pub(super) const MAX_CLIENTS: usize = 32;
/// How long one may say nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// The listeners and the clients.
#[derive(Debug, Default)]
pub(super) struct Tcp {
    listeners: Vec<OwnedFd>,
    clients: Vec<Client>,
    /// The next client's number.
    number: u64,
}

#[derive(Debug)]
struct Client {
    number: u64,
    socket: OwnedFd,
    bytes: Vec<u8>,
    heard: Instant,
}

impl Tcp {
    /// Listens there, too.
    pub(super) fn listen(&mut self, listener: OwnedFd) {
        self.listeners.push(listener);
    }

    /// Everything that is to be waited for.
    pub(super) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let clients = self.clients.iter().map(|client| client.socket.as_fd());
        self.listeners.iter().map(|listener| listener.as_fd()).chain(clients)
    }

    /// Takes in whoever is new.
    pub(super) fn accept(&mut self) {
        self.clients.retain(|client| client.heard.elapsed() < PATIENCE);
        for listener in &self.listeners {
            for _ in 0..MAX_CLIENTS {
                let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
                let Ok(socket) = accept_with(listener, flags) else { break };
                if self.clients.len() >= MAX_CLIENTS {
                    self.clients.remove(0);
                }
                self.number += 1;
                let (number, heard) = (self.number, Instant::now());
                self.clients.push(Client { number, socket, bytes: Vec::new(), heard });
            }
        }
    }

    /// The questions that have come, each with its client's number.
    pub(super) fn questions(&mut self) -> Vec<(u64, Vec<u8>)> {
        let mut questions = Vec::new();
        self.clients.retain_mut(|client| client.read(&mut questions));
        questions
    }

    /// Answers a client, who has to take it at once.
    pub(super) fn answer(&mut self, number: u64, message: &[u8]) {
        let Some(framed) = frame(message) else { return };
        self.clients.retain(|client| {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            client.number != number || send(&client.socket, &framed, flags) == Ok(framed.len())
        });
    }
}

impl Client {
    /// Reads what has come; `false` where the client is done with.
    fn read(&mut self, questions: &mut Vec<(u64, Vec<u8>)>) -> bool {
        let mut chunk = [0; 2 + MAX_QUESTION];
        match recv(&self.socket, &mut chunk[..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return false,
            Ok((_, len)) => self.bytes.extend_from_slice(&chunk[..len]),
            Err(Errno::AGAIN | Errno::INTR) => return self.heard.elapsed() < PATIENCE,
            Err(_) => return false,
        }
        self.heard = Instant::now();
        loop {
            match framed(&self.bytes) {
                Framed::More => return true,
                Framed::Bad(_) => return false,
                Framed::Message(message, used) => {
                    questions.push((self.number, message.to_vec()));
                    self.bytes.drain(..used);
                }
            }
        }
    }
}
