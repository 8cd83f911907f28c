use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use super::*;

/// `cap_net_raw+ep`, as `setcap` writes it: revision 2 with the effective bit, permitted and inheritable sets.
const NET_RAW: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn needs_root(what: &str) -> bool {
    if !is_root() {
        eprintln!("SKIPPED: this test {what}: run it with sudo");
        assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
    }
    is_root()
}

fn make(path: &Path, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "x").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn found(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let unseen = walk(root, &root.join("launcher"), |file| {
        let path = file.path.strip_prefix(root).unwrap().display().to_string();
        found.insert(path, file.gives.to_string());
    });
    assert!(unseen.unwrap().folders.is_empty());
    found
}

#[test]
fn files_are_found_stripped_and_restored() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    make(&path("launcher"), 0o6755);
    make(&path("usr/bin/plain"), 0o755);
    make(&path("usr/bin/both"), 0o6751);
    make(&path("usr/deep/er/group"), 0o2711);
    fs::hard_link(path("usr/bin/both"), path("usr/bin/again")).unwrap();
    fs::hard_link(path("launcher"), path("usr/bin/launcher-too")).unwrap();
    symlink("both", path("usr/bin/link")).unwrap();
    symlink(root.path(), path("usr/loop")).unwrap();
    // It gives no right: who makes a file there hands it to a group.
    fs::set_permissions(path("usr/deep"), fs::Permissions::from_mode(0o2755)).unwrap();
    let names: Vec<String> = found(root.path()).into_keys().collect();
    assert_eq!(names, ["usr/bin/again", "usr/bin/both", "usr/deep/er/group"]);
    assert!(found(root.path())["usr/deep/er/group"].ends_with("setgid"));

    let mut files = Vec::new();
    walk(root.path(), &path("launcher"), |file| files.push(file)).unwrap();
    for file in &files {
        file.strip().unwrap();
    }
    assert!(found(root.path()).is_empty());
    for (name, want) in
        [("usr/bin/both", 0o751), ("usr/deep/er/group", 0o711), ("usr/deep", 0o2755), ("launcher", 0o6755)]
    {
        assert_eq!(mode(&path(name)), want, "{name}");
    }
    for file in &files {
        file.restore().unwrap();
    }
    assert_eq!(mode(&path("usr/bin/both")), 0o6751);
    assert_eq!(found(root.path()).len(), 3);
}

#[test]
fn capabilities_are_found_stripped_and_restored() {
    if !needs_root("sets file capabilities") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("ping");
    make(&file, 0o755);
    if let Err(error) = setxattr(&file, CAPABILITY, &NET_RAW, XattrFlags::empty()) {
        eprintln!("SKIPPED: no file capabilities here: {error}");
        assert!(std::env::var_os("CI").is_none(), "CI must run this where they can be set");
        return;
    }
    assert_eq!(found(root.path()), BTreeMap::from([("ping".to_owned(), "capabilities".to_owned())]));
    let mut files = Vec::new();
    walk(root.path(), Path::new("/absent"), |file| files.push(file)).unwrap();
    files[0].strip().unwrap();
    assert!(found(root.path()).is_empty());
    files[0].restore().unwrap();
    let mut value = [0; CAPABILITY_LENGTH];
    let length = getxattr(&file, CAPABILITY, &mut value).unwrap();
    assert_eq!(value[..length], NET_RAW);
}

/// What was found stays what is changed, whatever the owner of its folder puts in its place meanwhile.
#[test]
fn a_file_that_was_swapped_is_not_touched() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    make(&path("theirs/su"), 0o4755);
    make(&path("victim"), 0o2755);
    let mut files = Vec::new();
    walk(&path("theirs"), Path::new("/absent"), |file| files.push(file)).unwrap();
    fs::rename(path("theirs/su"), path("moved")).unwrap();
    symlink("../victim", path("theirs/su")).unwrap();
    files[0].strip().unwrap();
    assert_eq!((mode(&path("victim")), mode(&path("moved"))), (0o2755, 0o755));
}

#[test]
fn other_mounts_are_left_alone() {
    if !needs_root("mounts a file system") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    fs::create_dir(path("volume")).unwrap();
    fs::create_dir(path("bound")).unwrap();
    make(&path("su"), 0o4755);
    make(&path("file"), 0o755);
    // In a mount namespace of its own: nothing stays behind. A folder, a file, and a folder of this very mount.
    let script = "set -e; mount --make-rprivate /; mount -t tmpfs none \"$1/volume\"
        echo x >\"$1/volume/su\"; chmod 4755 \"$1/volume/su\"
        mount --bind \"$1/volume/su\" \"$1/file\"
        cp -p \"$1/volume/su\" \"$2/su\"; mount --bind \"$2\" \"$1/bound\"; exec \"$3\" --exact \
        privileged::tests::what_is_seen_among_mounts --nocapture";
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(root.path()).arg(elsewhere.path());
    command.arg(std::env::current_exe().unwrap()).env("ROOT_AMONG_MOUNTS", root.path());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("seen: [\"su\"] 2 mounts"), "{output:?}");
}

/// Run by the test above inside its mount namespace.
#[test]
fn what_is_seen_among_mounts() {
    let Some(root) = std::env::var_os("ROOT_AMONG_MOUNTS") else { return };
    let root = Path::new(&root);
    let names: Vec<String> = found(root).into_keys().collect();
    let unseen = walk(root, Path::new("/absent"), drop).unwrap();
    println!("seen: {names:?} {} mounts", unseen.mounts.len());
}

#[test]
fn nothing_is_looked_into_without_end() {
    let root = tempfile::tempdir().unwrap();
    let mut deep = root.path().to_owned();
    for _ in 0..100 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    let mut files = 0;
    make(&deep.join("su"), 0o4755);
    let unseen = walk(root.path(), Path::new("/absent"), |_| files += 1).unwrap();
    assert_eq!((files, unseen.folders.len()), (0, 1));
    assert!(walk(&root.path().join("absent"), Path::new("/absent"), drop).is_err());
}
