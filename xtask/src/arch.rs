//! The one table of architectures.

use clap::ValueEnum;

/// An architecture that the Features ship binaries for, by Docker's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Arch {
    /// `x86_64`
    Amd64,
    /// `aarch64`
    Arm64,
}

impl Arch {
    /// Every architecture, in the order that listings use.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// Docker's name, which is also the folder name below `bin/` in a Feature.
    pub const fn docker(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// What `uname -m` prints.
    pub const fn uname(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// Rust target triple of the static binaries.
    pub const fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The architecture of the machine that this program was built for, where it is one of ours.
    pub fn host() -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.uname() == std::env::consts::ARCH)
    }
}
