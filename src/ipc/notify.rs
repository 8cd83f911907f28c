//! Taking on filters, and the notifications of the one that notifies (linux/seccomp.h, `seccomp_unotify(2)`).

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::io::Errno;

use super::raw::last;

/// What a kernel of any age may want of a structure: theirs only grow at their end.
const ROOM: usize = 512;

/// A structure of the kernel's with zeroes behind it, for kernels whose own is longer.
#[repr(C)]
struct Roomy<T> {
    value: T,
    room: [u64; ROOM / 8],
}

/// One system call that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    /// The kernel's name for the notification.
    pub(super) id: u64,
    /// The thread that waits.
    pub(super) tid: u32,
    pub(super) number: i64,
    pub(super) arguments: [u64; 6],
}

impl Call {
    /// An argument that the kernel takes as an `int`.
    pub(super) fn int(&self, index: usize) -> i32 {
        let [a, b, c, d, ..] = self.arguments[index].to_ne_bytes();
        // Both architectures are little endian.
        i32::from_ne_bytes([a, b, c, d])
    }
}

/// Where notifications come from.
#[derive(Debug)]
pub(super) struct Listener(OwnedFd);

impl Listener {
    /// Takes a descriptor that [`install`] gave. Fails where the kernel's structures are longer than anybody foresaw.
    pub(super) fn new(listener: OwnedFd) -> io::Result<Self> {
        let mut sizes =
            libc::seccomp_notif_sizes { seccomp_notif: 0, seccomp_notif_resp: 0, seccomp_data: 0 };
        #[expect(unsafe_code, reason = "no library has this call")]
        // SAFETY: the kernel writes the structure, a local, which is the one that this operation is documented with.
        let result =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0, &raw mut sizes) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        if usize::from(sizes.seccomp_notif.max(sizes.seccomp_notif_resp)) > ROOM {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        // Whoever waits is woken on this processor, since we are about to sleep (6.6). Slower without it, no more.
        let flags: u64 = 1; // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
        #[expect(unsafe_code, reason = "no library has this call")]
        // SAFETY: takes a number, and no pointer. Kernels that do not know it say so.
        let _ = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags) };
        Ok(Self(listener))
    }

    /// The next call. It waits for one, so `poll` must have said that there is one; the caller may have ended since, and
    /// then there is none.
    pub(super) fn receive(&self) -> Result<Option<Call>, Errno> {
        #[expect(unsafe_code, reason = "a structure of plain numbers, which the kernel wants zeroed")]
        // SAFETY: all of it are integers, for which zero is a value.
        let mut place: Roomy<libc::seccomp_notif> = unsafe { std::mem::zeroed() };
        match self.ask(libc::SECCOMP_IOCTL_NOTIF_RECV, &mut place) {
            Ok(()) => {}
            Err(Errno::NOENT | Errno::INTR | Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(error),
        }
        let it = place.value;
        let (id, tid, number) = (it.id, it.pid, i64::from(it.data.nr));
        Ok(Some(Call { id, tid, number, arguments: it.data.args }))
    }

    /// Whether the caller still waits. If so, its number was its own until now.
    pub(super) fn still_waits(&self, call: &Call) -> bool {
        let mut id = Roomy { value: call.id, room: [0; ROOM / 8] };
        self.ask(libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &mut id).is_ok()
    }

    /// The call gives this value, without having been made.
    pub(super) fn value(&self, call: &Call, value: i64) {
        self.answer(call, value, 0, 0);
    }

    /// The call fails, without having been made.
    pub(super) fn error(&self, call: &Call, error: Errno) {
        self.answer(call, 0, -error.raw_os_error(), 0);
    }

    /// The kernel makes the call, with whatever the caller's memory holds by then.
    pub(super) fn go_on(&self, call: &Call) {
        self.answer(call, 0, 0, 1); // SECCOMP_USER_NOTIF_FLAG_CONTINUE
    }

    fn answer(&self, call: &Call, val: i64, error: i32, flags: u32) {
        let value = libc::seccomp_notif_resp { id: call.id, val, error, flags };
        // A caller that has ended needs no answer.
        let _ = self.ask(libc::SECCOMP_IOCTL_NOTIF_SEND, &mut Roomy { value, room: [0; ROOM / 8] });
    }

    /// Puts a copy of the descriptor in place of the caller's.
    pub(super) fn put_over(
        &self,
        call: &Call,
        file: BorrowedFd<'_>,
        over: i32,
        at_exec: AtExec,
    ) -> Result<(), Errno> {
        let over = u32::try_from(over).map_err(|_| Errno::BADF)?;
        self.add(call, file, 1, over, at_exec).map(drop) // SECCOMP_ADDFD_FLAG_SETFD
    }

    /// Gives the caller a copy of the descriptor, which is what its call gives.
    pub(super) fn give(&self, call: &Call, file: BorrowedFd<'_>, at_exec: AtExec) {
        // Giving and answering are one where the kernel can (5.14), so that no descriptor is left behind.
        let given = match self.add(call, file, 2, 0, at_exec) {
            // SECCOMP_ADDFD_FLAG_SEND
            Err(Errno::INVAL) => self.add(call, file, 0, 0, at_exec),
            Err(error) => return self.error(call, error),
            Ok(_) => return,
        };
        match given {
            Ok(number) => self.value(call, number.into()),
            Err(error) => self.error(call, error),
        }
    }

    fn add(
        &self,
        call: &Call,
        file: BorrowedFd<'_>,
        flags: u32,
        newfd: u32,
        at_exec: AtExec,
    ) -> Result<i32, Errno> {
        let newfd_flags = if at_exec == AtExec::Close { libc::O_CLOEXEC.cast_unsigned() } else { 0 };
        let srcfd = file.as_raw_fd().cast_unsigned();
        let mut value = libc::seccomp_notif_addfd { id: call.id, flags, srcfd, newfd, newfd_flags };
        #[expect(unsafe_code, reason = "no library has this call")]
        // SAFETY: the kernel reads a structure of the size that is part of the request's number.
        let number =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw mut value) };
        if number < 0 { Err(last()) } else { Ok(number) }
    }

    fn ask<T>(&self, request: libc::Ioctl, place: &mut Roomy<T>) -> Result<(), Errno> {
        #[expect(unsafe_code, reason = "no library has these calls")]
        // SAFETY: each request reads or writes the structure that it is called with here, or a longer one of a newer
        // kernel, for which there is room: `new` has asked how long they are.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), request, std::ptr::from_mut(place)) };
        if result == 0 { Ok(()) } else { Err(last()) }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What becomes of a descriptor where its process runs another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtExec {
    Close,
    Keep,
}

/// See [`super::install`].
pub(super) fn install(filter: &[libc::sock_filter]) -> io::Result<OwnedFd> {
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // Else a signal makes the caller start over when its call may have been done already (5.19).
    let listener = match take_on(filter, flags | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => take_on(filter, flags)?,
        result => result?,
    };
    #[expect(unsafe_code, reason = "no library has this call")]
    // SAFETY: with this flag a success is a new descriptor, which nobody else owns. It is close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(listener) })
}

/// See [`super::install_plain`].
pub(super) fn install_plain(filter: &[libc::sock_filter]) -> io::Result<()> {
    take_on(filter, libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW).map(drop)
}

/// Without the flag, kernels before 5.16 would slow the whole cell down by mitigations of a processor's weakness that no
/// border of ours depends on.
fn take_on(filter: &[libc::sock_filter], flags: libc::c_ulong) -> io::Result<i32> {
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    // The kernel only reads it, whatever the structure says.
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(too_long)?,
        filter: filter.as_ptr().cast_mut(),
    };
    #[expect(unsafe_code, reason = "no library has this call")]
    // SAFETY: the program points to as many lines as it says, which outlive the call.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if result < 0 { Err(io::Error::last_os_error()) } else { i32::try_from(result).map_err(too_long) }
}
