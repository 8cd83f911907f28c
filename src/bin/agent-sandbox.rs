//! The user's program: asks the sandbox, tries it, and starts the agent in it. As `claude` it is the shim, as
//! `claude-process-wrapper` what editors' extensions start their own Claude Code with, as
//! `init-firewall.sh` and `sudo` what the original Feature's users call, and as a remote helper of git's it refuses
//! `git push`.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use agent_sandbox::allow_check::{Explained, explain};
use agent_sandbox::confine::{self, Ending, Facts, NotStarted};
use agent_sandbox::follow::Form;
use agent_sandbox::git_guard::PushError;
use agent_sandbox::policy::{Mode, Policy};
use agent_sandbox::privileged::names;
use agent_sandbox::status::{AUDIT, Privileged, Status};
use agent_sandbox::verify::{self, Outcome, Row};
use agent_sandbox::{client, compat, exit, follow, git_guard, ipc, launch, log, paths};

const USAGE: &str = "usage: agent-sandbox COMMAND
  status [--json]          what is in force now
  wait [--timeout SECS]    wait until the sandbox is in force and ready [default: 120]
  verify [--json]          try the ways out
  log [--json] [--follow]  what was refused, and the option that would allow it; with --follow each as it comes
  allow-check NAME[:PORT] [--json]
                           what the policy says of a name, without trying it
  exec PROGRAM [ARG...]    run a program in a cell, as the agent is run
  cell [--check] [--json]  whether this is a cell, and what it is made of
  start [PROGRAM [ARG...]] start the sandbox where no entrypoint did, then a program of yours
  --version                the version of this program";

