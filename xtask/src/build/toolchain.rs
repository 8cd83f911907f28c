//! Finding a Rust toolchain and a linker for an architecture: what is there, else what can be added.

use std::path::PathBuf;
use std::process::Command;

use anyhow::bail;

use crate::arch::Arch;
use crate::cli::Via;
use crate::{apt, sh};

/// How to build for an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Toolchain {
    /// For people and provenance: name and version.
    pub(super) description: String,
    /// The cargo to call.
    pub(super) cargo: PathBuf,
    /// The rustc it must use, where it would find another.
    pub(super) rustc: Option<PathBuf>,
    /// The C compiler that links and compiles for the architecture; none on the architecture itself.
    pub(super) linker: Option<&'static str>,
    /// Folder below `target/`; toolchains must not share one.
    pub(super) target_folder: &'static str,
}

/// What was tried and why it does not serve, for the error.
type Attempt = Result<Toolchain, String>;

/// The first way that works: rustup's target, installed or added; then Debian's packages.
pub(super) fn find(arch: Arch, via: Option<Via>) -> anyhow::Result<Toolchain> {
    let mut tried = Vec::new();
    for way in [Via::Rustup, Via::Debian] {
        if via.is_some_and(|wanted| wanted != way) {
            continue;
        }
        let attempt = match way {
            Via::Rustup => rustup(arch),
            Via::Debian => debian(arch),
        };
        match attempt {
            Ok(toolchain) => return Ok(toolchain),
            Err(reason) => tried.push(reason),
        }
    }
    bail!("no toolchain builds for {}: {}", arch.docker(), tried.join("; "))
}

/// The C cross compiler for an architecture that is not this machine's.
fn linker(arch: Arch) -> Result<Option<&'static str>, String> {
    if Arch::host() == Some(arch) {
        return Ok(None);
    }
    let (program, packages) = match arch {
        Arch::Amd64 => ("x86_64-linux-gnu-gcc", ["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"]),
        Arch::Arm64 => ("aarch64-linux-gnu-gcc", ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]),
    };
    if sh::exists(program) {
        return Ok(Some(program));
    }
    apt::ensure(&packages).map_err(|error| format!("{program} is missing: {error:#}"))?;
    if sh::exists(program) { Ok(Some(program)) } else { Err(format!("{program} is still missing")) }
}

fn rustup(arch: Arch) -> Attempt {
    let triple = arch.triple();
    let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let add = format!("rustup target add {triple}");
    // A cargo without rustup builds for its own machine.
    if !sh::exists("rustup") && Arch::host() != Some(arch) {
        return Err(format!("rustup is not installed (with it: {add})"));
    }
    if Arch::host() != Some(arch) && !rustup_has(triple) {
        eprintln!("xtask: {add}");
        if !sh::succeeds(Command::new("rustup").args(["target", "add", triple])) {
            return Err(format!("`{add}` failed"));
        }
    }
    let linker = linker(arch)?;
    let version = sh::output(Command::new("rustc").arg("--version")).map_err(|error| error.to_string())?;
    Ok(Toolchain {
        description: version.trim().to_owned(),
        cargo,
        rustc: None,
        linker,
        target_folder: "static",
    })
}

fn rustup_has(triple: &str) -> bool {
    let list = sh::output(Command::new("rustup").args(["target", "list", "--installed"]));
    list.is_ok_and(|list| list.lines().any(|line| line == triple))
}

fn debian(arch: Arch) -> Attempt {
    let library = format!("libstd-rust-web-dev:{}", arch.docker());
    let packages = ["rustc-web", "cargo-web", library.as_str()];
    if apt::can_install() {
        apt::add_architecture(arch.docker()).map_err(|error| format!("{error:#}"))?;
    }
    apt::ensure(&packages).map_err(|error| {
        format!("Debian's packages (after `dpkg --add-architecture {}`): {error:#}", arch.docker())
    })?;
    let linker = linker(arch)?;
    let rustc = PathBuf::from("/usr/bin/rustc");
    let version = sh::output(Command::new(&rustc).arg("--version")).map_err(|error| error.to_string())?;
    Ok(Toolchain {
        description: format!("{} of Debian", version.trim()),
        cargo: PathBuf::from("/usr/bin/cargo"),
        rustc: Some(rustc),
        linker,
        target_folder: "static-debian",
    })
}
