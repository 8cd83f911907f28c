//! The sandbox daemon: `sandboxd start` is the container's entrypoint, `sandboxd run` what stays.

use std::io::Write as _;
use std::process::ExitCode;

use agent_sandbox::daemon::StartError;
use agent_sandbox::{daemon, exit};

const USAGE: &str = "usage: sandboxd COMMAND
  start   the container's entrypoint: close the network, start the daemon, or end the container
  ensure  close the network and start the daemon, if none runs; what sandbox-launch calls
  run     the daemon itself, which these call
  dns     its worker that answers DNS questions, which run calls
  gate    its worker that reads what connections are for, which run calls";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let result = match arguments.iter().map(|a| a.to_str()).collect::<Vec<_>>().as_slice() {
        [Some("start")] => daemon::start().inspect_err(|error| {
            // What ends the container may not return.
            tell(error);
            daemon::end_container();
        }),
        [Some("ensure")] => daemon::ensure_running().map_err(StartError::Untold).inspect_err(tell),
        // Its starter has the reason already and tells it.
        [Some("run")] => daemon::run().map_err(|_| StartError::Told),
        // Its standard error is a socket.
        [Some("dns")] => daemon::answer_dns().map_err(|_| StartError::Told),
        [Some("gate")] => daemon::guard_gate().map_err(|_| StartError::Told),
        [Some("--help" | "-h")] => {
            println!("{USAGE}");
            return ExitCode::from(exit::OK);
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(exit::USAGE);
        }
    };
    ExitCode::from(if result.is_ok() { exit::OK } else { exit::FAILED })
}

/// Says why, where nobody has yet. Who cannot be told must not keep the container from being ended.
fn tell(error: &StartError) {
    if let StartError::Untold(error) = error {
        let _ = writeln!(std::io::stderr(), "sandboxd: the sandbox did not start: {error:#}");
    }
}
