//! Writing `/etc/hosts`. It is a bind mount of Docker's: it cannot be replaced, only written in place.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::Context as _;
use rustix::fs::OFlags;

use crate::egress::hosts::replace_block;
use crate::paths;
use crate::policy::HostName;

/// Puts the addresses into the hosts file, if they are not there yet.
pub(super) fn update(entries: &[(IpAddr, &HostName)]) -> anyhow::Result<()> {
    let old = fs::read_to_string(paths::HOSTS).context(paths::HOSTS)?;
    let new = replace_block(&old, entries);
    if new == old {
        return Ok(());
    }
    let nofollow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let mut file =
        OpenOptions::new().write(true).custom_flags(nofollow).open(paths::HOSTS).context(paths::HOSTS)?;
    // Cutting off after writing leaves readers a whole file for all but an instant.
    file.write_all(new.as_bytes()).context(paths::HOSTS)?;
    file.set_len(u64::try_from(new.len())?).context(paths::HOSTS)
}
