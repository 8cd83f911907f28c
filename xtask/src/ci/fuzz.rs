//! The parsers of what others send, under libFuzzer for a fixed time each.
//!
//! `xtask/fuzz` is a workspace of its own. The stable compiler instruments it (`-C passes=sancov-module`), and the
//! crate libfuzzer-sys brings libFuzzer itself, so neither a nightly toolchain nor another tool is needed.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::{apt, sh};

/// What each program proves stands at its top.
const TARGETS: [&str; 8] =
    ["archive_names", "challenge", "client_hello", "dns_question", "http_head", "json", "link", "location"];
/// Seconds for each.
const TIME: u32 = 20;
/// What makes the compiler tell libFuzzer which ways an input took.
const FLAGS: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// Builds and runs all of them.
pub(super) fn fuzz(root: &Path) -> anyhow::Result<()> {
    if !sh::exists("c++") {
        apt::ensure(&["g++"])?;
    }
    let folder = root.join("xtask/fuzz");
    let target = root.join("target/fuzz");
    let version = sh::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let mut build = super::cargo(&folder);
    // With a target named, build scripts and macros are left alone.
    build.args(["build", "--quiet", "--locked", "--release", "--target", host, "--target-dir"]).arg(&target);
    // What the product's build was told is not meant for this one.
    build.env_remove("CARGO_TARGET_DIR").env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    sh::run(&mut build)?;
    for name in TARGETS {
        run(&folder, &target, &target.join(host).join("release").join(name), name)?;
    }
    Ok(())
}

fn run(folder: &Path, target: &Path, program: &Path, name: &str) -> anyhow::Result<()> {
    let corpus = target.join("corpus").join(name);
    let crash = target.join("crash").join(name);
    std::fs::create_dir_all(&corpus)?;
    std::fs::create_dir_all(target.join("crash"))?;
    let _ = std::fs::remove_file(&crash);
    let mut fuzz = Command::new(program);
    fuzz.arg(format!("-max_total_time={TIME}")).args(["-timeout=10", "-rss_limit_mb=1024", "-max_len=4096"]);
    fuzz.arg(format!("-exact_artifact_path={}", crash.display()));
    fuzz.arg(&corpus).arg(folder.join("seeds").join(name));
    let output = fuzz.output().with_context(|| format!("cannot run {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if let Ok(input) = std::fs::read(&crash) {
        eprintln!("{said}");
        let mut shown = String::new();
        for byte in input {
            let _ = write!(shown, "{}", byte.escape_ascii());
        }
        anyhow::bail!("the fuzz target {name} fails on the input b\"{shown}\"");
    }
    ensure!(output.status.success(), "the fuzz target {name} failed ({}): {said}", output.status);
    let done = said.lines().rev().find(|line| line.starts_with("Done ")).unwrap_or_default();
    let runs: u64 = done.split(' ').nth(1).and_then(|runs| runs.parse().ok()).unwrap_or(0);
    ensure!(runs > 1000, "the fuzz target {name} ran {runs} inputs only: {said}");
    eprintln!("{name}: {done}");
    Ok(())
}
