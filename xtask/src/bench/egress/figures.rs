//! What was measured, what it should be, and the table.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::bench::publish::figures::Spread;

/// What a figure is, and what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes per second: no fewer than the peer.
    Throughput,
    /// Things done per second: no fewer than the peer.
    Rate,
    /// Seconds, of which nothing between takes some, too; it is what is added to these that counts.
    Time,
    /// The same, of the slowest of a hundred: less than a millisecond is to be added.
    SlowTime,
    /// Bytes of memory: less than 20 MB.
    Memory,
}

/// The most that may be added to the slowest of a hundred, in seconds.
const MOST_ADDED: f64 = 0.001;
/// The most memory, in bytes.
const MOST_MEMORY: f64 = 20e6;

/// A line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was measured.
    pub case: String,
    /// What it is.
    pub kind: Kind,
    /// Who is measured beside us.
    pub peer: &'static str,
    /// Ours, a figure for each run.
    pub ours: Vec<f64>,
    /// The peer's.
    pub theirs: Vec<f64>,
    /// With nothing between, where that was measured.
    pub direct: Vec<f64>,
}

impl Row {
    /// Without any figures.
    pub(super) fn new(case: impl Into<String>, kind: Kind, peer: &'static str) -> Self {
        let (ours, theirs, direct) = Default::default();
        Self { case: case.into(), kind, peer, ours, theirs, direct }
    }

    /// Each run's of ours with the one beside it.
    fn ratio(&self) -> Spread {
        Spread::of(self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours / theirs).collect())
    }

    fn added(&self, by: &[f64]) -> Option<Spread> {
        (!self.direct.is_empty())
            .then(|| Spread::of(by.iter().zip(&self.direct).map(|(with, without)| with - without).collect()))
    }

    /// What it should be, and whether it is, going by the middle one of the runs.
    pub fn aim(&self) -> Option<(String, bool)> {
        match self.kind {
            Kind::Throughput | Kind::Rate => {
                Some((format!("no less than {}", self.peer), self.ratio().median >= 1.0))
            }
            Kind::Time => None,
            Kind::SlowTime => {
                let added = self.added(&self.ours)?;
                Some(("adds less than 1 ms".to_owned(), added.median < MOST_ADDED))
            }
            Kind::Memory => {
                Some(("less than 20 MB".to_owned(), Spread::of(self.ours.clone()).median < MOST_MEMORY))
            }
        }
    }

    fn shown(&self, numbers: Spread) -> String {
        let (factor, unit) = match self.kind {
            Kind::Throughput => (1e-6, "MB/s"),
            Kind::Rate => (1.0, "/s"),
            Kind::Time | Kind::SlowTime => (1e6, "µs"),
            Kind::Memory => (1e-6, "MB"),
        };
        let [median, least, most] =
            [numbers.median, numbers.least, numbers.most].map(|number| number * factor);
        let digits = usize::from(self.kind == Kind::Memory);
        format!("{median:.digits$} {unit} ({least:.digits$}–{most:.digits$})")
    }

    /// For programs.
    fn json(&self) -> Value {
        let spread = |numbers: Spread| json!({ "median": numbers.median, "least": numbers.least, "most": numbers.most });
        let of = |numbers: &[f64]| spread(Spread::of(numbers.to_vec()));
        let unit = match self.kind {
            Kind::Throughput => "bytes per second",
            Kind::Rate => "per second",
            Kind::Time | Kind::SlowTime => "seconds",
            Kind::Memory => "bytes",
        };
        let mut row = json!({
            "case": self.case, "unit": unit, "peer": self.peer,
            "ours": of(&self.ours), "theirs": of(&self.theirs), "ratio": spread(self.ratio()),
        });
        if let (Some(ours), Some(theirs)) = (self.added(&self.ours), self.added(&self.theirs)) {
            row["direct"] = of(&self.direct);
            row["added"] = json!({ "ours": spread(ours), "theirs": spread(theirs) });
        }
        if let Some((aim, reached)) = self.aim() {
            row["aim"] = aim.into();
            row["reached"] = reached.into();
        }
        row
    }
}

/// Everything, for programs.
pub fn json(rows: &[Row], runs: u32) -> String {
    json!({ "runs": runs, "rows": rows.iter().map(Row::json).collect::<Vec<_>>() }).to_string()
}

/// The whole table, as Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = "| case | ours | peer | ours / peer | added by ours, by the peer | aim | reached |\n\
                    |---|---|---|---|---|---|---|"
        .to_owned();
    for row in rows {
        let (ours, theirs) = (Spread::of(row.ours.clone()), Spread::of(row.theirs.clone()));
        let added = match (row.added(&row.ours), row.added(&row.theirs)) {
            (Some(ours), Some(theirs)) => format!("{}, {}", row.shown(ours), row.shown(theirs)),
            _ => String::new(),
        };
        let (aim, reached) = match row.aim() {
            Some((aim, reached)) => (aim, if reached { "yes" } else { "NO" }),
            None => (String::new(), ""),
        };
        let _ = write!(
            text,
            "\n| {} | {} | {} {} | {} | {added} | {aim} | {reached} |",
            row.case,
            row.shown(ours),
            row.peer,
            row.shown(theirs),
            row.ratio(),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: Kind, ours: &[f64], theirs: &[f64], direct: &[f64]) -> Row {
        Row {
            ours: ours.to_vec(),
            theirs: theirs.to_vec(),
            direct: direct.to_vec(),
            ..Row::new("case", kind, "peer")
        }
    }

    #[test]
    fn ratios_are_of_neighbours_and_an_aim_is_reached_in_the_middle() {
        let rate = row(Kind::Rate, &[200.0, 100.0, 300.0], &[100.0, 200.0, 250.0], &[]);
        assert_eq!(rate.aim(), Some(("no less than peer".to_owned(), true)));
        let table = table(&[rate]);
        assert!(
            table.ends_with("| case | 200 /s (100–300) | peer 200 /s (100–250) | 1.20 (0.50–2.00) |  | no less than peer | yes |"),
            "{table}"
        );
        let slower = row(Kind::Throughput, &[1.0], &[2.0], &[]);
        assert_eq!(slower.aim().map(|(_, reached)| reached), Some(false));
    }

    #[test]
    fn what_is_added_is_what_is_more_than_with_nothing_between() {
        let time = row(Kind::SlowTime, &[0.0021, 0.0018], &[0.003, 0.003], &[0.001, 0.001]);
        assert_eq!(time.aim().map(|(_, reached)| reached), Some(true));
        let value: Value = serde_json::from_str(&json(&[time], 2)).unwrap();
        assert_eq!(value["rows"][0]["reached"], true);
        assert!((value["rows"][0]["added"]["ours"]["most"].as_f64().unwrap() - 0.0011).abs() < 1e-9);
        assert_eq!(
            row(Kind::SlowTime, &[0.01], &[0.001], &[0.001]).aim().map(|(_, reached)| reached),
            Some(false)
        );
        assert_eq!(row(Kind::Memory, &[21e6], &[1e6], &[]).aim().map(|(_, reached)| reached), Some(false));
    }
}
