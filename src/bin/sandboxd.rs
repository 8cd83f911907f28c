//! The sandbox daemon: `sandboxd start` is the container's entrypoint, `sandboxd run` what stays.

use std::process::ExitCode;

use agent_sandbox::{daemon, exit};

const USAGE: &str = "usage: sandboxd COMMAND
  start  the container's entrypoint: close the network, start the daemon, or end the container
  run    the daemon itself, which start calls";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let result = match arguments.iter().map(|a| a.to_str()).collect::<Vec<_>>().as_slice() {
        [Some("start")] => daemon::start().inspect_err(|_| daemon::end_container()),
        [Some("run")] => daemon::run(),
        [Some("--help" | "-h")] => {
            println!("{USAGE}");
            return ExitCode::from(exit::OK);
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(exit::USAGE);
        }
    };
    match result {
        Ok(()) => ExitCode::from(exit::OK),
        // Its starter has the reason already and tells it.
        Err(_) if arguments.first().is_some_and(|argument| argument == "run") => ExitCode::from(exit::FAILED),
        Err(error) => {
            eprintln!("sandboxd: the sandbox did not start: {error:#}");
            ExitCode::from(exit::FAILED)
        }
    }
}
