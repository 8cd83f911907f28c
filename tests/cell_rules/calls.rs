//! Closed system calls. Each is made with arguments that no kernel takes, so that what it says shows whether it looked.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use agent_sandbox::confine::calls::{Tracing, filter};
use agent_sandbox::confine::rights;

use crate::other::call;
use crate::skip::{PATH, has};
use crate::world::{World, errno, on_a_thread};

/// What is refused, and with which error.
const REFUSED: &[(&str, libc::c_long, i32)] = &[
    ("acct", libc::SYS_acct, libc::EPERM),
    ("add_key", libc::SYS_add_key, libc::EPERM),
    ("bpf", libc::SYS_bpf, libc::EPERM),
    ("chroot", libc::SYS_chroot, libc::EPERM),
    ("clock_settime", libc::SYS_clock_settime, libc::EPERM),
    ("clone3", libc::SYS_clone3, libc::ENOSYS),
    ("delete_module", libc::SYS_delete_module, libc::EPERM),
    ("finit_module", libc::SYS_finit_module, libc::EPERM),
    ("fsconfig", libc::SYS_fsconfig, libc::EPERM),
    ("fsmount", libc::SYS_fsmount, libc::EPERM),
    ("fsopen", libc::SYS_fsopen, libc::EPERM),
    ("fspick", libc::SYS_fspick, libc::EPERM),
    ("init_module", libc::SYS_init_module, libc::EPERM),
    ("io_uring_enter", libc::SYS_io_uring_enter, libc::ENOSYS),
    ("io_uring_register", libc::SYS_io_uring_register, libc::ENOSYS),
    ("io_uring_setup", libc::SYS_io_uring_setup, libc::ENOSYS),
    ("kexec_load", libc::SYS_kexec_load, libc::EPERM),
    ("keyctl", libc::SYS_keyctl, libc::EPERM),
    ("mount", libc::SYS_mount, libc::EPERM),
    ("mount_setattr", 442, libc::EPERM),
    ("move_mount", libc::SYS_move_mount, libc::EPERM),
    ("open_by_handle_at", libc::SYS_open_by_handle_at, libc::EPERM),
    ("open_tree", libc::SYS_open_tree, libc::EPERM),
    ("perf_event_open", libc::SYS_perf_event_open, libc::EPERM),
    ("pidfd_getfd", libc::SYS_pidfd_getfd, libc::EPERM),
    ("pivot_root", libc::SYS_pivot_root, libc::EPERM),
    ("quotactl", libc::SYS_quotactl, libc::EPERM),
    ("reboot", libc::SYS_reboot, libc::EPERM),
    ("request_key", libc::SYS_request_key, libc::EPERM),
    ("setdomainname", libc::SYS_setdomainname, libc::EPERM),
    ("sethostname", libc::SYS_sethostname, libc::EPERM),
    ("setns", libc::SYS_setns, libc::EPERM),
    ("settimeofday", libc::SYS_settimeofday, libc::EPERM),
    ("swapoff", libc::SYS_swapoff, libc::EPERM),
    ("swapon", libc::SYS_swapon, libc::EPERM),
    ("syslog", libc::SYS_syslog, libc::EPERM),
    ("umount2", libc::SYS_umount2, libc::EPERM),
    ("userfaultfd", libc::SYS_userfaultfd, libc::EPERM),
    // Namespaces, by either call that makes them.
    ("clone", libc::SYS_clone, libc::EPERM),
    ("unshare", libc::SYS_unshare, libc::EPERM),
    // Later than what was looked at.
    ("open_tree_attr", 467, libc::ENOSYS),
    ("another_of_tomorrow", 600, libc::ENOSYS),
];

/// An address and a descriptor that nobody has, and flags that nobody knows.
const NONSENSE: [i64; 6] = [-1; 6];

/// As the caller is, so that it is the filter that refuses and not the kernel for want of rights.
fn filtered<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    on_a_thread(|| {
        seccompiler::apply_filter(&filter(Tracing::Inside)).expect("the filter");
        run()
    })
}

fn is_almighty(test: &str) -> bool {
    let held = rustix::thread::capabilities(None).expect("capabilities").effective;
    let almighty = held.contains(rustix::thread::CapabilitySet::SYS_ADMIN);
    if !almighty {
        eprintln!("SKIPPED {test}: needs root, whom the kernel refuses nothing; run it with sudo");
        assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
    }
    almighty
}

