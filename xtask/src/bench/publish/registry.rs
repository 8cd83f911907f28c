//! Debian's `docker-registry`, empty, on a free port of loopback.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::json;
use tempfile::TempDir;

/// The package, and the program.
pub(super) const NAME: &str = "docker-registry";
const PATIENCE: Duration = Duration::from_secs(30);

/// A registry that ends, with all that was pushed to it, when it is dropped.
pub(super) struct Registry {
    child: Child,
    pub(super) port: u16,
    _folder: TempDir,
}

impl Registry {
    pub(super) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let config = folder.path().join("config.yml");
        std::fs::write(&config, settings(folder.path(), port))?;
        let child = Command::new(NAME)
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {NAME}; install the package of that name"))?;
        let registry = Self { child, port, _folder: folder };
        registry.wait()?;
        Ok(registry)
    }

    fn wait(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if Instant::now() > deadline {
                bail!("{NAME} does not listen on port {}", self.port);
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// No log of each request: that would be measured, too. JSON is YAML.
fn settings(folder: &Path, port: u16) -> String {
    json!({
        "version": 0.1,
        "log": { "level": "error", "accesslog": { "disabled": true } },
        "storage": { "filesystem": { "rootdirectory": folder.join("data") } },
        "http": { "addr": format!("{}:{port}", Ipv4Addr::LOCALHOST) },
    })
    .to_string()
}
