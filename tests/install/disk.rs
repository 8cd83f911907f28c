//! Disks that are full, or have no room for another file, or may not be written. Each is a real file system of
//! its own, in a mount namespace of the test's.

use std::fs;
use std::process::{Command, Output};

use tar::EntryType;

use crate::package::{MACHINES, elf, tgz};
use crate::release_host;
use crate::setup::{INSTALLER, Setup, expect_failure, is_root};
use crate::signer::MAKER;

/// Runs the installer with a tmpfs of these `options` as its target, `prepare`d by a shell in the folder, and
/// prints what changed there.
fn run(setup: &Setup, options: &str, prepare: &str, variables: &[(&str, &str)]) -> Option<Output> {
    if !is_root() {
        return skipped();
    }
    // The mount is private to the script, so the listing has to be taken in there.
    let script = "mount -t tmpfs -o mode=755,$1 tmpfs \"$2\" && cd \"$2\" && eval \"$3\" || exit 99
        list() { find . -printf '%y %#m %U %G %p %l\\n' | sort; }
        before=$(list); root=$2; shift 3; \"$@\" --root \"$root\"; code=$?
        after=$(list); [ \"$before\" = \"$after\" ] || printf '%s\\n' \"left behind:\" \"$after\"; exit $code";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh", options]);
    command.arg(setup.root.path()).arg(prepare).arg(INSTALLER).arg("--source").arg(setup.source.path());
    command.arg("--release-host").arg(setup.server.url() + "/releases");
    command.arg("--release-key").arg(MAKER.fingerprint());
    command.env("NPMREGISTRY", setup.server.url()).envs(variables.iter().copied());
    let output = command.output().ok()?;
    if output.status.code() == Some(99) { skipped() } else { Some(output) }
}

fn skipped() -> Option<Output> {
    eprintln!("SKIPPED: this test mounts a file system, and needs root and the right to mount");
    assert!(std::env::var_os("CI").is_none(), "CI must run it");
    None
}

fn fails(setup: &Setup, options: &str, prepare: &str, variables: &[(&str, &str)], part: &str) {
    let Some(output) = run(setup, options, prepare, variables) else { return };
    expect_failure(&output, 5, part);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "", "{options} {prepare}");
}

fn works(setup: &Setup, options: &str, prepare: &str) {
    let Some(output) = run(setup, options, prepare, &[]) else { return };
    assert!(output.status.success(), "{options}: {output:?}");
}

const NO_SPACE: &str = "No space left on device (os error 28); Claude Code needs up to 600 MB";

#[test]
fn a_full_disk() {
    let setup = Setup::new();
    setup.publish(&tgz(EntryType::Regular, &elf(MACHINES.0, 4 << 20)));
    // With three megabytes the archive does not fit, with six the program beside it does not.
    for size in ["size=3m", "size=6m"] {
        fails(&setup, size, "", &[], NO_SPACE);
    }
    works(&setup, "size=12m", "");
    // A program of the sandbox's own, after Claude Code itself fitted.
    fs::write(setup.source.path().join("sandboxd"), elf(MACHINES.0, 5 << 20)).unwrap();
    fails(&setup, "size=10m", "", &[], NO_SPACE);
    // From the release host there is no archive.
    release_host::publish_latest(&setup.server);
    fails(&setup, "size=100k", "", &[("NPMREGISTRY", "")], NO_SPACE);
    fails(&setup, "size=4m", "", &[("NPMREGISTRY", "")], NO_SPACE);
}

#[test]
fn a_disk_without_room_for_another_file() {
    let setup = Setup::new();
    // All that is installed takes a good twenty; each number before ends at another step.
    for inodes in [2, 3, 5, 8, 12, 16, 20, 23] {
        fails(&setup, &format!("nr_inodes={inodes}"), "", &[], "No space left on device");
    }
    works(&setup, "nr_inodes=64", "");
}

#[test]
fn a_disk_that_may_not_be_written() {
    let setup = Setup::new();
    let read_only = "mount -o remount,ro .";
    fails(
        &setup,
        "size=12m",
        read_only,
        &[],
        "Read-only file system (os error 30); the image must be writable",
    );
}

/// With an earlier installation there, which must be there afterwards, whole.
#[test]
fn an_upgrade_on_a_full_disk() {
    let setup = Setup::new();
    let earlier = format!(
        "NPMREGISTRY={} {INSTALLER} --root . --source {} 2>/dev/null",
        setup.server.url(),
        setup.source.path().display()
    );
    works(&setup, "size=12m", &earlier);
    for full in [
        "head -c 20000000 /dev/zero >filler 2>/dev/null; true",
        "i=0; while touch filler$i 2>/dev/null; do i=$((i+1)); done",
    ] {
        let prepare = format!("{earlier}; {full}");
        fails(&setup, "size=2m,nr_inodes=80", &prepare, &[], "No space left on device");
    }
}
