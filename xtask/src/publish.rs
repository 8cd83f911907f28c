//! `cargo xtask publish`: pack, look at the registry, then push; or say what would be pushed.

mod announce;
pub mod apply;
mod beside;
mod bring;
mod compare;
pub mod error;
pub mod everywhere;
pub mod listed;
pub mod plan;
pub mod report;
pub mod requests;
mod set_tags;
mod settle;
pub mod together;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::PublishArgs;
use crate::exit::Exit;
use crate::feature::kind::Kind;
use crate::login;
use crate::oci::credentials::Sources;
use crate::oci::reference::{Registry, Repository};
use crate::oci::transport::Notes;
use crate::package::{self, Packed};
use crate::project::{self, RemoteError};
use crate::registry::instance::{self, Local};
use crate::since;
use crate::terminal;
use error::PublishError;
use plan::Plan;

/// The port that `cargo xtask registry serve` takes.
const DEFAULT_PORT: u16 = 5000;
/// How long a publish may take where nobody says.
pub const LONGEST: Duration = Duration::from_secs(3600);

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
    let packed = package::of_kind(kind, args.target.as_deref())?;
    let namespace = namespace(kind, args)?;
    packed.notes.iter().for_each(terminal::note);
    if let Some(reference) = &args.since {
        since::check(reference, &packed)?;
    }
    let root = args.local.then(project::registry_root).transpose()?;
    let local = root.as_deref().map(instance::borrow_or_start).transpose()?;
    let registries = match &local {
        Some(local) => vec![on_this_machine(local.port())?],
        None => registries(&args.registry)?,
    };
    // What is said names the port at which it will be found, and not the one that is open for this command alone.
    let lasting = match &local {
        Some(local) => vec![on_this_machine(lasting_port(local))?],
        None => registries.clone(),
    };
    // What is on this machine asks for no login, so none is looked for.
    let sources = if args.local { Sources::default() } else { login::sources(&args.auth, &registries)? };
    let destinations: Vec<Destination> = registries
        .into_iter()
        .map(|registry| Destination { registry, namespace: namespace.clone(), sources: sources.clone() })
        .collect();
    let limit = Duration::from_secs(args.timeout);
    let outcomes =
        everywhere::publish(&destinations, &packed, args.dry_run, limit, &notes()).inspect_err(|error| {
            if let Some(root) = &root
                && Exit::of(error) == Exit::VersionConflict
            {
                // Nobody else has locked what is only here, so raising the version is not the only way.
                let root = root.display();
                terminal::note(format_args!("or delete {root}: what is published locally is yours alone"));
            }
        })?;
    let (mut plans, mut failure) = (Vec::new(), None);
    for (registry, outcome) in lasting.iter().zip(outcomes) {
        match (outcome, &failure) {
            (Ok(plan), _) => plans.push((registry, plan)),
            (Err(error), None) => failure = Some(error),
            (Err(error), Some(_)) => terminal::error(&error),
        }
    }
    if !args.dry_run {
        for (registry, plan) in &plans {
            report::sentences(registry, plan, false).iter().for_each(terminal::note);
        }
    }
    if args.dry_run {
        terminal::result(if args.json { report::plan_json(&plans) } else { report::plan_text(&plans) })?;
    } else if destinations.len() > 1 {
        terminal::result(report::json_of_several(&plans))?;
    } else if let [(_, plan)] = &plans[..] {
        terminal::result(report::json_line(plan))?;
    }
    if let Some(local) = local {
        if let [(_, plan)] = &plans[..] {
            say_how_to_use(kind, args, &local, plan)?;
        }
        local.stop();
    }
    failure.map_or(Ok(()), Err)
}

/// Publishes what is packed to one registry; with `dry_run` only reads and says what it would do.
pub fn publish(
    destination: &Destination,
    packed: &Packed,
    dry_run: bool,
    notes: &Notes,
) -> anyhow::Result<Plan> {
    let destination = std::slice::from_ref(destination);
    let outcomes = everywhere::publish(destination, packed, dry_run, LONGEST, notes)?;
    outcomes.into_iter().next().context("nothing became of the only registry")?
}

fn notes() -> Notes {
    Arc::new(|text: &str| terminal::note(text))
}

/// The registry on a port of this machine.
fn on_this_machine(port: u16) -> anyhow::Result<Registry> {
    Ok(Registry::parse(&format!("localhost:{port}"))?)
}

/// Where a local registry is served when this command has ended, unless told otherwise.
fn lasting_port(local: &Local) -> u16 {
    local.serving_port().unwrap_or(DEFAULT_PORT)
}

/// The registries to publish to, each once.
fn registries(names: &[String]) -> anyhow::Result<Vec<Registry>> {
    let mut registries: Vec<Registry> = Vec::new();
    for name in names {
        let registry = Registry::parse(name)?;
        if registries.contains(&registry) {
            return Err(PublishError::Twice(registry.to_string()).into());
        }
        registries.push(registry);
    }
    Ok(registries)
}

/// Says what to paste, and what has to run for it.
fn say_how_to_use(kind: Kind, args: &PublishArgs, local: &Local, plan: &Plan) -> anyhow::Result<()> {
    if local.serving_port().is_none() && !args.dry_run {
        let while_what = match kind {
            Kind::Feature => "a container is built from this line",
            Kind::Template => "this line is run",
        };
        terminal::note(format_args!("keep `cargo xtask registry serve` running while {while_what}"));
    }
    if !args.json {
        terminal::result(report::paste_line(kind, on_this_machine(lasting_port(local))?.as_str(), plan))?;
    }
    Ok(())
}

fn namespace(kind: Kind, args: &PublishArgs) -> anyhow::Result<Repository> {
    if let Some(namespace) = &args.namespace {
        return Ok(Repository::parse(namespace)?);
    }
    let folder = args.target.clone().map_or_else(|| package::own_target(kind), Ok)?;
    match project::namespace_of_remote(&folder) {
        Ok(namespace) => Ok(Repository::parse(&namespace)?),
        Err(why) if args.local => {
            let namespace = format!("local/{}", kind.plural());
            terminal::note(format_args!("{why}; so the namespace is {namespace}, and -n names another"));
            Ok(Repository::parse(&namespace)?)
        }
        Err(why) => Err(no_namespace(why)),
    }
}

/// Why nothing says where to publish.
pub(crate) fn no_namespace(why: RemoteError) -> anyhow::Error {
    match why {
        RemoteError::None(folder) => PublishError::NoNamespace(folder.display().to_string()).into(),
        why @ RemoteError::NoFolder(..) => why.into(),
        why => anyhow::anyhow!("no namespace: {why}; or name the namespace with -n owner/repository"),
    }
}
