//! `bench`: figures, measured and printed, never asserted.

pub mod cell;
pub mod egress;
pub mod publish;
mod start;

use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use crate::arch::Arch;
use crate::build;
use crate::cli::{BenchArgs, BenchName};

/// Starts of a container take seconds, and vary.
const STARTS: u32 = 20;
/// The official CLI takes most of a minute for one round.
const PUBLISHES: u32 = 5;
/// A round takes some fifteen seconds.
const EGRESSES: u32 = 9;
/// A round takes half a minute.
const CELLS: u32 = 9;

/// The verb.
pub fn verb(args: &BenchArgs) -> anyhow::Result<()> {
    let runs = |usual: u32| args.runs.unwrap_or(usual).max(1);
    let shared = args.json || args.quick || args.filter.is_some();
    ensure!(
        matches!(args.name, BenchName::Egress | BenchName::Cell) || !shared,
        "--quick, --filter and --json belong to `bench egress` and `bench cell`"
    );
    ensure!(
        args.name == BenchName::Egress || args.sandboxd.is_none(),
        "--sandboxd belongs to `bench egress`"
    );
    match args.name {
        BenchName::Start => start::run(runs(STARTS)),
        BenchName::Publish => publish::run(runs(PUBLISHES)),
        BenchName::Egress => egress::run(args, runs(EGRESSES)),
        BenchName::Cell => cell::run(args, runs(CELLS)),
    }
}

/// The programs as they are shipped, in this order.
fn shipped<const N: usize>(names: [&str; N]) -> anyhow::Result<Vec<PathBuf>> {
    let arch = Arch::host().context("this machine's architecture has no binaries")?;
    let built = build::build(&[arch], None)?;
    let find = |name: &str| {
        let found = built.iter().find(|built| built.name == name);
        found.map(|built| built.path.clone()).with_context(|| format!("the build made no {name}"))
    };
    names.into_iter().map(find).collect()
}
