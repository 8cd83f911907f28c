//! Calls that are refused whatever their arguments are, and with which error.

use libc::{ENOSYS, EPERM, c_long};

/// Numbers that some C library's headers lack.
#[cfg(target_arch = "x86_64")]
const KEXEC_FILE_LOAD: c_long = 320;
#[cfg(target_arch = "aarch64")]
const KEXEC_FILE_LOAD: c_long = 294;
const MOUNT_SETATTR: c_long = 442;
const QUOTACTL_FD: c_long = 443;
const LSM_SET_SELF_ATTR: c_long = 460;

/// `ENOSYS` where programs have another way and take it on that error.
pub(super) const REFUSED: &[(c_long, i32)] = &[
    // Its flags lie in memory, where a filter cannot see them. Every C library falls back on `clone`.
    (libc::SYS_clone3, ENOSYS),
    // Does the work of other calls past the filters.
    (libc::SYS_io_uring_setup, ENOSYS),
    (libc::SYS_io_uring_enter, ENOSYS),
    (libc::SYS_io_uring_register, ENOSYS),
    // Keys are the user's, not the cell's.
    (libc::SYS_add_key, EPERM),
    (libc::SYS_keyctl, EPERM),
    (libc::SYS_request_key, EPERM),
    // Parts of the kernel with a long record of ways out.
    (libc::SYS_bpf, EPERM),
    (libc::SYS_perf_event_open, EPERM),
    (libc::SYS_userfaultfd, EPERM),
    // What is mounted where, and other namespaces.
    (libc::SYS_chroot, EPERM),
    (libc::SYS_fsconfig, EPERM),
    (libc::SYS_fsmount, EPERM),
    (libc::SYS_fsopen, EPERM),
    (libc::SYS_fspick, EPERM),
    (libc::SYS_mount, EPERM),
    (MOUNT_SETATTR, EPERM),
    (libc::SYS_move_mount, EPERM),
    (libc::SYS_open_tree, EPERM),
    (libc::SYS_pivot_root, EPERM),
    (libc::SYS_setns, EPERM),
    (libc::SYS_umount2, EPERM),
    // Files past the way that leads to them, and other processes' descriptors.
    (libc::SYS_open_by_handle_at, EPERM),
    (libc::SYS_pidfd_getfd, EPERM),
    // Another security module's labels.
    (LSM_SET_SELF_ATTR, EPERM),
    // The whole machine's.
    (libc::SYS_acct, EPERM),
    (libc::SYS_clock_settime, EPERM),
    (libc::SYS_delete_module, EPERM),
    (libc::SYS_finit_module, EPERM),
    (libc::SYS_init_module, EPERM),
    (KEXEC_FILE_LOAD, EPERM),
    (libc::SYS_kexec_load, EPERM),
    (libc::SYS_quotactl, EPERM),
    (QUOTACTL_FD, EPERM),
    (libc::SYS_reboot, EPERM),
    (libc::SYS_setdomainname, EPERM),
    (libc::SYS_sethostname, EPERM),
    (libc::SYS_settimeofday, EPERM),
    (libc::SYS_swapoff, EPERM),
    (libc::SYS_swapon, EPERM),
    (libc::SYS_syslog, EPERM),
    (libc::SYS_vhangup, EPERM),
    (libc::SYS_lookup_dcookie, EPERM),
    (libc::SYS_nfsservctl, ENOSYS),
];

/// What one architecture alone has.
#[cfg(target_arch = "x86_64")]
pub(super) const ARCHITECTURE: &[(c_long, i32)] = &[
    (libc::SYS_ioperm, EPERM),
    (libc::SYS_iopl, EPERM),
    // Segments that make the processor's emulation of old modes reachable.
    (libc::SYS_modify_ldt, ENOSYS),
    (libc::SYS_uselib, ENOSYS),
];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const ARCHITECTURE: &[(c_long, i32)] = &[];

/// Into other processes of the same user.
pub(super) const TRACING: &[(c_long, i32)] = &[
    (libc::SYS_kcmp, EPERM),
    (libc::SYS_migrate_pages, EPERM),
    (libc::SYS_move_pages, EPERM),
    (libc::SYS_process_madvise, EPERM),
    (libc::SYS_process_vm_readv, EPERM),
    (libc::SYS_process_vm_writev, EPERM),
    (libc::SYS_ptrace, EPERM),
];
