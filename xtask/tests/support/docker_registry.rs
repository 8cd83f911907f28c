//! Debian's `docker-registry`, as a registry that is not ours.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

const PROGRAM: &str = "/usr/bin/docker-registry";

/// A registry that is ended with the value.
pub struct DockerRegistry {
    child: Child,
    pub port: u16,
    _root: TempDir,
}

impl DockerRegistry {
    /// Starts it on a free port, or says that it is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// The same with more lines of configuration.
    pub fn start_with(more: &str) -> Option<Self> {
        if !std::path::Path::new(PROGRAM).exists() {
            super::skip("docker-registry is not installed (apt-get install docker-registry)");
            return None;
        }
        // The port may be taken between the two binds; then the next one is tried.
        (0..10).find_map(|_| Self::try_start(more)).or_else(|| panic!("docker-registry does not start"))
    }

    fn try_start(more: &str) -> Option<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let root = tempfile::tempdir().unwrap();
        let config = root.path().join("config.yml");
        let storage = root.path().join("data");
        std::fs::write(
            &config,
            format!(
                "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n{more}\n",
                storage.display()
            ),
        )
        .unwrap();
        let mut child = Command::new(PROGRAM)
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listens = lines.by_ref().map_while(Result::ok).any(|line| line.contains("listening on"));
        // Its log must go on being read, or it blocks.
        std::thread::spawn(move || lines.for_each(drop));
        let registry = Self { child, port, _root: root };
        listens.then_some(registry)
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
