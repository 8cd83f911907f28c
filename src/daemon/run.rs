//! The daemon proper: keeps the table as planned and the allowed names' addresses current.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::dns::{self, Dns, Sockets};
use super::flows;
use super::gate::{self, Gate, Listeners};
use super::lookup::Lookup;
use super::refused::Refused;
use super::resolve::{Schedule, resolve};
use super::state::{Inner, Shared, now_ms};
use super::{LISTENING, control, hosts_file, log, policy_file, privileged, resolv_conf};
use crate::egress::addresses::Addresses;
use crate::egress::query::Record;
use crate::firewall::plan::{plan, plan_with};
use crate::policy::{HostName, Mode};
use crate::status::AUDIT;
use crate::{descriptors, firewall, paths};

/// How often the kernel is asked whether the table still stands.
const TICK: Duration = Duration::from_secs(5);

/// Descriptors: those of all connections that are on their way at the same time, and some.
const DESCRIPTORS: u64 = 4096;

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
    let policy = policy_file::read(Path::new(paths::POLICY)).context(paths::POLICY)?;
    // Once: whoever could change the file later could have the daemon open what he likes.
    let resolvers = resolv_conf()?;
    // The starter has put it there; between its look and this one nobody else could run.
    let closed = plan(&resolvers.upstream);
    firewall::verify(&closed, &BTreeSet::new())?;
    let ruleset = plan_with(policy.mode, &resolvers.upstream, &policy.cell.local_ports);
    if ruleset != closed {
        firewall::apply(&ruleset)?;
    }
    let own = policy.hosts().into_keys().cloned().collect();
    let shared = Arc::new(Shared {
        policy,
        inner: Mutex::new(Inner {
            ruleset,
            open: BTreeSet::new(),
            addresses: Addresses::default(),
            default_deny_at_ms: now_ms(),
            hosts_problem_told: false,
            outdated: true,
            ready_at_ms: None,
        }),
        dns: Dns::new().context("eventfd")?,
        gate: Gate::default(),
        lookup: Lookup::new(resolvers.servers, own).context("eventfd")?,
        refused: Refused::default(),
        flows: Mutex::default(),
        privileged: Mutex::default(),
    });
    log::start().context("start the log's thread")?;
    if shared.policy.mode == Mode::Audit {
        log::line(AUDIT.to_owned());
    }
    // Before anything of the user's runs, so that nobody else takes the port. The table redirects to it, and
    // whoever listens there gets no further than that.
    let sockets = Sockets::bind();
    shared.dns.publish(Addresses::default().answers(&shared.policy, Instant::now()));
    let for_dns = Arc::clone(&shared);
    thread::Builder::new()
        .name("dns".to_owned())
        .spawn(move || dns::serve(&for_dns, sockets))
        .context("start the responder's thread")?;
    let listeners = Listeners::bind();
    let for_gate = Arc::clone(&shared);
    thread::Builder::new()
        .name("gate".to_owned())
        .spawn(move || gate::serve(&for_gate, listeners))
        .context("start the gate's thread")?;
    // What an earlier start left is not this one's.
    shared.refused.write(true);
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
    descriptors::keep_from_children();
    rustix::process::setsid().ok();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let most = rustix::process::getrlimit(Resource::Nofile).maximum;
    let enough = most.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(enough), maximum: most })?;
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
    let file = open_lock()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).context("another sandboxd runs")?;
    Ok(file)
}

/// Whether a daemon holds the lock. Not a question on its socket, whose queue anybody can fill.
pub(super) fn is_running() -> anyhow::Result<bool> {
    // A folder that cannot be written is a reason to fail, but not before the network is closed.
    let Ok(file) = open_lock() else { return Ok(false) };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error).context(paths::LOCK),
    }
}

fn open_lock() -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).open(paths::LOCK).context(paths::LOCK)
}

fn keep(shared: &Arc<Shared>) -> ! {
    let for_table = Arc::clone(shared);
    // Names take their time where a resolver does, and the table must not wait for them.
    let guard = thread::Builder::new().name("table".to_owned()).spawn(move || keep_table(&for_table));
    let mut schedule = Schedule::new(shared.policy.hosts().into_keys(), Instant::now());
    let mut told = Told::default();
    let mut is_checking = false;
    loop {
        if guard.is_err() {
            told.problem(mend(shared));
        }
        // The table stands whatever happens here; what is open closes by its time-out.
        told.problem(round(shared, &mut schedule));
        if !is_checking && is_ready(shared) {
            is_checking = privileged::check(shared).is_ok();
        }
        thread::sleep(TICK);
    }
}

