//! `sandboxd`: default-deny first, then everything else, for the container's whole life.
//!
//! `start` is the container's entrypoint. It returns only when the kernel has read default-deny back and the
//! daemon listens; otherwise it says one sentence, ends PID 1 and fails.

mod control;
mod denied;
mod dns;
mod end;
mod hosts_file;
mod log;
mod policy_file;
mod preflight;
mod resolve;
mod run;
mod start;
mod state;

use std::fs;

use anyhow::Context as _;

use crate::egress::resolv_conf::ResolvConf;
use crate::paths;

pub use end::end_container;
pub use run::run;
pub use start::{StartError, ensure_running, start};

/// The daemon's worker that answers DNS questions; for the daemon to start.
pub fn answer_dns() -> anyhow::Result<()> {
    dns::worker::run()
}

/// What the daemon writes to its starter once it listens.
const LISTENING: &str = "listening";

fn resolv_conf() -> anyhow::Result<ResolvConf> {
    match fs::read_to_string(paths::RESOLV_CONF) {
        Ok(text) => Ok(ResolvConf::parse(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(ResolvConf::parse("")),
        Err(error) => Err(error).context(paths::RESOLV_CONF),
    }
}
