//! The cell as `agent-sandbox exec` makes it, on this kernel and under its settings, whichever they are: what it says
//! that it is made of is what the kernel has, and all but what it says is open is shut.
//!
//! It sets up an image of its own in mounts that nobody else sees: a policy, an account, a project. The network may be
//! missing there, so TCP's label, which is a matter of the table, is not tried (`kernel_local`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use agent_sandbox::confine::{Facts, rules};
use agent_sandbox::ipc::Mechanism;
use agent_sandbox::verify::{Aims, Report};

/// Of an account that no machine has.
const USER: u32 = 47_110;
const PROGRAM: &str = "/srv/agent-sandbox";
const PROJECT: &str = "/srv/project";

/// `$1` is the program. What a mount hides is there again when the test's thread has ended.
const SCENE: &str = r#"
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /srv
cp "$1" /srv/agent-sandbox
chmod 755 /srv/agent-sandbox
mkdir /srv/etc
cp -a /etc/. /srv/etc
mount --bind /srv/etc /etc
mount -t tmpfs -o mode=755 tmpfs /home
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p /etc/agent-sandbox /home/agent /srv/project /srv/others
chown 47110:47110 /home/agent /srv/project /srv/others
echo agent:x:47110:47110::/home/agent:/bin/sh >>/etc/passwd
echo '{"format":3,"mode":"enforce","rules":[],"cell":{"without":["network"]}}' >/etc/agent-sandbox/policy.json
"#;

/// Listens, answers one who connects, and says what it got of whom.
const OWN: &str = r#"
use IO::Socket::UNIX;
$s = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 9) or die "$!\n";
unless (fork) { $c = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "$!\n"; print <$c>; exit }
$c = $s->accept; print $c "reached"; close $c; wait"#;
const CLIENT: &str =
    r#"use IO::Socket::UNIX; $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "$!\n"; print <$s>"#;

/// Runs the test in mounts of its own; false, and said, where there can be none.
fn in_a_scene(test: fn()) {
    let program = option_env!("CARGO_BIN_EXE_agent-sandbox").filter(|path| Path::new(path).exists());
    let program = program.unwrap_or("/usr/local/bin/agent-sandbox");
    let run = move || {
        #[expect(unsafe_code, reason = "a thread that has left its mounts stays in others than its siblings")]
        // SAFETY: this thread alone changes its mounts, and nobody else relies on its paths.
        let unshared = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) };
        if let Err(error) = unshared {
            eprintln!("SKIPPED the cell on this kernel: mounts of its own: {error}; run it as root");
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
            return;
        }
        let scene = Command::new("sh").args(["-c", SCENE, "sh", program]).output().unwrap();
        assert!(scene.status.success(), "{scene:?}");
        test();
    };
    thread::spawn(run).join().unwrap();
}

fn as_user(program: &str) -> Command {
    let mut command = Command::new(program);
    command.uid(USER).gid(USER).current_dir(PROJECT).stdin(Stdio::null());
    command.env("HOME", "/home/agent").env("GITHUB_TOKEN", "secret").env_remove("TMPDIR");
    command
}

fn in_cell(arguments: &[&str]) -> Output {
    as_user(PROGRAM).arg("exec").args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What somebody outside has.
struct Outside {
    aims: Aims,
    _process: Ended,
    _listeners: (UnixListener, UnixListener, UnixDatagram),
}

impl Outside {
    fn new() -> Self {
        let abstract_name = format!("cell-tiers-{}", std::process::id());
        let [socket, datagram] = ["/tmp/vscode-ipc.sock", "/tmp/datagram.sock"];
        let listeners = (
            UnixListener::bind(socket).unwrap(),
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(&abstract_name).unwrap()).unwrap(),
            UnixDatagram::bind(datagram).unwrap(),
        );
        for path in [socket, datagram] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
        }
        let process = Ended(as_user("sleep").arg("600").spawn().unwrap());
        let aims = Aims {
            socket: socket.to_owned(),
            abstract_name,
            datagram: datagram.to_owned(),
            port: 1,
            process: i32::try_from(process.0.id()).unwrap(),
            file: "/home/agent/.bashrc".to_owned(),
            variables: vec!["GITHUB_TOKEN".to_owned()],
        };
        Self { aims, _process: process, _listeners: listeners }
    }

    /// Which attempts get through.
    fn attempts(&self, command: &mut Command) -> (BTreeMap<String, bool>, Option<Facts>) {
        let _ = fs::remove_file(&self.aims.file);
        let output = command.args(["attempt", &serde_json::to_string(&self.aims).unwrap()]).output().unwrap();
        let report: Report =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let tried = report.attempts.into_iter().filter(|attempt| attempt.id != "cell.local-port");
        (tried.map(|attempt| (attempt.id, attempt.through)).collect(), report.facts)
    }
}

