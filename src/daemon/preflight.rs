//! Containers that cannot be a sandbox, refused by name before anything is changed.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use anyhow::Context as _;
use rustix::thread::CapabilitySet;

/// What matters about the container, as found.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    uid: u32,
    capabilities: CapabilitySet,
    host_network: Option<String>,
    host_pids: bool,
    engine_socket: Option<String>,
}

/// Why the container is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error(
        "the container user is uid {0}, and only root may close the network: set \"containerUser\": \"root\" in devcontainer.json and \"remoteUser\" to the user you work as"
    )]
    NotRoot(u32),
    #[error(
        "--network=host: a firewall here would close the host's network: remove it from \"runArgs\" in devcontainer.json ({0})"
    )]
    HostNetwork(String),
    #[error(
        "--pid=host: the agent could reach the host's processes: remove it from \"runArgs\" in devcontainer.json"
    )]
    HostPids,
    #[error(
        "--privileged or CAP_SYS_ADMIN: the agent could leave the container: remove it from \"runArgs\", \"capAdd\" and \"privileged\" in devcontainer.json and its Features"
    )]
    Privileged,
    #[error(
        "the container engine's socket {0} is mounted: whoever opens it owns the host: remove it from \"mounts\" and \"runArgs\" in devcontainer.json and its Features"
    )]
    EngineSocket(String),
    #[error(
        "CAP_NET_ADMIN is missing, and without it the network cannot be closed: add \"runArgs\": [\"--cap-add=NET_ADMIN\"] to devcontainer.json"
    )]
    NoNetAdmin,
}

impl Unfit {
    /// Whether the network namespace is the container's own and may be closed.
    pub(super) fn leaves_the_network_ours(&self) -> bool {
        matches!(self, Self::HostPids | Self::Privileged | Self::EngineSocket(_))
    }
}

/// Refuses what cannot be a sandbox.
pub(super) fn check(facts: &Facts) -> Result<(), Unfit> {
    if facts.uid != 0 {
        return Err(Unfit::NotRoot(facts.uid));
    }
    if let Some(sign) = &facts.host_network {
        return Err(Unfit::HostNetwork(sign.clone()));
    }
    if facts.host_pids {
        return Err(Unfit::HostPids);
    }
    if facts.capabilities.contains(CapabilitySet::SYS_ADMIN) {
        return Err(Unfit::Privileged);
    }
    if let Some(socket) = &facts.engine_socket {
        return Err(Unfit::EngineSocket(socket.clone()));
    }
    if !facts.capabilities.contains(CapabilitySet::NET_ADMIN) {
        return Err(Unfit::NoNetAdmin);
    }
    Ok(())
}

impl Facts {
    /// Looks around.
    pub(super) fn gather() -> anyhow::Result<Self> {
        let capabilities = rustix::thread::capabilities(None).context("read own capabilities")?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
        let pid_namespace = fs::read_link("/proc/self/ns/pid").context("/proc/self/ns/pid")?;
        Ok(Self {
            uid: rustix::process::geteuid().as_raw(),
            capabilities: capabilities.effective,
            host_network: host_network(),
            host_pids: pid_namespace.to_string_lossy() == INITIAL_PID_NAMESPACE,
            engine_socket: engine_socket(&mounts),
        })
    }
}

/// `PROC_PID_INIT_INO` in `linux/proc_ns.h`.
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// A sign that this is the host's network namespace. There is no direct question to ask, so: a sysctl that
/// only the initial namespace shows, a device with hardware behind it, or a bridge, which hosts of containers
/// have and containers without further rights cannot make.
fn host_network() -> Option<String> {
    if Path::new("/proc/sys/net/core/netdev_max_backlog").exists() {
        return Some("the initial network namespace".to_owned());
    }
    let devices = fs::read_dir("/sys/class/net").ok()?;
    devices.filter_map(Result::ok).find_map(|device| {
        let path = device.path();
        let name = device.file_name().to_string_lossy().into_owned();
        if path.join("device").exists() {
            return Some(format!("{name} is a hardware device"));
        }
        path.join("bridge").is_dir().then(|| format!("{name} is a bridge"))
    })
}

const ENGINE_SOCKETS: [&str; 8] = [
    "docker.sock",
    "docker-host.sock",
    "docker.proxy.sock",
    "docker.sock.raw",
    "containerd.sock",
    "podman.sock",
    "crio.sock",
    "buildkitd.sock",
];

/// An engine's socket at its usual place or mounted anywhere (`proc_pid_mountinfo(5)`: field 4 is the root of the
/// mount within its file system, field 5 the mount point).
fn engine_socket(mountinfo: &str) -> Option<String> {
    let usual = ["/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock"];
    if let Some(path) = usual.iter().find(|path| is_socket(path)) {
        return Some((*path).to_owned());
    }
    mounted_socket(mountinfo).or_else(|| socket_in_mounted_folder(mountinfo))
}

fn is_socket(path: impl AsRef<Path>) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

/// A whole folder may be mounted, such as the host's /run.
fn socket_in_mounted_folder(mountinfo: &str) -> Option<String> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    points.flat_map(|point| ENGINE_SOCKETS.map(|name| format!("{point}/{name}"))).find(|path| is_socket(path))
}

fn mounted_socket(mountinfo: &str) -> Option<String> {
    mountinfo.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let (root, point) = (fields.get(3)?, fields.get(4)?);
        let named = |path: &str| ENGINE_SOCKETS.iter().any(|name| path.rsplit('/').next() == Some(name));
        (named(root) || named(point)).then(|| (*point).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            uid: 0,
            capabilities: CapabilitySet::NET_ADMIN,
            host_network: None,
            host_pids: false,
            engine_socket: None,
        }
    }

    #[test]
    fn each_unfit_container_is_named() {
        assert_eq!(check(&good()), Ok(()));
        assert_eq!(check(&Facts { uid: 1000, ..good() }), Err(Unfit::NotRoot(1000)));
        let sign = Some("x".to_owned());
        assert!(matches!(check(&Facts { host_network: sign.clone(), ..good() }), Err(Unfit::HostNetwork(_))));
        assert_eq!(check(&Facts { host_pids: true, ..good() }), Err(Unfit::HostPids));
        let all = CapabilitySet::all();
        assert_eq!(check(&Facts { capabilities: all, ..good() }), Err(Unfit::Privileged));
        assert!(matches!(check(&Facts { engine_socket: sign, ..good() }), Err(Unfit::EngineSocket(_))));
        let none = CapabilitySet::empty();
        assert_eq!(check(&Facts { capabilities: none, ..good() }), Err(Unfit::NoNetAdmin));
    }

    #[test]
    fn mounted_engine_sockets_are_found_under_any_name() {
        let line = |root: &str, point: &str| {
            format!("600 590 0:24 {root} {point} rw,nosuid - tmpfs tmpfs rw,size=1k")
        };
        assert_eq!(mounted_socket(&line("/docker.sock", "/tmp/x")), Some("/tmp/x".to_owned()));
        assert_eq!(
            mounted_socket(&line("/x", "/home/u/docker.sock")),
            Some("/home/u/docker.sock".to_owned())
        );
        assert_eq!(mounted_socket(&line("/", "/workspaces/docker.sock.d")), None);
        assert_eq!(mounted_socket(""), None);
    }
}