fn is_ready(shared: &Shared) -> bool {
    shared.inner.lock().unwrap_or_else(PoisonError::into_inner).ready_at_ms.is_some()
}

fn keep_table(shared: &Shared) -> ! {
    let (mut told, mut unseen) = (Told::default(), Told::default());
    loop {
        thread::sleep(TICK);
        told.problem(mend(shared));
        unseen.problem(flows::look(shared).context("not all that is refused by address is listed"));
        shared.refused.write(false);
    }
}

/// Tells a problem once, and again when it has changed or comes back.
#[derive(Debug, Default)]
struct Told(Option<String>);

impl Told {
    fn problem(&mut self, result: anyhow::Result<()>) {
        let problem = result.err().map(|error| format!("{error:#}"));
        if let Some(text) = problem.as_ref().filter(|text| self.0.as_ref() != Some(*text)) {
            log::line(text.clone());
        }
        self.0 = problem;
    }
}

/// Asks for what is due, and opens what is known.
fn round(shared: &Shared, schedule: &mut Schedule) -> anyhow::Result<()> {
    let due = schedule.due(Instant::now());
    if !due.is_empty() {
        learn(shared, schedule, due);
    }
    let outdated = shared.inner.lock().unwrap_or_else(PoisonError::into_inner).outdated;
    if outdated {
        open_addresses(shared)?;
        write_state(shared)?;
    }
    Ok(())
}

/// Puts the table back if it is not as planned, and says why it did.
fn mend(shared: &Shared) -> anyhow::Result<()> {
    let mut inner = shared.inner.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(difference) = firewall::verify(&inner.ruleset, &inner.open) {
        firewall::apply(&inner.ruleset)?;
        inner.open.clear();
        inner.outdated = true;
        log::line(format!("{difference}; the table was put back"));
    }
    Ok(())
}

fn learn(shared: &Shared, schedule: &mut Schedule, due: Vec<HostName>) {
    let mut answers = Vec::new();
    let mut asked = Vec::new();
    for name in due {
        let written = shared.lookup.written(&name);
        if written.is_empty() {
            asked.push(name);
        } else {
            let records = written.into_iter().map(|address| Record { address, ttl: u32::MAX });
            answers.push((name, Ok(records.collect())));
        }
    }
    // Not under the lock: a question may take seconds, and the state must be told meanwhile.
    answers.extend(resolve(&asked, shared.lookup.servers()));
    let now = Instant::now();
    let mut inner = shared.inner.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, answer) in answers {
        let again = inner.addresses.learn(&name, answer, now);
        schedule.again(&name, now + again);
    }
    inner.outdated = true;
}

fn open_addresses(shared: &Shared) -> anyhow::Result<()> {
    let now = Instant::now();
    let mut inner = shared.inner.lock().unwrap_or_else(PoisonError::into_inner);
    let endpoints = inner.addresses.endpoints(&shared.policy, now);
    // Noted first: whatever part of it the kernel took is then no surprise to whoever reads it back.
    inner.open.extend(endpoints.iter().map(|(endpoint, _)| *endpoint));
    firewall::set_endpoints(&inner.ruleset, &endpoints)?;
    inner.open = endpoints.iter().map(|(endpoint, _)| *endpoint).collect();
    shared.dns.publish(inner.addresses.answers(&shared.policy, now));
    inner.ready_at_ms.get_or_insert_with(now_ms);
    // With a read-only root nobody can write it; who asks DNS gets the same addresses.
    let hosts = hosts_file::update(&inner.addresses.hosts(&shared.policy, now));
    if let Err(error) = hosts
        && !std::mem::replace(&mut inner.hosts_problem_told, true)
    {
        log::line(format!("{error:#}; the names are in DNS alone"));
    }
    inner.outdated = false;
    Ok(())
}

fn write_state(shared: &Shared) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(&shared.status())?;
    let new = format!("{}.new", paths::STATE);
    let mut file = File::create(&new).with_context(|| new.clone())?;
    writeln!(file, "{text}").with_context(|| new.clone())?;
    fs::rename(&new, paths::STATE).context(paths::STATE)
}
