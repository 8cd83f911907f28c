//! A guest's kernel and memory disk: what comes from Debian is fetched once a machine, ours is built each time.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use tempfile::NamedTempFile;

use super::Kernel;
use crate::arch::Arch;
use crate::{build, cache, sh};

/// Raised when a script below is changed, so that what an older one fetched is not used.
const EDITION: u32 = 1;
/// The release that the guests' programs are of, whatever their kernel.
const SUITE: &str = "bookworm";
const PACKAGES: &str =
    "busybox-static,coreutils,dash,iproute2,kmod,mount,netbase,nftables,perl-base,util-linux";
/// The tests that need a kernel and nothing else.
const TESTS: [&str; 6] =
    ["kernel_firewall", "kernel_dns", "kernel_gate", "kernel_local", "kernel_note", "cell_report"];
const FIRST_PROCESS: &str = include_str!("guest.sh");

/// What is ours on a guest's disk.
#[derive(Debug)]
pub struct Programs {
    /// Each program, and where it goes.
    files: Vec<(PathBuf, String)>,
}

impl Programs {
    /// Builds them, the tests included.
    pub fn build(arch: Arch) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for test in TESTS {
            files.push((build::build_test(test, arch)?, format!("tests/{test}")));
        }
        for built in build::build(&[arch], None)? {
            let folder = match built.name.as_str() {
                "agent-sandbox" => "usr/local/bin",
                "sandbox-install" => continue,
                _ => "usr/local/libexec/agent-sandbox",
            };
            files.push((built.path, format!("{folder}/{}", built.name)));
        }
        Ok(Self { files })
    }

    /// As an archive.
    fn archive(&self) -> anyhow::Result<Vec<u8>> {
        let tree = tempfile::tempdir()?;
        let place = |target: &str| -> anyhow::Result<PathBuf> {
            let path = tree.path().join(target);
            fs::create_dir_all(path.parent().context("a path below the root")?)?;
            Ok(path)
        };
        for (source, target) in &self.files {
            fs::copy(source, place(target)?).with_context(|| source.display().to_string())?;
        }
        let init = place("init")?;
        fs::write(&init, FIRST_PROCESS)?;
        fs::set_permissions(&init, Permissions::from_mode(0o755))?;
        let pack = "find . -print0 | cpio --quiet --null --create --format=newc";
        let mut command = Command::new("sh");
        let output = command.args(["-c", pack]).current_dir(tree.path()).output()?;
        anyhow::ensure!(output.status.success(), "cpio: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }
}

/// The kernel's file, and the disk, which goes when it is dropped.
pub fn make(root: &Path, kernel: Kernel, programs: &Programs) -> anyhow::Result<(PathBuf, NamedTempFile)> {
    let scripts = root.join("xtask/src/kernels");
    let fetched = fetch_kernel(&scripts, kernel)?;
    let userland = fetch_root(&scripts, kernel.arch)?;
    let mut disk = NamedTempFile::new()?;
    // The kernel unpacks one archive after the other (Documentation/driver-api/early-userspace/buffer-format.rst).
    for archive in [&userland, &fetched.join("modules.cpio")] {
        let mut file = File::open(archive).with_context(|| archive.display().to_string())?;
        io::copy(&mut file, &mut disk)?;
    }
    io::copy(&mut programs.archive()?.as_slice(), &mut disk)?;
    Ok((fetched.join("vmlinuz"), disk))
}

/// A folder with `vmlinuz` and `modules.cpio`.
fn fetch_kernel(scripts: &Path, kernel: Kernel) -> anyhow::Result<PathBuf> {
    cache::file(&format!("kernel-{}-{EDITION}", kernel.name()), |folder| {
        fs::create_dir(folder)?;
        let mut fetch = debian(kernel.arch, "customize", &scripts.join("fetch-kernel.sh"));
        // The kernels for virtual machines: the same source, without most drivers.
        fetch.env("KERNEL_METAPACKAGE", format!("linux-image-cloud-{}", kernel.arch.docker()));
        sh::run(fetch.env("KERNEL_FOLDER", folder).args(["--variant=custom", kernel.suite, "-"]))
    })
}

/// A minimal Debian. Nothing in it is run here, so the architecture does not matter.
fn fetch_root(scripts: &Path, arch: Arch) -> anyhow::Result<PathBuf> {
    cache::file(&format!("guest-{SUITE}-{}-{EDITION}.cpio", arch.docker()), |archive| {
        let mut fetch = debian(arch, "extract", &scripts.join("fetch-root.sh"));
        fetch.env("ROOT_ARCHIVE", archive).arg("--variant=extract").arg(format!("--include={PACKAGES}"));
        sh::run(fetch.args([SUITE, "-"]))
    })
}

/// A run of mmdebstrap that leaves only what its hook makes, at the last stage that its variant comes to.
fn debian(arch: Arch, stage: &str, hook: &Path) -> Command {
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--format=null", "--skip=check/qemu"]);
    command.arg(format!("--architectures={}", arch.docker()));
    // An archived suite's list is past its date. Its signature is checked all the same.
    command.arg("--aptopt=Acquire::Check-Valid-Until \"false\"");
    command.arg(format!("--{stage}-hook=sh \"$FETCH_HOOK\" \"$1\"")).env("FETCH_HOOK", hook);
    command
}
