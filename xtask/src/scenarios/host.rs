//! Scenarios that a test inside a container cannot be: scripts that start, restart and break containers from the
//! host, `test-scenarios/<feature>/host/*.sh`.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;

use super::lab::Lab;
use super::plan::HostRun;
use super::report::Report;

/// Runs a Feature's host scripts.
pub fn run_all(lab: &Lab<'_>, feature: &str, runs: &[HostRun]) -> anyhow::Result<Report> {
    let mut report = Report::default();
    for run in runs {
        eprintln!("\n── host scenario '{}' of {feature}", run.name);
        let started = Instant::now();
        let passed = one(lab, feature, run)?;
        eprintln!("── {} after {} s", if passed { "passed" } else { "FAILED" }, started.elapsed().as_secs());
        let list = if passed { &mut report.passed } else { &mut report.failed };
        list.push(run.name.clone());
    }
    Ok(report)
}

fn one(lab: &Lab<'_>, feature: &str, run: &HostRun) -> anyhow::Result<bool> {
    let work = tempfile::tempdir()?;
    let script = lab.staged.folder.join("test").join(feature).join("host").join(&run.script);
    let mut command = Command::new("bash");
    command.arg(script).current_dir(work.path()).envs(&lab.values);
    if let Some(row) = &run.row {
        command.env("ROW", &row.name);
        for (key, value) in &row.settings {
            command.env(format!("ROW_{}", key.to_uppercase()), value);
        }
        command.env("ROW_IMAGE", row.image.tag());
    }
    command.env("WORK", work.path()).env("DEVCONTAINER", &lab.prepared.devcontainer);
    command.env("FEATURE", lab.staged.folder.join("src").join(feature));
    for host in ["api", "web", "evil", "dns"] {
        command.env(format!("HOST_{}", host.to_uppercase()), lab.internet.container(host));
    }
    lab.aim(&mut command);
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status().context("run bash")?;
    Ok(status.success())
}
