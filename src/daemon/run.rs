//! The daemon proper: keeps the table as planned and the allowed names' addresses current.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use rustix::process::DumpableBehavior;
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::resolve::{Schedule, resolve};
use super::state::{Inner, Shared, now_ms};
use super::{LISTENING, control, hosts_file, resolv_conf};
use crate::egress::addresses::Addresses;
use crate::firewall::plan::plan;
use crate::policy::Policy;
use crate::{firewall, paths};

/// How often the kernel is asked whether the table still stands.
const TICK: Duration = Duration::from_secs(5);

/// Runs for the container's life. Until it listens it talks to its starter, who tells the one sentence.
pub fn run() -> anyhow::Result<()> {
    let shared = set_up().inspect_err(|error| println!("{error:#}"))?;
    println!("{LISTENING}");
    keep(&shared);
}

fn set_up() -> anyhow::Result<Arc<Shared>> {
    shed_rights().context("shed rights")?;
    // Held until the process ends.
    std::mem::forget(lock()?);
    let text = fs::read_to_string(paths::POLICY).context(paths::POLICY)?;
    let policy = Policy::from_json(&text).context(paths::POLICY)?;
    let ruleset = plan(&resolv_conf()?.upstream);
    // The starter has put it there; between its look and this one nobody else could run.
    firewall::verify(&ruleset)?;
    let shared = Arc::new(Shared {
        policy,
        inner: Mutex::new(Inner {
            ruleset,
            addresses: Addresses::default(),
            default_deny_at_ms: now_ms(),
            ready_at_ms: None,
        }),
    });
    let listener = control::bind()?;
    write_state(&shared)?;
    let for_clients = Arc::clone(&shared);
    thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || control::serve(&listener, &for_clients))
        .context("start the control thread")?;
    Ok(shared)
}

/// Everything but the right to configure the network goes, for good.
fn shed_rights() -> rustix::io::Result<()> {
    rustix::process::setsid().ok();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let kept = CapabilitySet::NET_ADMIN;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: kept, permitted: kept, inheritable: none },
    )?;
    rustix::thread::set_no_new_privs(true)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// One daemon only; the lock goes with the process.
fn lock() -> anyhow::Result<File> {
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).open(paths::LOCK).context(paths::LOCK)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).context("another sandboxd runs")?;
    Ok(file)
}

fn keep(shared: &Arc<Shared>) -> ! {
    let mut schedule = Schedule::new(shared.policy.allow.keys(), Instant::now());
    loop {
        if let Err(error) = round(shared, &mut schedule) {
            // The table stands whatever happened here; what is open closes by its time-out.
            eprintln!("sandboxd: {error:#}");
        }
        thread::sleep(TICK);
    }
}

fn round(shared: &Arc<Shared>, schedule: &mut Schedule) -> anyhow::Result<()> {
    let resolvers = resolv_conf()?;
    let mended = mend(shared, &resolvers.upstream)?;
    let due = schedule.due(Instant::now());
    if !due.is_empty() {
        learn(shared, schedule, &due, &resolvers.servers);
    }
    if mended || !due.is_empty() {
        open_addresses(shared)?;
        write_state(shared)?;
    }
    Ok(())
}

/// Puts the table back if it is not as planned, or if the resolvers have changed; says whether it did.
fn mend(shared: &Shared, upstream: &firewall::plan::Upstream) -> anyhow::Result<bool> {
    let mut inner = shared.inner.lock().unwrap_or_else(PoisonError::into_inner);
    let planned = plan(upstream);
    if planned == inner.ruleset {
        let Err(error) = firewall::verify(&planned) else {
            return Ok(false);
        };
        eprintln!("sandboxd: {error}; putting the table back");
    }
    firewall::apply(&planned)?;
    inner.ruleset = planned;
    Ok(true)
}

fn learn(shared: &Shared, schedule: &mut Schedule, due: &[crate::policy::HostName], servers: &[IpAddr]) {
    // Not under the lock: a question may take seconds, and the state must be told meanwhile.
    let answers = resolve(due, servers);
    let now = Instant::now();
    let mut inner = shared.inner.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, answer) in answers {
        let again = inner.addresses.learn(&name, answer, now);
        schedule.again(&name, now + again);
    }
}

fn open_addresses(shared: &Shared) -> anyhow::Result<()> {
    let now = Instant::now();
    let mut inner = shared.inner.lock().unwrap_or_else(PoisonError::into_inner);
    let endpoints = inner.addresses.endpoints(&shared.policy, now);
    firewall::set_endpoints(&inner.ruleset, &endpoints)?;
    hosts_file::update(&inner.addresses.hosts(&shared.policy, now))?;
    inner.ready_at_ms.get_or_insert_with(now_ms);
    Ok(())
}

fn write_state(shared: &Shared) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(&shared.status())?;
    let new = format!("{}.new", paths::STATE);
    let mut file = File::create(&new).with_context(|| new.clone())?;
    writeln!(file, "{text}").with_context(|| new.clone())?;
    fs::rename(&new, paths::STATE).context(paths::STATE)
}
