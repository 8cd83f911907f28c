//! Where things are inside the container. All of it belongs to root and none of it can be moved by the environment.

/// The policy, written while the image is built.
pub const POLICY: &str = "/etc/agent-sandbox/policy.json";
/// What was installed, written beside the policy.
pub const INSTALLED: &str = "/etc/agent-sandbox/install.json";
/// What runs now; the folder is made anew on every start.
pub const RUN: &str = "/run/agent-sandbox";
/// What is in force, for a person to read. Programs ask [`CONTROL`], which answers from the kernel.
pub const STATE: &str = "/run/agent-sandbox/state.json";
/// The daemon's socket.
pub const CONTROL: &str = "/run/agent-sandbox/control.sock";
/// Held locked by the daemon while it runs; not in the folder that each start makes anew.
pub const LOCK: &str = "/run/agent-sandbox.lock";
/// Held locked while a start is under way, so that two starts do not meet.
pub const START_LOCK: &str = "/run/agent-sandbox.start.lock";
/// The daemon's program.
pub const SANDBOXD: &str = "/usr/local/libexec/agent-sandbox/sandboxd";
/// The user's program, under its own name.
pub const AGENT_SANDBOX: &str = "/usr/local/libexec/agent-sandbox/agent-sandbox";
/// The setuid program that starts the sandbox for whoever calls.
pub const LAUNCHER: &str = "/usr/local/libexec/agent-sandbox/sandbox-launch";
/// What the original Feature's users call on each start; here it is `agent-sandbox`.
pub const INIT_FIREWALL: &str = "/usr/local/bin/init-firewall.sh";
/// Where the Feature mounts a volume of the project's for Claude Code's configuration. In the image it is an
/// empty folder that anybody may write, so that the volume fits whatever uid the user gets.
pub const CLAUDE_VOLUME: &str = "/var/lib/claude-code";
/// Claude Code's configuration folder there, as the Feature sets it in the environment.
pub const CLAUDE_CONFIG: &str = "/var/lib/claude-code/config";
/// The real Claude Code; on PATH there is only the shim.
pub const CLAUDE: &str = "/usr/local/lib/agent-sandbox/claude";
/// The hosts file that hands out addresses.
pub const HOSTS: &str = "/etc/hosts";
/// Where the container's resolver is named.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Where refused names are written down.
pub const LOG: &str = "/var/log/agent-sandbox";
