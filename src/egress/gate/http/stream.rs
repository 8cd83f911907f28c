//! A client's side of a connection: heads, each held until it is allowed, and the bodies between them.

use super::fields::{self, Kind, Upgrade};
use super::head::{Body, Head, Reader};
use super::{Refusal, is_token};

/// Longest line with a chunk's size, extensions included.
const MAX_CHUNK_LINE: usize = 256;
/// All fields behind a body.
const MAX_TRAILER: usize = 4096;
/// Digits of a chunk's size; fifteen of them fit into every reader's number.
const MAX_SIZE_DIGITS: usize = 15;
/// A server's answer up to its status.
const STATUS: usize = 12;

/// What to do with the client's next bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Wait for more; those that are there stay where they are.
    More,
    /// They begin with this head. Nothing passes before [`Stream::allow`]; then the head's bytes are used up.
    Head(Box<Head>),
    /// So many of them belong to a body: pass them on as they are; then they are used up.
    Pass(usize),
    /// The tunnel that was asked for begins with them: they are no HTTP and want to be looked at in another way.
    Tunnel,
    /// No further byte of the client's may pass.
    End,
}

/// Follows the requests of one connection.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    state: State,
    reader: Reader,
    /// Requests before the present one.
    requests: u64,
    /// Whether the present one is the last.
    last: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Before or in a head.
    #[default]
    Head,
    /// Behind a head that is not allowed yet.
    Held(After),
    /// In a body, with so many bytes left.
    Bytes(u64),
    /// Before a chunk.
    Size,
    /// In a chunk.
    Chunk(u64),
    /// Behind a chunk's bytes.
    ChunkEnd,
    /// Behind the last chunk, after so many bytes of fields.
    Trailer(usize),
    /// Behind a request to upgrade that was not answered yet.
    Switching,
    /// The server agreed to the upgrade.
    Switched,
    Tunnel,
    End,
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Body(Body),
    Switch,
    Tunnel,
}

impl Stream {
    /// Looks at the client's bytes that are not used up yet. After a refusal, and after the same call with more bytes
    /// behind the same ones, it says the same again.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Step, Refusal> {
        if self.state == State::Head {
            return self.head(bytes);
        }
        let mut passed = 0;
        loop {
            let rest = bytes.get(passed..).unwrap_or_default();
            match self.body(rest) {
                Ok(Some(used)) => passed += used,
                // What was seen so far may pass; the refusal comes up again with the next call.
                Ok(None) | Err(_) if passed > 0 => return Ok(Step::Pass(passed)),
                Err(refusal) => return Err(refusal),
                Ok(None) => {
                    return match self.state {
                        State::Head => self.head(rest),
                        State::Tunnel => Ok(Step::Tunnel),
                        State::End => Ok(Step::End),
                        _ => Ok(Step::More),
                    };
                }
            }
        }
    }

    /// Lets the head pass that the last step showed.
    pub fn allow(&mut self) {
        if let State::Held(after) = self.state {
            self.requests += 1;
            self.state = match after {
                After::Body(Body::Length(length)) => State::Bytes(length),
                After::Body(Body::Chunked) => State::Size,
                After::Body(Body::None) => self.next(),
                After::Switch => State::Switching,
                After::Tunnel => State::Tunnel,
            };
        }
    }

    /// Whether the server's first bytes are waited for before anything passes, as it was asked to upgrade.
    pub fn is_switching(&self) -> bool {
        self.state == State::Switching
    }

    /// Takes in the first bytes of the server's, all that came so far, while [`is_switching`](Self::is_switching). Where
    /// it agrees (101), everything passes from now on; otherwise nothing more, as who reads the client's next bytes, and
    /// as what, is not certain.
    pub fn answered(&mut self, bytes: &[u8]) {
        const AGREED: &[u8; STATUS] = b"HTTP/1.1 101";
        if self.state != State::Switching {
            return;
        }
        let there = bytes.len().min(STATUS);
        if bytes[..there] != AGREED[..there] {
            self.state = State::End;
        } else if there == STATUS {
            self.state = State::Switched;
        }
    }

    fn next(&self) -> State {
        if self.last { State::End } else { State::Head }
    }

    fn head(&mut self, bytes: &[u8]) -> Result<Step, Refusal> {
        let mut reader = std::mem::take(&mut self.reader);
        let Some(head) = reader.read(bytes)? else {
            self.reader = reader;
            return Ok(Step::More);
        };
        let after = if head.is_connect() {
            After::Tunnel
        } else if head.upgrade == Some(Upgrade::WebSocket) {
            After::Switch
        } else {
            After::Body(head.body)
        };
        // The answer would have to be told from those to requests before it.
        if after != After::Body(head.body) && self.requests > 0 {
            return Err(Refusal::LateUpgrade);
        }
        self.last = head.close;
        self.state = State::Held(after);
        Ok(Step::Head(Box::new(head)))
    }

    /// Goes on by one piece of a body: `Some` bytes that may pass, `None` where nothing may, or nothing is there.
    fn body(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let some = |len: u64| {
            Some(usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len())).filter(|len| *len > 0)
        };
        match self.state {
            State::Bytes(0) => {
                self.state = self.next();
                Ok(None)
            }
            State::Bytes(left) => Ok(some(left).inspect(|used| {
                self.state = State::Bytes(left - *used as u64);
            })),
            State::Switched => Ok(some(u64::MAX)),
            State::Size => {
                let Some(line) = line(bytes, MAX_CHUNK_LINE, Refusal::ChunkExtension)? else {
                    return Ok(None);
                };
                self.state = match chunk_size(line)? {
                    0 => State::Trailer(0),
                    size => State::Chunk(size),
                };
                Ok(Some(line.len() + 2))
            }
            State::Chunk(left) => Ok(some(left).inspect(|used| {
                let left = left - *used as u64;
                self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
            })),
            State::ChunkEnd => match bytes {
                [b'\r', b'\n', ..] => {
                    self.state = State::Size;
                    Ok(Some(2))
                }
                [] | [b'\r'] => Ok(None),
                _ => Err(Refusal::ChunkEnd),
            },
            State::Trailer(before) => {
                let Some(line) = line(bytes, MAX_TRAILER.saturating_sub(before), Refusal::LongTrailer)?
                else {
                    return Ok(None);
                };
                if line.is_empty() {
                    self.state = self.next();
                } else {
                    let (name, _) = fields::split(line)?;
                    if fields::kind(name) != Ok(Kind::Other) || name.eq_ignore_ascii_case(b"trailer") {
                        return Err(Refusal::Trailer);
                    }
                    self.state = State::Trailer(before + line.len() + 2);
                }
                Ok(Some(line.len() + 2))
            }
            State::Head | State::Held(_) | State::Switching | State::Tunnel | State::End => Ok(None),
        }
    }
}