/// Not left behind by a test that fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What must be found here.
fn expected() -> Mechanism {
    match (rules::abi(), yama()) {
        (9.., _) => Mechanism::Landlock,
        (_, Some(2..)) => Mechanism::Closed,
        _ => Mechanism::Supervisor,
    }
}

fn yama() -> Option<u8> {
    fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok()?.trim().parse().ok()
}

#[test]
fn a_cell_holds_but_for_what_it_says() {
    in_a_scene(|| {
        let outside = Outside::new();
        let (bare, none) = outside.attempts(&mut as_user(PROGRAM));
        assert_eq!(none, None);
        // Without a cell everything gets through but the last, which a user has no more than the cell.
        let shut: Vec<&String> = bare.iter().filter(|(_, through)| !**through).map(|(id, _)| id).collect();
        assert_eq!(shut, ["cell.capabilities"]);

        let (celled, facts) = outside.attempts(as_user(PROGRAM).args(["exec", PROGRAM]));
        let facts = facts.unwrap();
        println!("{facts}; {:?}", facts.why);
        assert_eq!((facts.unix_sockets, facts.rules.abi), (expected(), rules::abi()));
        for (id, through) in celled {
            let open = match id.as_str() {
                "cell.home" => !facts.rules.writes,
                "cell.reading" => !facts.rules.tracing,
                "cell.signals" => !facts.rules.signals,
                // Not an attack: these have to work.
                "cell.own-sockets" => facts.unix_sockets != Mechanism::Closed,
                _ => false,
            };
            assert_eq!(through, open, "{id}: {facts}");
        }
    });
}

#[test]
fn own_sockets_work_where_they_are_mediated() {
    in_a_scene(|| {
        for name in ["own.sock", "/srv/project/own-2.sock"] {
            let output = in_cell(&["perl", "-e", OWN, name]);
            if expected() == Mechanism::Closed {
                assert_eq!((said(&output).as_str(), output.status.success()), ("", false), "{output:?}");
                assert!(told(&output).ends_with("Permission denied\n"), "{output:?}");
            } else {
                assert_eq!(said(&output), "reached", "{output:?}");
            }
        }
    });
}

#[test]
fn sockets_of_others_in_the_project_are_not_reached() {
    in_a_scene(|| {
        let listen = r"use IO::Socket::UNIX; $s = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 9) or die;
            $| = 1; print qq(ready\n); while ($c = $s->accept) { print $c 'reached'; close $c }";
        let others: Vec<Ended> = ["/srv/others/one.sock", "/srv/others/two.sock"]
            .into_iter()
            .map(|path| {
                let mut other =
                    as_user("perl").args(["-e", listen, path]).stdout(Stdio::piped()).spawn().unwrap();
                let mut ready = [0; 6];
                std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut ready).unwrap();
                Ended(other)
            })
            .collect();
        // On one file system with the project, so that nothing else keeps them apart.
        in_cell(&[
            "sh",
            "-c",
            "ln /srv/others/one.sock linked; mv /srv/others/two.sock moved; ln -s /srv/others/one.sock symbolic",
        ]);
        let through = |path: &str| said(&as_user("perl").args(["-e", CLIENT, path]).output().unwrap());
        let celled = |path: &str| said(&in_cell(&["perl", "-e", CLIENT, path]));
        assert_eq!(through("/srv/others/one.sock"), "reached");
        assert_eq!(through("symbolic"), "reached");
        for path in ["linked", "moved", "symbolic", "/srv/others/one.sock", "/srv/others/two.sock"] {
            if Path::new(PROJECT).join(path).exists() && path != "/srv/others/two.sock" {
                assert_eq!(through(path), "reached", "{path}");
            }
            assert_eq!(celled(path), "", "{path}");
        }
        drop(others);
    });
}

#[test]
fn a_start_tells_what_is_open() {
    in_a_scene(|| {
        let output = in_cell(&[PROGRAM, "cell", "--json"]);
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let facts: Facts = serde_json::from_value(found["facts"].clone()).unwrap();
        assert_eq!(found["open"], serde_json::json!(facts.open()));
        let told = told(&output);
        let warned = told.lines().filter(|line| line.contains("THIS CELL IS WEAKER")).count();
        assert_eq!(warned, usize::from(!facts.open().is_empty()), "{told}");
        if expected() == Mechanism::Closed {
            assert!(told.contains("Unix sockets are closed altogether"), "{told}");
            let scope = format!("the host's kernel.yama.ptrace_scope is {}", yama().unwrap());
            assert!(
                told.contains(&scope) || facts.rules.abi > 0 && facts.why.unwrap().contains(&scope),
                "{told}"
            );
        }
    });
}
