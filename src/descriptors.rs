//! Keeping descriptors that nobody here opened from whatever is started next.

use std::os::fd::BorrowedFd;

/// Marks every descriptor beyond the standard three to be closed where another program takes over.
///
/// Programs may be started with descriptors of their caller's; this is for those that must pass none of them on.
pub fn keep_from_children() {
    let Ok(folder) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = folder
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        close_on_exec(fd);
    }
}

#[expect(unsafe_code, reason = "descriptors that nobody in this program opened have no owner to ask")]
fn close_on_exec(fd: i32) {
    // SAFETY: the borrow ends with this call, which closes nothing. On a number that is not open any more (the
    // folder's own) the kernel answers EBADF; one that another thread has got meanwhile is close-on-exec already,
    // as everything is that Rust opens.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let _ = rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC);
}
