//! Debian's `docker-registry` with TLS and a login, and our Features in it: published by the program itself, as its
//! users do.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::tls;
use crate::exit::Exit;
use crate::{apt, sh};

/// Loopback, yet not `localhost`: HTTPS is spoken to it.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const NAMESPACE: &str = "team/features";
const USER: &str = "tester";
const PASSWORD: &str = "open-sesame";
/// The password's bcrypt hash, the only kind that the registry takes.
const HTPASSWD: &str = "tester:$2y$05$abcdefghijklmnopqrstuutXu9KzOt.1yBoZUeFWoT/914/JfszCO\n";
const PATIENCE: Duration = Duration::from_secs(30);

/// The running registry; it ends when dropped.
#[derive(Debug)]
pub struct SecuredRegistry {
    child: Child,
    port: u16,
    folder: PathBuf,
}

/// Installs it, while there still is a network.
pub fn prepare() -> anyhow::Result<()> {
    apt::ensure(&["docker-registry"])
}

impl SecuredRegistry {
    /// Starts it on a free port, with what it keeps in a folder.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let issued = tls::issue(&ADDRESS.to_string())?;
        let (certificate, key) = issued.pem();
        let port = TcpListener::bind((ADDRESS, 0))?.local_addr()?.port();
        let file = |name: &str| folder.join(name);
        let login = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let host = format!("{ADDRESS}:{port}");
        // JSON is YAML, too.
        let config = json!({
            "version": 0.1,
            "storage": { "filesystem": { "rootdirectory": file("data") } },
            "auth": { "htpasswd": { "realm": "test", "path": file("htpasswd") } },
            "http": { "addr": host, "tls": { "certificate": file("cert.pem"), "key": file("key.pem") } },
        });
        let files = [
            ("config.yml", config.to_string()),
            ("htpasswd", HTPASSWD.to_owned()),
            ("cert.pem", certificate),
            ("key.pem", key),
            ("authority.pem", issued.authority),
            ("docker/config.json", json!({ "auths": { host: { "auth": login } } }).to_string()),
        ];
        fs::create_dir_all(file("docker"))?;
        for (name, text) in files {
            fs::write(file(name), text)?;
        }
        let log = fs::File::create(file("log"))?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(file("config.yml")).env("OTEL_TRACES_EXPORTER", "none");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("start docker-registry")?;
        let mut registry = Self { child, port, folder: folder.to_owned() };
        registry.await_start()?;
        Ok(registry)
    }

    /// Publishes the Features of a folder with this very program; its own login alone is accepted.
    pub fn publish(&self, features: &Path) -> anyhow::Result<()> {
        let publish = |login: &str| {
            let mut command = sh::own_program()?;
            command.arg("publish").arg(features);
            command.args(["--registry", &format!("{ADDRESS}:{}", self.port), "--namespace", NAMESPACE]);
            command.env("DEVCONTAINERS_OCI_AUTH", login).env("SSL_CERT_FILE", self.authority());
            anyhow::Ok(command)
        };
        let login = |password: &str| format!("{ADDRESS}:{}|{USER}|{password}", self.port);
        let refused = publish(&login("wrong"))?
            .stdin(Stdio::null())
            .output()
            .context("publish with a wrong password")?;
        ensure!(
            refused.status.code() == Some(Exit::Registry as i32),
            "a wrong password: {}: {}",
            refused.status,
            String::from_utf8_lossy(&refused.stderr).trim()
        );
        sh::output(&mut publish(&login(PASSWORD))?).map(drop)
    }

    /// The Features' address without their names.
    pub fn reference(&self) -> String {
        format!("{ADDRESS}:{}/{NAMESPACE}", self.port)
    }

    /// The file with the authority to trust.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// A folder with a `config.json` that holds the login.
    pub fn docker_config(&self) -> PathBuf {
        self.folder.join("docker")
    }

    fn await_start(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((ADDRESS, self.port)).is_err() {
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!(
                    "docker-registry does not start: {}",
                    fs::read_to_string(self.folder.join("log")).unwrap_or_default().trim()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for SecuredRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
