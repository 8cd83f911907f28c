//! Medians with their spread, and the table.

use std::fmt;
use std::time::Duration;

/// A median, and between what the runs were.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

/// What was measured of one program in one case.
#[derive(Debug, Default, Clone)]
pub struct Figures {
    /// How long each run took.
    pub times: Vec<Duration>,
    /// The most bytes of memory that a run took.
    pub memory: u64,
}

/// A line of the table.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub case: String,
    /// The official CLI.
    pub official: Figures,
    /// This program.
    pub ours: Figures,
    /// One connection that sends the same bytes, where that was measured.
    pub floor: Vec<Duration>,
}

impl Spread {
    /// Of numbers, of which there is at least one.
    pub fn of(mut numbers: Vec<f64>) -> Self {
        numbers.sort_by(f64::total_cmp);
        let at = |index: usize| numbers.get(index).copied().unwrap_or(f64::NAN);
        let (half, last) = (numbers.len() / 2, numbers.len().saturating_sub(1));
        let median = if numbers.len() % 2 == 1 { at(half) } else { f64::midpoint(at(half - 1), at(half)) };
        Self { median, least: at(0), most: at(last) }
    }

    /// Of times, in seconds.
    pub fn of_times(times: &[Duration]) -> Self {
        Self::of(times.iter().map(Duration::as_secs_f64).collect())
    }

    /// Of ratios: each run's with the one beside it, so that what slows both down is not counted.
    pub fn of_ratios(above: &[Duration], below: &[Duration]) -> Self {
        Self::of(
            above.iter().zip(below).map(|(above, below)| above.as_secs_f64() / below.as_secs_f64()).collect(),
        )
    }

    fn seconds(self) -> String {
        let (factor, unit) = if self.median < 1.0 { (1000.0, "ms") } else { (1.0, "s") };
        let scaled =
            Self { median: self.median * factor, least: self.least * factor, most: self.most * factor };
        let [median, least, most] = scaled.shown();
        format!("{median} {unit} ({least}–{most})")
    }

    /// With as many digits as mean something.
    fn shown(self) -> [String; 3] {
        let digits = match self.median {
            median if median >= 100.0 => 0,
            median if median >= 10.0 => 1,
            _ => 2,
        };
        [self.median, self.least, self.most].map(|number| format!("{number:.digits$}"))
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, least, most] = self.shown();
        write!(f, "{median} ({least}–{most})")
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (theirs, ours) = (&self.official, &self.ours);
        write!(
            f,
            "| {} | {} | {} | {} | {} | {} |",
            self.case,
            Spread::of_times(&theirs.times).seconds(),
            Spread::of_times(&ours.times).seconds(),
            Spread::of_ratios(&theirs.times, &ours.times),
            megabytes(theirs.memory),
            megabytes(ours.memory),
        )
    }
}

/// The whole table, as Markdown, and a sentence on each floor.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![
        "| case | official CLI | ours | times faster | memory, official | memory, ours |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(rows.iter().map(Row::to_string));
    for row in rows.iter().filter(|row| !row.floor.is_empty()) {
        lines.push(format!(
            "\n{}: one connection that sends the same bytes takes {}; ours takes {} times as long.",
            row.case,
            Spread::of_times(&row.floor).seconds(),
            Spread::of_ratios(&row.ours.times, &row.floor),
        ));
    }
    lines.join("\n")
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(milliseconds: &[u64]) -> Vec<Duration> {
        milliseconds.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn a_row_has_medians_spreads_and_ratios_of_neighbours() {
        let row = Row {
            case: "case".to_owned(),
            official: Figures { times: times(&[2700, 2500, 2600]), memory: 69_000_000 },
            ours: Figures { times: times(&[270, 500, 260]), memory: 7_900_001 },
            floor: times(&[270, 250, 130]),
        };
        assert_eq!(
            row.to_string(),
            "| case | 2.60 s (2.50–2.70) | 270 ms (260–500) | 10.0 (5.0–10.0) | 69 MB | 8 MB |"
        );
        assert!(table(&[row]).ends_with(
            "\n\ncase: one connection that sends the same bytes takes 250 ms (130–270); ours takes 2.00 (1.00–2.00) times as long."
        ));
    }

    #[test]
    fn an_even_number_of_runs_has_its_median_between_the_middle_two() {
        let spread = Spread::of_times(&times(&[1000, 4000, 2000, 3000]));
        assert_eq!(spread, Spread { median: 2.5, least: 1.0, most: 4.0 });
    }
}
