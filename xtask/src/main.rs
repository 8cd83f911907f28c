//! `cargo xtask`: parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;
use xtask::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let _ = cli.command;
    ExitCode::SUCCESS
}
