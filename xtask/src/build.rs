//! `build`: static, stripped binaries for every architecture, from any one of them.

pub mod elf;
mod toolchain;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::arch::Arch;
use crate::cli::{BuildArgs, Via};
use crate::feature::binaries;
use crate::{project, sh};
use toolchain::Toolchain;

/// A binary that was built and whose ELF facts are as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// What it runs on.
    pub arch: Arch,
    /// Its file name.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// The verb: builds, and lists what was built.
pub fn verb(args: &BuildArgs) -> anyhow::Result<()> {
    let arches = if args.arch.is_empty() { Arch::ALL.to_vec() } else { args.arch.clone() };
    for built in build(&arches, args.via)? {
        let size = std::fs::metadata(&built.path)?.len();
        println!("{}\t{}\t{size}\t{}", built.arch.docker(), built.name, built.path.display());
    }
    Ok(())
}

/// Builds every binary that a Feature declares, for these architectures.
pub fn build(arches: &[Arch], via: Option<Via>) -> anyhow::Result<Vec<Built>> {
    let root = project::root()?;
    let names: BTreeSet<String> = binaries::declared(&root)?.into_values().flatten().collect();
    let mut all = Vec::new();
    for arch in arches {
        let toolchain = toolchain::find(*arch, via)?;
        eprintln!("xtask: building for {} with {}", arch.docker(), toolchain.description);
        let folder = compile(&root, &toolchain, *arch, "agent-sandbox", &names)?;
        for name in &names {
            let path = folder.join(name);
            elf::check(&path, *arch, &private_paths(&root))?;
            all.push(Built { arch: *arch, name: name.clone(), path });
        }
    }
    Ok(all)
}

/// Builds a program of another package of the workspace, static as the others; tests use it.
pub fn build_helper(package: &str, arch: Arch) -> anyhow::Result<PathBuf> {
    let root = project::root()?;
    let toolchain = toolchain::find(arch, None)?;
    let names = BTreeSet::from([package.to_owned()]);
    Ok(compile(&root, &toolchain, arch, package, &names)?.join(package))
}

/// Builds a test of the root package, static as the programs are; for machines that hold no toolchain.
pub fn build_test(test: &str, arch: Arch) -> anyhow::Result<PathBuf> {
    let root = project::root()?;
    let toolchain = toolchain::find(arch, None)?;
    let mut command = cargo(&root, &toolchain, arch, "test");
    command.args(["--no-run", "--message-format=json", "--package", "agent-sandbox", "--test", test]);
    // It travels without the sources that its debug information names.
    command.env("CARGO_PROFILE_TEST_DEBUG", "false").env("CARGO_PROFILE_DEV_DEBUG", "false");
    let messages = sh::output(&mut command)
        .with_context(|| format!("the test {test} could not be built for {}", arch.docker()))?;
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut programs = artifacts.filter(|artifact| artifact["target"]["name"] == test);
    let program = programs.find_map(|artifact| Some(PathBuf::from(artifact["executable"].as_str()?)));
    program.with_context(|| format!("cargo names no program of the test {test}"))
}

fn compile(
    root: &Path,
    toolchain: &Toolchain,
    arch: Arch,
    package: &str,
    bins: &BTreeSet<String>,
) -> anyhow::Result<PathBuf> {
    let mut command = cargo(root, toolchain, arch, "build");
    command.args(["--release", "--package", package]);
    if package == "agent-sandbox" {
        command.args(["--features", "installer"]);
    }
    for bin in bins {
        command.args(["--bin", bin]);
    }
    sh::run(&mut command).with_context(|| format!("the build for {} failed", arch.docker()))?;
    let folder = target_folder(root, toolchain, arch).join(arch.triple()).join("release");
    match bins.iter().find(|bin| !folder.join(bin).is_file()) {
        Some(bin) => bail!("the build made no {}", folder.join(bin).display()),
        None => Ok(folder),
    }
}

/// A folder each: the linker is part of what cargo holds against the build scripts that both share.
fn target_folder(root: &Path, toolchain: &Toolchain, arch: Arch) -> PathBuf {
    root.join("target").join(format!("{}-{}", toolchain.target_folder, arch.docker()))
}

/// Cargo for an architecture, with the flags that make programs static.
fn cargo(root: &Path, toolchain: &Toolchain, arch: Arch, verb: &str) -> Command {
    let mut command = Command::new(&toolchain.cargo);
    command.current_dir(root).args([verb, "--quiet", "--locked", "--target", arch.triple()]);
    command.arg("--target-dir").arg(target_folder(root, toolchain, arch));
    // What the environment sets for another build must not change these bytes.
    for variable in ["RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", rustflags(root).join("\u{1f}"));
    if let Some(rustc) = &toolchain.rustc {
        command.env("RUSTC", rustc);
    }
    let triple = arch.triple().replace('-', "_");
    let cc = toolchain.linker.unwrap_or("cc");
    command.env(format!("CC_{triple}"), cc).env(format!("CFLAGS_{triple}"), c_flags(root).join(" "));
    // The flags hold paths, and a path may hold spaces.
    command.env("CC_SHELL_ESCAPED_FLAGS", "1");
    command.env("STATIC_PIE_CC", cc);
    command.env(
        format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase()),
        root.join("xtask/tools/static-pie-cc"),
    );
    command
}

fn rustflags(root: &Path) -> Vec<String> {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned(), "-Crelocation-model=pic".to_owned()];
    flags.extend(["-Clink-arg=-Wl,-z,relro,-z,now", "-Clink-arg=-Wl,--build-id=none"].map(str::to_owned));
    flags.extend(remaps(root).iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}")));
    flags
}

fn c_flags(root: &Path) -> Vec<String> {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    remaps(root).iter().map(|(from, to)| quoted(&format!("-ffile-prefix-map={from}={to}"))).collect()
}

/// Folders whose names must not reach the bytes, and what stands for them.
fn remaps(root: &Path) -> Vec<(String, &'static str)> {
    let mut remaps = vec![(root.display().to_string(), "/src")];
    if let Some(home) = cargo_home() {
        remaps.push((home.display().to_string(), "/cargo"));
    }
    remaps
}

fn cargo_home() -> Option<PathBuf> {
    let from_home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(from_home)
}

fn private_paths(root: &Path) -> Vec<String> {
    remaps(root).into_iter().map(|(path, _)| path).collect()
}