/// A line on standard output. Whoever reads no further, as `head` does, is no reason to panic.
macro_rules! show {
    ($($text:tt)*) => {{
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

const OUTSIDE: &str = "this agent was started outside its cell and could reach your editor, your keys and your home; \
    start it with `claude`, or with `agent-sandbox exec PROGRAM`";

/// An entrypoint that runs beside the hooks needs a fraction of this.
const GRACE: Duration = Duration::from_secs(5);

const START_PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let own_name = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    match Path::new(&own_name).file_name().and_then(OsStr::to_str) {
        Some("claude") => return ended(confine::claude(&arguments)),
        Some("claude-process-wrapper") => return ended(confine::wrapped(&arguments)),
        Some("init-firewall.sh") => return said("init-firewall.sh", compat::init_firewall()),
        Some("sudo") => return said("sudo", compat::sudo(&arguments)),
        Some(git_guard::NAME) => return pushed(git_guard::run(&arguments)),
        _ => {}
    }
    match parse(&arguments) {
        Ok(command) => run(command),
        Err(error) => {
            eprintln!("agent-sandbox: {error}\n{USAGE}");
            ExitCode::from(exit::USAGE)
        }
    }
}

enum Command {
    Status { json: bool },
    Wait { timeout: Duration },
    Verify { json: bool },
    Log { json: bool, follow: bool },
    AllowCheck { name: String, json: bool },
    Exec { program: OsString, arguments: Vec<OsString> },
    Cell { json: bool, check: bool },
    Attempt { aims: OsString },
    Start { command: Vec<OsString> },
    Help,
    Version,
}

fn parse(arguments: &[OsString]) -> Result<Command, lexopt::Error> {
    use lexopt::prelude::{Long, Short, Value};
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut command = match parser.next()? {
        Some(Value(name)) => match name.to_str() {
            Some("status") => Command::Status { json: false },
            Some("wait") => Command::Wait { timeout: Duration::from_secs(120) },
            Some("verify") => Command::Verify { json: false },
            Some("log") => Command::Log { json: false, follow: false },
            Some("allow-check") => {
                return allow_check_arguments(parser);
            }
            Some("exec") => {
                let mut rest = parser.raw_args()?;
                let program = rest.next().ok_or("exec: a program is missing")?;
                return Ok(Command::Exec { program, arguments: rest.collect() });
            }
            Some("cell") => Command::Cell { json: false, check: false },
            Some("attempt") => {
                return Ok(Command::Attempt { aims: parser.raw_args()?.next().ok_or("attempt: what?")? });
            }
            Some("help") => return Ok(Command::Help),
            Some("start") => return Ok(Command::Start { command: parser.raw_args()?.collect() }),
            _ => return Err(format!("unknown command '{}'", name.to_string_lossy()).into()),
        },
        Some(Short('h') | Long("help")) => return Ok(Command::Help),
        Some(Short('V') | Long("version")) => return Ok(Command::Version),
        Some(other) => return Err(other.unexpected()),
        None => return Err("a command is missing".into()),
    };
    while let Some(argument) = parser.next()? {
        match (&mut command, argument) {
            (_, Short('h') | Long("help")) => return Ok(Command::Help),
            (
                Command::Status { json }
                | Command::Verify { json }
                | Command::Log { json, .. }
                | Command::Cell { json, .. },
                Long("json"),
            ) => {
                *json = true;
            }
            (Command::Log { follow, .. }, Long("follow") | Short('f')) => *follow = true,
            (Command::Cell { check, .. }, Long("check")) => *check = true,
            (Command::Wait { timeout }, Long("timeout")) => {
                *timeout = Duration::from_secs(lexopt::ValueExt::parse(&parser.value()?)?);
            }
            (_, other) => return Err(other.unexpected()),
        }
    }
    Ok(command)
}

/// The name may stand before `--json` or behind it.
fn allow_check_arguments(mut parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    use lexopt::prelude::{Long, Short, Value};
    let (mut name, mut json) = (None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Value(text) if name.is_none() => name = Some(lexopt::ValueExt::string(text)?),
            Long("json") => json = true,
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::AllowCheck { name: name.ok_or("allow-check: a name is missing")?, json })
}

fn run(command: Command) -> ExitCode {
    match command {
        Command::Help => {
            show!("{USAGE}");
            ExitCode::from(exit::OK)
        }
        Command::Version => {
            show!("agent-sandbox {}", env!("CARGO_PKG_VERSION"));
            ExitCode::from(exit::OK)
        }
        Command::Status { json } => match client::status() {
            Ok(status) => {
                print_status(&status, json);
                ExitCode::from(if status.in_force { exit::OK } else { exit::FAILED })
            }
            Err(error) => failed(&error),
        },
        Command::Wait { timeout } => match launch::ready(GRACE.min(timeout), timeout) {
            Ok(status) => {
                if status.mode == Mode::Audit {
                    eprintln!("agent-sandbox: {AUDIT}");
                }
                for name in status.names.iter().filter(|name| name.addresses.is_empty()) {
                    let problem = name.problem.as_deref().unwrap_or("no addresses");
                    eprintln!("agent-sandbox: {} cannot be reached yet: {problem}", name.name);
                }
                ExitCode::from(exit::OK)
            }
            Err(error) => failed(&error),
        },
        Command::Log { json, follow: true } => {
            let form = if json { Form::Json } else { Form::Table };
            // Nor is whoever reads no further on standard error.
            let told = |line: &str| drop(writeln!(std::io::stderr(), "agent-sandbox: {line}"));
            match follow::run(form, client::status, told) {
                Ok(()) => ExitCode::from(exit::OK),
                Err(error) => failed(&error),
            }
        }
        Command::Log { json, follow: false } => match client::status() {
            Ok(status) => {
                let text = if json { log::lines(&status.denied) } else { log::table(&status) };
                let _ = write!(std::io::stdout(), "{text}");
                ExitCode::from(exit::OK)
            }
            Err(error) => failed(&error),
        },
        Command::AllowCheck { name, json } => match allow_check(&name) {
            Ok(explained) => {
                if json {
                    show!("{}", explained.json);
                } else {
                    show!("{}", explained.sentence);
                }
                ExitCode::from(if explained.is_allowed { exit::OK } else { exit::FAILED })
            }
            Err(error) => {
                eprintln!("agent-sandbox: allow-check: {error}");
                ExitCode::from(exit::USAGE)
            }
        },
        Command::Verify { json } => {
            let rows = verify::run();
            print_rows(&rows, json);
            ExitCode::from(if verify::holds(&rows) { exit::OK } else { exit::FAILED })
        }
        Command::Exec { program, arguments } => ended(confine::program(&program, &arguments)),
        Command::Cell { json, check } => cell(json, check),
        Command::Attempt { aims } => attempt(&aims),
        Command::Start { command } => start(&command),
    }
}

/// The policy is the file's: it does not change while the container runs.
fn allow_check(name: &str) -> Result<Explained, String> {
    let text =
        std::fs::read_to_string(paths::POLICY).map_err(|error| format!("{}: {error}", paths::POLICY))?;
    let policy = Policy::from_json(&text).map_err(|error| format!("{}: {error}", paths::POLICY))?;
    explain(&policy, name)
}

/// Starts the sandbox and then, where it is ready, the command in this process's place.
fn start(command: &[OsString]) -> ExitCode {
    match launch::ready(Duration::ZERO, START_PATIENCE) {
        Ok(status) if status.mode == Mode::Audit => eprintln!("agent-sandbox: {AUDIT}"),
        Ok(_) => {}
        Err(error) => return failed(&error),
    }
    let Some((program, arguments)) = command.split_first() else { return ExitCode::from(exit::OK) };
    let error = std::process::Command::new(program).args(arguments).exec();
    eprintln!("agent-sandbox: {}: {error}", program.to_string_lossy());
    ExitCode::from(exit::FAILED)
}

/// What a compatible name has to say.
fn said(name: &str, result: Result<String, impl std::error::Error>) -> ExitCode {
    match result {
        Ok(text) => {
            show!("{name}: {text}");
            ExitCode::from(exit::OK)
        }
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::from(exit::FAILED)
        }
    }
}

/// Only a refusal comes back, or that nothing was wanted.
fn pushed(result: Result<Option<Infallible>, PushError>) -> ExitCode {
    match result {
        Ok(_) => ExitCode::from(exit::OK),
        Err(error) => {
            eprintln!("agent-sandbox: {error}");
            ExitCode::from(if matches!(error, PushError::Refused(_)) { exit::REFUSED } else { exit::FAILED })
        }
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("agent-sandbox: {error}");
    ExitCode::from(exit::FAILED)
}

/// As the program did, so that callers see no difference.
fn ended(result: Result<Ending, NotStarted>) -> ExitCode {
    match result {
        Ok(ending) => ExitCode::from(confine::end_like(ending)),
        Err(error) => {
            eprintln!("agent-sandbox: {error}");
            ExitCode::from(exit::REFUSED)
        }
    }
}

/// Whether this is a cell, and what it is made of.
fn cell(json: bool, check: bool) -> ExitCode {
    let inside = ipc::is_inside();
    if check {
        if !inside {
            eprintln!("agent-sandbox: {OUTSIDE}");
        }
        return ExitCode::from(if inside { exit::OK } else { exit::USAGE });
    }
    let facts = Facts::of_this_process();
    match facts {
        Some(facts) if json => {
            show!("{}", serde_json::json!({ "inside": inside, "facts": facts, "open": facts.open() }));
        }
        None if json => show!("{}", serde_json::json!({ "inside": inside })),
        Some(facts) => show!("this is an agent's cell: {facts}"),
        None if inside => show!("this is an agent's cell"),
        None => show!("this is no agent's cell"),
    }
    ExitCode::from(if inside { exit::OK } else { exit::FAILED })
}

/// For `verify`: what an agent would try, tried by this process.
fn attempt(aims: &OsStr) -> ExitCode {
    match serde_json::from_slice(aims.as_encoded_bytes()) {
        Ok(aims) => {
            show!("{}", serde_json::json!(verify::attempt_all(&aims)));
            ExitCode::from(exit::OK)
        }
        Err(error) => {
            eprintln!("agent-sandbox: attempt: {error}");
            ExitCode::from(exit::USAGE)
        }
    }
}

fn print_status(status: &Status, json: bool) {
    if json {
        show!("{}", serde_json::to_string(status).unwrap_or_default());
        return;
    }
    let force = if status.in_force { "in force" } else { "NOT IN FORCE" };
    let ready = if status.ready { "ready" } else { "resolving names" };
    show!("sandbox: {force}, {ready}");
    if status.mode == Mode::Audit {
        show!("{AUDIT}");
    }
    if let Some(problem) = &status.problem {
        show!("problem: {problem}");
    }
    if let Some(problem) = &status.dns_problem {
        show!("problem: DNS questions are not answered: {problem}");
    }
    if let Some(problem) = &status.gate_problem {
        show!("problem: no connections pass the gate: {problem}");
    }
    for name in &status.names {
        let ports: Vec<String> = name.ports.iter().map(ToString::to_string).collect();
        let addresses: Vec<String> = name.addresses.iter().map(ToString::to_string).collect();
        let problem = name.problem.as_deref().map(|problem| format!("  ({problem})")).unwrap_or_default();
        let (ports, addresses, from) = (ports.join(","), addresses.join(" "), name.from.join(", "));
        show!("allowed: {}:{ports}  {addresses}{problem}  ({from})", name.name);
    }
    for zone in &status.zones {
        show!("allowed: {zone}");
    }
    if let Some(found) = &status.privileged {
        print_privileged(found);
    }
    if !status.denied.is_empty() {
        show!("refused: {}; `agent-sandbox log` lists it", status.denied.len());
    }
}

fn print_privileged(found: &Privileged) {
    let left = found.left.iter().map(|file| format!("{} ({}: {})", file.path, file.gives, file.why));
    let left: Vec<String> = left.collect();
    if !found.stripped.is_empty() {
        show!("stripped: {}", names(&found.stripped, found.stripped_others));
    }
    if !left.is_empty() {
        show!("problem: files give rights to whoever runs them: {}", names(&left, found.left_others));
    }
    if let Some(problem) = &found.problem {
        show!("problem: files that give rights were not looked for: {problem}");
    }
}

fn print_rows(rows: &[Row], json: bool) {
    if json {
        let report = serde_json::json!({
            "holds": verify::holds(rows),
            "rows": rows,
            "limits": verify::LIMITS,
        });
        show!("{report}");
        return;
    }
    for row in rows {
        let outcome = match row.outcome {
            Outcome::Pass => "PASS",
            Outcome::Fail => "FAIL",
            Outcome::NotApplicable => "n/a ",
            Outcome::Warn => "WARN",
        };
        show!("{outcome}  {:<28} {}: {}", row.id, row.claim, row.detail);
    }
    for limit in verify::LIMITS {
        show!("note  {limit}");
    }
    show!("{}", verify::summary(rows));
}
