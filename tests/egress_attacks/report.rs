//! The table, and what in it is not as it must be.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::rows::{Kind, Row};
use crate::run::Outcome;

/// A row with how it went in the three networks.
type Result<'a> = (&'a Row, [&'a Outcome; 3]);

/// Whether an attack can be judged here: it is seen to succeed without a sandbox.
fn is_judged(result: &Result<'_>) -> bool {
    result.1[0].succeeded
}

/// Prints the table by class, the rows that could not be judged, and those that are open.
pub(crate) fn print(results: &[Result<'_>], took: Duration) {
    for (kind, title) in
        [(Kind::Attack, "attacks that got through"), (Kind::Ordinary, "ordinary use that works")]
    {
        let mut classes: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
        for result in results.iter().filter(|(row, _)| row.kind == kind) {
            let counts = classes.entry(result.0.class()).or_default();
            counts[0] += 1;
            if is_judged(result) {
                for (count, outcome) in counts[1..].iter_mut().zip(result.1) {
                    *count += usize::from(outcome.succeeded);
                }
            }
        }
        if classes.is_empty() {
            continue;
        }
        println!("\n{title:<28} rows  no sandbox  the seed's firewall  ours");
        let mut sums = [0; 4];
        for (class, counts) in &classes {
            line(class, *counts);
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        line("all", sums);
    }
    let say = |title: &str, chosen: Vec<String>| {
        if !chosen.is_empty() {
            println!("\n{title}:");
            for line in chosen {
                println!("  {line}");
            }
        }
    };
    let list = |which: &dyn Fn(&Result<'_>) -> bool, text: &dyn Fn(&Result<'_>) -> String| {
        results.iter().filter(|result| which(result)).map(text).collect()
    };
    say(
        "rows",
        list(&|_| true, &|(row, outcomes)| {
            let cell = |outcome: &Outcome| if outcome.succeeded { "yes" } else { "no" };
            let [off, seed, ours] = outcomes.map(cell);
            format!("{off:<4}{seed:<4}{ours:<4} {:<28} {} [{}]", row.id, row.tries, row.source)
        }),
    );
    say(
        "cannot be judged here",
        list(&|result| !is_judged(result), &|(row, outcomes)| {
            format!("{:<28} needs {}: {}", row.id, row.needs, outcomes[0].detail)
        }),
    );
    say(
        "open behind ours, as marked",
        list(&|(row, _)| !row.open.is_empty(), &|(row, _)| format!("{:<28} {}", row.id, row.open)),
    );
    println!("\n{} rows in three networks took {:.1} s", results.len(), took.as_secs_f64());
}

fn line(class: &str, counts: [usize; 4]) {
    let [rows, off, seed, ours] = counts;
    println!("{class:<28} {rows:>4}  {off:>10}  {seed:>19}  {ours:>4}");
}

/// How each row ended in each network: what the receiving end noted, or what the client said.
pub(crate) fn details(results: &[Result<'_>]) -> String {
    let mut text = String::new();
    for (row, outcomes) in results {
        for (network, outcome) in ["off", "seed", "ours"].iter().zip(outcomes) {
            let verdict = if outcome.succeeded { "through" } else { "stopped" };
            let _ = writeln!(text, "{} {network} {verdict}: {}", row.id, outcome.detail);
        }
    }
    text
}

/// Every row that is not as it must be, or not as it is marked.
pub(crate) fn wrong(results: &[Result<'_>]) -> Vec<String> {
    results
        .iter()
        .filter_map(|result| wrong_row(result).map(|why| format!("{}: {why}", result.0.id)))
        .collect()
}

fn wrong_row((row, [off, _, ours]): &Result<'_>) -> Option<String> {
    if !off.succeeded && row.needs.is_empty() {
        return Some(format!("it must be seen to succeed without a sandbox, and is not: {}", off.detail));
    }
    let must = (row.kind == Kind::Ordinary) == row.open.is_empty();
    match (row.kind, ours.succeeded == must || !off.succeeded && !ours.succeeded) {
        (_, true) => None,
        (_, false) if !row.open.is_empty() => {
            Some(format!("it is as it must be: take the mark away that says '{}'", row.open))
        }
        (Kind::Attack, false) => Some(format!("it got through: {}", ours.detail)),
        (Kind::Ordinary, false) => Some(format!("it does not work: {}", ours.detail)),
    }
}
