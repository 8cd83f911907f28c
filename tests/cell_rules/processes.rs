//! Processes of the same user outside: neither read, nor traced, nor signalled. Those of the cell: all of it.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal};

use crate::other::{Other, call, proc};
use crate::skip::landlock;
use crate::world::{World, errno};

type Attempt = (&'static str, fn(Pid) -> io::Result<()>);

const ATTEMPTS: &[Attempt] = &[
    ("environ", |pid| {
        let environment = fs::read(proc(pid, "environ"))?;
        assert!(environment.windows(12).any(|part| part == b"TOKEN=SECRET"));
        Ok(())
    }),
    ("maps", |pid| fs::read(proc(pid, "maps")).map(drop)),
    ("mem", |pid| fs::File::open(proc(pid, "mem")).map(drop)),
    ("a descriptor's name", |pid| fs::read_link(proc(pid, "fd/0")).map(drop)),
    ("a descriptor", |pid| fs::File::options().write(true).open(proc(pid, "fd/0")).map(drop)),
    ("working folder", |pid| fs::read_dir(proc(pid, "cwd")).map(drop)),
    ("root", |pid| fs::read(proc(pid, "root/etc/passwd")).map(drop)),
    ("program", |pid| fs::read_link(proc(pid, "exe")).map(drop)),
    ("memory", |pid| {
        let mut here = [0_u8; 8];
        let (to, from) = ([here.as_mut_ptr() as i64, 8], [4096_i64, 8]);
        let read =
            call(libc::SYS_process_vm_readv, &[raw(pid), to.as_ptr() as i64, 1, from.as_ptr() as i64, 1]);
        // Nothing lies there, which only who may look can tell.
        if errno(read) == libc::EFAULT { Ok(()) } else { Err(io::Error::last_os_error()) }
    }),
    ("compared", |pid| call(libc::SYS_kcmp, &[i64::from(std::process::id()), raw(pid), 2, 0, 0]).map(drop)),
    ("traced", |pid| {
        // Once seized it is let go by the thread's end.
        call(libc::SYS_ptrace, &[0x4206, raw(pid), 0, 0]).map(drop)
    }),
];

const SIGNALS: &[Attempt] = &[
    ("kill", |pid| Ok(rustix::process::kill_process(pid, Signal::CONT)?)),
    ("kill by descriptor", |pid| {
        let process = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        Ok(rustix::process::pidfd_send_signal(process, Signal::CONT)?)
    }),
    ("tgkill", |pid| call(libc::SYS_tgkill, &[raw(pid), raw(pid), 18]).map(drop)),
    ("queued", |pid| {
        let mut information = [0_i32; 32];
        (information[0], information[2]) = (18, -1);
        call(libc::SYS_rt_sigqueueinfo, &[raw(pid), 18, information.as_ptr() as i64]).map(drop)
    }),
];

fn raw(pid: Pid) -> i64 {
    i64::from(pid.as_raw_nonzero().get())
}

#[test]
fn others_are_not_read_and_not_traced() {
    if !landlock("others_are_not_read_and_not_traced", 1) {
        return;
    }
    let world = World::new();
    for (name, attempt) in ATTEMPTS {
        World::outside(|| {
            let other = Other::start();
            assert_eq!(errno(attempt(other.pid())), 0, "{name}, outside");
        });
        let other = World::outside(Other::start);
        let refused = world.inside(|| errno(attempt(other.pid())));
        assert!([libc::EACCES, libc::EPERM].contains(&refused), "{name}, inside: {refused}");
        world.inside(|| {
            let own = Other::start();
            assert_eq!(errno(attempt(own.pid())), 0, "{name}, of a process of the cell");
        });
    }
}

#[test]
fn others_get_no_signal() {
    if !landlock("others_get_no_signal", 6) {
        return;
    }
    let world = World::new();
    let other = World::outside(Other::start);
    for (name, attempt) in SIGNALS {
        assert_eq!(World::outside(|| errno(attempt(other.pid()))), 0, "{name}, outside");
        assert_eq!(world.inside(|| errno(attempt(other.pid()))), libc::EPERM, "{name}, inside");
        world.inside(|| {
            let own = Other::start();
            assert_eq!(errno(attempt(own.pid())), 0, "{name}, of a process of the cell");
        });
    }
}

#[test]
fn others_keep_their_limits() {
    let world = World::new();
    let other = World::outside(Other::start);
    let lower = |pid: Pid| {
        let now = rustix::process::getrlimit(Resource::Nofile);
        let limit = Rlimit { current: Some(3), maximum: now.maximum };
        rustix::process::prlimit(Some(pid), Resource::Nofile, limit).map(drop).map_err(io::Error::from)
    };
    assert_eq!(World::outside(|| errno(lower(other.pid()))), 0);
    world.inside(|| {
        assert_eq!(errno(lower(other.pid())), libc::EPERM);
        let limit = rustix::process::getrlimit(Resource::Nofile);
        rustix::process::setrlimit(Resource::Nofile, limit).expect("one's own");
    });
}

#[test]
fn abstract_sockets_of_others_are_not_reached() {
    if !landlock("abstract_sockets_of_others_are_not_reached", 6) {
        return;
    }
    let world = World::new();
    let name = |of: &str| SocketAddr::from_abstract_name(format!("cell-rules-{of}-{}", std::process::id()));
    let theirs = name("theirs").expect("a name");
    let _listener = World::outside(|| UnixListener::bind_addr(&theirs).expect("a socket"));
    assert_eq!(World::outside(|| errno(UnixStream::connect_addr(&theirs))), 0);
    world.inside(|| {
        assert_eq!(errno(UnixStream::connect_addr(&theirs)), libc::EPERM);
        let ours = name("ours").expect("a name");
        let _listener = UnixListener::bind_addr(&ours).expect("a socket");
        UnixStream::connect_addr(&ours).expect("one's own");
    });
}

#[test]
fn where_tracing_is_closed_it_is_closed_inside_too() {
    crate::world::on_a_thread(|| {
        use agent_sandbox::confine::calls::{Tracing, filter};
        seccompiler::apply_filter(&filter(Tracing::Closed)).expect("the filter");
        let own = Other::start();
        for (name, attempt) in
            ATTEMPTS.iter().filter(|(name, _)| ["memory", "compared", "traced"].contains(name))
        {
            assert_eq!(errno(attempt(own.pid())), libc::EPERM, "{name}");
        }
    });
}
