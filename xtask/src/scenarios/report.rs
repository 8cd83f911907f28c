//! What a run of the official CLI's `features test` says was run.

/// Scenarios by outcome.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Those that passed.
    pub passed: Vec<String>,
    /// Those that failed.
    pub failed: Vec<String>,
}

impl Report {
    /// Reads the part behind the CLI's headline `TEST REPORT`, with lines such as `✅ Passed:      'name'`.
    pub fn parse(output: &str) -> Self {
        let mut report = Self::default();
        let lines = output.lines().skip_while(|line| !line.contains("TEST REPORT"));
        for line in lines {
            let name = || line.split('\'').nth(1).map(str::to_owned);
            if line.contains("Passed:") {
                report.passed.extend(name());
            } else if line.contains("Failed:") {
                report.failed.extend(name());
            }
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports() {
        let text = "Passed: 'not yet'\n  ================== TEST REPORT ==================\n\
            ✅ Passed:      'default'\n❌ Failed:      'other'\n";
        let report = Report::parse(text);
        assert_eq!(report.passed, ["default"]);
        assert_eq!(report.failed, ["other"]);
        assert_eq!(Report::parse("Passed: 'x'"), Report::default());
    }
}
