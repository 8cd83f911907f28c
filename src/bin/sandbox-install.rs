//! Installs Claude Code and the sandbox's programs into an image; see [`agent_sandbox::install`].

use std::env;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use agent_sandbox::install::options::{Command, USAGE};
use agent_sandbox::install::{InstallError, options, run};

fn main() -> ExitCode {
    match install() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// One line, in one piece: builders put a time before each piece that they get.
fn say(line: impl Display) {
    let _ = io::stderr().write_all(format!("sandbox-install: {line}\n").as_bytes());
}

fn install() -> Result<(), InstallError> {
    match options::parse(env::args_os(), |name| env::var_os(name))? {
        Command::Help => print!("{USAGE}"),
        Command::Install(options) => {
            let record = run(&options, |line| say(line))?;
            say(format_args!("installed Claude Code {}", record.claude_version));
        }
    }
    Ok(())
}
