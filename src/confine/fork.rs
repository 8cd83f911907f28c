//! One process more of this program.

use std::io;

/// In which of the two a fork comes back.
pub(super) enum Side {
    /// The one that called.
    Parent,
    /// The new one.
    Child,
}

/// Forks. The new process must not return to the caller's caller: it ends with [`end`].
#[expect(unsafe_code, reason = "neither rustix nor std forks")]
pub(super) fn fork() -> io::Result<Side> {
    // SAFETY: this process has one thread, so the new one finds every lock as free as it was.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        _ => Ok(Side::Parent),
    }
}

/// Ends the new process, without what is to be done once only, by the other.
#[expect(unsafe_code, reason = "std's exit runs what belongs to the other process, too")]
pub(super) fn end(code: i32) -> ! {
    // SAFETY: it ends the process and touches no memory.
    unsafe { libc::_exit(code) }
}
