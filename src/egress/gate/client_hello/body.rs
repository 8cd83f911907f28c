//! The message itself, once it is whole (RFC 8446 section 4.1.2).

use super::{Refusal, host_name};
use crate::policy::HostName;

/// Browsers send some twenty.
pub(super) const MAX_EXTENSIONS: usize = 64;
/// Clients offer two or three.
pub(super) const MAX_PROTOCOLS: usize = 16;

const SERVER_NAME: u16 = 0;
const PROTOCOLS: u16 = 16;
const EARLY_DATA: u16 = 42;
/// Encrypted hello (RFC 9849 section 5), and the numbers of its drafts.
const ENCRYPTED: std::ops::RangeInclusive<u16> = 0xfe08..=0xfe0d;
const ENCRYPTED_NOW: u16 = 0xfe0d;
/// Encrypted name, which came before it.
const ENCRYPTED_NAME: u16 = 0xffce;

/// What the gate wants to know of a hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The host that the client asks for, in lower case. With [`ech`](Self::ech), the outer one.
    pub server_name: Option<HostName>,
    /// Whether there is an encrypted hello in it, with another name, or bytes that look like one: only its server
    /// can tell (RFC 9849 section 6.2).
    pub ech: bool,
    /// The protocols offered (RFC 7301), the best first, at most 16 of at most 255 bytes.
    pub alpn: Vec<Vec<u8>>,
    /// Whether data follows before the server's answer (RFC 8446 section 4.2.10).
    pub early_data: bool,
    /// How many of the bytes so far are the hello; what follows is not looked at.
    pub len: usize,
}

/// Reads the body of a hello whose records have `len` bytes.
pub(super) fn read(body: &[u8], len: usize) -> Result<Hello, Refusal> {
    let mut body = Bytes(body);
    // 3.0 to 3.3; TLS 1.3 says 3.3 here and the rest elsewhere.
    let [major, minor] = body.array("its version")?;
    if major != 3 || minor > 3 {
        return Err(Refusal::Malformed("its version"));
    }
    let _random: [u8; 32] = body.array("its random bytes")?;
    if body.short("its session")?.0.len() > 32 {
        return Err(Refusal::Malformed("its session"));
    }
    let ciphers = body.long("its ciphers")?.0;
    if ciphers.is_empty() || ciphers.len() % 2 != 0 {
        return Err(Refusal::Malformed("its ciphers"));
    }
    if body.short("its compressions")?.0.is_empty() {
        return Err(Refusal::Malformed("its compressions"));
    }
    let mut hello = Hello { server_name: None, ech: false, alpn: Vec::new(), early_data: false, len };
    // Before TLS 1.2 there may be none (RFC 5246 section 7.4.1.2).
    if body.0.is_empty() {
        return Ok(hello);
    }
    let mut extensions = body.long("the length of its extensions")?;
    body.end("bytes behind its extensions")?;
    let mut kinds = [0; MAX_EXTENSIONS];
    let mut count = 0;
    while !extensions.0.is_empty() {
        let kind = u16::from_be_bytes(extensions.array("an extension")?);
        let data = extensions.long("the length of an extension")?;
        if kinds[..count].contains(&kind) {
            return Err(Refusal::Twice(kind));
        }
        *kinds.get_mut(count).ok_or(Refusal::ManyExtensions)? = kind;
        count += 1;
        match kind {
            SERVER_NAME => hello.server_name = Some(server_name(data)?),
            PROTOCOLS => hello.alpn = protocols(data)?,
            EARLY_DATA => {
                data.end("its early data")?;
                hello.early_data = true;
            }
            ENCRYPTED_NOW => {
                encrypted(data)?;
                hello.ech = true;
            }
            ENCRYPTED_NAME => hello.ech = true,
            kind if ENCRYPTED.contains(&kind) => hello.ech = true,
            _ => {}
        }
    }
    Ok(hello)
}

/// A list of exactly one name, which is a host's (RFC 6066 section 3).
fn server_name(mut data: Bytes<'_>) -> Result<HostName, Refusal> {
    let mut list = data.long("its list of names")?;
    data.end("bytes behind its list of names")?;
    let [kind] = list.array("its list of names")?;
    if kind != 0 {
        return Err(Refusal::Names);
    }
    let name = list.long("the length of its name")?;
    if !list.0.is_empty() {
        return Err(Refusal::Names);
    }
    host_name(name.0)
}

/// Names of protocols (RFC 7301 section 3.1).
fn protocols(mut data: Bytes<'_>) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut list = data.long("its list of protocols")?;
    data.end("bytes behind its list of protocols")?;
    let mut found = Vec::new();
    while !list.0.is_empty() {
        let name = list.short("the length of a protocol's name")?;
        if name.0.is_empty() {
            return Err(Refusal::Malformed("a protocol without a name"));
        }
        if found.len() == MAX_PROTOCOLS {
            return Err(Refusal::ManyProtocols);
        }
        found.push(name.0.to_vec());
    }
    if found.is_empty() {
        return Err(Refusal::Malformed("its list of protocols"));
    }
    Ok(found)
}

/// The outer form of an encrypted hello: which cipher, which key, and the bytes (RFC 9849 section 5).
fn encrypted(mut data: Bytes<'_>) -> Result<(), Refusal> {
    match data.array("its encrypted hello")? {
        [0] => {}
        [1] => return Err(Refusal::InnerHello),
        [_] => return Err(Refusal::Malformed("its encrypted hello")),
    }
    let _cipher_and_key: [u8; 5] = data.array("its encrypted hello")?;
    // Empty in the second hello of a connection.
    data.long("its encrypted hello")?;
    if data.long("its encrypted hello")?.0.is_empty() {
        return Err(Refusal::Malformed("its encrypted hello"));
    }
    data.end("its encrypted hello")
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Refusal> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Refusal::Malformed(what))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn take(&mut self, len: usize, what: &'static str) -> Result<Bytes<'a>, Refusal> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Refusal::Malformed(what))?;
        self.0 = rest;
        Ok(Bytes(taken))
    }

    /// Bytes behind a length of one byte.
    fn short(&mut self, what: &'static str) -> Result<Bytes<'a>, Refusal> {
        let [len] = self.array(what)?;
        self.take(usize::from(len), what)
    }

    /// Bytes behind a length of two bytes.
    fn long(&mut self, what: &'static str) -> Result<Bytes<'a>, Refusal> {
        let len = u16::from_be_bytes(self.array(what)?);
        self.take(usize::from(len), what)
    }

    fn end(&self, what: &'static str) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal::Malformed(what)) }
    }
}
