//! The sandbox daemon: `sandboxd start` is the container's entrypoint, `sandboxd run` what stays.

use std::process::ExitCode;

use agent_sandbox::{daemon, exit};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let result = match arguments.iter().map(|a| a.to_str()).collect::<Vec<_>>().as_slice() {
        [Some("start")] => daemon::start().inspect_err(|_| daemon::end_container()),
        [Some("run")] => daemon::run(),
        _ => {
            eprintln!("usage: sandboxd start | run");
            return ExitCode::from(exit::USAGE);
        }
    };
    match result {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => {
            eprintln!("sandboxd: the sandbox did not start: {error:#}");
            ExitCode::from(exit::FAILED)
        }
    }
}
