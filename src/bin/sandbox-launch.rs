//! Starts the sandbox as root, whoever calls: the one setuid program of this product.
//!
//! It is for containers whose user is not root, and for containers that were started without the Feature's
//! entrypoint. It does one thing, which whoever may call it is welcome to: have the network closed. Arguments,
//! environment, descriptors beyond the standard three and the working directory are ignored. What a caller can
//! still bring along, such as resource limits, can make the start fail, and a sandbox that did not start is not
//! vouched for by anybody.

use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use agent_sandbox::{descriptors, exit, paths};
use rustix::fs::Mode;
use rustix::process::{geteuid, getuid, umask};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use rustix::{io::Errno, process::Gid, process::Uid};

fn main() -> ExitCode {
    let reason = match launch() {
        Ok(never) => match never {},
        Err(reason) => reason,
    };
    eprintln!("sandboxd: the sandbox did not start: {reason}");
    ExitCode::from(exit::FAILED)
}

fn launch() -> Result<Infallible, String> {
    let user = getuid();
    become_root().map_err(|_| no_way_to_root(user, no_new_privs()))?;
    descriptors::keep_from_children();
    umask(Mode::from_raw_mode(0o022));
    let error = Command::new(paths::SANDBOXD).arg("ensure").env_clear().current_dir("/").exec();
    Err(format!("{}: {error}", paths::SANDBOXD))
}

/// All ids, so that the caller can neither signal nor trace what follows. No capability is needed for that: each
/// becomes what the file's owner has made one of them already (`setresuid(2)`).
fn become_root() -> Result<(), Errno> {
    if !geteuid().is_root() {
        return Err(Errno::PERM);
    }
    // The groups can be left only with CAP_SETGID, and add nothing that root lacks.
    let _ = set_thread_groups(&[]);
    // This thread is the only one.
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)
}

fn no_new_privs() -> bool {
    rustix::thread::no_new_privs().unwrap_or(false)
}

fn no_way_to_root(user: Uid, no_new_privs: bool) -> String {
    let user = user.as_raw();
    let advice =
        "set \"containerUser\": \"root\" in devcontainer.json and \"remoteUser\" to the user you work as";
    if no_new_privs {
        format!(
            "the container user is uid {user}, and no-new-privileges keeps the sandbox from being started as \
             root: remove it from runArgs and securityOpt, or {advice}"
        )
    } else {
        format!("{} is not setuid root in this image: rebuild it, or {advice}", paths::LAUNCHER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_says_what_to_do() {
        let (nobody, here) = (Uid::from_raw(65_534), no_way_to_root(Uid::from_raw(1000), true));
        assert!(here.contains("uid 1000") && here.contains("no-new-privileges"), "{here}");
        assert!(no_way_to_root(nobody, false).contains("not setuid root"));
    }
}
