//! What was measured, what it should be, and the table.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::bench::publish::figures::Spread;

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// A program's start takes less than 15 ms more.
    Start,
    /// Work takes less than 3 % more.
    Work,
    /// A connect takes less than 15 µs more.
    Connect,
    /// For information.
    None,
}

const START: f64 = 0.015;
const WORK: f64 = 1.03;
const CONNECT: f64 = 15e-6;

/// A line of the table; figures are seconds, one for each run.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was measured.
    pub case: String,
    /// What it should be.
    pub aim: Aim,
    /// In the cell.
    pub with: Vec<f64>,
    /// The same without.
    pub without: Vec<f64>,
}

impl Row {
    /// Without any figures.
    pub(super) fn new(case: &str, aim: Aim) -> Self {
        Self { case: case.to_owned(), aim, with: Vec::new(), without: Vec::new() }
    }

    fn by_run(&self, of: impl Fn(f64, f64) -> f64) -> Spread {
        Spread::of(self.with.iter().zip(&self.without).map(|(with, without)| of(*with, *without)).collect())
    }

    /// Each run's with the one beside it.
    fn ratio(&self) -> Spread {
        self.by_run(|with, without| with / without)
    }

    fn added(&self) -> Spread {
        self.by_run(|with, without| with - without)
    }

    /// What it should be, and whether it is, going by the middle one of the runs.
    pub fn aim(&self) -> Option<(&'static str, bool)> {
        match self.aim {
            Aim::Start => Some(("adds less than 15 ms", self.added().median < START)),
            Aim::Work => Some(("less than 3 % more", self.ratio().median < WORK)),
            Aim::Connect => Some(("adds less than 15 µs", self.added().median < CONNECT)),
            Aim::None => None,
        }
    }

    fn json(&self) -> Value {
        let spread = |of: Spread| json!({ "median": of.median, "least": of.least, "most": of.most });
        let mut row = json!({
            "case": self.case, "unit": "seconds",
            "with": spread(Spread::of(self.with.clone())), "without": spread(Spread::of(self.without.clone())),
            "added": spread(self.added()), "ratio": spread(self.ratio()),
        });
        if let Some((aim, reached)) = self.aim() {
            row["aim"] = aim.into();
            row["reached"] = reached.into();
        }
        row
    }
}

/// Everything, for programs.
pub fn json(rows: &[Row], runs: u32, mechanism: &str) -> String {
    json!({ "runs": runs, "mechanism": mechanism, "rows": rows.iter().map(Row::json).collect::<Vec<_>>() })
        .to_string()
}

/// The whole table, as Markdown.
pub fn table(rows: &[Row], mechanism: &str) -> String {
    let mut text = format!(
        "Unix sockets are mediated by: {mechanism}\n\n\
         | case | in the cell | without | added | ratio | aim | reached |\n|---|---|---|---|---|---|---|"
    );
    for row in rows {
        let (aim, reached) = match row.aim() {
            Some((aim, true)) => (aim, "yes"),
            Some((aim, false)) => (aim, "NO"),
            None => ("", ""),
        };
        let ratio = row.ratio();
        let _ = write!(
            text,
            "\n| {} | {} | {} | {} | {:.3} ({:.3}–{:.3}) | {aim} | {reached} |",
            row.case,
            shown(Spread::of(row.with.clone())),
            shown(Spread::of(row.without.clone())),
            shown(row.added()),
            ratio.median,
            ratio.least,
            ratio.most,
        );
    }
    text
}

/// In the unit that suits the middle one.
fn shown(times: Spread) -> String {
    let (factor, unit, digits) = match times.median.abs() {
        median if median >= 1.0 => (1.0, "s", 3),
        median if median >= 1e-3 => (1e3, "ms", 1),
        _ => (1e6, "µs", 2),
    };
    let [median, least, most] = [times.median, times.least, times.most].map(|time| time * factor);
    format!("{median:.digits$} {unit} ({least:.digits$}–{most:.digits$})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(aim: Aim, with: &[f64], without: &[f64]) -> Row {
        Row { with: with.to_vec(), without: without.to_vec(), ..Row::new("case", aim) }
    }

    #[test]
    fn an_aim_is_reached_in_the_middle_of_neighbours() {
        let work = row(Aim::Work, &[1.02, 2.5, 1.0], &[1.0, 2.0, 1.0]);
        assert_eq!(work.aim(), Some(("less than 3 % more", true)));
        for (aim, with, without, reached) in [
            (Aim::Work, 1.04, 1.0, false),
            (Aim::Start, 0.114, 0.1, true),
            (Aim::Start, 0.116, 0.1, false),
            (Aim::Connect, 20e-6, 6e-6, true),
            (Aim::Connect, 22e-6, 6e-6, false),
        ] {
            assert_eq!(row(aim, &[with], &[without]).aim().map(|(_, reached)| reached), Some(reached));
        }
        assert_eq!(row(Aim::None, &[2.0], &[1.0]).aim(), None);
    }

    #[test]
    fn tables_and_json_say_the_same() {
        let rows = [row(Aim::Connect, &[30e-6, 31e-6, 29e-6], &[10e-6; 3])];
        let table = table(&rows, "supervisor");
        let line = "| case | 30.00 µs (29.00–31.00) | 10.00 µs (10.00–10.00) | 20.00 µs (19.00–21.00) \
                    | 3.000 (2.900–3.100) | adds less than 15 µs | NO |";
        assert!(
            table.starts_with("Unix sockets are mediated by: supervisor\n") && table.ends_with(line),
            "{table}"
        );
        let value: Value = serde_json::from_str(&json(&rows, 3, "supervisor")).unwrap();
        assert_eq!((&value["runs"], &value["mechanism"]), (&json!(3), &json!("supervisor")));
        assert_eq!(value["rows"][0]["reached"], false);
        assert!((value["rows"][0]["ratio"]["median"].as_f64().unwrap() - 3.0).abs() < 1e-9);
    }
}