#[test]
fn calls_are_refused() {
    let almighty = is_almighty("calls_are_refused (without the filter)");
    let mut looked: BTreeMap<&str, i32> = BTreeMap::new();
    for (name, number, refused) in REFUSED {
        let inside = filtered(|| errno(call(*number, &NONSENSE)));
        assert_eq!(inside, *refused, "{name}, with the filter");
        let outside = on_a_thread(|| errno(call(*number, &NONSENSE)));
        if outside != *refused {
            looked.insert(name, outside);
        }
    }
    if almighty {
        // Kernels are built without some, and some say the same by themselves.
        let silent: Vec<_> =
            REFUSED.iter().map(|(name, ..)| *name).filter(|name| !looked.contains_key(name)).collect();
        assert!(silent.len() < 12, "without the filter the kernel refuses, too: {silent:?}");
    }
}

#[test]
fn namespaces_are_refused_and_processes_are_not() {
    const EXITS_AT_ONCE: &str = "import os\npid = os.fork()\nos._exit(0) if pid == 0 else os.waitpid(pid, 0)";
    let kinds =
        [0x2_0000_i64, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000, 0x80];
    filtered(|| {
        for kind in kinds {
            assert_eq!(errno(call(libc::SYS_unshare, &[kind])), libc::EPERM, "{kind:#x}");
        }
        // Descriptors of one's own are no namespace.
        assert_eq!(errno(call(libc::SYS_unshare, &[i64::from(libc::CLONE_FILES)])), 0);
        assert!(Command::new("/bin/true").status().expect("a process").success());
        std::thread::spawn(|| ()).join().expect("a thread");
    });
    if has("namespaces_are_refused_and_processes_are_not", "unshare") {
        let world = World::new();
        let unshare =
            || Command::new("unshare").args(["-U", "true"]).env("PATH", PATH).output().expect("unshare");
        assert!(!world.inside(|| unshare().status.success()));
        if is_almighty("namespaces (without the filter)") {
            assert!(unshare().status.success());
        }
    }
    if has("namespaces_are_refused_and_processes_are_not", "python3") {
        let world = World::new();
        let python = Command::new("/usr/bin/python3");
        let status = world.inside(move || { python }.args(["-c", EXITS_AT_ONCE]).status().expect("python"));
        assert!(status.success());
    }
}

#[test]
fn other_ways_into_the_kernel_are_shut() {
    filtered(|| {
        // The x32 numbers, which a program of this architecture can use.
        assert_eq!(errno(call(0x4000_0000 + 39, &[])), libc::ENOSYS);
        // A tracer's "skip".
        assert_eq!(errno(call(-1, &[])), libc::ENOSYS);
    });
    if !cfg!(target_arch = "x86_64") || !has("other_ways_into_the_kernel_are_shut", "cc") {
        return;
    }
    let world = World::new();
    // `getpid` as a 32-bit program asks for it.
    world.write(
        "workspace/old.c",
        "int main(void) { int r; __asm__ volatile(\"int $0x80\" : \"=a\"(r) : \"a\"(20)); return r == -38 ? 38 : r <= 0; }\n",
    );
    let program = world.path("old");
    let compiled = Command::new("cc").arg("-o").arg(&program).arg(world.path("workspace/old.c")).status();
    assert!(compiled.expect("a compiler").success());
    let outside = Command::new(&program).status().expect("a program");
    if outside.code() == Some(0) {
        assert_eq!(
            world.inside(|| Command::new(&program).status()).expect("a program").code(),
            Some(libc::ENOSYS)
        );
    } else {
        eprintln!(
            "SKIPPED other_ways_into_the_kernel_are_shut: this kernel knows no 32-bit calls ({outside})"
        );
    }
}

