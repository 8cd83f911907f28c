//! Running another architecture's programs through qemu-user, for as long as this lives.
//!
//! The kernel's `binfmt_misc` opens the emulator when it is told of it (flag F), so that containers need none.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::arch::Arch;
use crate::{apt, sh};

/// A registration of our own, under a name that no other run uses; it is taken back when dropped.
#[derive(Debug)]
pub struct Emulation {
    entry: PathBuf,
    mount: PathBuf,
}

/// Whether this machine lets us register an emulator.
pub fn is_possible() -> bool {
    apt::can_install()
}

impl Emulation {
    /// Registers the emulator of an architecture.
    pub fn start(arch: Arch) -> anyhow::Result<Self> {
        apt::ensure(&["qemu-user-static"])?;
        let path = format!("/usr/lib/binfmt.d/qemu-{}.conf", arch.uname());
        let text = fs::read_to_string(&path).with_context(|| path.clone())?;
        let name = format!("agent-sandbox-{}-{}", std::process::id(), arch.docker());
        let line = renamed(&text, &name).with_context(|| format!("{path} is not as binfmt.d(5) has it"))?;
        // Another run may hold the usual place; where it is mounted does not matter.
        let mount = std::env::temp_dir().join(&name);
        fs::create_dir_all(&mount)?;
        let emulation = Self { entry: mount.join(&name), mount };
        let mut command = Command::new("mount");
        command.args(["-t", "binfmt_misc", "binfmt_misc"]).arg(&emulation.mount);
        sh::output(&mut command).context("mount binfmt_misc")?;
        fs::write(emulation.mount.join("register"), line).context("register the emulator")?;
        ensure!(emulation.entry.exists(), "the kernel did not take the emulator's registration");
        Ok(emulation)
    }
}

impl Drop for Emulation {
    fn drop(&mut self) {
        let _ = fs::write(&self.entry, "-1");
        let _ = sh::succeeds(Command::new("umount").arg(&self.mount));
        let _ = fs::remove_dir(&self.mount);
    }
}

/// A line of binfmt.d(5), `:name:type:offset:magic:mask:interpreter:flags`, under another name and with the flag F.
fn renamed(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(':'))?;
    let mut fields: Vec<&str> = line.split(':').collect();
    let flags = *fields.get(7)?;
    let flags = if flags.contains('F') { flags.to_owned() } else { format!("{flags}F") };
    fields[1] = name;
    fields[7] = &flags;
    (fields.len() == 8).then(|| fields.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let line = ":qemu-aarch64:M::\\x7fELF:\\xff:/usr/bin/qemu:OP\n";
        assert_eq!(renamed(line, "ours").unwrap(), ":ours:M::\\x7fELF:\\xff:/usr/bin/qemu:OPF");
        assert_eq!(renamed("# nothing\n", "ours"), None);
        assert_eq!(renamed(":a:b", "ours"), None);
    }
}
