//! What the installer takes from files that give rights, all of it or nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use tar::EntryType;

use crate::package::{MACHINES, elf, integrity, tgz};
use crate::setup::{Setup, expect_failure, is_root};

/// `cap_net_raw+ep`, as the kernel keeps it.
const NET_RAW: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn make(setup: &Setup, path: &str, mode: u32) {
    let path = setup.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "x").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn has_capability(path: &Path) -> bool {
    rustix::fs::getxattr(path, "security.capability", &mut [0; 64]).is_ok()
}

fn give_capability(path: &Path) -> bool {
    rustix::fs::setxattr(path, "security.capability", &NET_RAW, rustix::fs::XattrFlags::empty()).is_ok()
}

#[test]
fn the_launcher_alone_gives_rights_afterwards() {
    let setup = Setup::new();
    make(&setup, "usr/bin/su", 0o4755);
    make(&setup, "usr/bin/ping", 0o755);
    make(&setup, "usr/bin/wall", 0o2755);
    fs::hard_link(setup.path("usr/bin/su"), setup.path("usr/bin/su-too")).unwrap();
    fs::create_dir(setup.path("mail")).unwrap();
    fs::set_permissions(setup.path("mail"), fs::Permissions::from_mode(0o2775)).unwrap();
    let capabilities = give_capability(&setup.path("usr/bin/ping"));
    assert!(capabilities || !is_root() || std::env::var_os("CI").is_none(), "CI must have file capabilities");
    // A second time what came meanwhile, and not the launcher of the first.
    for _ in 0..2 {
        let output = setup.run(&[]);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let line = said.lines().find(|line| line.contains("took setuid, setgid and capabilities from"));
        let line = line.unwrap();
        for name in ["usr/bin/su", "usr/bin/wall"] {
            assert!(line.contains(name), "{line}");
        }
        assert_eq!(line.contains("usr/bin/ping"), capabilities, "{line}");
        assert!(!line.contains("sandbox-launch"), "{line}");
        assert_eq!(mode(&setup.path("usr/bin/su")), 0o755);
        assert_eq!(mode(&setup.path("usr/bin/wall")), 0o755);
        assert_eq!(mode(&setup.path("mail")), 0o2775, "gives no right");
        assert!(!has_capability(&setup.path("usr/bin/ping")));
        assert_eq!(mode(&setup.path("usr/local/libexec/agent-sandbox/sandbox-launch")), 0o6755);
        for (name, mode) in [("usr/bin/su", 0o6755), ("usr/bin/wall", 0o2711)] {
            fs::set_permissions(setup.path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(setup.path("usr/bin/wall"), fs::Permissions::from_mode(0o2755)).unwrap();
        give_capability(&setup.path("usr/bin/ping"));
    }
}

#[test]
fn a_failed_installation_leaves_them_as_they_were() {
    let setup = Setup::new();
    make(&setup, "usr/bin/su", 0o4755);
    setup.describe(Some(&integrity(b"something else")));
    setup.refused(&[], 4, "as announced");
    assert_eq!(mode(&setup.path("usr/bin/su")), 0o4755);
}

/// Whoever builds is not root here, and one of the files is: the others get back what they had.
#[test]
fn what_cannot_be_stripped_is_an_error() {
    if !is_root() {
        eprintln!("SKIPPED: this test makes files of two users: run it with sudo");
        assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
        return;
    }
    let setup = Setup::new();
    setup.publish(&tgz(EntryType::Regular, &elf(MACHINES.0, 5000)));
    make(&setup, "a/theirs", 0o4755);
    make(&setup, "b/roots", 0o4755);
    make(&setup, "c/theirs", 0o4755);
    for path in ["", "a", "c", "a/theirs", "c/theirs"] {
        chown(setup.path(path), Some(1000), Some(1000)).unwrap();
    }
    // The owner of a file changes, and the kernel takes what it gave.
    for path in ["a/theirs", "c/theirs"] {
        fs::set_permissions(setup.path(path), fs::Permissions::from_mode(0o4755)).unwrap();
    }
    fs::set_permissions(setup.source.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(setup.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let modes = || ["a/theirs", "b/roots", "c/theirs"].map(|path| mode(&setup.path(path)));
    assert_eq!(modes(), [0o4755; 3]);
    let output = setup.command_under("0022", &[]).uid(1000).gid(1000).output().unwrap();
    expect_failure(&output, 5, "b/roots: ");
    assert_eq!(modes(), [0o4755; 3]);
    assert!(!setup.path("usr").exists(), "left behind");
    // Without it the very same installs.
    fs::remove_file(setup.path("b/roots")).unwrap();
    let output = setup.command_under("0022", &[]).uid(1000).gid(1000).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(mode(&setup.path("c/theirs")), 0o755);
    assert!(setup.path("usr").exists());
}
