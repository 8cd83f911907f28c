//! What a guest's console says of its tests.

use super::machine::Console;
use crate::arch::Arch;
use crate::feature::problem::one_line;

/// What the guest's own lines begin with.
const MARK: &str = "#guest ";
/// Lines of the console that are shown where a guest said too little.
const TAIL: usize = 25;

/// What a guest saw.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    kernel: String,
    landlock: String,
    default_deny_ms: String,
    tests: u32,
    start: bool,
    without: u32,
    accelerated: bool,
    failures: Vec<String>,
}

/// The text of a line that is the guest's own.
pub fn marked(line: &str) -> Option<&str> {
    line.strip_prefix(MARK)
}

impl Report {
    /// Reads a console. A guest that did not come to its end has failed, whatever it said before.
    pub fn parse(console: &Console) -> Self {
        let mut report = Self { accelerated: console.accelerated, ..Self::default() };
        let mut ended = false;
        for line in console.lines.iter().filter_map(|line| marked(line)) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "kernel" => rest.clone_into(&mut report.kernel),
                "landlock" => rest.clone_into(&mut report.landlock),
                "default-deny-ms" => rest.clone_into(&mut report.default_deny_ms),
                "tests" => report.tests = rest.parse().unwrap_or(0),
                "pass" if rest.starts_with("without ") => report.without += 1,
                "pass" => report.start = true,
                "end" => ended = true,
                _ => report.failures.push(rest.to_owned()),
            }
        }
        if console.hung {
            report.failures.push("the guest hung and was ended".to_owned());
        } else if !ended {
            report.failures.push("the guest ended before its tests did".to_owned());
        }
        if !ended || !report.failures.is_empty() {
            let tail = console.lines.iter().rev().take(TAIL).rev();
            report.failures.extend(tail.map(|line| format!("| {}", one_line(line))));
            report.failures.extend(console.errors.lines().map(|line| format!("qemu: {}", one_line(line))));
        }
        report
    }

    /// What went wrong, and what should have been seen and was not.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.failures.clone();
        let seen = [
            (self.start, "no start was seen"),
            (self.tests > 0, "no test was run"),
            (self.without > 0, "no start without a module was seen"),
        ];
        problems.extend(seen.iter().filter(|(seen, _)| !seen).map(|(_, text)| (*text).to_owned()));
        problems
    }

    /// A row of the table.
    pub fn row(&self, arch: Arch) -> String {
        let runs_on = if self.accelerated { "KVM" } else { "emulation" };
        let landlock = match self.landlock.parse::<u32>() {
            Ok(version) => format!("ABI {version}"),
            Err(_) => "none".to_owned(),
        };
        let outcome = if self.problems().is_empty() { "passed" } else { "FAILED" };
        format!(
            "| {} | {} | {runs_on} | {landlock} | {} {outcome} | {} refused | {} ms |",
            one_line(&self.kernel),
            arch.docker(),
            self.tests,
            self.without,
            one_line(&self.default_deny_ms),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(text: &str) -> Console {
        Console { lines: text.lines().map(str::to_owned).collect(), ..Console::default() }
    }

    const GOOD: &str = "[    0.1] noise\n#guest kernel 6.1.0-1-amd64\n#guest landlock 2\n#guest default-deny-ms 7\n\
        #guest pass start: it held\n#guest pass without nft_ct: it said so\n#guest tests 15\n#guest end\n";

    #[test]
    fn a_guest_that_saw_everything_has_no_problem() {
        let report = Report::parse(&console(GOOD));
        assert_eq!(report.problems(), [""; 0]);
        let row = "| 6.1.0-1-amd64 | amd64 | emulation | ABI 2 | 15 passed | 1 refused | 7 ms |";
        assert_eq!(report.row(Arch::Amd64), row);
    }

    #[test]
    fn a_guest_that_failed_or_says_less_has_one() {
        for (missing, expected) in [
            ("#guest end\n", "ended before its tests did"),
            ("#guest tests 15\n", "no test was run"),
            ("#guest pass start: it held\n", "no start was seen"),
            ("#guest pass without nft_ct: it said so\n", "no start without a module"),
        ] {
            let problems = Report::parse(&console(&GOOD.replace(missing, ""))).problems();
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{missing}: {problems:?}");
        }
        let failed = GOOD.replace("#guest tests 15", "#guest fail tests: two of them");
        assert!(Report::parse(&console(&failed)).problems().contains(&"tests: two of them".to_owned()));
        let hung = Console { hung: true, ..console(GOOD) };
        assert!(!Report::parse(&hung).problems().is_empty());
        assert!(!Report::parse(&Console::default()).problems().is_empty());
    }
}
