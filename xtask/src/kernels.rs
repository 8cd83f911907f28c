//! `test-kernels`: the firewall's tests and the real daemon on other kernels and another machine, under qemu.
//!
//! A guest is a Debian kernel and a memory disk: a minimal Debian, that kernel's modules, our static programs, the
//! tests, and `guest.sh` as first process, which tells on the console what it saw. No guest has a network card.

pub mod disk;
pub mod machine;
pub mod report;

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;

use crate::arch::Arch;
use crate::cli::KernelArgs;
use crate::feature::problem::one_line;
use crate::terminal::{note, result};
use crate::{apt, project};
use disk::Programs;
use report::Report;

/// A kernel to test on: the newest of a Debian suite for an architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// The suite.
    pub suite: &'static str,
    /// The architecture.
    pub arch: Arch,
}

const KERNELS: [Kernel; 5] = [
    Kernel { suite: "bullseye", arch: Arch::Amd64 },
    Kernel { suite: "bookworm", arch: Arch::Amd64 },
    Kernel { suite: "sid", arch: Arch::Amd64 },
    Kernel { suite: "bookworm", arch: Arch::Arm64 },
    Kernel { suite: "sid", arch: Arch::Arm64 },
];

impl Kernel {
    /// What the filter looks at, and what files in the cache are called.
    pub fn name(self) -> String {
        format!("{}-{}", self.suite, self.arch.docker())
    }
}

const PACKAGES: [&str; 6] =
    ["cpio", "debian-archive-keyring", "kmod", "mmdebstrap", "qemu-system-arm", "qemu-system-x86"];

/// The verb.
pub fn verb(args: &KernelArgs) -> anyhow::Result<()> {
    let filter = args.filter.as_deref().unwrap_or_default();
    let wanted: Vec<Kernel> = KERNELS.into_iter().filter(|kernel| kernel.name().contains(filter)).collect();
    let all = KERNELS.map(Kernel::name).join(", ");
    ensure!(!wanted.is_empty(), "no kernel is called '{filter}'; there are: {all}");
    if let Err(error) = apt::ensure(&PACKAGES) {
        ensure!(std::env::var_os("CI").is_none(), "CI must boot other kernels: {error:#}");
        note(format_args!("SKIPPED: other kernels were not tried: {error:#}"));
        return Ok(());
    }
    let root = project::root()?;
    let mut reports = Vec::new();
    for arch in Arch::ALL {
        let kernels: Vec<Kernel> = wanted.iter().copied().filter(|kernel| kernel.arch == arch).collect();
        if kernels.is_empty() {
            continue;
        }
        let programs = Programs::build(arch)?;
        for kernel in kernels {
            reports.push((kernel, boot(&root, kernel, &programs)?));
        }
    }
    print(&reports)
}

fn boot(root: &Path, kernel: Kernel, programs: &Programs) -> anyhow::Result<Report> {
    let (image, disk) = disk::make(root, kernel, programs)?;
    note(format_args!("booting {}", kernel.name()));
    let start = Instant::now();
    let console = machine::run(kernel.arch, &image, disk.path(), |line| {
        if let Some(text) = report::marked(line) {
            note(format_args!("{:>4} s  {}", start.elapsed().as_secs(), one_line(text)));
        }
    })?;
    Ok(Report::parse(&console))
}

/// The table that the README quotes; fails where a guest saw a failure or did not come to its end.
fn print(reports: &[(Kernel, Report)]) -> anyhow::Result<()> {
    result("| kernel | architecture | runs on | Landlock | tests | without a module | to default-deny |")?;
    result("|---|---|---|---|---|---|---|")?;
    for (kernel, report) in reports {
        result(report.row(kernel.arch))?;
    }
    let mut failed = 0;
    for (kernel, report) in reports {
        let problems = report.problems();
        for problem in &problems {
            note(format_args!("{}: {problem}", kernel.name()));
        }
        failed += usize::from(!problems.is_empty());
    }
    result(format_args!("{} passed, {failed} failed", reports.len() - failed))?;
    ensure!(failed == 0, "{failed} of {} kernels failed", reports.len());
    Ok(())
}
