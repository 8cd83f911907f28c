//! `cargo xtask`: parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;
use xtask::cli::{Cli, Command};
use xtask::exit::Exit;
use xtask::feature::kind::Kind;
use xtask::{
    bench, build, ci, docs, info, kernels, package, publish, registry, resolve, scenarios, templates,
    terminal,
};

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            terminal::error(&error);
            Exit::of(&error).into()
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Package(args) => package::run(Kind::Feature, &args),
        Command::Publish(args) => publish::run(Kind::Feature, &args),
        Command::Templates(args) => templates::run(&args),
        Command::Info(args) => info::verb(&args),
        Command::ResolveDependencies(args) => resolve::verb(&args),
        Command::Registry(args) => registry::serve::run(&args),
        Command::Build(args) => build::verb(&args),
        Command::TestScenarios(args) => scenarios::verb(&args),
        Command::TestKernels(args) => kernels::verb(&args),
        Command::Docs(args) => docs::verb(&args),
        Command::Bench(args) => bench::verb(&args),
        Command::Ci(args) => ci::verb(&args),
        Command::Features(args) => run(args.command.into()),
    }
}
