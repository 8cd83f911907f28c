//! What a worker shuts behind itself before it reads the first byte of anybody's.

use std::collections::BTreeMap;

use anyhow::Context as _;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, Scope,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// To whom a worker sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sends {
    /// To whomever it likes, by the sockets that it was given: who answers over UDP has to.
    Anywhere,
    /// To those that its sockets are connected to. `sendto` with an address would connect a TCP socket
    /// (`MSG_FASTOPEN`).
    WhereConnected,
}

/// What both workers do, as long as they live: memory, time, their sockets, and their end. In particular nothing opens a
/// file, makes or connects a socket, starts or traces a process, or changes rights.
const CALLS: &[i64] = &[
    libc::SYS_accept4,
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getsockname,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_sigaltstack,
    libc::SYS_splice,
    libc::SYS_write,
];

/// The same under older names, which the other architecture has never had.
#[cfg(target_arch = "x86_64")]
const OLDER_CALLS: &[i64] = &[libc::SYS_epoll_wait, libc::SYS_poll];
#[cfg(not(target_arch = "x86_64"))]
const OLDER_CALLS: &[i64] = &[];

/// Gives up every right, for good: capabilities, new privileges, files, other system calls than a worker needs, and what
/// is beyond some limits. Whatever of it does not work is an error, except that some kernels have no Landlock.
pub(super) fn shut(limits: &[(Resource, u64)], sends: Sends) -> anyhow::Result<()> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets).context("capabilities")?;
    rustix::thread::set_no_new_privs(true).context("no_new_privs")?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).context("dumpable")?;
    for (resource, most) in limits.iter().copied().chain([(Resource::Fsize, 0), (Resource::Core, 0)]) {
        // Where the container allows less, it is less: nobody here may raise a limit.
        let most = rustix::process::getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        rustix::process::setrlimit(resource, limit).context("resource limits")?;
    }
    shut_files().context("Landlock")?;
    apply_filter(&filter(sends)?).context("seccomp")
}

/// No file, no TCP port to bind or to connect to, no abstract socket and no signal to anybody outside, as far as the
/// kernel knows these (landlock(7)). The system calls that would be needed are shut as well; this holds should one of
/// those that are left lead to a file.
fn shut_files() -> Result<(), landlock::RulesetError> {
    let newest = ABI::V6;
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?
        .create()?
        .restrict_self()?;
    Ok(())
}

fn filter(sends: Sends) -> anyhow::Result<BpfProgram> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        CALLS.iter().chain(OLDER_CALLS).map(|call| (*call, Vec::new())).collect();
    let unaddressed =
        SeccompCondition::new(4, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0).context("a condition")?;
    rules.insert(
        libc::SYS_sendto,
        match sends {
            Sends::Anywhere => Vec::new(),
            Sends::WhereConnected => vec![SeccompRule::new(vec![unaddressed]).context("a rule")?],
        },
    );
    let architecture = std::env::consts::ARCH.try_into().context("the processor")?;
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter =
        SeccompFilter::new(rules, refused, SeccompAction::Allow, architecture).context("a filter")?;
    filter.try_into().context("a filter")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};

    /// For the thread that calls it, and what it starts.
    #[test]
    fn landlock_shuts_files_and_tcp() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        let tried = move || {
            let file = File::open("/proc/self/status").map(drop);
            let connected = TcpStream::connect(there).map(drop);
            let bound = TcpListener::bind("127.0.0.1:0").map(drop);
            [file, connected, bound].map(|result| result.map_err(|error| error.kind()))
        };
        let (before, after) = std::thread::spawn(move || {
            let before = tried();
            shut_files().unwrap();
            (before, tried())
        })
        .join()
        .unwrap();
        assert_eq!(before, [Ok(()), Ok(()), Ok(())]);
        if after == before {
            eprintln!("SKIPPED landlock_shuts_files_and_tcp: this kernel has no Landlock");
            assert!(std::env::var_os("CI").is_none(), "CI must run this on a kernel with Landlock");
            return;
        }
        let shut = Err(ErrorKind::PermissionDenied);
        assert_eq!(after, [shut, shut, shut]);
        listener.accept().unwrap();
    }
}
