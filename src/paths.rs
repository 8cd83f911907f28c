//! Where things are inside the container. All of it belongs to root and none of it can be moved by the environment.

/// The policy, written while the image is built.
pub const POLICY: &str = "/etc/agent-sandbox/policy.json";
/// What runs now; the folder is made anew on every start.
pub const RUN: &str = "/run/agent-sandbox";
/// What is in force, for a person to read. Programs ask [`CONTROL`], which answers from the kernel.
pub const STATE: &str = "/run/agent-sandbox/state.json";
/// The daemon's socket.
pub const CONTROL: &str = "/run/agent-sandbox/control.sock";
/// Held locked by the daemon while it runs; not in the folder that each start makes anew.
pub const LOCK: &str = "/run/agent-sandbox.lock";
/// The real Claude Code; on PATH there is only the shim.
pub const CLAUDE: &str = "/usr/local/lib/agent-sandbox/claude";
/// The hosts file that hands out addresses.
pub const HOSTS: &str = "/etc/hosts";
/// Where the container's resolver is named.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";