/// The line that begins here, without its end, if that is there.
fn line(bytes: &[u8], most: usize, too_long: Refusal) -> Result<Option<&[u8]>, Refusal> {
    let mut before = b' ';
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' if before == b'\r' => return Ok(Some(&bytes[..at - 1])),
            b'\n' => return Err(Refusal::BareLf),
            _ if before == b'\r' => return Err(Refusal::BareCr),
            b'\t' | b'\r' | b' '..=b'~' | 0x80..=0xff => {}
            control => return Err(Refusal::Control(*control)),
        }
        if at >= most && *byte != b'\r' {
            return Err(too_long);
        }
        before = *byte;
    }
    Ok(None)
}

/// `size *( ";" name [ "=" value ] )`, without any space (RFC 9112 section 7.1).
fn chunk_size(line: &[u8]) -> Result<u64, Refusal> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, extensions) = line.split_at(end);
    if !(1..=MAX_SIZE_DIGITS).contains(&digits.len()) {
        return Err(Refusal::ChunkSize);
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map_or(0, u64::from);
    let size = digits.iter().fold(0, |size, byte| size << 4 | digit(byte));
    if !matches!(extensions, [] | [b';', ..]) {
        return Err(Refusal::ChunkSize);
    }
    let mut rest = extensions;
    while let [b';', behind @ ..] = rest {
        rest = extension(behind).ok_or(Refusal::ChunkExtension)?;
    }
    if rest.is_empty() { Ok(size) } else { Err(Refusal::ChunkExtension) }
}

/// What follows one extension.
fn extension(bytes: &[u8]) -> Option<&[u8]> {
    let end = |bytes: &[u8]| bytes.iter().position(|byte| matches!(byte, b';' | b'=')).unwrap_or(bytes.len());
    let (name, rest) = bytes.split_at(end(bytes));
    if !is_token(name) {
        return None;
    }
    match rest {
        [b'=', b'"', quoted @ ..] => {
            let close = quoted.iter().position(|byte| *byte == b'"')?;
            // No escapes: `\"` ends a string for some.
            let (text, rest) = quoted.split_at(close);
            (!text.contains(&b'\\')).then_some(&rest[1..])
        }
        [b'=', value @ ..] => {
            let (value, rest) = value.split_at(end(value));
            is_token(value).then_some(rest)
        }
        rest => Some(rest),
    }
}
