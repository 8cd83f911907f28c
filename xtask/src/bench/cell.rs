//! `bench cell`: the agent's cell beside the same work without one.
//!
//! Both are done in one container, in which the daemon is in force, by the same user, in turn and in changing order, so
//! that whatever else the machine does falls on both. What a cell costs once, at its start, has rows of its own; the
//! others are measured from within, since an agent does all its work in one cell.

pub mod figures;
mod place;
mod projects;

use anyhow::ensure;

use crate::cli::BenchArgs;
use crate::{apt, sh, terminal};
use figures::{Aim, Row};
use place::{Place, Wrapped};

/// How often a program is started, and a system call made, for one figure.
#[derive(Debug, Clone, Copy)]
struct Amounts {
    starts: u32,
    calls: u32,
    sizes: projects::Sizes,
}

const USUAL: Amounts = Amounts { starts: 15, calls: 1000, sizes: projects::USUAL };
/// So little that it shows no more than that all of it works.
const QUICK: Amounts = Amounts { starts: 2, calls: 20, sizes: projects::QUICK };

/// What is done, and where the cell begins.
struct Case {
    row: Row,
    wrapped: Wrapped,
    /// A folder of the project's.
    folder: &'static str,
    /// What the probe is told.
    probe: Vec<String>,
}

/// Runs it.
pub(super) fn run(args: &BenchArgs, runs: u32) -> anyhow::Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "`bench cell` makes a network namespace and a container, which takes root; run it with sudo"
    );
    // Machines have some of these from elsewhere.
    let programs = ["cc", "make", "git", "npm"].into_iter().zip(["gcc", "make", "git", "npm"]);
    let missing = programs.filter(|(program, _)| !sh::exists(program)).map(|(_, package)| package);
    apt::ensure(&["iproute2", "nftables"].into_iter().chain(missing).collect::<Vec<_>>())?;
    let (amounts, runs) = if args.quick { (QUICK, 1) } else { (USUAL, runs) };
    let programs = super::shipped(["sandboxd", "agent-sandbox"])?;
    let place = Place::open(&programs[0], &programs[1])?;
    let mut cases = cases(&place, amounts);
    cases.retain(|case| args.filter.as_ref().is_none_or(|text| case.row.case.contains(text)));
    ensure!(!cases.is_empty(), "no case of `bench cell` has that in its name");
    projects::make(&place.project(), amounts.sizes)?;
    place.hand_over()?;
    // The first round warms up.
    for round in u32::from(args.quick)..=runs {
        for case in &mut cases {
            let measure = |wrapped| place.measure(wrapped, case.folder, &case.probe);
            let (with, without) = if round % 2 == 0 {
                let with = measure(case.wrapped)?;
                (with, measure(Wrapped::Nothing)?)
            } else {
                let without = measure(Wrapped::Nothing)?;
                (measure(case.wrapped)?, without)
            };
            if round > 0 {
                case.row.with.push(with);
                case.row.without.push(without);
            }
        }
        terminal::note(format_args!("round {round} of {runs} is done"));
    }
    let rows: Vec<Row> = cases.into_iter().map(|case| case.row).collect();
    terminal::result(if args.json {
        figures::json(&rows, runs, place.mechanism())
    } else {
        figures::table(&rows, place.mechanism())
    })
}

fn cases(place: &Place, amounts: Amounts) -> Vec<Case> {
    let Amounts { starts, calls, sizes } = amounts;
    let run = |name: &str, aim, wrapped, folder, count: u32, before: &str, program: &[&str]| Case {
        row: Row::new(name, aim),
        wrapped,
        folder,
        probe: [&["run", &count.to_string(), before], program]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect(),
    };
    let call = |name: &str, aim, what: &str| Case {
        row: Row::new(name, aim),
        wrapped: Wrapped::Probe,
        folder: "calls",
        probe: vec![what.to_owned(), calls.to_string()],
    };
    let start =
        |name: &str, program: &[&str]| run(name, Aim::Start, Wrapped::Program, "calls", starts, "", program);
    let work = |name: &str, folder, count, before: &str, program: &[&str]| {
        run(name, Aim::Work, Wrapped::Probe, folder, count, before, program)
    };
    let mut cases = vec![start("start of /bin/true", &["/bin/true"])];
    if let Some(claude) = place.claude() {
        cases.push(start("claude --version", &[&claude, "--version"]));
    }
    cases.push(work(
        &format!("make, {} files of C", sizes.c),
        "c",
        1,
        "make -s clean",
        &["make", "-s", "-j2"],
    ));
    cases.push(work(
        &format!("cargo build, {} modules", sizes.rust),
        "rust",
        1,
        "rm -rf target",
        &["cargo", "build", "--quiet", "--offline"],
    ));
    cases.push(work(
        &format!("git status, {} files", sizes.tree),
        "tree",
        starts.min(5),
        "",
        &["git", "status", "--porcelain"],
    ));
    cases.push(work(
        &format!("npm install, {} packages", sizes.npm),
        "npm",
        1,
        "rm -rf node_modules",
        &["npm", "install", "--offline", "--no-audit", "--no-fund", "--loglevel=error"],
    ));
    cases.push(work("fork, exec and wait", "calls", calls.min(200), "", &["/bin/true"]));
    let connect = if place.by_landlock() { Aim::None } else { Aim::Connect };
    cases.push(call("connect of a Unix socket", connect, "connect-unix"));
    for (name, what) in [
        ("connect of TCP on loopback", "connect-tcp"),
        ("socket and close, Unix", "socket-unix"),
        ("socket and close, TCP", "socket-tcp"),
        ("open and close", "open"),
        ("stat", "stat"),
        ("read of a byte", "read"),
        ("getppid", "getppid"),
    ] {
        cases.push(call(name, Aim::None, what));
    }
    cases
}
