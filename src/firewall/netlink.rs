//! The nf_tables netlink socket: commit a batch, ask for a list. Message format: netlink(7).

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use super::encode::{self, Batch};

const HEADER: usize = 16;
const GENERIC_HEADER: usize = 4;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP_INTR: u16 = 0x10;
/// Larger than any list message the kernel builds (32 KiB).
const RECEIVE_BUFFER: usize = 64 * 1024;
/// Four times what the largest policy fills.
const SEND_BUFFER: usize = 4 << 20;
/// The kernel answers while `send` runs; an answer that is not there by then is lost.
const TIMEOUT: Duration = Duration::from_secs(5);
const DUMP_ATTEMPTS: u32 = 10;

/// Why the kernel could not be told or asked.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// A system call on the socket failed.
    #[error("netlink: {action}: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What came back.
        error: io::Error,
    },
    /// The kernel refused a message.
    #[error("nf_tables refused message {message} of the batch: {error}")]
    Refused {
        /// Its number in the batch.
        message: u32,
        /// The kernel's error.
        error: io::Error,
    },
    /// The kernel's answer does not read as netlink.
    #[error("netlink: the kernel's answer does not read: {0}")]
    Garbled(&'static str),
    /// The table kept changing while it was listed.
    #[error("netlink: the table kept changing while it was listed")]
    Unsteady,
}

/// A netlink socket to the netfilter subsystem of the calling thread's network namespace.
#[derive(Debug)]
pub struct Netfilter {
    socket: OwnedFd,
    sequence: u32,
}

impl Netfilter {
    /// Opens the socket.
    pub fn open() -> Result<Self, NetlinkError> {
        let io = |action| move |error: rustix::io::Errno| NetlinkError::Io { action, error: error.into() };
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(NETFILTER),
        )
        .map_err(io("open the nf_tables socket"))?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0)).map_err(io("bind"))?;
        // The sets of a large policy are one message. Whoever may not ask for this has small questions only.
        let _ = sockopt::set_socket_send_buffer_size_force(&socket, SEND_BUFFER);
        for timeout in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
            sockopt::set_socket_timeout(&socket, timeout, Some(TIMEOUT)).map_err(io("set a time-out"))?;
        }
        Ok(Self { socket, sequence: 1_000_000 })
    }

    /// Sends a batch and waits for the acknowledgement of each of its messages.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), NetlinkError> {
        self.send(&batch.bytes)?;
        let mut outstanding = batch.acks;
        while outstanding > 0 {
            for message in messages(&self.receive()?) {
                let message = message?;
                if message.kind != NLMSG_ERROR {
                    continue;
                }
                match error_code(message.payload)? {
                    0 => outstanding = outstanding.saturating_sub(1),
                    code => {
                        return Err(NetlinkError::Refused {
                            message: message.sequence,
                            error: io::Error::from_raw_os_error(code),
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// Lists objects: the attributes of each, behind the generic header.
    pub(super) fn dump(&mut self, kind: u8, filter: &[(u16, &str)]) -> Result<Vec<Vec<u8>>, NetlinkError> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(objects) = self.dump_once(kind, filter)? {
                return Ok(objects);
            }
        }
        Err(NetlinkError::Unsteady)
    }

    fn dump_once(&mut self, kind: u8, filter: &[(u16, &str)]) -> Result<Option<Vec<Vec<u8>>>, NetlinkError> {
        self.sequence += 1;
        self.send(&encode::dump(kind, self.sequence, filter))?;
        let mut objects = Vec::new();
        let mut steady = true;
        loop {
            for message in messages(&self.receive()?) {
                let message = message?;
                if message.sequence != self.sequence {
                    continue;
                }
                steady &= message.flags & NLM_F_DUMP_INTR == 0;
                match message.kind {
                    NLMSG_DONE => return Ok(steady.then_some(objects)),
                    NLMSG_ERROR => {
                        return match error_code(message.payload)? {
                            // The object is not there: an empty list, which differs from any plan.
                            code if io::Error::from_raw_os_error(code).kind() == io::ErrorKind::NotFound => {
                                Ok(Some(Vec::new()))
                            }
                            code => Err(NetlinkError::Io {
                                action: "list",
                                error: io::Error::from_raw_os_error(code),
                            }),
                        };
                    }
                    _ => {
                        let body = message.payload.get(GENERIC_HEADER..);
                        objects.push(body.ok_or(NetlinkError::Garbled("a short message"))?.to_vec());
                    }
                }
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<(), NetlinkError> {
        let kernel = SocketAddrNetlink::new(0, 0);
        let sent = rustix::net::sendto(&self.socket, bytes, SendFlags::empty(), &kernel)
            .map_err(|error| NetlinkError::Io { action: "send", error: error.into() })?;
        if sent == bytes.len() { Ok(()) } else { Err(NetlinkError::Garbled("a batch was cut short")) }
    }

    fn receive(&self) -> Result<Vec<u8>, NetlinkError> {
        let mut buffer = vec![0; RECEIVE_BUFFER];
        let (_, len) = rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::TRUNC)
            .map_err(|error| NetlinkError::Io { action: "receive", error: error.into() })?;
        if len > buffer.len() {
            return Err(NetlinkError::Garbled("an answer larger than the buffer"));
        }
        buffer.truncate(len);
        Ok(buffer)
    }
}

struct Message<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: &'a [u8],
}

fn messages(bytes: &[u8]) -> impl Iterator<Item = Result<Message<'_>, NetlinkError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let parsed = parse(rest);
        rest = match &parsed {
            Some((_, used)) => rest.get(*used..).unwrap_or(&[]),
            None => &[],
        };
        Some(parsed.map(|(message, _)| message).ok_or(NetlinkError::Garbled("a broken message header")))
    })
}

fn parse(bytes: &[u8]) -> Option<(Message<'_>, usize)> {
    let u16_at = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let len = usize::try_from(u32_at(0)?).ok()?;
    let payload = bytes.get(HEADER..len)?;
    let message = Message { kind: u16_at(4)?, flags: u16_at(6)?, sequence: u32_at(8)?, payload };
    Some((message, len.next_multiple_of(4)))
}

/// `struct nlmsgerr`: the negated error number comes first.
fn error_code(payload: &[u8]) -> Result<i32, NetlinkError> {
    let code = payload.get(..4).and_then(|bytes| bytes.try_into().ok());
    let code = i32::from_ne_bytes(code.ok_or(NetlinkError::Garbled("a short error"))?);
    Ok(code.saturating_neg())
}
