//! `bench`: figures, measured and printed, never asserted.

pub mod egress;
pub mod publish;
mod start;

use anyhow::ensure;

use crate::cli::{BenchArgs, BenchName};

/// Starts of a container take seconds, and vary.
const STARTS: u32 = 20;
/// The official CLI takes most of a minute for one round.
const PUBLISHES: u32 = 5;
/// A round takes some fifteen seconds.
const EGRESSES: u32 = 9;

/// The verb.
pub fn verb(args: &BenchArgs) -> anyhow::Result<()> {
    let runs = |usual: u32| args.runs.unwrap_or(usual).max(1);
    let only_egress = args.json || args.quick || args.filter.is_some() || args.sandboxd.is_some();
    ensure!(
        args.name == BenchName::Egress || !only_egress,
        "--quick, --filter, --json and --sandboxd belong to `bench egress`"
    );
    match args.name {
        BenchName::Start => start::run(runs(STARTS)),
        BenchName::Publish => publish::run(runs(PUBLISHES)),
        BenchName::Egress => egress::run(args, runs(EGRESSES)),
    }
}
