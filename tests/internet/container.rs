//! What makes a network namespace a container: mounts and process numbers of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::lab::run_in;

/// As which user, and with which rights, a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// An ordinary user, as the agent is.
    User,
    /// uid 0 without any capability.
    Root,
    /// uid 0 with the right to open raw sockets, which Docker gives unless told otherwise.
    RootWithRaw,
    /// uid 0 as the container's entrypoint has it: the right to configure the network and no other.
    Entrypoint,
}

/// The first process of the container.
#[derive(Debug)]
pub(super) struct Container {
    holder: Child,
    pid: u32,
}

/// Docker's mounts, made over the machine's own root: /etc with the container's files above it, and fresh folders
/// where the daemon writes.
const MOUNTS: &str = r#"set -e
cut -d' ' -f4 /proc/self/stat
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" /etc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mount -t proc proc /proc
mount -t sysfs sysfs /sys
echo mounted
exec sleep infinity"#;

const RESOLV_CONF: &str = "nameserver 127.0.0.11\noptions ndots:0\n# ExtServers: [203.0.113.53]\n";
const HOSTS: &str =
    "127.0.0.1 localhost\n::1 localhost\n172.30.0.2 container\n172.30.0.1 host.docker.internal\n";

impl Container {
    /// Starts it in a network namespace; `folder` is where its files are put together.
    pub(super) fn start(namespace: &str, folder: &Path) -> Self {
        let upper = folder.join("layer");
        let etc = upper.join("etc/agent-sandbox");
        for each in [&etc, &upper.join("work"), &folder.join("bin")] {
            fs::create_dir_all(each).expect("a folder");
        }
        fs::write(upper.join("etc/resolv.conf"), RESOLV_CONF).expect("write");
        fs::write(upper.join("etc/hosts"), HOSTS).expect("write");
        fs::write(upper.join("etc/nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files dns\n")
            .expect("write");
        fs::write(etc.join("policy.json"), super::POLICY).expect("write");
        for (name, program) in [
            ("sandboxd", env!("CARGO_BIN_EXE_sandboxd")),
            ("agent-sandbox", env!("CARGO_BIN_EXE_agent-sandbox")),
        ] {
            let copy = folder.join("bin").join(name);
            fs::copy(program, &copy).expect("copy");
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("a mode");
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", MOUNTS, "sh"]);
        command.arg(&upper).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut holder = run_in(namespace, || command.spawn()).expect("unshare");
        let mut lines = BufReader::new(holder.stdout.take().expect("a pipe")).lines();
        let pid = lines.next().expect("a line").expect("a line").trim().parse().expect("a number");
        assert_eq!(lines.next().expect("the container's mounts").expect("a line"), "mounted");
        Self { holder, pid }
    }

    /// A command in it, to which a program and its arguments are to be added.
    pub(super) fn command(&self, who: Who) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid.to_string(), "--mount", "--pid", "--net", "setpriv"]);
        command.args(match who {
            Who::User => &["--reuid=1000", "--regid=1000", "--clear-groups", "--bounding-set=-all"][..],
            Who::Root => &["--clear-groups", "--bounding-set=-all"],
            Who::RootWithRaw => &["--clear-groups", "--bounding-set=-all,+net_raw"],
            Who::Entrypoint => &["--clear-groups", "--bounding-set=-all,+net_admin"],
        });
        if who != Who::Entrypoint {
            command.arg("--no-new-privs");
        }
        command.args(["--inh-caps=-all", "--"]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
        command
    }

    /// Sends a signal to the processes of a program, by their numbers on the machine, and says to how many.
    pub(super) fn signal(&self, program: &str, signal: Signal, workers_only: bool) -> usize {
        let mut reached = 0;
        let place = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let ours = place(self.pid);
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        for pid in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
            let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let is_it = words.split('\0').next().unwrap_or_default().ends_with(program)
                || (name.trim() == program || words.starts_with("/proc/self/exe"));
            let is_worker = !words.contains("\0run\0");
            if ours.is_some()
                && place(pid) == ours
                && is_it
                && (is_worker || !workers_only)
                && let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw)
            {
                reached += usize::from(kill_process(pid, signal).is_ok());
            }
        }
        reached
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // The first process takes all others along.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
