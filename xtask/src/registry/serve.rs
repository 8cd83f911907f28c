//! `cargo xtask registry serve`.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::instance;
use super::server::{self, Options, ServeError};
use super::store;
use super::watch::{Moment, Seen, Verdict, Watch};
use crate::cli::{RegistryArgs, RegistryCommand, ServeArgs};
use crate::feature::problem::shown;
use crate::project;
use crate::terminal;

/// Runs the command.
pub fn run(args: &RegistryArgs) -> anyhow::Result<()> {
    match &args.command {
        RegistryCommand::Serve(args) => serve(args),
    }
}

fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let root = match &args.root {
        Some(root) => root.clone(),
        None => project::registry_root()?,
    };
    let found = store::foreign(&root).map_err(|source| ServeError::Store { root: root.clone(), source })?;
    if let Some(found) = found {
        return Err(ServeError::NotOurs(root, found).into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before the port is open, so that no signal finds the default action.
    let signals = {
        let _context = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let serving = server::serve(
        &root,
        &Options {
            port: args.port,
            faults: args.fault.clone(),
            watch: if args.fault.is_empty() { Watch::default() } else { Watch::new(tell) },
            ..Options::default()
        },
    )?;
    instance::announce(&root, &serving).with_context(|| format!("cannot write to {}", shown(&root)))?;
    terminal::note(format_args!("serving {} on {}; end with Ctrl-C", shown(&root), serving.host()));
    let (mut interrupt, mut terminate) = signals;
    runtime.block_on(async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    });
    instance::withdraw(&root, serving.instance());
    serving.stop();
    Ok(())
}

/// Says which fault met which request, so that a fault that meets nothing is noticed.
fn tell(seen: &Seen<'_>) -> Verdict {
    if let Moment::Served { met, .. } = seen.moment {
        for fault in met {
            terminal::note(format_args!("fault {fault} met {} {}", seen.asked.method, seen.asked.path));
        }
    }
    Verdict::Go
}
