//! Two network namespaces joined by a cable, and no way out of either: clients and what is measured inside, servers
//! outside.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::sh;

/// Where the servers are.
pub(super) const HOST: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10)), 443);
/// And who knows their names.
pub(super) const RESOLVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(203, 0, 113, 53)), 53);

/// A pair of namespaces; removed on drop.
#[derive(Debug)]
pub(super) struct Lab {
    inside: String,
    outside: String,
}

impl Lab {
    /// Builds the namespaces.
    pub(super) fn new(name: &str) -> anyhow::Result<Self> {
        let id = std::process::id();
        let lab = Self { inside: format!("as-{name}-in-{id}"), outside: format!("as-{name}-out-{id}") };
        let (inside, outside) = (lab.inside.as_str(), lab.outside.as_str());
        for namespace in [inside, outside] {
            ip(&["netns", "add", namespace])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        ip(&["-n", inside, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", outside])?;
        for (namespace, addresses) in
            [(inside, &["203.0.113.2/24"][..]), (outside, &["203.0.113.10/24", "203.0.113.53/24"][..])]
        {
            for address in addresses {
                ip(&["-n", namespace, "addr", "add", address, "dev", "eth0"])?;
            }
            ip(&["-n", namespace, "link", "set", "eth0", "up"])?;
        }
        for namespace in [inside, outside] {
            let routes = sh::output(Command::new("ip").args(["-n", namespace, "route", "show", "default"]))?;
            ensure!(routes.trim().is_empty(), "the benchmark's network has a way out: {routes}");
            // Connections that have ended must not use up the ports of those that come after them.
            run_in(namespace, || {
                fs::write("/proc/sys/net/ipv4/ip_local_port_range", "20000 65000")?;
                fs::write("/proc/sys/net/ipv4/tcp_tw_reuse", "1")
            })?
            .context("a sysctl of the benchmark's network")?;
        }
        Ok(lab)
    }

    /// What was said of ports holds for the firewall's notes, too, once there is one.
    pub(super) fn forget_ended_connections(&self) -> anyhow::Result<()> {
        let of_netfilter = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait";
        self.inside(|| fs::write(of_netfilter, "1"))?.context(of_netfilter)
    }

    /// Runs something where the clients are.
    pub(super) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        run_in(&self.inside, work)
    }

    /// Runs something where the servers are.
    pub(super) fn outside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        run_in(&self.outside, work)
    }

    /// A program in the place of the clients, to which its arguments are to be added.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.inside, program]);
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in [&self.inside, &self.outside] {
            let _ = Command::new("ip").args(["netns", "del", namespace]).status();
        }
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    sh::output(Command::new("ip").args(arguments)).map(drop)
}

/// In a thread of its own, whose threads stay there, too.
fn run_in<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            let path = format!("/run/netns/{namespace}");
            let file = File::open(&path).with_context(|| path.clone())?;
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).context(path)?;
            Ok(work())
        });
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
