//! `test-kernels`: the firewall's tests and the real daemon on other kernels and another machine, under qemu.
//!
//! A guest is a Debian kernel and a memory disk: a minimal Debian, that kernel's modules, our static programs, the
//! tests, and `guest.sh` as first process, which tells on the console what it saw. No guest has a network card.

pub mod disk;
pub mod machine;
pub mod report;

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::ensure;
use tempfile::NamedTempFile;

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

/// Guests at a time: an emulated one has one processor, and takes about one of ours.
const AT_ONCE: usize = 2;

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
    let mut guests = Vec::new();
    for arch in Arch::ALL {
        let kernels: Vec<Kernel> = wanted.iter().copied().filter(|kernel| kernel.arch == arch).collect();
        if kernels.is_empty() {
            continue;
        }
        let programs = Programs::build(arch)?;
        for kernel in kernels {
            let (image, disk) = disk::make(&root, kernel, &programs)?;
            guests.push(Guest { kernel, image, disk });
        }
    }
    print(&boot_all(&guests)?)
}

/// A kernel with all that it needs to boot.
#[derive(Debug)]
struct Guest {
    kernel: Kernel,
    image: PathBuf,
    disk: NamedTempFile,
}

/// Boots all guests, some at the same time, and gives their reports in order.
fn boot_all(guests: &[Guest]) -> anyhow::Result<Vec<(Kernel, Report)>> {
    let queue = Mutex::new(guests.iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut reports = Vec::new();
        while let Some((index, guest)) = next() {
            reports.push((index, guest.kernel, boot(guest)?));
        }
        anyhow::Ok(reports)
    };
    let results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let mut reports = Vec::new();
    for result in results {
        reports.extend(result?);
    }
    reports.sort_by_key(|(index, ..)| *index);
    Ok(reports.into_iter().map(|(_, kernel, report)| (kernel, report)).collect())
}

fn boot(guest: &Guest) -> anyhow::Result<Report> {
    let name = guest.kernel.name();
    note(format_args!("{name}: booting"));
    let start = Instant::now();
    let console = machine::run(guest.kernel.arch, &guest.image, guest.disk.path(), |line| {
        if let Some(text) = report::marked(line) {
            note(format_args!("{name}: {:>3} s: {}", start.elapsed().as_secs(), one_line(text)));
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
