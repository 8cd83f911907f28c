//! Publishing in a test.

use std::sync::{Arc, Mutex};

use xtask::oci::credentials::Sources;
use xtask::oci::reference::{Registry, Repository};
use xtask::oci::transport::Notes;
use xtask::package::Packed;
use xtask::publish::plan::Plan;
use xtask::publish::{self, Destination};

/// The namespace that tests publish to.
pub const NAMESPACE: &str = "owner/features";

/// A destination on localhost without credentials.
pub fn destination(port: u16) -> Destination {
    Destination {
        registry: Registry::parse(&format!("localhost:{port}")).unwrap(),
        namespace: Repository::parse(NAMESPACE).unwrap(),
        sources: Sources::default(),
    }
}

/// Publishes, and throws away what the registry has to say.
pub fn push(port: u16, packed: &Packed) -> anyhow::Result<Plan> {
    publish::publish(&destination(port), packed, false, &(Arc::new(|_: &str| {}) as Notes))
}

/// Publishes, and keeps what the registry has to say.
pub fn push_to(
    destination: &Destination,
    packed: &Packed,
    dry_run: bool,
) -> (anyhow::Result<Plan>, Vec<String>) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&notes);
    let keep: Notes = Arc::new(move |text: &str| sink.lock().unwrap().push(text.to_owned()));
    let result = publish::publish(destination, packed, dry_run, &keep);
    let notes = notes.lock().unwrap().clone();
    (result, notes)
}
