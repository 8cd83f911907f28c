//! What follows a hello, until it is certain that no other hello counts.
//!
//! A server of TLS 1.3 may ask for another hello (RFC 8446 section 4.1.4). That should name the same host, but servers
//! take the name from it anew: who sends a first hello without a usable key gets to name another host in the second,
//! in plain sight of a gate that looks at the first only.

use super::{CONTENT_HANDSHAKE, Hello, Outcome, RECORD_HEADER, Reader, Refusal};
use crate::policy::HostName;

/// The random bytes of a server's hello that asks for another one (RFC 8446 section 4.1.3).
const AGAIN: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];
/// Where they stand in the server's first record.
const AGAIN_AT: usize = 11;
const SERVER_HELLO: u8 = 2;
const CONTENT_CHANGE_CIPHER: u8 = 20;
const CONTENT_ALERT: u8 = 21;
const CONTENT_DATA: u8 = 23;

/// Holds the client back until the server's first bytes say that its hello was taken, or its second hello was read.
///
/// Give it what the server sent ([`server`](Self::server)) and what the client wants to send
/// ([`client`](Self::client)); once [`is_over`](Self::is_over), bytes may flow without it.
#[derive(Debug, Clone)]
pub struct Watch {
    name: Option<HostName>,
    early_data: bool,
    state: State,
    /// The second hello.
    reader: Reader,
    /// Bytes of a record that may pass and are not there yet.
    owed: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The server has not answered.
    Waiting,
    /// It asked for another hello.
    Again,
    /// It goes by a hello that was read.
    Over,
}

impl Watch {
    /// Begins behind `hello`.
    pub fn new(hello: &Hello) -> Self {
        Self {
            name: hello.server_name.clone(),
            early_data: hello.early_data,
            state: State::Waiting,
            reader: Reader::default(),
            owed: 0,
        }
    }

    /// Whether there is nothing left to look for, on either side.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Takes in the first bytes of the server's, all that came so far: 43 at most are looked at. They may always be
    /// passed on.
    pub fn server(&mut self, bytes: &[u8]) {
        if self.state == State::Waiting
            && let Some(again) = asks_again(bytes)
        {
            self.state = if again { State::Again } else { State::Over };
        }
    }

    /// How many of the client's bytes may be passed on. `bytes` are those that were not passed on yet.
    pub fn client(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut passed = 0;
        loop {
            let rest = bytes.get(passed..).unwrap_or_default();
            if self.is_over() {
                return Ok(bytes.len());
            }
            if self.owed > 0 {
                let now = self.owed.min(rest.len());
                self.owed -= now;
                passed += now;
                if self.owed > 0 {
                    return Ok(passed);
                }
                continue;
            }
            let Some(header) = rest.get(..RECORD_HEADER) else { return Ok(passed) };
            let len = usize::from(u16::from_be_bytes([header[3], header[4]]));
            match header[0] {
                CONTENT_CHANGE_CIPHER | CONTENT_ALERT if len > 2 => return Err(Refusal::LongRecord),
                CONTENT_CHANGE_CIPHER | CONTENT_ALERT => self.owed = RECORD_HEADER + len,
                // Sent before the answer; a server that asks again throws it away.
                CONTENT_DATA if self.early_data => self.owed = RECORD_HEADER + len,
                _ if self.state == State::Waiting => return Ok(passed),
                CONTENT_HANDSHAKE => match self.reader.read(rest) {
                    Outcome::More => return Ok(passed),
                    Outcome::Hello(second) if second.server_name == self.name => self.state = State::Over,
                    Outcome::Hello(_) => return Err(Refusal::OtherName),
                    Outcome::NotTls => return Err(Refusal::Malformed("a record's version")),
                    Outcome::Refused(refusal) => return Err(refusal),
                },
                kind => return Err(Refusal::Interleaved(kind)),
            }
        }
    }
}

/// Whether a server's answer asks for another hello, as soon as it can be told.
fn asks_again(bytes: &[u8]) -> Option<bool> {
    let expected = |at: usize, byte: u8| match at {
        0 => byte == CONTENT_HANDSHAKE,
        5 => byte == SERVER_HELLO,
        AGAIN_AT.. => byte == AGAIN[at - AGAIN_AT],
        _ => true,
    };
    let whole = AGAIN_AT + AGAIN.len();
    if bytes.iter().take(whole).enumerate().any(|(at, byte)| !expected(at, *byte)) {
        return Some(false);
    }
    // In a record too short for them nothing can be told: then the client has to show its name again.
    let len = bytes.get(3..RECORD_HEADER).map(|len| usize::from(u16::from_be_bytes([len[0], len[1]])));
    (bytes.len() >= whole || len.is_some_and(|len| len < whole - RECORD_HEADER)).then_some(true)
}
