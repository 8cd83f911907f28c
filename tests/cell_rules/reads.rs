//! The user's secrets cannot be read, everything else can.

use std::fs;
use std::process::Command;

use crate::skip::landlock;
use crate::world::{World, errno};

const SECRETS: [&str; 9] = [
    "home/.ssh/id_ed25519",
    "home/.npmrc",
    "home/.config/gh/hosts.yml",
    "home/.cargo/credentials.toml",
    "home/.vscode-server/data/token",
    "home/.bash_history",
    "home/server.pem",
    "home/.aws/credentials",
    "elsewhere/aws/credentials",
];

const PLAIN: [&str; 7] = [
    "home/.config/tool/settings",
    "home/.cargo/config.toml",
    "home/notes",
    "home/bin/tool",
    "elsewhere/plain",
    "workspace/main.c",
    "/etc/passwd",
];

#[test]
fn secrets_cannot_be_read() {
    if !landlock("secrets_cannot_be_read", 1) {
        return;
    }
    let world = World::new();
    let read = |path: &str| errno(fs::read(world.path(path)));
    World::outside(|| {
        for path in SECRETS.iter().chain(&PLAIN) {
            assert_eq!(read(path), 0, "{path}, outside");
        }
    });
    world.inside(|| {
        for path in SECRETS {
            assert_eq!(read(path), libc::EACCES, "{path}, inside");
        }
        for path in PLAIN {
            assert_eq!(read(path), 0, "{path}, inside");
        }
        for folder in ["/", "/proc", "/dev", "/usr/bin"] {
            fs::read_dir(folder).expect(folder);
        }
        fs::read_dir(world.path("home/.ssh")).expect("names are not hidden");
        assert!(Command::new(world.path("home/bin/tool")).status().expect("a program").success());
        // Elsewhere, secrets cannot be run, either: an interpreter would read them out.
        assert_eq!(errno(Command::new(world.path("home/.npmrc")).spawn()), libc::EACCES);
        // Nor reached by another name for the same.
        let by_process = format!("/proc/self/root{}", world.path("home/.npmrc").display());
        assert_eq!(errno(fs::read(by_process)), libc::EACCES);
        std::os::unix::fs::symlink(world.path("home/.npmrc"), world.path("workspace/link")).expect("a link");
        assert_eq!(read("workspace/link"), libc::EACCES);
    });
}

#[test]
fn what_comes_later_is_hidden() {
    if !landlock("what_comes_later_is_hidden", 1) {
        return;
    }
    let world = World::new();
    let (ready, wait) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel();
    let world = &world;
    std::thread::scope(|scope| {
        let seen = scope.spawn(move || {
            world.inside(move || {
                ready.send(()).expect("a listener");
                gone.recv().expect("the word");
                errno(fs::read(world.path("home/.newtool")))
            })
        });
        wait.recv().expect("ready");
        world.write("home/.newtool", "SECRET");
        world.own();
        assert_eq!(World::outside(|| errno(fs::read(world.path("home/.newtool")))), 0);
        go.send(()).expect("a listener");
        assert_eq!(seen.join().expect("the cell"), libc::EACCES);
    });
}

#[test]
fn a_crowded_home_is_known_by_name() {
    if !landlock("a_crowded_home_is_known_by_name", 1) {
        return;
    }
    let world = World::new();
    for number in 0..600 {
        world.write(&format!("home/file-{number}"), "unknown");
    }
    world.own();
    let home = world.path("home");
    World::outside(|| assert_eq!(world.prepare().crowded(), [home.as_path()]));
    world.inside(|| {
        assert_eq!(errno(fs::read(world.path("home/file-300"))), libc::EACCES);
        assert_eq!(errno(fs::read(world.path("home/.cargo/config.toml"))), 0);
        assert_eq!(errno(fs::read(world.path("home/.cargo/credentials.toml"))), libc::EACCES);
        assert_eq!(errno(fs::read(world.path("home/.config/tool/settings"))), 0);
        assert_eq!(errno(fs::read(world.path("home/.npmrc"))), libc::EACCES);
        assert_eq!(errno(fs::read(world.path("workspace/main.c"))), 0);
    });
}
