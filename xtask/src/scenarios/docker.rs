//! A real Docker: a private one in a network namespace without a way out where that is possible, else the
//! machine's own.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::engine::Engine;
use crate::{apt, sh};

const START_PATIENCE: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// A Docker to test against. A private one ends, with all that it holds, when this is dropped.
#[derive(Debug)]
pub struct Docker {
    host: Option<String>,
    private: Option<Private>,
}

#[derive(Debug)]
struct Private {
    daemon: Child,
    namespace: String,
    folder: PathBuf,
    sockets: PathBuf,
}

impl Docker {
    /// Finds or starts a Docker, with the programs in the folder `engine` if one is given.
    ///
    /// A private one moves the calling thread, and so whatever it starts from here on, into a network namespace
    /// that has no route out: call this before any other thread starts, and fetch everything before.
    pub fn open(folder: &Path, engine: Option<&Path>) -> anyhow::Result<Self> {
        if apt::can_install() {
            let private = Private::start(folder, engine)?;
            let host = host(&private.sockets);
            return Ok(Self { host: Some(host), private: Some(private) });
        }
        let docker = Self { host: None, private: None };
        ensure!(
            sh::succeeds(docker.command().arg("info")),
            "no Docker answers `docker info`; start one, or run this as root on Debian to have one started"
        );
        Ok(docker)
    }

    /// Gets what a private Docker needs, while there still is a network: the folder for [`Docker::open`].
    pub fn prepare(engine: Engine) -> anyhow::Result<Option<PathBuf>> {
        if apt::can_install() {
            return engine.prepare();
        }
        ensure!(engine == Engine::Installed, "only root on Debian can start another engine");
        Ok(None)
    }

    /// The docker client, aimed at this Docker.
    pub fn command(&self) -> Command {
        let mut command = Command::new("docker");
        self.aim(&mut command);
        command
    }

    /// Aims any program that reads Docker's environment variables at this Docker.
    pub fn aim(&self, command: &mut Command) {
        if let Some(host) = &self.host {
            command.env("DOCKER_HOST", host);
        }
        // The classic builder needs no front end from a registry.
        command.env("DOCKER_BUILDKIT", "0").env_remove("DOCKER_CONTEXT");
    }

    /// Whether nothing of this Docker has a way out of the machine.
    pub fn is_isolated(&self) -> bool {
        self.private.is_some()
    }

    /// The host's address on the default bridge, where build containers reach a server of ours.
    pub fn bridge_address(&self) -> anyhow::Result<String> {
        let format = "{{range .IPAM.Config}}{{.Gateway}} {{.Subnet}} {{end}}";
        let text = sh::output(self.command().args(["network", "inspect", "bridge", "--format", format]))?;
        let address = text.split_whitespace().find_map(first_address);
        Ok(address.context("Docker's default bridge has no IPv4 subnet")?.to_string())
    }
}

/// A gateway as it is; of a subnet the first host's address, which Docker gives its bridge unless told otherwise.
fn first_address(word: &str) -> Option<Ipv4Addr> {
    match word.split_once('/') {
        Some((network, _)) => Some(Ipv4Addr::from(u32::from(network.parse::<Ipv4Addr>().ok()?) | 1)),
        None => word.parse().ok(),
    }
}

