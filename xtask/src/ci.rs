//! `ci`: everything that must pass before a change lands, as steps that can be run one by one.

mod fuzz;
mod reproducible;
mod tidy;
mod tools;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};

use crate::arch::Arch;
use crate::cli::{CiArgs, DocsArgs, KernelArgs};
use crate::scenarios::devcontainer_cli;
use crate::{apt, build, docs, kernels, project, sh};

type Step = (&'static str, fn(&Path) -> anyhow::Result<()>);

/// Cheap ones first.
const STEPS: [Step; 13] = [
    ("format", format),
    ("shell", shell),
    ("docs", |_| docs::verb(&DocsArgs { check: true, ..DocsArgs::default() })),
    ("workflows", tools::workflows),
    ("clippy", clippy),
    ("tidy", tidy::tidy),
    ("deny", tools::deny),
    ("test", test),
    ("fuzz", fuzz::fuzz),
    ("artifact", artifact),
    ("kernels", |_| kernels::verb(&KernelArgs { filter: None })),
    ("scenarios", |_| in_own_process(&["test-scenarios"])),
    ("engines", engines),
];

/// Only when named: what needs the hosted checks' network, or a release.
const ON_REQUEST: [Step; 2] = [("advisories", tools::advisories), ("tag", tidy::tag)];

/// The verb: all steps, or the named ones.
pub fn verb(args: &CiArgs) -> anyhow::Result<()> {
    let root = project::root()?;
    let known = || STEPS.iter().chain(&ON_REQUEST);
    if let Some(unknown) = args.steps.iter().find(|name| !known().any(|(step, _)| step == name)) {
        let all: Vec<&str> = known().map(|(step, _)| *step).collect();
        bail!("no step '{unknown}'; there are: {}", all.join(", "));
    }
    let all_of_them = args.steps.is_empty();
    for (index, (name, step)) in known().enumerate() {
        if (all_of_them && index < STEPS.len()) || args.steps.iter().any(|wanted| wanted == name) {
            let start = Instant::now();
            eprintln!("\n══ {name}");
            step(&root).with_context(|| format!("step '{name}' failed"))?;
            eprintln!("══ {name}: ok in {} s", start.elapsed().as_secs());
        }
    }
    Ok(())
}

/// What depends on the engine, on a newer one: its resolver, its networks and its seccomp profile differ.
fn engines(_: &Path) -> anyhow::Result<()> {
    in_own_process(&["test-scenarios", "--filter", "failures", "--engine", "trixie"])
}

/// The lab leaves the network for good, so what comes after it would find nothing to fetch from.
fn in_own_process(arguments: &[&str]) -> anyhow::Result<()> {
    let status = sh::own_program()?.args(arguments).status()?;
    ensure!(status.success(), "`cargo xtask {}` failed ({status})", arguments.join(" "));
    Ok(())
}

/// The cargo that runs us.
fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    cargo
}

fn format(root: &Path) -> anyhow::Result<()> {
    sh::run(cargo(root).args(["fmt", "--all", "--check"]))
}

fn clippy(root: &Path) -> anyhow::Result<()> {
    let all = [
        "clippy",
        "--quiet",
        "--locked",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ];
    sh::run(cargo(root).args(all))
}

fn shell(root: &Path) -> anyhow::Result<()> {
    apt::ensure(&["shellcheck"])?;
    let files = sh::output(Command::new("git").args(["ls-files"]).current_dir(root))?;
    let is_shell = |file: &&str| {
        let text = std::fs::read(root.join(file)).unwrap_or_default();
        Path::new(file).extension().is_some_and(|e| e == "sh")
            || text.starts_with(b"#!/bin/sh")
            || text.starts_with(b"#!/usr/bin/env bash")
    };
    let scripts: Vec<&str> = files.lines().filter(is_shell).collect();
    ensure!(!scripts.is_empty(), "git lists no shell script; this is to run in a checkout");
    sh::run(Command::new("shellcheck").args(&scripts).current_dir(root))
}

/// Unit, kernel, registry and command line tests. Where everything can be installed, nothing is skipped.
fn test(root: &Path) -> anyhow::Result<()> {
    let mut command = cargo(root);
    if apt::can_install() {
        apt::ensure(&[
            "iproute2",
            "nftables",
            "curl",
            "git",
            "openssl",
            "python3",
            "docker-registry",
            "skopeo",
        ])?;
        apt::ensure(&missing_of_the_day())?;
        command.env("CI", "true");
    }
    command.env("XTASK_DEVCONTAINER_CLI", devcontainer_cli::ensure_installed(root)?);
    let status = command.args(["test", "--locked", "--workspace", "--all-features"]).status()?;
    ensure!(status.success(), "tests failed");
    Ok(())
}

/// Packages for an ordinary day in the cell; where a tool is there already, from wherever, it is that one.
fn missing_of_the_day() -> Vec<&'static str> {
    let tools = [
        (&["chromium", "google-chrome"][..], "chromium"),
        (&["docker"], "docker.io"),
        (&["expect"], "expect"),
        (&["gcc"], "gcc"),
        (&["gdb"], "gdb"),
        (&["go"], "golang-go"),
        (&["javac"], "default-jdk-headless"),
        (&["make"], "make"),
        (&["node"], "nodejs"),
        (&["npm"], "npm"),
        (&["redis-server"], "redis-server"),
        (&["screen"], "screen"),
        (&["sshd"], "openssh-server"),
        (&["ssh"], "openssh-client"),
        (&["strace"], "strace"),
        (&["tmux"], "tmux"),
    ];
    let missing = tools.iter().filter(|(names, _)| !names.iter().any(sh::exists));
    missing.map(|(_, package)| *package).collect()
}

/// The artifact itself: ELF facts, both architectures run, can be measured, and the same bytes from another place.
fn artifact(root: &Path) -> anyhow::Result<()> {
    let built = build::build(&Arch::ALL, None)?;
    apt::ensure(&["qemu-user-static"])?;
    for binary in &built {
        let mut command = if Arch::host() == Some(binary.arch) {
            Command::new(&binary.path)
        } else {
            let mut emulator = Command::new(format!("qemu-{}-static", binary.arch.uname()));
            emulator.arg(&binary.path);
            emulator
        };
        let output = command.arg("--help").output().with_context(|| binary.name.clone())?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        // The setuid program takes no arguments: it says that there is no sandbox here to start.
        let expected = if binary.name == "sandbox-launch" { "did not start" } else { "usage: " };
        ensure!(said.contains(expected), "{} --help: '{said}' on {}", binary.name, binary.arch.docker());
        eprintln!("runs on {}: {}", binary.arch.docker(), binary.name);
    }
    // Figures are no matter of a check; that they can be had is.
    if apt::can_install() {
        in_own_process(&["bench", "egress", "--quick"])?;
        in_own_process(&["bench", "cell", "--quick"])?;
    }
    reproducible::check(root)
}
