//! What a client is told that is not passed on.

/// A status with which a request ends here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 400: the request does not read.
    BadRequest,
    /// 403: the policy does not allow it.
    Forbidden,
    /// 408: it did not come in time.
    Timeout,
    /// 502: the server cannot be reached.
    BadGateway,
    /// 503: the gate has no room for it.
    Unavailable,
    /// 504: the server did not answer in time.
    GatewayTimeout,
}

/// The answer to CONNECT that opens the tunnel.
pub const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// The answer to a client that asks whether to send its body (RFC 9110 section 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Longest sentence.
const MAX_SENTENCE: usize = 1000;

impl Status {
    /// Its number and what it is called (RFC 9110 section 15).
    const fn line(self) -> &'static str {
        match self {
            Self::BadRequest => "400 Bad Request",
            Self::Forbidden => "403 Forbidden",
            Self::Timeout => "408 Request Timeout",
            Self::BadGateway => "502 Bad Gateway",
            Self::Unavailable => "503 Service Unavailable",
            Self::GatewayTimeout => "504 Gateway Timeout",
        }
    }
}

/// A whole answer with one sentence in it. What is not printable in that becomes a question mark, since names in it may
/// be anybody's.
pub fn refuse(status: Status, sentence: &str) -> Vec<u8> {
    let mut body = String::with_capacity(sentence.len().min(MAX_SENTENCE) + 1);
    for shown in sentence.chars().map(|shown| if shown.is_control() { '?' } else { shown }) {
        if body.len() + shown.len_utf8() > MAX_SENTENCE {
            break;
        }
        body.push(shown);
    }
    body.push('\n');
    let (line, len) = (status.line(), body.len());
    format!(
        "HTTP/1.1 {line}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}
