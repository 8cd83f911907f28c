//! The stand-in internet: a Docker network without an uplink, and hosts of our own on it.

use std::path::Path;
use std::process::Command;
use std::rc::Rc;

use anyhow::Context as _;

use super::docker::Docker;
use crate::sh;

/// Addresses are those that RFC 5737 and RFC 3849 set aside for documentation.
const SUBNET4: &str = "203.0.113.0/24";
const SUBNET6: &str = "2001:db8:113::/64";
/// The image of its hosts.
pub const IMAGE: &str = "agent-sandbox-test/stand-in";
/// The only DNS server of this internet.
pub const DNS: &str = "203.0.113.53";
/// The scripted Messages API, as `api.test.example`.
const API: &str = "203.0.113.10";
/// Where nobody may get to, as `evil.test.example`.
const EVIL4: &str = "203.0.113.66";
const EVIL6: &str = "2001:db8:113::66";
/// An allowed host, as `web.test.example`.
const WEB: &str = "203.0.113.20";
/// What the agent's script does: it tries to reach the forbidden host, and reports what it got.
const ATTACK: &str = "bash -c 'exec 2>&1; echo agent-runs-as-$(id -u); \
    exec 3<>/dev/tcp/203.0.113.66/80 && printf \"GET / HTTP/1.1\\r\\nHost: evil.test.example\\r\\nConnection: close\\r\\n\\r\\n\" >&3 && timeout 5 cat <&3'";

/// A running stand-in internet; it is taken down when dropped.
#[derive(Debug)]
pub struct Internet {
    docker: Rc<Docker>,
    /// The Docker network to put a container into.
    pub network: String,
    hosts: Vec<String>,
}

impl Internet {
    /// Sets it up with `program`, the static stand-in.
    pub fn start(docker: &Rc<Docker>, program: &Path) -> anyhow::Result<Self> {
        let image = IMAGE;
        let tar = tempfile::NamedTempFile::new()?;
        let folder = program.parent().context("the stand-in has no folder")?;
        sh::run(Command::new("tar").arg("-cf").arg(tar.path()).arg("-C").arg(folder).arg("stand-in"))?;
        sh::output(docker.command().arg("import").arg(tar.path()).arg(image))?;
        let network = format!("agent-sandbox-test-{}", std::process::id());
        let create =
            ["network", "create", "--internal", "--ipv6", "--subnet", SUBNET4, "--subnet", SUBNET6, &network];
        sh::output(docker.command().args(create))?;
        let mut internet = Self { docker: Rc::clone(docker), network, hosts: Vec::new() };
        let zones = ["api.test.example=203.0.113.10", "web.test.example=203.0.113.20"];
        let evil = format!("evil.test.example={EVIL4},{EVIL6}");
        let rebind = "rebind.test.example=169.254.169.254,172.17.0.1";
        let dns = [
            "--dns",
            "0.0.0.0:53",
            "--zone",
            zones[0],
            "--zone",
            zones[1],
            "--zone",
            &evil,
            "--zone",
            rebind,
        ];
        internet.host("dns", image, &["--ip", DNS], &dns)?;
        internet.host("api", image, &["--ip", API], &["--messages", "0.0.0.0:8099", "--command", ATTACK])?;
        internet.host("web", image, &["--ip", WEB], &["--http", "0.0.0.0:80", "--http", "0.0.0.0:8080"])?;
        let open = [
            "--http",
            "[::]:80",
            "--http",
            "[::]:8080",
            "--tcp",
            "[::]:443",
            "--udp",
            "[::]:443",
            "--dns",
            "[::]:53",
            "--zone",
            &evil,
        ];
        internet.host("evil", image, &["--ip", EVIL4, "--ip6", EVIL6], &open)?;
        Ok(internet)
    }

    /// Name of a host's container.
    pub fn container(&self, host: &str) -> String {
        format!("{}-{host}", self.network)
    }

    fn host(&mut self, name: &str, image: &str, address: &[&str], arguments: &[&str]) -> anyhow::Result<()> {
        let container = self.container(name);
        let mut run = self.docker.command();
        run.args(["run", "--detach", "--name", &container, "--network", &self.network]).args(address);
        run.args([image, "/stand-in"]).args(arguments);
        self.hosts.push(container);
        sh::output(&mut run).map(drop).with_context(|| format!("start the stand-in {name}"))
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        for host in &self.hosts {
            let _ = sh::succeeds(self.docker.command().args(["rm", "--force", host]));
        }
        let _ = sh::succeeds(self.docker.command().args(["network", "rm", &self.network]));
    }
}
