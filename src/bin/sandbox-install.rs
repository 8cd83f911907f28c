//! Installs Claude Code and the sandbox's programs into an image; see [`agent_sandbox::install`].

use std::env;
use std::process::ExitCode;

use agent_sandbox::install::options::{Command, USAGE};
use agent_sandbox::install::{InstallError, options, run};

fn main() -> ExitCode {
    match install() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox-install: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn install() -> Result<(), InstallError> {
    match options::parse(env::args_os(), |name| env::var_os(name))? {
        Command::Help => print!("{USAGE}"),
        Command::Install(options) => {
            let record = run(&options, |line| eprintln!("sandbox-install: {line}"))?;
            eprintln!("sandbox-install: installed Claude Code {}", record.claude_version);
        }
    }
    Ok(())
}
