//! Scenarios that a test inside a container cannot be: scripts that start, restart and break containers from the
//! host, `test-scenarios/<feature>/host/*.sh`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::lab::Lab;
use super::report::Report;

/// Runs every host script whose name matches.
pub fn run_all(lab: &Lab<'_>, filter: &str) -> anyhow::Result<Report> {
    let mut report = Report::default();
    for feature in lab.staged.scenarios.keys() {
        let folder = lab.staged.folder.join("test").join(feature).join("host");
        for script in scripts(&folder)? {
            let name = script.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !name.contains(filter) {
                continue;
            }
            eprintln!("\n── host scenario '{name}' of {feature}");
            let list = if run(lab, feature, &script)? { &mut report.passed } else { &mut report.failed };
            list.push(name);
        }
    }
    Ok(report)
}

/// The scripts of a folder in order; `lib.sh` is what they share.
fn scripts(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut scripts: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    scripts.retain(|path| {
        path.extension().is_some_and(|e| e == "sh") && path.file_name().is_some_and(|n| n != "lib.sh")
    });
    scripts.sort();
    Ok(scripts)
}

fn run(lab: &Lab<'_>, feature: &str, script: &Path) -> anyhow::Result<bool> {
    let work = tempfile::tempdir()?;
    let mut command = Command::new("bash");
    command.arg(script).current_dir(work.path()).envs(&lab.values);
    command.env("WORK", work.path()).env("DEVCONTAINER", &lab.prepared.devcontainer);
    command.env("FEATURE", lab.staged.folder.join("src").join(feature));
    for host in ["api", "web", "evil", "dns"] {
        command.env(format!("HOST_{}", host.to_uppercase()), lab.internet.container(host));
    }
    lab.aim(&mut command);
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status().context("run bash")?;
    Ok(status.success())
}
