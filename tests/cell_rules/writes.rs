//! What others of the same user run or trust cannot be written.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, FileType, Mode};

use crate::skip::landlock;
use crate::world::{World, errno, truncate};

type Attack = (&'static str, fn(&World) -> io::Result<()>);

fn append(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    io::Write::write_all(&mut file, b"evil\n")
}

const ATTACKS: &[Attack] = &[
    ("a line more in a shell's settings", |world| append(&world.path("home/.bashrc"))),
    ("a program that the editor's server runs", |world| {
        fs::write(world.path("home/.vscode-server/data/evil.js"), "evil")
    }),
    ("a key that may log in", |world| fs::write(world.path("home/.ssh/authorized_keys"), "evil")),
    ("settings of git", |world| fs::write(world.path("home/.gitconfig"), "[core]\n")),
    ("a program on the user's PATH", |world| fs::write(world.path("home/bin/git"), "evil")),
    ("a program on the user's PATH is another", |world| append(&world.path("home/bin/tool"))),
    ("an empty file in its place", |world| {
        OpenOptions::new().write(true).truncate(true).open(world.path("home/.profile")).map(drop)
    }),
    ("shortened by its path", |world| truncate(&world.path("home/.bashrc"))),
    ("removed", |world| fs::remove_file(world.path("home/.bashrc"))),
    ("a folder removed", |world| fs::remove_dir(world.path("home/empty"))),
    ("renamed where it lies", |world| fs::rename(world.path("home/.bashrc"), world.path("home/.zshrc"))),
    ("moved into the workspace", |world| fs::rename(world.path("home/.bashrc"), world.path("workspace/rc"))),
    ("moved out of the workspace", |world| {
        fs::rename(world.path("workspace/main.c"), world.path("home/.bashrc"))
    }),
    ("a folder moved over", |world| fs::rename(world.path("home/.config"), world.path("home/.other"))),
    ("a link beside", |world| fs::hard_link(world.path("workspace/main.c"), world.path("home/.zshenv"))),
    ("a link to a foreign file in the workspace", |world| {
        fs::hard_link(world.path("home/.bashrc"), world.path("workspace/rc"))
    }),
    ("a link to a foreign socket in the workspace", |world| {
        fs::hard_link(world.path("elsewhere/ipc.sock"), world.path("workspace/ipc.sock"))
    }),
    ("a foreign socket moved into the workspace", |world| {
        fs::rename(world.path("elsewhere/ipc.sock"), world.path("workspace/ipc.sock"))
    }),
    ("a symbolic link", |world| symlink("/bin/true", world.path("home/.zprofile"))),
    ("a folder", |world| fs::create_dir(world.path("home/.config/fish"))),
    ("a pipe", |world| Ok(rustix::fs::mknodat(CWD, world.path("home/fifo"), FileType::Fifo, Mode::RWXU, 0)?)),
    ("a socket", |world| UnixListener::bind(world.path("elsewhere/mine.sock")).map(drop)),
    ("through a symbolic link in the workspace", |world| {
        symlink(world.path("home"), world.path("workspace/home"))?;
        append(&world.path("workspace/home/.bashrc"))
    }),
    ("through a process's folder", |world| shell(world, "echo evil >>/proc/self/cwd/.bashrc")),
    ("through a descriptor", |world| shell(world, "exec 5<.; echo evil >>/proc/self/fd/5/.bashrc")),
    ("a descriptor opened again", |world| shell(world, "exec 5<.bashrc; echo evil >>/proc/self/fd/5")),
    ("a process's settings", |world| shell(world, "echo other >/proc/self/comm")),
];

/// In the home; a script that fails does so for want of the right.
fn shell(world: &World, script: &str) -> io::Result<()> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script]).current_dir(world.path("home")).stderr(Stdio::piped());
    let output = shell.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.success() {
        true => Ok(()),
        false if said.contains("Permission denied") => Err(io::Error::from_raw_os_error(libc::EACCES)),
        false => Err(io::Error::other(said)),
    }
}

fn world() -> World {
    let world = World::new();
    fs::create_dir(world.path("home/empty")).expect("a folder");
    UnixListener::bind(world.path("elsewhere/ipc.sock")).expect("a socket");
    world.own();
    world
}

#[test]
fn what_others_run_cannot_be_written() {
    if !landlock("what_others_run_cannot_be_written", 3) {
        return;
    }
    for (name, attack) in ATTACKS {
        let world = world();
        assert_eq!(World::outside(|| errno(attack(&world))), 0, "{name}, outside");
        let world = self::world();
        let inside = world.inside(|| errno(attack(&world)));
        assert!([libc::EACCES, libc::EXDEV].contains(&inside), "{name}, inside: {inside}");
    }
}

#[test]
fn a_secret_place_that_is_the_workspace_is_said() {
    let world = World::new();
    let writable = [world.path("")];
    let home = world.path("home");
    let ground = agent_sandbox::confine::rules::Ground {
        writable: &writable,
        shared: &[],
        real_home: &home,
        listed_sockets: &[],
    };
    let enforced = agent_sandbox::confine::rules::prepare(ground).expect("the rules").enforced();
    assert!(!enforced.reads, "all of the home can be read");
}

#[test]
fn places_are_written() {
    let world = World::new();
    world.inside(|| {
        fs::write(world.path("workspace/new"), "new").expect("a file");
        fs::create_dir_all(world.path("workspace/a/b")).expect("folders");
        if agent_sandbox::confine::rules::abi() >= 2 {
            fs::rename(world.path("workspace/new"), world.path("workspace/a/b/new")).expect("a move");
            fs::rename(world.path("temporary/old"), world.path("workspace/old")).expect("a move");
        }
        UnixListener::bind(world.path("temporary/socket")).expect("a socket");
        fs::remove_dir_all(world.path("workspace/a")).expect("removed");
        for device in ["/dev/null", "/dev/zero", "/dev/full"] {
            OpenOptions::new().read(true).write(true).truncate(true).create(true).open(device).expect(device);
        }
    });
}
