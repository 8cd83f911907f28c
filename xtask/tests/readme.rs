//! README.md tells nobody a command or a name that is not there.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

use std::path::Path;

use clap::{CommandFactory as _, Parser as _};
use xtask::cli::Cli;

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap()
}

/// The commands of ours that are there to be pasted: all lines of fenced blocks that begin with one.
fn to_paste(text: &str) -> Vec<String> {
    let lines = text.split("```").skip(1).step_by(2).flat_map(str::lines);
    let lines = lines.filter_map(|line| {
        let line = line.trim_start().trim_start_matches("- run: ");
        let line = line.split(" #").next().unwrap().trim();
        ["cargo xtask ", "xtask ", "publisher/target/release/xtask "]
            .iter()
            .find_map(|program| line.strip_prefix(program))
    });
    lines.map(str::to_owned).collect()
}

#[test]
fn what_is_there_to_be_pasted_is_understood() {
    let commands = to_paste(&readme());
    for command in ["publish --local", "package -f", "publish --dry-run", "publish", "registry serve"] {
        assert!(commands.iter().any(|found| found == command), "{command} is not in {commands:?}");
    }
    for command in commands {
        let words = std::iter::once("xtask").chain(command.split_whitespace());
        assert!(Cli::try_parse_from(words).is_ok(), "{command}");
    }
}

/// The table of commands: each is there, and so is each flag that it names.
#[test]
fn the_table_names_all_commands_and_only_flags_that_are_there() {
    let text = readme();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `cargo xtask "));
    let rows: Vec<&str> = rows.map(|row| row.split("` |").next().unwrap()).collect();
    let cli = Cli::command();
    for command in cli.get_subcommands() {
        // Its row is in the other table, with the names of the official CLI.
        let name = command.get_name();
        assert!(name == "features" || rows.iter().any(|row| row.starts_with(name)), "{name} has no row");
    }
    for row in rows {
        let mut command = &cli;
        for word in row.split_whitespace() {
            let Some(inner) = command.find_subcommand(word) else { break };
            command = inner;
        }
        let known = |flag: &str| match flag.strip_prefix("--") {
            Some(long) => command.get_arguments().any(|found| found.get_long() == Some(long)),
            None => command.get_arguments().any(|found| found.get_short() == flag.chars().nth(1)),
        };
        let words = row.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        for flag in words.filter(|word| word.starts_with('-') && word.len() > 1) {
            assert!(known(flag), "{row}: there is no {flag}");
        }
    }
}
