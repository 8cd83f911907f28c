//! A machine under qemu: boots a kernel, and gives back what it says on the console.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::arch::Arch;

/// A guest that takes longer has hung. Emulation is an order of magnitude slower than the machine itself.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a guest said, and how it ended.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Console {
    /// The lines of its serial console.
    pub lines: Vec<String>,
    /// Whether the processor's own virtualisation ran it, not emulation.
    pub accelerated: bool,
    /// Whether it was still running after [`PATIENCE`] and was ended.
    pub hung: bool,
    /// What qemu itself said.
    pub errors: String,
}

/// Boots a kernel with a memory disk and waits for its end. Each line is shown to `watch` as it comes.
pub fn run(arch: Arch, kernel: &Path, disk: &Path, watch: impl Fn(&str)) -> anyhow::Result<Console> {
    let mut command = qemu(arch);
    let accelerated = Arch::host() == Some(arch) && can_virtualise();
    // Emulated processors may run half an instruction that another one is just rewriting, as kernels rewrite theirs
    // whenever the first or last netfilter hook comes or goes.
    let (accelerator, processors) = if accelerated { ("kvm", "2") } else { ("tcg", "1") };
    command.args(["-accel", accelerator, "-smp", processors]);
    command.arg("-kernel").arg(kernel).arg("-initrd").arg(disk);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start qemu")?;
    let (lines, hung) = listen(&mut child, &watch);
    if hung {
        child.kill().context("end a guest that hangs")?;
    }
    child.wait()?;
    let mut errors = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut errors)?;
    }
    Ok(Console { lines, accelerated, hung, errors })
}

/// Whether the machine lends its processor. `/dev/kvm` alone says little: machines that are guests themselves may have
/// one whose processor has no virtualisation, and on those Debian's kernels do not come up.
fn can_virtualise() -> bool {
    let opens = std::fs::File::options().read(true).write(true).open("/dev/kvm").is_ok();
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    opens && (cfg!(target_arch = "aarch64") || has_virtualisation(&processor))
}

fn has_virtualisation(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|flags| flags.split_whitespace().any(|flag| matches!(flag, "vmx" | "svm")))
}

fn qemu(arch: Arch) -> Command {
    let mut command = Command::new(format!("qemu-system-{}", arch.uname()));
    let (machine, cpu, console) = match arch {
        Arch::Amd64 => ("q35", "max", "ttyS0"),
        // Pointer authentication by the book is most of what emulation does.
        Arch::Arm64 => ("virt", "max,pauth-impdef=on", "ttyAMA0"),
    };
    command.args(["-machine", machine, "-cpu", cpu, "-m", "1024"]);
    // No card, so no packet leaves; and no restart after a panic.
    command.args(["-nodefaults", "-nic", "none", "-display", "none", "-serial", "stdio", "-no-reboot"]);
    command.arg("-append").arg(format!("console={console} quiet panic=-1"));
    command
}

/// Reads lines until the guest closes its console or the time is over, and says whether it was.
fn listen(child: &mut Child, watch: &impl Fn(&str)) -> (Vec<String>, bool) {
    let mut lines = Vec::new();
    let Some(stdout) = child.stdout.take() else { return (lines, false) };
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let deadline = Instant::now() + PATIENCE;
    loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                watch(&line);
                lines.push(line);
            }
            Err(error) => return (lines, error == RecvTimeoutError::Timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_says_whether_it_has_virtualisation() {
        assert!(has_virtualisation("processor\t: 0\nflags\t\t: fpu svm sse\n"));
        assert!(has_virtualisation("flags\t\t: fpu vmx\nvmx flags\t: vnmi\n"));
        assert!(!has_virtualisation("flags\t\t: fpu sse hypervisor\n"));
        assert!(!has_virtualisation(""));
    }
}
