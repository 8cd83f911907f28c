//! HTTP/1 from a client: every request of a connection, its head and where its body ends. Pure.
//!
//! ```
//! use agent_sandbox::egress::gate::http::{Step, Stream};
//! let mut stream = Stream::default();
//! let bytes = b"GET / HTTP/1.1\r\nHost: API.example\r\n\r\nGET /";
//! let Ok(Step::Head(head)) = stream.step(bytes) else { panic!() };
//! // Judge `head.authority`, send `head.forward(bytes)` in the place of the first `head.len` bytes, then:
//! stream.allow();
//! assert!(matches!(stream.step(&bytes[head.len..]), Ok(Step::More)));
//! ```
//!
//! [`Stream::step`] is given the client's bytes that were not used up yet. It says how many of a body may be passed on,
//! and stops at each head until the caller allows it, so that a connection on which requests follow one another
//! stays as closed to another host as a new one. Heads are never passed on as they came: [`Head::forward`] writes
//! them anew, without what is between the client and a proxy.
//!
//! The grammar is narrower than RFC 9112's: what two readers of HTTP may take for different things is refused. Most
//! clients never send it, and who does wants the gate and the server to disagree on where a request ends or to whom it
//! goes (request smuggling).

mod answer;
mod authority;
mod fields;
mod forward;
mod head;
mod refusal;
mod stream;

pub use answer::{CONTINUE, ESTABLISHED, Status, refuse};
pub use authority::{Authority, Host};
pub use fields::Upgrade;
pub use head::{Body, Form, Head, Reader, Version};
pub use refusal::Refusal;
pub use stream::{Step, Stream};

/// Largest head; servers take 8 to 64 KiB.
pub const MAX_HEAD: usize = 32 * 1024;
/// Longest line of it.
pub const MAX_LINE: usize = 16 * 1024;
/// Most fields in it.
pub const MAX_FIELDS: usize = 100;
/// Longest method.
pub const MAX_METHOD: usize = 32;

/// The default port of `http` (RFC 9110 section 4.2.1).
const HTTP_PORT: u16 = 80;

/// The characters of a token (RFC 9110 section 5.6.2).
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests;
