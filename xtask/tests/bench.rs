//! The benchmark, with figures so small that it is a test of the benchmark alone.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::time::Duration;

use support::docker_registry::DockerRegistry;
use xtask::bench::publish::figures;
use xtask::bench::publish::{Setup, measure};

#[test]
fn every_case_of_the_publish_benchmark_is_measured() {
    let Some(official) = std::env::var_os("XTASK_DEVCONTAINER_CLI") else {
        return support::skip("XTASK_DEVCONTAINER_CLI does not name the devcontainer CLI");
    };
    if DockerRegistry::start().is_none() {
        return;
    }
    let setup = Setup {
        ours: env!("CARGO_BIN_EXE_xtask").into(),
        official: official.into(),
        runs: 1,
        round_trip: Duration::from_millis(4),
        many: 2,
        large: 32 << 10,
    };
    let rows = measure(&setup).unwrap();
    let cases: Vec<&str> = rows.iter().map(|row| row.case.as_str()).collect();
    assert_eq!(
        cases,
        [
            "package 2 Features",
            "first publish, 1 Feature, 4 ms round trip",
            "first publish, 2 Features, 4 ms round trip",
            "nothing new, 2 Features, 4 ms round trip",
            "first publish of 64 KiB, loopback",
        ]
    );
    for row in &rows {
        for figures in [&row.official, &row.ours] {
            assert_eq!(figures.times.len(), 1);
            // Neither a program nor a clock that stands still.
            assert!(figures.times[0] > Duration::from_micros(100), "{row}");
            assert!(figures.memory > 1 << 20, "{row}");
        }
    }
    // Each of these asks its registry at least once, over a connection that has to be set up.
    for row in &rows[1..4] {
        assert!(row.official.times[0] >= 2 * setup.round_trip && row.ours.times[0] >= 2 * setup.round_trip);
    }
    assert_eq!(rows.iter().map(|row| row.floor.len()).collect::<Vec<_>>(), [0, 0, 0, 0, 1]);
    let table = figures::table(&rows);
    assert_eq!(table.lines().filter(|line| line.starts_with("| ")).count(), 6, "{table}");
}
