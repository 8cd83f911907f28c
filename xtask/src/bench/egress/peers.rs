//! What is measured: our daemon in a container's place, and Debian's haproxy and dnsmasq, behind the very same table.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use super::lab::{HOST, Lab, RESOLVER};
use crate::sh;

/// The host's name.
pub(super) const NAME: &str = "api.bench.example";
/// Names that are asked for.
pub(super) const NAMES: usize = 16;
/// As whom the peers run, which tells their packets from everybody's.
const USER: &str = "2000";

/// A name that is asked for.
pub(super) fn name(number: usize) -> String {
    format!("n{number}.bench.example")
}

/// A program that is measured, with all its processes; it ends on drop.
#[derive(Debug)]
pub(super) struct Running {
    children: Vec<Child>,
    folder: TempDir,
    /// The first process of the container, where there is one.
    container: Option<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A container's mounts over the machine's own root: /etc with its files above it, and folders where the daemon writes.
const MOUNTS: &str = r#"set -e
cut -d' ' -f4 /proc/self/stat
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" /etc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mount -t proc proc /proc
echo mounted
exec sleep infinity"#;

/// Starts the sandbox as a container's entrypoint does. The first child is the container.
pub(super) fn ours(lab: &Lab, sandboxd: &Path) -> anyhow::Result<Running> {
    let folder = tempfile::tempdir()?;
    let etc = folder.path().join("etc");
    fs::create_dir_all(etc.join("agent-sandbox"))?;
    fs::create_dir_all(folder.path().join("work"))?;
    fs::write(etc.join("resolv.conf"), format!("nameserver {}\n", RESOLVER.ip()))?;
    fs::write(etc.join("hosts"), "127.0.0.1 localhost\n")?;
    let rules: Vec<_> = std::iter::once(NAME.to_owned())
        .chain((0..NAMES).map(name))
        .map(|name| serde_json::json!({ "name": name, "ports": [443], "from": "bench" }))
        .collect();
    let policy = serde_json::json!({ "format": 3, "mode": "enforce", "rules": rules });
    fs::write(etc.join("agent-sandbox/policy.json"), policy.to_string())?;

    let mut container = lab.command("unshare");
    container.args(["--mount", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", MOUNTS, "sh"]);
    container.arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut container = container.spawn().context("a container")?;
    let said = container.stdout.take().context("a pipe")?;
    let mut running = Running { children: vec![container], folder, container: None };
    let said: Vec<String> = BufReader::new(said).lines().take(2).collect::<Result<_, _>>()?;
    let [first, _] = &said[..] else {
        bail!("the benchmark's container does not start; are mounts allowed here?")
    };
    running.container = Some(first.clone());
    let mut start = running.enter()?;
    start.args(["setpriv", "--clear-groups"]);
    start.args(["--bounding-set=-all,+net_admin", "--inh-caps=-all", "--"]).arg(sandboxd).arg("ensure");
    // A file, since the daemon keeps it and a pipe would not end.
    let said = running.folder.path().join("said");
    let status =
        start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&said)?).status()?;
    if !status.success() {
        bail!("no sandbox in the benchmark's network: {}", fs::read_to_string(&said)?.trim());
    }
    Ok(running)
}

/// The gate as haproxy has it: the hello's name decides, and what names nobody goes nowhere. Bytes are spliced as they
/// come, which is what its manual advises for much traffic.
fn haproxy_config(threads: usize) -> String {
    format!(
        "global
    maxconn 4096
    maxpipes 1024
    nbthread {threads}
defaults
    mode tcp
    maxconn 4096
    backlog 4096
    timeout connect 15s
    timeout client 1h
    timeout server 1h
    option splice-auto
    option splice-request
    option splice-response
frontend gate
    bind 127.0.0.1:15443
    tcp-request inspect-delay 10s
    tcp-request content accept if {{ req.ssl_sni -m found }}
    tcp-request content reject if {{ req.len gt 0 }} !{{ req.ssl_hello_type 1 }}
    use_backend host if {{ req.ssl_sni -i {NAME} }}
backend host
    server one {HOST}
"
    )
}

/// What the peers need beside the table: their own packets bear the daemon's mark.
fn mark() -> String {
    format!(
        "add table inet peers; \
         add chain inet peers out {{ type filter hook output priority -150; }}; \
         add rule inet peers out meta skuid {USER} meta mark set 0x0a5b0001"
    )
}

/// Starts haproxy, then dnsmasq, on the ports of the gate and of the responder and behind the table that these have.
pub(super) fn theirs(lab: &Lab, ours: &Lab) -> anyhow::Result<Running> {
    let table = sh::output(ours.command("nft").args(["list", "table", "inet", "agent_sandbox"]))?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("table.nft");
    fs::write(&file, table)?;
    sh::output(lab.command("nft").arg("-f").arg(&file)).context("the table before the peers")?;
    sh::output(lab.command("nft").arg(mark())).context("the mark of the peers")?;
    let config = folder.path().join("haproxy.cfg");
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    fs::write(&config, haproxy_config(threads))?;
    let mut running = Running { children: Vec::new(), folder, container: None };
    let as_user = |program: &str| {
        let mut command = lab.command("setsid");
        // A session of its own, as the daemon has: the kernel shares the processors out among sessions.
        command.args(["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", program]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    fs::set_permissions(running.folder.path(), fs::Permissions::from_mode(0o755))?;
    let mut haproxy = as_user("/usr/sbin/haproxy");
    haproxy.args(["-db", "-f"]).arg(&config).stderr(Stdio::inherit());
    running.children.push(haproxy.spawn().context("haproxy")?);
    let mut dnsmasq = as_user("/usr/sbin/dnsmasq");
    dnsmasq.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--pid-file=",
    ]);
    dnsmasq.args(["--port=15353", "--listen-address=127.0.0.1", "--bind-interfaces", "--cache-size=10000"]);
    dnsmasq.arg(format!("--server={}", RESOLVER.ip()));
    running.children.push(dnsmasq.spawn().context("dnsmasq")?);
    Ok(running)
}

impl Running {
    /// What runs a command of its arguments in the container, as root.
    pub(super) fn enter(&self) -> anyhow::Result<Command> {
        let first = self.container.as_ref().context("no container")?;
        let mut command = Command::new("nsenter");
        command.args(["--target", first, "--mount", "--pid", "--net"]);
        Ok(command)
    }

    /// Bytes of memory that belong to it now: those of haproxy, or of the daemon and its workers.
    pub(super) fn resident(&self) -> anyhow::Result<u64> {
        let first = self.children.first().context("a program")?.id();
        let mut all = Vec::new();
        for status in descendants(first)? {
            let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let name = field("Name:").unwrap_or_default();
            let resident = field("VmRSS:").and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok());
            if name.starts_with("sandboxd") || name == "haproxy" {
                all.push(resident.context("VmRSS")? * 1024);
            }
        }
        if all.is_empty() {
            bail!("a program that is measured has ended");
        }
        Ok(all.iter().sum())
    }
}

/// What `/proc` says of a process, and of those that it and they started, whose parents may have ended.
fn descendants(first: u32) -> anyhow::Result<Vec<String>> {
    let place = |pid: u32, kind: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
    let home = place(first, "net").context("a program that is measured has ended")?;
    let mut found = Vec::new();
    for pid in fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if place(pid, "net").is_some_and(|net| net == home) {
            found.extend(fs::read_to_string(format!("/proc/{pid}/status")));
        }
    }
    Ok(found)
}
