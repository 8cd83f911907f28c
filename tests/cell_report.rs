//! What the cell's rules are said to enforce is what this kernel enforces, whichever kernel it is.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;

use agent_sandbox::confine::rules::Enforced;
use rustix::fs::{CWD, FileType, Mode};
use rustix::process::Signal;

#[path = "cell_rules/other.rs"]
mod other;
#[path = "cell_rules/world.rs"]
mod world;

use other::{Other, call, proc};
use world::{World, errno};

struct Row {
    name: &'static str,
    held: fn(&Enforced) -> bool,
    attack: fn(&World, &Other) -> io::Result<()>,
}

const ROWS: [Row; 8] = [
    Row {
        name: "writes",
        held: |holds| holds.writes,
        attack: |world, _| fs::write(world.path("home/evil"), "evil"),
    },
    Row {
        name: "truncation",
        held: |holds| holds.truncation,
        attack: |world, _| world::truncate(&world.path("home/.bashrc")),
    },
    Row {
        name: "devices",
        held: |holds| holds.devices,
        attack: |world, _| {
            let device = fs::File::open(world.path("elsewhere/device"))?;
            let mut bits = 0_i32;
            let descriptor = std::os::fd::AsRawFd::as_raw_fd(&device);
            // RNDGETENTCNT, how much the kernel's source of random numbers has got.
            call(libc::SYS_ioctl, &[descriptor.into(), 0x8004_5200, (&raw mut bits) as i64]).map(drop)
        },
    },
    Row {
        name: "reads",
        held: |holds| holds.reads,
        attack: |world, _| fs::read(world.path("home/.npmrc")).map(drop),
    },
    Row {
        name: "tracing",
        held: |holds| holds.tracing,
        attack: |_, other| fs::read(proc(other.pid(), "environ")).map(drop),
    },
    Row {
        name: "signals",
        held: |holds| holds.signals,
        attack: |_, other| Ok(rustix::process::kill_process(other.pid(), Signal::CONT)?),
    },
    Row {
        name: "abstract sockets",
        held: |holds| holds.abstract_sockets,
        attack: |_, _| UnixStream::connect_addr(&abstract_name()).map(drop),
    },
    Row {
        name: "path sockets",
        held: |holds| holds.path_sockets,
        attack: |world, _| UnixStream::connect(world.path("elsewhere/ipc.sock")).map(drop),
    },
];

fn abstract_name() -> SocketAddr {
    SocketAddr::from_abstract_name(format!("cell-report-{}", std::process::id())).expect("a name")
}

/// The source of random numbers, where anybody may read it; false where the tests may not make one.
fn device(path: &Path) -> bool {
    let (kind, number) = (FileType::CharacterDevice, rustix::fs::makedev(1, 8));
    rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(0o644), number).is_ok()
        && fs::File::open(path).is_ok()
}

#[test]
fn the_report_is_true() {
    let _abstract = World::outside(|| UnixListener::bind_addr(&abstract_name()).expect("a socket"));
    for Row { name, held, attack } in ROWS {
        let world = World::new();
        if !device(&world.path("elsewhere/device")) && name == "devices" {
            eprintln!("SKIPPED the_report_is_true (devices): needs root, who makes one; run it with sudo");
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
            continue;
        }
        let _sockets = World::outside(|| {
            ["elsewhere/ipc.sock", "elsewhere/listed.sock", "workspace/own.sock"]
                .map(|path| UnixListener::bind(world.path(path)).expect("a socket"))
        });
        let other = World::outside(Other::start);
        let holds = World::outside(|| world.prepare().enforced());
        let inside = world.inside(|| errno(attack(&world, &other)));
        let refused = [libc::EACCES, libc::EPERM].contains(&inside);
        assert!(refused || inside == 0, "{name}, inside: {inside}");
        assert_eq!(refused, held(&holds), "{name} with Landlock {}", holds.abi);
        assert_eq!(World::outside(|| errno(attack(&world, &other))), 0, "{name}, outside");
        world.inside(|| {
            for path in ["elsewhere/listed.sock", "workspace/own.sock"] {
                UnixStream::connect(world.path(path)).expect(path);
            }
            let moved = fs::rename(world.path("temporary/old"), world.path("workspace/old"));
            assert_eq!(moved.is_ok(), holds.moves || !holds.writes, "a move: {moved:?}");
        });
    }
}
