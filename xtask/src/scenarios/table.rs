//! What was tested with which image, as a table: the documentation quotes it.

use super::lab::Lab;
use super::plan::{HostRun, Plan};
use super::report::Report;
use crate::sh;

const HEAD: [&str; 6] = ["row", "kernel", "engine", "container user", "remote user", "result"];

/// The table of all rows that ran; none if no script with rows did.
pub(super) fn of(lab: &Lab<'_>, plan: &Plan, report: &Report) -> anyhow::Result<Option<String>> {
    let runs: Vec<&HostRun> = plan.features.values().flat_map(|scenarios| &scenarios.host).collect();
    if runs.iter().all(|run| run.row.is_none()) {
        return Ok(None);
    }
    let kernel = sh::output(lab.docker.command().args(["info", "--format", "{{.KernelVersion}}"]))?;
    let engine =
        sh::output(lab.docker.command().args(["version", "--format", "Docker {{.Server.Version}}"]))?;
    let mut lines = vec![HEAD.map(str::to_owned)];
    for run in runs {
        let Some(row) = &run.row else { continue };
        let setting = |key: &str| row.settings.get(key).cloned().unwrap_or_else(|| "–".to_owned());
        let result = if report.passed.contains(&run.name) { "passed" } else { "FAILED" };
        let [kernel, engine] = [&kernel, &engine].map(|text| text.trim().to_owned());
        let users = [setting("container"), setting("remote")];
        let [container, remote] = users;
        lines.push([run.name.clone(), kernel, engine, container, remote, result.to_owned()]);
    }
    Ok(Some(markdown(&lines)))
}

fn markdown(lines: &[[String; 6]]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let row = |cells: [String; 6]| format!("| {} |", cells.join(" | "));
    let padded = |line: &[String; 6]| {
        row(std::array::from_fn(|column| format!("{:<width$}", line[column], width = widths[column])))
    };
    let rule = row(std::array::from_fn(|column| "-".repeat(widths[column])));
    let mut all: Vec<String> = lines.iter().map(padded).collect();
    all.insert(1, rule);
    all.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let line = |cells: [&str; 6]| cells.map(str::to_owned);
        let text = markdown(&[line(["a", "b", "c", "d", "e", "f"]), line(["aaa", "", "–", "d", "e", "f"])]);
        assert_eq!(
            text,
            "| a   | b | c | d | e | f |\n| --- | - | - | - | - | - |\n| aaa |   | – | d | e | f |"
        );
    }
}