impl Private {
    fn start(folder: &Path, engine: Option<&Path>) -> anyhow::Result<Self> {
        let id = std::process::id();
        let namespace = format!("agent-sandbox-{id}");
        // Socket paths are limited to 108 bytes: not below the checkout.
        let sockets = std::env::temp_dir().join(format!("as-docker-{id}"));
        let folder = folder.join(format!("docker-{id}"));
        fs::create_dir_all(&sockets)?;
        fs::create_dir_all(&folder)?;
        sh::output(Command::new("ip").args(["netns", "add", &namespace]))?;
        enter(&namespace)?;
        sh::output(Command::new("ip").args(["link", "set", "lo", "up"]))?;
        refuse_a_way_out()?;
        let log = File::create(folder.join("dockerd.log"))?;
        // The machine's own configuration is for the machine's own Docker.
        let config = folder.join("daemon.json");
        fs::write(&config, "{}")?;
        let mut command = Command::new("dockerd");
        if let Some(engine) = engine {
            command = Command::new(engine.join("dockerd"));
            let rest = std::env::var_os("PATH").unwrap_or_default();
            let folders = std::iter::once(engine.to_owned()).chain(std::env::split_paths(&rest));
            command.env("PATH", std::env::join_paths(folders)?);
        }
        let daemon = command
            .arg("--data-root")
            .arg(folder.join("data"))
            .arg("--exec-root")
            .arg(sockets.join("exec"))
            .arg("--pidfile")
            .arg(sockets.join("pid"))
            .arg("--host")
            .arg(host(&sockets))
            .args(["--containerd", "", "--config-file"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start dockerd")?;
        let mut private = Self { daemon, namespace, folder, sockets };
        private.await_start()?;
        Ok(private)
    }

    fn await_start(&mut self) -> anyhow::Result<()> {
        let host = host(&self.sockets);
        let deadline = Instant::now() + START_PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.daemon.try_wait()? {
                let log = fs::read_to_string(self.folder.join("dockerd.log")).unwrap_or_default();
                bail!("dockerd ended ({status}): {}", log.lines().last().unwrap_or_default());
            }
            if sh::succeeds(Command::new("docker").env("DOCKER_HOST", &host).arg("info")) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(200));
        }
        bail!("dockerd does not answer; its log is {}", self.folder.join("dockerd.log").display())
    }

    /// A daemon that ends while containers run leaves their shims behind.
    fn remove_containers(&self) {
        let docker = || {
            let mut command = Command::new("docker");
            command.env("DOCKER_HOST", host(&self.sockets));
            command
        };
        let ids = sh::output(docker().args(["ps", "--all", "--quiet"])).unwrap_or_default();
        if !ids.trim().is_empty() {
            let _ = sh::succeeds(docker().args(["rm", "--force"]).args(ids.split_whitespace()));
        }
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        if self.daemon.try_wait()?.is_none() {
            self.end_daemon()?;
        }
        for folder in [&self.folder, &self.sockets] {
            unmount_below(folder)?;
            fs::remove_dir_all(folder)?;
        }
        Ok(())
    }

    fn end_daemon(&mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.daemon.id()).ok().and_then(Pid::from_raw).context("dockerd's pid")?;
        kill_process(pid, Signal::TERM)?;
        let deadline = Instant::now() + STOP_PATIENCE;
        while self.daemon.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.daemon.kill()?;
                self.daemon.wait()?;
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.remove_containers();
        if let Err(error) = self.stop() {
            eprintln!("xtask: the private Docker was not cleaned up: {error:#}");
        }
        let _ = sh::succeeds(Command::new("ip").args(["netns", "del", &self.namespace]));
    }
}

/// What dockerd leaves mounted, such as the namespaces of containers; the last mounted goes first.
fn unmount_below(folder: &Path) -> anyhow::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let ours: Vec<&str> = points.filter(|point| Path::new(point).starts_with(folder)).collect();
    for point in ours.iter().rev() {
        sh::output(Command::new("umount").args(["--lazy", point]))?;
    }
    Ok(())
}

fn host(sockets: &Path) -> String {
    format!("unix://{}", sockets.join("docker.sock").display())
}

fn enter(namespace: &str) -> anyhow::Result<()> {
    let file = File::open(Path::new("/run/netns").join(namespace))?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).context("enter the namespace")
}

/// Attacks are tried with the sandbox off, too: nothing of it may leave the machine.
fn refuse_a_way_out() -> anyhow::Result<()> {
    for family in ["-4", "-6"] {
        let routes = sh::output(Command::new("ip").args([family, "route", "show", "default"]))?;
        ensure!(routes.trim().is_empty(), "the tests' network has a way out: {}", routes.trim());
    }
    Ok(())
}
