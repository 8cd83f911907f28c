//! `sandboxd`: default-deny first, then everything else, for the container's whole life.
//!
//! `start` is the container's entrypoint. It returns only when the kernel has read default-deny back and the
//! daemon listens; otherwise it says one sentence, ends PID 1 and fails.

mod cell;
mod control;
mod dns;
mod end;
mod flows;
mod gate;
mod hosts_file;
mod log;
mod lookup;
mod policy_file;
mod preflight;
mod privileged;
mod refused;
mod resolve;
mod run;
mod start;
mod state;
mod who;

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, ensure};

use crate::egress::resolv_conf::ResolvConf;
use crate::paths;

pub use end::end_container;
pub use run::run;
pub use start::{StartError, ensure_running, start};

/// The daemon's worker that answers DNS questions; for the daemon to start.
pub fn answer_dns() -> anyhow::Result<()> {
    dns::worker::run()
}

/// The daemon's worker that reads what connections are for; for the daemon to start.
pub fn guard_gate() -> anyhow::Result<()> {
    gate::worker::run()
}

/// What the daemon writes to its starter once it listens.
const LISTENING: &str = "listening";

/// The container's resolvers. They decide what is opened for a name, so the file must be root's alone to write.
fn resolv_conf() -> anyhow::Result<ResolvConf> {
    let read = || -> anyhow::Result<ResolvConf> {
        let mut file = match File::open(paths::RESOLV_CONF) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(ResolvConf::parse("")),
            Err(error) => return Err(error.into()),
        };
        let found = file.metadata()?;
        ensure!(found.is_file(), "is not a file");
        ensure!(
            found.uid() == 0 && found.mode() & 0o022 == 0,
            "may be written by others than root, who could then open what they like: mount one that is root's \
             (uid {}, mode {:o})",
            found.uid(),
            found.mode() & 0o7777
        );
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(ResolvConf::parse(&text))
    };
    read().context(paths::RESOLV_CONF)
}
