//! `cargo xtask publish`: pack, look at the registry, then push; or say what would be pushed.

pub mod apply;
pub mod error;
pub mod listed;
pub mod plan;
pub mod report;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::cli::PublishArgs;
use crate::exit::Exit;
use crate::feature::kind::Kind;
use crate::login;
use crate::oci::credentials::Sources;
use crate::oci::reference::{Registry, Repository};
use crate::oci::transport::{Access, Client, Notes};
use crate::package::{self, Packed};
use crate::project;
use crate::registry::instance;
use crate::since;
use crate::terminal;
use error::PublishError;
use plan::Plan;

/// The port that `cargo xtask registry serve` takes.
const DEFAULT_PORT: u16 = 5000;

/// Where to publish, and how.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The registry.
    pub registry: Registry,
    /// The namespace below it, which is also the collection's repository.
    pub namespace: Repository,
    /// Where credentials come from.
    pub sources: Sources,
}

/// Runs the command.
pub fn run(kind: Kind, args: &PublishArgs) -> anyhow::Result<()> {
    let namespace = namespace(kind, args)?;
    let packed = package::of_kind(kind, args.target.as_deref())?;
    packed.notes.iter().for_each(terminal::note);
    if let Some(reference) = &args.since {
        since::check(reference, &packed)?;
    }
    let local = if args.local { Some(instance::borrow_or_start(&project::registry_root()?)?) } else { None };
    let registry = match &local {
        Some(local) => Registry::parse(&format!("localhost:{}", local.port()))?,
        None => Registry::parse(&args.registry)?,
    };
    // What is on this machine asks for no login, so none is looked for.
    let sources = if args.local {
        Sources::default()
    } else {
        login::sources(&args.auth, std::slice::from_ref(&registry))?
    };
    let destination = Destination { registry, namespace, sources };
    let notes: Notes = Arc::new(|text: &str| terminal::note(text));
    let plan = publish(&destination, &packed, args.dry_run, notes).inspect_err(|error| {
        if args.local && Exit::of(error) == Exit::VersionConflict {
            // Nobody else has locked what is only here, so raising the version is not the only way.
            terminal::note("or delete target/registry: what is published locally is yours alone");
        }
    })?;
    for sentence in report::sentences(&destination.registry, &plan, args.dry_run) {
        terminal::note(sentence);
    }
    terminal::result(report::json_line(&plan))?;
    if let Some(local) = local {
        let port = local.serving_port().unwrap_or(DEFAULT_PORT);
        if local.serving_port().is_none() && !args.dry_run {
            let while_what = match kind {
                Kind::Feature => "a container is built from this line",
                Kind::Template => "this line is run",
            };
            terminal::note(format_args!("keep `cargo xtask registry serve` running while {while_what}"));
        }
        if !args.json {
            terminal::result(report::paste_line(kind, &format!("localhost:{port}"), &plan))?;
        }
        local.stop();
    }
    Ok(())
}

/// Publishes what is packed; with `dry_run` only reads and says what it would do.
pub fn publish(
    destination: &Destination,
    packed: &Packed,
    dry_run: bool,
    notes: Notes,
) -> anyhow::Result<Plan> {
    let access = if dry_run { Access::Pull } else { Access::PullPush };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    runtime.block_on(async {
        let client = Client::new(destination.registry.clone(), access, &destination.sources, notes)?;
        let mut plan = plan::make(&client, &destination.namespace, packed).await?;
        if !dry_run {
            apply::apply(&client, &mut plan).await?;
        }
        Ok(plan)
    })
}

fn namespace(kind: Kind, args: &PublishArgs) -> anyhow::Result<Repository> {
    if let Some(namespace) = &args.namespace {
        return Ok(Repository::parse(namespace)?);
    }
    let folder = match &args.target {
        Some(target) => target.clone(),
        None => project::root()?,
    };
    match project::namespace_of_remote(&folder) {
        Some(namespace) => Ok(Repository::parse(&namespace)?),
        None if args.local => {
            let namespace = format!("local/{}", kind.plural());
            terminal::note(format_args!(
                "no git remote \"origin\", so the namespace is {namespace}; -n names another"
            ));
            Ok(Repository::parse(&namespace)?)
        }
        None => Err(PublishError::NoNamespace(shown(&folder)).into()),
    }
}

fn shown(folder: &Path) -> String {
    folder.display().to_string()
}
