//! Which of the published Claude Code binaries runs in this image.

use std::fmt;
use std::path::Path;

/// A processor that Claude Code is published for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// `linux/amd64`.
    X64,
    /// `linux/arm64`.
    Arm64,
}

/// The C library that the programs of the image link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libc {
    /// The GNU C library: Debian, Ubuntu, Fedora and most others.
    Glibc,
    /// musl: Alpine.
    Musl,
}

/// What picks the npm package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    /// The processor.
    pub machine: Machine,
    /// The C library.
    pub libc: Libc,
}

/// Why nothing can be installed on this machine.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// A processor without a published binary.
    #[error(
        "Claude Code is not published for the machine `{0}`; build the image for linux/amd64 or linux/arm64"
    )]
    Machine(String),
}

/// Why a file is not a program for this machine.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// Some other file.
    #[error("is not a 64-bit ELF program")]
    NotAProgram,
    /// Another machine's program.
    #[error("is a program for another machine (ELF machine {found}, wanted {wanted})")]
    Machine {
        /// `e_machine` of the file.
        found: u16,
        /// `e_machine` of this platform.
        wanted: u16,
    },
}

/// How much of a file [`Machine::check_elf`] looks at.
pub const ELF_HEAD: usize = 20;

/// The loader that gives a musl image away, by machine.
const MUSL_LOADERS: [&str; 2] = ["lib/ld-musl-x86_64.so.1", "lib/ld-musl-aarch64.so.1"];

/// The loader that a glibc program asks for, by machine.
const GLIBC_LOADERS: [&str; 2] = ["lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"];

/// A shim that puts a glibc loader into a musl image; what it loads is still musl.
const GCOMPAT: &str = "lib/libgcompat.so.0";

impl Machine {
    /// From what `uname -m` prints.
    pub fn from_uname(machine: &str) -> Result<Self, PlatformError> {
        match machine {
            "x86_64" => Ok(Self::X64),
            "aarch64" => Ok(Self::Arm64),
            other => Err(PlatformError::Machine(other.to_owned())),
        }
    }

    /// `e_machine` of this machine's programs.
    fn elf(self) -> u16 {
        match self {
            Self::X64 => 62,
            Self::Arm64 => 183,
        }
    }

    /// Checks that a file which starts with `head` is a program for this machine.
    pub fn check_elf(self, head: &[u8]) -> Result<(), ElfError> {
        // Magic, then 2 for 64 bits, then 1 for little endian; both machines are that.
        let Some(head) = head.first_chunk::<ELF_HEAD>() else {
            return Err(ElfError::NotAProgram);
        };
        // A position-independent program is type 3, a fixed one 2.
        let kind = u16::from_le_bytes([head[16], head[17]]);
        if !head.starts_with(b"\x7fELF\x02\x01") || !matches!(kind, 2 | 3) {
            return Err(ElfError::NotAProgram);
        }
        let found = u16::from_le_bytes([head[18], head[19]]);
        let wanted = self.elf();
        if found == wanted { Ok(()) } else { Err(ElfError::Machine { found, wanted }) }
    }
}

impl Libc {
    /// Decides from which loaders the image has; `exists` is asked about paths below its root.
    ///
    /// An image with both is a glibc image into which somebody installed musl.
    pub fn detect(exists: impl Fn(&str) -> bool) -> Self {
        let musl = MUSL_LOADERS.into_iter().any(&exists);
        let glibc = GLIBC_LOADERS.into_iter().any(&exists) && !exists(GCOMPAT);
        if musl && !glibc { Self::Musl } else { Self::Glibc }
    }
}

impl Platform {
    /// The platform of the running kernel and of the image below `root`.
    pub fn of_image(root: &Path) -> Result<Self, PlatformError> {
        let uname = rustix::system::uname();
        Ok(Self {
            machine: Machine::from_uname(&uname.machine().to_string_lossy())?,
            libc: Libc::detect(|path| root.join(path).symlink_metadata().is_ok()),
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.machine {
            Machine::X64 => "linux-x64",
            Machine::Arm64 => "linux-arm64",
        })?;
        f.write_str(match self.libc {
            Libc::Glibc => "",
            Libc::Musl => "-musl",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(class: u8, kind: u16, machine: u16) -> Vec<u8> {
        let mut head = b"\x7fELF\x02\x01\x01".to_vec();
        head[4] = class;
        head.resize(16, 0);
        head.extend(kind.to_le_bytes());
        head.extend(machine.to_le_bytes());
        head
    }

    #[test]
    fn uname_to_package_suffix() {
        for (uname, libc, want) in [
            ("x86_64", Libc::Glibc, "linux-x64"),
            ("x86_64", Libc::Musl, "linux-x64-musl"),
            ("aarch64", Libc::Glibc, "linux-arm64"),
            ("aarch64", Libc::Musl, "linux-arm64-musl"),
        ] {
            let machine = Machine::from_uname(uname).unwrap();
            assert_eq!(Platform { machine, libc }.to_string(), want);
        }
        for uname in ["i686", "armv7l", "riscv64", "", "X86_64"] {
            assert!(Machine::from_uname(uname).is_err(), "{uname}");
        }
    }

    #[test]
    fn libc_from_loaders() {
        let cases: [(&[&str], Libc); 6] = [
            (&[], Libc::Glibc),
            (&["lib64/ld-linux-x86-64.so.2"], Libc::Glibc),
            (&["lib/ld-linux-aarch64.so.1"], Libc::Glibc),
            (&["lib/ld-musl-x86_64.so.1"], Libc::Musl),
            (&["lib/ld-musl-aarch64.so.1", "lib/ld-linux-aarch64.so.1"], Libc::Glibc),
            (&["lib/ld-musl-x86_64.so.1", "lib64/ld-linux-x86-64.so.2", GCOMPAT], Libc::Musl),
        ];
        for (files, want) in cases {
            assert_eq!(Libc::detect(|path| files.contains(&path)), want, "{files:?}");
        }
    }

    #[test]
    fn only_this_machines_programs() {
        assert_eq!(Machine::X64.check_elf(&head(2, 3, 62)), Ok(()));
        assert_eq!(Machine::X64.check_elf(&head(2, 2, 62)), Ok(()));
        assert_eq!(Machine::Arm64.check_elf(&head(2, 3, 183)), Ok(()));
        assert_eq!(
            Machine::X64.check_elf(&head(2, 3, 183)),
            Err(ElfError::Machine { found: 183, wanted: 62 })
        );
        for other in [
            head(1, 3, 62),
            head(2, 1, 62),
            b"#!/bin/sh\necho hello world\n".to_vec(),
            b"\x7fELF".to_vec(),
            Vec::new(),
        ] {
            assert_eq!(Machine::X64.check_elf(&other), Err(ElfError::NotAProgram));
        }
    }
}
