//! Root file systems of Debian releases, made by `mmdebstrap`.

use std::path::Path;
use std::process::Command;

use crate::arch::Arch;
use crate::{apt, sh};

/// What a root file system is made of.
#[derive(Debug)]
pub(super) struct Recipe {
    suite: &'static str,
    include: &'static [&'static str],
    /// Run in the new root by its shell; the user is there by then.
    finish: &'static str,
    /// The machine's own unless given.
    pub(super) arch: Option<Arch>,
}

/// What a dev container's user has with the official base images.
pub(super) const DEVCONTAINERS_BASE: Recipe = Recipe {
    finish: "echo 'vscode ALL=(root) NOPASSWD:ALL' >/etc/sudoers.d/vscode && chmod 0440 /etc/sudoers.d/vscode \
             && usermod --append --groups sudo vscode",
    ..release("bookworm", &["ca-certificates", "curl", "git", "sudo", "zsh"])
};

/// An editor's server runs on Node; attacks are in Python, and on these helpers.
pub(super) const ATTACKS: &[&str] = &[
    "at",
    "ca-certificates",
    "cron",
    "dbus-daemon",
    "git",
    "gpg-agent",
    "nodejs",
    "openssh-client",
    "python3",
    "socat",
];

/// A release's essential packages and apt, and these.
pub(super) const fn release(suite: &'static str, include: &'static [&'static str]) -> Recipe {
    Recipe { suite, include, finish: ":", arch: None }
}

impl Recipe {
    /// The same for another machine.
    pub(super) const fn of(self, arch: Arch) -> Self {
        Self { arch: Some(arch), ..self }
    }

    /// Writes it as a tar file.
    pub(super) fn make(&self, path: &Path) -> anyhow::Result<()> {
        apt::ensure(&["mmdebstrap", "debian-archive-keyring"])?;
        let mut command = Command::new("mmdebstrap");
        command.args(["--quiet", "--variant=minbase"]);
        if let Some(arch) = self.arch {
            // Whether its programs run here was seen to by whoever asks for it.
            command.arg(format!("--architectures={}", arch.docker())).arg("--skip=check/qemu");
        }
        if !self.include.is_empty() {
            command.arg(format!("--include={}", self.include.join(",")));
        }
        // A frozen mirror of a moving release is as good for a test; signatures are checked all the same.
        command.arg("--aptopt=Acquire::Check-Valid-Until \"false\"");
        command.args(["--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"]);
        let user = "useradd --create-home --shell /bin/bash --uid 1000 vscode";
        command.arg(format!("--customize-hook=chroot \"$1\" sh -c \"{user} && {}\"", self.finish));
        sh::run(command.args(["--format=tar", self.suite]).arg(path))
    }
}
