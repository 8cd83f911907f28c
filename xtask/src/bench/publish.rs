//! `bench publish`: this program and the official CLI side by side, against Debian's `docker-registry`.
//!
//! The two take turns, so that whatever else the machine does falls on both. Each publish meets a registry that was
//! just started and is empty, so that nothing of an earlier run helps.

mod delay;
pub mod figures;
mod floor;
mod measured;
mod registry;
mod sample;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::scenarios::devcontainer_cli;
use crate::{apt, project, sh, terminal};
use figures::{Figures, Row};
use measured::Measured;
use registry::Registry;

const NAMESPACE: &str = "bench/features";

/// What is measured, and with what.
#[derive(Debug)]
pub struct Setup {
    /// This program.
    pub ours: PathBuf,
    /// The official CLI.
    pub official: PathBuf,
    /// How often each is timed.
    pub runs: u32,
    /// The delay of the far registry.
    pub round_trip: Duration,
    /// How many Features are many.
    pub many: usize,
    /// The size of each of the two files of the large Feature.
    pub large: u64,
}

/// What a program does in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Package,
    FirstPublish,
    PublishAgain,
}

struct Case {
    name: String,
    action: Action,
    collection: TempDir,
    /// Its Features.
    features: usize,
    /// The round trip to its registry, if it is far away.
    far: Option<Duration>,
    /// Whether it is compared with one connection that only sends.
    with_floor: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    Official,
    Ours,
}

/// Runs it with the figures that it is about.
pub(super) fn run(runs: u32) -> anyhow::Result<()> {
    let root = project::root()?;
    apt::ensure(&[registry::NAME])?;
    let setup = Setup {
        ours: release_build(&root)?,
        official: devcontainer_cli::ensure_installed(&root)?,
        runs,
        round_trip: Duration::from_millis(50),
        many: 30,
        large: 32 << 20,
    };
    let version = sh::output(Command::new(&setup.official).arg("--version"))?;
    terminal::note(format_args!("official CLI {}, {} runs of each in turn", version.trim(), setup.runs));
    terminal::result(figures::table(&measure(&setup)?))
}

/// What users run is the release build; another would measure the compiler.
fn release_build(root: &Path) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["build", "--release", "--locked", "--package", "xtask"]);
    command.args(["--message-format", "json-render-diagnostics"]);
    let messages = sh::output(&mut command).context("the release build of xtask failed")?;
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = artifacts.filter_map(|artifact| artifact["executable"].as_str().map(PathBuf::from));
    programs.next().context("cargo names no program of the release build of xtask")
}

/// Measures all cases.
pub fn measure(setup: &Setup) -> anyhow::Result<Vec<Row>> {
    let cases = cases(setup)?;
    let mut rows: Vec<Row> = cases.iter().map(|case| empty_row(&case.name)).collect();
    // The first round warms up, and is where memory is looked at.
    for round in 0..=setup.runs {
        for (case, row) in cases.iter().zip(&mut rows) {
            let turns = if round % 2 == 0 {
                [Program::Official, Program::Ours]
            } else {
                [Program::Ours, Program::Official]
            };
            for program in turns {
                let measured = attempt(setup, case, program, round == 0)?;
                let figures = if program == Program::Ours { &mut row.ours } else { &mut row.official };
                if round == 0 {
                    figures.memory = measured.memory;
                } else {
                    figures.times.push(measured.time);
                }
            }
            if round > 0 && case.with_floor {
                row.floor.push(send_only(setup, case)?);
            }
        }
        terminal::note(format_args!("round {round} of {} is done", setup.runs));
    }
    Ok(rows)
}

fn empty_row(case: &str) -> Row {
    Row { case: case.to_owned(), official: Figures::default(), ours: Figures::default(), floor: Vec::new() }
}

