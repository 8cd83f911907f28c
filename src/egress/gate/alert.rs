//! The fatal TLS alert with which a connection is refused before any handshake.

/// Why the connection ends (RFC 8446 section 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Alert {
    /// The hello does not read.
    DecodeError = 50,
    /// No rule of the policy holds for it.
    AccessDenied = 49,
    /// The gate or the way behind it failed.
    InternalError = 80,
    /// The name is not in the policy.
    UnrecognizedName = 112,
}

/// The record to send. It is plain, as nothing was agreed on yet, and bears the version that TLS 1.3 clients
/// (RFC 8446 section 5.1) and those of TLS 1.0 to 1.2 (RFC 5246 appendix E.1) take in a first record.
pub const fn record(alert: Alert) -> [u8; 7] {
    const CONTENT_ALERT: u8 = 21;
    const FATAL: u8 = 2;
    [CONTENT_ALERT, 3, 3, 0, 2, FATAL, alert as u8]
}