#[test]
fn sockets_that_are_made_and_that_are_not() {
    use libc::{
        AF_ALG, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_VSOCK, SOCK_CLOEXEC, SOCK_DGRAM,
        SOCK_NONBLOCK, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM,
    };
    let made = [
        [AF_UNIX, SOCK_STREAM, 0],
        [AF_INET, SOCK_STREAM, 0],
        [AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 6],
        [AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 17],
        [AF_INET6, SOCK_STREAM, 6],
        [AF_INET6, SOCK_DGRAM, 0],
        [AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0],
        [AF_NETLINK, SOCK_DGRAM, 0],
    ];
    let refused = [
        ([AF_PACKET, SOCK_RAW, 0x300], libc::EAFNOSUPPORT),
        ([AF_ALG, SOCK_SEQPACKET, 0], libc::EAFNOSUPPORT),
        ([AF_VSOCK, SOCK_STREAM, 0], libc::EAFNOSUPPORT),
        ([15 /* AF_KEY */, SOCK_RAW, 2], libc::EAFNOSUPPORT),
        ([43 /* AF_SMC */, SOCK_STREAM, 0], libc::EAFNOSUPPORT),
        ([44 /* AF_XDP */, SOCK_RAW, 0], libc::EAFNOSUPPORT),
        ([AF_INET, SOCK_STREAM, 262 /* multipath */], libc::EPROTONOSUPPORT),
        ([AF_INET, SOCK_STREAM, 132 /* SCTP */], libc::EPROTONOSUPPORT),
        ([AF_INET6, SOCK_DGRAM, 136 /* UDP-Lite */], libc::EPROTONOSUPPORT),
        ([AF_INET, SOCK_SEQPACKET, 132], libc::ESOCKTNOSUPPORT),
        ([AF_INET, SOCK_RAW, 1], libc::EPERM),
        ([AF_INET, SOCK_RAW | SOCK_CLOEXEC, 255], libc::EPERM),
        ([AF_INET, 10 /* SOCK_PACKET */, 0x300], libc::ESOCKTNOSUPPORT),
        ([AF_NETLINK, SOCK_RAW, 15 /* events of devices */], libc::EPROTONOSUPPORT),
        ([AF_NETLINK, SOCK_RAW, 12 /* netfilter */], libc::EPROTONOSUPPORT),
        ([AF_NETLINK, SOCK_RAW, 9 /* audit */], libc::EPROTONOSUPPORT),
    ];
    let socket = |of: [i32; 3]| {
        let made = call(libc::SYS_socket, &of.map(i64::from));
        if let Ok(descriptor) = made {
            call(libc::SYS_close, &[descriptor]).expect("closed");
        }
        errno(made)
    };
    filtered(|| {
        for of in made {
            assert_eq!(socket(of), 0, "{of:?}");
        }
        for (of, error) in refused {
            assert_eq!(socket(of), error, "{of:?}");
        }
        // The kernel looks at the lower 32 bits alone.
        let wide =
            call(libc::SYS_socket, &[0x1_0000_0000 | i64::from(AF_PACKET), i64::from(SOCK_RAW), 0x300]);
        assert_eq!(errno(wide), libc::EAFNOSUPPORT);
    });
    if is_almighty("sockets (without the filter)") {
        let differ = refused.into_iter().filter(|(of, error)| socket(*of) != *error).count();
        assert!(differ >= 6, "without the filter {differ} sockets alone are made");
    }
}

#[test]
fn nobody_types_into_a_terminal() {
    const TYPE: &str = "import fcntl, os, pty, sys
_, terminal = pty.openpty()
try:
    fcntl.ioctl(terminal, int(sys.argv[1], 0), b'x')
except OSError as error:
    print(error.errno)
else:
    print(0)
";
    let test = "nobody_types_into_a_terminal";
    if !has(test, "python3") || !is_almighty(test) {
        return;
    }
    let typed = || {
        let output = Command::new("/usr/bin/python3").args(["-c", TYPE, "0x5412"]).output().expect("python");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(typed(), "0", "without the filter");
    assert_eq!(filtered(typed), libc::EPERM.to_string(), "with the filter");
    filtered(|| {
        for request in [0x5412_i64, 0x541c, 0x5423, 0x541d, 0x7_0000_5412] {
            assert_eq!(errno(call(libc::SYS_ioctl, &[-1, request])), libc::EPERM, "{request:#x}");
        }
        assert_eq!(errno(call(libc::SYS_ioctl, &[-1, 0x5413])), libc::EBADF, "the size of a terminal");
    });
}

#[test]
fn personalities() {
    filtered(|| {
        for kind in [0x40_0000_i64, 0x10_0000, 0x8, 0x400_0000] {
            let asked = errno(call(libc::SYS_personality, &[kind]));
            assert_eq!(asked, if kind == 0x8 { 0 } else { libc::EPERM }, "{kind:#x}");
        }
        for kind in [0x4_0000_i64, 0, 0xffff_ffff] {
            assert_eq!(errno(call(libc::SYS_personality, &[kind])), 0, "{kind:#x}");
        }
    });
}

#[test]
fn a_memory_map_is_as_the_kernel_made_it() {
    // How large its description is, to an address that nobody has: the one question that needs no right.
    let asked = || errno(call(libc::SYS_prctl, &[i64::from(libc::PR_SET_MM), 15, 1]));
    assert_eq!(on_a_thread(asked), libc::EFAULT);
    assert_eq!(filtered(asked), libc::EPERM);
    filtered(|| rustix::thread::set_name(c"named").expect("a name"));
}

#[test]
fn nothing_is_held() {
    let status = || fs::read_to_string("/proc/thread-self/status").expect("a status");
    let held = on_a_thread(|| {
        rights::core_limit().expect("no core");
        rights::empty_capabilities().expect("no capability");
        status()
    });
    let value =
        |name: &str| held.lines().find_map(|line| line.strip_prefix(name)).expect(name).trim().to_owned();
    let before = rustix::thread::capabilities(None).expect("capabilities").effective;
    let bounded = before.contains(rustix::thread::CapabilitySet::SETPCAP);
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"].into_iter().chain(bounded.then_some("CapBnd:")) {
        assert_eq!(value(set), "0000000000000000", "{set}");
    }
}
