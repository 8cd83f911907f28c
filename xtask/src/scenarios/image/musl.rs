//! A root file system without glibc and without bash: Debian's `musl` and `busybox-static`, and files by hand.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::{apt, sh};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nvscode:x:1000:1000::/home/vscode:/bin/sh\n";
const GROUP: &str = "root:x:0:\nvscode:x:1000:\n";

/// Writes it as a tar file.
pub(super) fn make(path: &Path) -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let root = work.path().join("root");
    for folder in ["etc", "proc", "sys", "dev", "run", "tmp", "usr/bin", "var/log", "root", "home/vscode"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755))?;
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::write(root.join("etc/passwd"), PASSWD)?;
    fs::write(root.join("etc/group"), GROUP)?;
    fs::write(root.join("etc/os-release"), "ID=busybox\nNAME=\"musl and busybox\"\n")?;
    unpack(&["musl", "busybox-static"], work.path(), &root)?;
    let applets = sh::output(Command::new(root.join("bin/busybox")).arg("--list-full"))?;
    for applet in applets.lines() {
        let link = root.join(applet);
        if !link.exists() {
            fs::create_dir_all(link.parent().context("an applet without a folder")?)?;
            symlink("/bin/busybox", link)?;
        }
    }
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "--owner=0", "--group=0", "--exclude=./home/vscode", "-C"]).arg(&root);
    sh::run(tar.arg("-cf").arg(path).arg("."))?;
    let mut home = Command::new("tar");
    home.args(["--numeric-owner", "--owner=1000", "--group=1000", "-C"]).arg(&root);
    sh::run(home.arg("-rf").arg(path).arg("./home/vscode"))
}

/// Unpacks packages without installing them on this machine; apt verifies what it fetches.
fn unpack(packages: &[&str], folder: &Path, root: &Path) -> anyhow::Result<()> {
    apt::update()?;
    let user = ["-o", "APT::Sandbox::User=root", "-q", "download"];
    sh::run(Command::new("apt-get").args(user).args(packages).current_dir(folder))?;
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            sh::run(Command::new("dpkg-deb").arg("--extract").arg(file).arg(root))?;
        }
    }
    Ok(())
}
