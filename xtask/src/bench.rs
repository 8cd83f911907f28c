//! `bench`: figures, measured and printed, never asserted.

mod start;

use crate::cli::{BenchArgs, BenchName};

/// The verb.
pub fn verb(args: &BenchArgs) -> anyhow::Result<()> {
    match args.name {
        BenchName::Start => start::run(args.runs.max(1)),
    }
}
