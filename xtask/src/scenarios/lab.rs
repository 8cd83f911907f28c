//! What scenarios run in: a Docker with base images, an npm mirror, a registry with our Features published, the
//! stand-in internet, and the staged files.

use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;

use anyhow::Context as _;
use tempfile::TempDir;

use super::claude::{self, Package};
use super::docker::Docker;
use super::https::Https;
use super::internet::{self, Internet};
use super::stage::{Staged, Values, stage};
use super::{base_image, devcontainer_cli};
use crate::arch::Arch;
use crate::oci::credentials::Sources;
use crate::oci::reference::{Registry, Repository};
use crate::oci::transport::Notes;
use crate::package::{self, Packed};
use crate::publish::{self, Destination};
use crate::registry::server::{self, Serving};
use crate::{build, project, sh};

const BASE: &str = "agent-sandbox-test/bookworm";
const WITH_AUTHORITY: &str = "agent-sandbox-test/bookworm-ca";
const WITH_CLAUDE: &str = "agent-sandbox-test/bookworm-claude";
const NAMESPACE: &str = "test/features";

/// What was fetched and built while there was a network.
#[derive(Debug)]
pub struct Prepared {
    root: PathBuf,
    packed: Packed,
    stand_in: PathBuf,
    base: PathBuf,
    claude: Package,
    /// The devcontainer CLI's program.
    pub devcontainer: PathBuf,
}

/// Fetches and builds everything.
pub fn prepare() -> anyhow::Result<Prepared> {
    let root = project::root()?;
    let arch = Arch::host().context("this machine's architecture has no binaries")?;
    Docker::prepare()?;
    Ok(Prepared {
        packed: package::target(None)?,
        stand_in: build::build_helper("stand-in", arch)?,
        base: base_image::tarball()?,
        claude: Package::fetch()?,
        devcontainer: devcontainer_cli::ensure_installed(&root)?,
        root,
    })
}

/// The running whole. Fields are dropped in this order: what uses Docker before Docker itself.
#[derive(Debug)]
pub struct Lab<'a> {
    /// What was fetched and built.
    pub prepared: &'a Prepared,
    /// The staged files.
    pub staged: Staged,
    /// The marks' values, which host scripts get as environment.
    pub values: Values,
    /// The stand-in internet.
    pub internet: Internet,
    _mirror: Https,
    _registry: Option<Serving>,
    _folder: TempDir,
    /// The Docker.
    pub docker: Rc<Docker>,
}

impl<'a> Lab<'a> {
    /// Starts everything.
    pub fn open(prepared: &'a Prepared) -> anyhow::Result<Self> {
        let docker = Rc::new(Docker::open(&prepared.root.join("target"))?);
        let folder = tempfile::tempdir()?;
        let mirror = prepared.claude.serve(&docker.bridge_address()?)?;
        import_images(prepared, &docker, &mirror, &folder)?;
        let internet = Internet::start(&docker, &prepared.stand_in)?;
        let registry = server::serve(&folder.path().join("registry"), &server::Options::default())?;
        publish_ours(&prepared.packed, registry.port())?;
        let values = Values::from([
            ("IMAGE", WITH_AUTHORITY.to_owned()),
            ("IMAGE_CLAUDE", WITH_CLAUDE.to_owned()),
            ("NPM_REGISTRY", mirror.base().to_owned()),
            ("CLAUDE_VERSION", claude::VERSION.to_owned()),
            ("REGISTRY", format!("localhost:{}/{NAMESPACE}", registry.port())),
            ("NETWORK", internet.network.clone()),
            ("DNS", internet::DNS.to_owned()),
            ("STAND_IN", internet::IMAGE.to_owned()),
        ]);
        let tests = prepared.root.join("test-scenarios");
        let staged = stage(&prepared.packed, &tests, &prepared.root.join("target/devcontainer"), &values)?;
        Ok(Self {
            prepared,
            staged,
            values,
            internet,
            _mirror: mirror,
            _registry: Some(registry),
            _folder: folder,
            docker,
        })
    }

    /// An image with the Feature installed, built by the devcontainer CLI.
    pub fn build_image(&self, allow: &str) -> anyhow::Result<String> {
        let workspace = tempfile::tempdir()?;
        let folder = workspace.path().join(".devcontainer");
        std::fs::create_dir_all(&folder)?;
        let source = self.staged.folder.join("src/claude-code");
        sh::run(Command::new("cp").arg("-r").arg(source).arg(&folder))?;
        let config = serde_json::json!({
            "image": self.values["IMAGE"],
            "features": { "./claude-code": { "npmRegistry": self.values["NPM_REGISTRY"], "allow": allow } },
        });
        std::fs::write(folder.join("devcontainer.json"), config.to_string())?;
        let image = "agent-sandbox-test/with-feature";
        let mut build = Command::new(&self.prepared.devcontainer);
        build.args(["build", "--image-name", image, "--workspace-folder"]).arg(workspace.path());
        self.aim(&mut build);
        sh::output(&mut build).context("build an image with the Feature")?;
        Ok(image.to_owned())
    }

    /// Aims a program at the lab's Docker.
    pub fn aim(&self, command: &mut Command) {
        self.docker.aim(command);
    }
}

fn import_images(
    prepared: &Prepared,
    docker: &Docker,
    mirror: &Https,
    folder: &TempDir,
) -> anyhow::Result<()> {
    base_image::import(docker, &prepared.base, BASE)?;
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, mirror.authority())?;
    let target = "/etc/ssl/certs/test-authority.pem";
    let trust = format!("ENV SSL_CERT_FILE={target}\n");
    base_image::derive(docker, BASE, WITH_AUTHORITY, &[(&authority, target)], &trust)?;
    let claude = prepared.claude.unpack(folder.path())?;
    base_image::derive(docker, BASE, WITH_CLAUDE, &[(&claude, "/usr/local/bin/claude")], "")
}

/// As `cargo xtask publish -r localhost:PORT` does.
fn publish_ours(packed: &Packed, port: u16) -> anyhow::Result<()> {
    let destination = Destination {
        registry: Registry::parse(&format!("localhost:{port}"))?,
        namespace: Repository::parse(NAMESPACE)?,
        sources: Sources::from_env(),
    };
    let notes: Notes = std::sync::Arc::new(|text: &str| eprintln!("{text}"));
    publish::publish(&destination, packed, false, notes).map(drop).context("publish to the test registry")
}
