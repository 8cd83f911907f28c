//! The container that both sides work in, and how each of them is started there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use crate::bench::egress::inside::Container;
use crate::{cache, sh};

/// The one who works.
const USER: &str = "1000";
/// How long the daemon may take until it is in force.
const PATIENCE: Duration = Duration::from_secs(30);
const PROBE: &str = include_str!("probe.c");

/// Private folders in memory, alike for both sides, and the toolchain, which may lie where only its owner gets to.
const MOUNTS: &str = r#"set -e
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755,uid=1000,gid=1000 tmpfs "$1/home"
mount --bind "$1/passwd" /etc/passwd
mount --bind "$2" "$1/rust""#;

/// Where the cell begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrapped {
    /// There is none.
    Nothing,
    /// At the probe: whatever it does happens in one cell.
    Probe,
    /// At each program that the probe runs.
    Program,
}

/// It ends, and its files are removed, on drop.
pub(super) struct Place {
    container: Container,
    folder: TempDir,
    claude: Option<String>,
    mechanism: String,
}

impl Place {
    /// Starts it.
    pub(super) fn open(sandboxd: &Path, agent_sandbox: &Path) -> anyhow::Result<Self> {
        // Not in /tmp, which is hidden below, nor in anybody's home.
        let folder = tempfile::Builder::new().prefix("agent-sandbox-bench-").tempdir_in("/var/tmp")?;
        let at = |name: &str| folder.path().join(name);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        for name in ["home", "rust", "project"] {
            fs::create_dir(at(name))?;
        }
        let passwd =
            format!("root:x:0:0::/root:/bin/sh\nbench:x:{USER}:{USER}::{}:/bin/sh\n", at("home").display());
        fs::write(at("passwd"), passwd)?;
        fs::copy(agent_sandbox, at("agent-sandbox"))?;
        fs::write(at("probe.c"), PROBE)?;
        sh::run(Command::new("cc").args(["-O2", "-o"]).arg(at("probe")).arg(at("probe.c")))?;
        let claude = unpacked_claude(folder.path())?;
        let sysroot = sh::output(Command::new("rustc").args(["--print", "sysroot"]))?;

        let container = Container::open(sandboxd)?;
        sh::run(container.enter()?.args(["sh", "-c", MOUNTS, "sh"]).arg(folder.path()).arg(sysroot.trim()))?;
        let mut place = Self { container, folder, claude, mechanism: String::new() };
        place.hand_over()?;
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) =
            place.said(Wrapped::Program, "", &["run", "1", "", "/bin/true"].map(str::to_owned))
        {
            ensure!(Instant::now() < deadline, "nothing runs in a cell: {error:#}");
            thread::sleep(Duration::from_millis(50));
        }
        let facts = [&place.path("agent-sandbox"), "exec", "printenv", "AGENT_SANDBOX_CELL"];
        let facts: serde_json::Value =
            serde_json::from_str(&place.output(&facts, "")?).context("a cell's facts")?;
        facts["unix_sockets"].as_str().unwrap_or("unknown").clone_into(&mut place.mechanism);
        Ok(place)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Where the work lies.
    pub(super) fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// Claude Code itself, where this machine has it.
    pub(super) fn claude(&self) -> Option<String> {
        self.claude.clone()
    }

    /// How Unix sockets are mediated.
    pub(super) fn mechanism(&self) -> &str {
        &self.mechanism
    }

    /// Whether nobody is asked for a connect.
    pub(super) fn by_landlock(&self) -> bool {
        self.mechanism.starts_with("landlock")
    }

    /// Gives the project to the one who works.
    pub(super) fn hand_over(&self) -> anyhow::Result<()> {
        sh::run(Command::new("chown").args(["-R", &format!("{USER}:{USER}")]).arg(self.project()))
    }

    /// What the probe measures, in seconds.
    pub(super) fn measure(&self, wrapped: Wrapped, folder: &str, probe: &[String]) -> anyhow::Result<f64> {
        let said = self.said(wrapped, folder, probe)?;
        let nanoseconds: f64 = said.trim().parse().with_context(|| format!("the probe said '{said}'"))?;
        Ok(nanoseconds / 1e9)
    }

    fn said(&self, wrapped: Wrapped, folder: &str, probe: &[String]) -> anyhow::Result<String> {
        let (own, cell) = (self.path("probe"), [self.path("agent-sandbox"), "exec".to_owned()]);
        let mut words = match wrapped {
            Wrapped::Probe => cell.to_vec(),
            Wrapped::Nothing | Wrapped::Program => Vec::new(),
        };
        words.push(own);
        words.extend_from_slice(probe);
        if wrapped == Wrapped::Program {
            // `run`, how often, and what is done before are the probe's.
            let program = words.len() - probe.len() + 3;
            words.splice(program..program, cell);
        }
        self.output(&words.iter().map(String::as_str).collect::<Vec<_>>(), folder)
    }

    /// Runs a command in a folder of the project's, as the one who works.
    fn output(&self, words: &[&str], folder: &str) -> anyhow::Result<String> {
        let mut command = self.container.enter()?;
        command.args(["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]);
        command.args(["--bounding-set=-all", "--inh-caps=-all", "--", "env", "-i", "-C"]);
        command.arg(self.project().join(folder));
        command.arg(format!("PATH={}/bin:/usr/local/bin:/usr/bin:/bin", self.path("rust")));
        command.arg(format!("HOME={}", self.path("home"))).args(["LANG=C.UTF-8", "DISABLE_AUTOUPDATER=1"]);
        command.args(words).stdin(Stdio::null());
        let output = command.output().context("nsenter")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{}` failed ({}): {}", words.join(" "), output.status, said.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Claude Code, if a build or a scenario has fetched it before.
fn unpacked_claude(folder: &Path) -> anyhow::Result<Option<String>> {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let begin = format!("claude-code-linux-{arch}-");
    let mut packed = Vec::new();
    for entry in fs::read_dir(cache::folder()?)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let version =
            name.strip_prefix(&begin).filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
        if version.and_then(|rest| rest.strip_suffix(".tgz")).is_some() {
            packed.push(entry.path());
        }
    }
    let Some(newest) = packed.iter().max() else {
        eprintln!("xtask: without `claude --version`: no Claude Code in {}", cache::folder()?.display());
        return Ok(None);
    };
    let mut tar = Command::new("tar");
    tar.args(["--no-same-owner", "-xzf"]).arg(newest).arg("-C").arg(folder).arg("package/claude");
    sh::run(&mut tar)?;
    Ok(Some(folder.join("package/claude").display().to_string()))
}
