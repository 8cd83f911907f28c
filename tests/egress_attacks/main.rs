//! Every way out that we know of, tried against three networks: without a sandbox, where each attack must be seen to
//! succeed; behind the seed's firewall; and behind our daemon, where it must fail. And the ordinary use that must go
//! on working. The list is in `clients/`: one decorated function a row.
//!
//! `cargo test --test egress_attacks -- [WORD]...` runs the rows whose id has one of the words. With
//! `EGRESS_EVENTS=FILE` all that the receiving ends noted is written to `FILE-Off`, `FILE-Seed` and `FILE-Ours`, and
//! how each row ended to `FILE-rows`.
//!
//! A row with `open=` is one that our sandbox does not stop yet, and why. It must then get through, so that the mark
//! goes when the reason has gone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../internet/mod.rs"]
mod internet;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../lab/mod.rs"]
mod lab;
mod report;
mod rows;
mod run;

use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use rows::Row;
use run::{Network, Outcome};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if std::env::args().any(|word| word == "--list") {
        println!("egress_attacks: test");
        return ExitCode::SUCCESS;
    }
    if let Some(reason) = cannot_run() {
        assert!(std::env::var_os("CI").is_none(), "{reason}, and CI must run the egress attacks");
        eprintln!("SKIPPED: the egress attacks: {reason}");
        return ExitCode::SUCCESS;
    }
    let rows = rows::list(&words);
    assert!(!rows.is_empty(), "no row has one of {words:?} in its id or class");
    // Before there is a second thread: whatever this program connects to, it is not from the machine's network.
    let nowhere = lab::Nowhere::enter();
    let started = Instant::now();
    let columns: Vec<Vec<Outcome>> = thread::scope(|scope| {
        let rows = &rows;
        let threads: Vec<_> =
            Network::ALL.map(|network| scope.spawn(move || run::column(network, rows))).into_iter().collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let results: Vec<(&Row, [&Outcome; 3])> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| (row, [&columns[0][index], &columns[1][index], &columns[2][index]]))
        .collect();
    drop(nowhere);
    report::print(&results, started.elapsed());
    if let Some(file) = std::env::var_os("EGRESS_EVENTS") {
        std::fs::write(format!("{}-rows", file.to_string_lossy()), report::details(&results)).unwrap();
    }
    let wrong = report::wrong(&results);
    for line in &wrong {
        eprintln!("WRONG: {line}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn cannot_run() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("they make network namespaces and need root: run them with sudo");
    }
    let found = |program: &str| {
        ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
            .iter()
            .any(|folder| std::path::Path::new(folder).join(program).exists())
    };
    let missing =
        ["ip", "nft", "nsenter", "unshare", "setpriv", "curl"].iter().any(|program| !found(program));
    if missing {
        return Some("they need ip, nft, nsenter, unshare, setpriv and curl");
    }
    (!std::path::Path::new(rows::PYTHON).exists()).then_some("their clients need /usr/bin/python3")
}