fn cases(setup: &Setup) -> anyhow::Result<[Case; 5]> {
    let many = setup.many;
    let away = format!("{} ms round trip", setup.round_trip.as_millis());
    let case = |name: String, action, features| -> anyhow::Result<Case> {
        let far = (action != Action::Package).then_some(setup.round_trip);
        Ok(Case { name, action, collection: sample::small(features)?, features, far, with_floor: false })
    };
    Ok([
        case(format!("package {many} Features"), Action::Package, many)?,
        case(format!("first publish, 1 Feature, {away}"), Action::FirstPublish, 1)?,
        case(format!("first publish, {many} Features, {away}"), Action::FirstPublish, many)?,
        case(format!("nothing new, {many} Features, {away}"), Action::PublishAgain, many)?,
        Case {
            name: format!("first publish of {}, loopback", size(2 * setup.large)),
            action: Action::FirstPublish,
            collection: sample::large(setup.large)?,
            features: 1,
            far: None,
            with_floor: true,
        },
    ])
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

/// One run of a program in a case; that it did what the case is about is part of it.
fn attempt(setup: &Setup, case: &Case, program: Program, memory: bool) -> anyhow::Result<Measured> {
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path();
    if case.action == Action::Package {
        let output = folder.join("output");
        let args = ["package".into(), "-o".into(), output.clone().into()];
        let measured = measured::run(&mut command(setup, case, program, folder, &args), folder, memory)?;
        let written = std::fs::read_dir(&output)?.count();
        ensure!(written == case.features + 1, "{written} files for {} Features", case.features);
        return Ok(measured);
    }
    let registry = Registry::start()?;
    let publish = |port: u16| {
        let host = format!("localhost:{port}");
        let args = ["publish", "-r", &host, "-n", NAMESPACE].map(OsString::from);
        command(setup, case, program, folder, &args)
    };
    if case.action == Action::PublishAgain {
        measured::run(&mut publish(registry.port), folder, false)?;
    }
    let port = match case.far {
        Some(round_trip) => delay::start(registry.port, round_trip)?,
        None => registry.port,
    };
    let measured = measured::run(&mut publish(port), folder, memory)?;
    check(case, &measured.stdout)?;
    Ok(measured)
}

fn command(setup: &Setup, case: &Case, program: Program, folder: &Path, args: &[OsString]) -> Command {
    let mut command = match program {
        Program::Ours => Command::new(&setup.ours),
        Program::Official => {
            let mut command = Command::new(&setup.official);
            command.arg("features");
            command
        }
    };
    // Nobody's login, nobody's proxy, nobody's checkout.
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.env("HOME", folder).env("DOCKER_CONFIG", folder).env("TMPDIR", folder).current_dir(folder);
    command.args(args).arg(case.collection.path());
    command
}

/// Whether the line on standard output says what the case is about.
fn check(case: &Case, stdout: &str) -> anyhow::Result<()> {
    let line: Value =
        serde_json::from_str(stdout).with_context(|| format!("not a line of JSON: {stdout}"))?;
    let entries = line.as_object().context("the line is no object")?;
    ensure!(entries.len() == case.features, "{} of {} Features: {stdout}", entries.len(), case.features);
    let as_expected = entries.values().all(|entry| match entry["publishedTags"].as_array() {
        Some(tags) => case.action == Action::FirstPublish && tags.len() == 4,
        None => case.action == Action::PublishAgain,
    });
    ensure!(as_expected, "{}: {stdout}", case.name);
    Ok(())
}

/// Sends the case's archive, packed by this program, over one connection.
fn send_only(setup: &Setup, case: &Case) -> anyhow::Result<Duration> {
    let scratch = tempfile::tempdir()?;
    let output = scratch.path().join("output");
    let args = ["package".into(), "-o".into(), output.clone().into()];
    measured::run(&mut command(setup, case, Program::Ours, scratch.path(), &args), scratch.path(), false)?;
    let archive = std::fs::read(output.join("devcontainer-feature-large.tgz"))?;
    floor::send(Registry::start()?.port, &archive)
}
