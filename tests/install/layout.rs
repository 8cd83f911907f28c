//! What the installer makes of an image that has things in it already.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;

use tar::EntryType;

use crate::package::{MACHINES, elf, integrity, tgz};
use crate::setup::{Setup, is_root, tree};

const LINK: &str = "../libexec/agent-sandbox/agent-sandbox";

#[test]
fn an_upgrade_in_place() {
    let setup = Setup::new();
    assert!(setup.run(&[]).status.success());
    let first = tree(setup.root.path());
    // What the user's volume would show in a container: it stays.
    fs::write(setup.path("var/lib/claude-code/kept"), "mine").unwrap();
    let program = elf(MACHINES.0, 6000);
    setup.publish(&tgz(EntryType::Regular, &program));
    let output = setup.run(&[("ALLOW", "api.example.com")]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read(setup.path("usr/local/lib/agent-sandbox/claude")).unwrap(), program);
    let policy = fs::read_to_string(setup.path("etc/agent-sandbox/policy.json")).unwrap();
    assert!(policy.contains("api.example.com"));
    fs::remove_file(setup.path("var/lib/claude-code/kept")).unwrap();
    assert_eq!(tree(setup.root.path()), first);

    // A failed one leaves the former in working order.
    setup.describe(Some(&integrity(b"something else")));
    setup.refused(&[], 4, "as announced");
    assert_eq!(fs::read(setup.path("usr/local/lib/agent-sandbox/claude")).unwrap(), program);
}

#[test]
fn the_original_features_script_is_replaced_and_a_sudo_is_not() {
    let setup = Setup::new();
    let bin = |name: &str| setup.path("usr/local/bin").join(name);
    fs::create_dir_all(setup.path("usr/local/bin")).unwrap();
    fs::write(bin("init-firewall.sh"), "#!/bin/bash\n").unwrap();
    let is_in_the_way =
        || setup.refused(&[], 5, "bin/sudo is in the way and does not come from this Feature");
    fs::write(bin("sudo"), "somebody's").unwrap();
    is_in_the_way();
    fs::remove_file(bin("sudo")).unwrap();
    symlink("/usr/bin/sudo", bin("sudo")).unwrap();
    is_in_the_way();
    assert_eq!(fs::read(bin("init-firewall.sh")).unwrap(), b"#!/bin/bash\n");

    fs::remove_file(bin("sudo")).unwrap();
    let output = setup.run(&[]);
    assert!(output.status.success(), "{output:?}");
    for name in ["sudo", "init-firewall.sh"] {
        assert_eq!(fs::read_link(bin(name)).unwrap(), Path::new(LINK));
    }
}

#[test]
fn whoever_works_there_gets_folders_to_mount_volumes_on() {
    if !is_root() {
        eprintln!("SKIPPED whoever_works_there_gets_folders_to_mount_volumes_on: needs root");
        assert!(std::env::var_os("CI").is_none());
        return;
    }
    let setup = Setup::new();
    for (name, uid) in [("node", 1000), ("linked", 1001), ("away", 1002)] {
        let home = setup.path("home").join(name);
        fs::create_dir_all(&home).unwrap();
        chown(&home, Some(uid), Some(uid)).unwrap();
    }
    fs::create_dir(setup.path("etc")).unwrap();
    let passwd =
        "root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/home/node:\nlinked:x:1001:1001::/home/linked:\n";
    fs::write(setup.path("etc/passwd"), passwd).unwrap();
    symlink("../away", setup.path("home/linked/.claude")).unwrap();
    symlink("../away", setup.path("home/linked/.local")).unwrap();
    let users = [("_REMOTE_USER", "node"), ("_CONTAINER_USER", "linked")];

    // Nothing for nobody, and nothing after a failure that comes after the folders were made.
    let homes = || {
        let mut homes = tree(setup.root.path());
        homes.retain(|path, _| path.starts_with("home"));
        homes
    };
    let before = homes();
    for nobody in ["root", "late", ""] {
        let output = setup.run(&[("_REMOTE_USER", nobody), ("_CONTAINER_USER", nobody)]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(homes(), before);
    }
    fs::remove_dir_all(setup.path("etc/agent-sandbox")).unwrap();
    fs::create_dir_all(setup.path("etc/agent-sandbox/policy.json")).unwrap();
    setup.refused(&users, 5, "policy.json is in the way and a folder");
    fs::remove_dir(setup.path("etc/agent-sandbox/policy.json")).unwrap();

    for _ in 0..2 {
        let output = setup.run(&users);
        assert!(output.status.success(), "{output:?}");
        for (path, mode) in
            [(".claude", 0o700), (".local", 0o755), (".local/share", 0o755), (".local/share/claude", 0o755)]
        {
            let found = setup.path("home/node").join(path).metadata().unwrap();
            assert_eq!((found.uid(), found.gid()), (1000, 1000), "{path}");
            assert_eq!(found.permissions().mode() & 0o7777, mode, "{path}");
        }
        // Behind a link nothing is made and nothing given away.
        assert_eq!(fs::read_dir(setup.path("home/away")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(setup.path("home/linked")).unwrap().count(), 2);
    }
}
