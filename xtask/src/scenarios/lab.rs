//! What scenarios run in: a Docker with base images, an npm mirror, a registry with our Features published, the
//! stand-in internet, and the staged files.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;

use anyhow::Context as _;
use tempfile::TempDir;

use super::claude::{self, Package};
use super::devcontainer_cli;
use super::docker::Docker;
use super::emulation::Emulation;
use super::engine::Engine;
use super::https::Https;
use super::image::docker::{self as images, Tarballs};
use super::image::{self, Image};
use super::internet::{self, Internet};
use super::plan::Plan;
use super::secured_registry::{self, SecuredRegistry};
use super::stage::{Staged, Values, stage};
use super::tls;
use crate::arch::Arch;
use crate::oci::credentials::Sources;
use crate::oci::reference::{Registry, Repository};
use crate::oci::transport::Notes;
use crate::package::{self, Packed};
use crate::publish::{self, Destination};
use crate::registry::server::{self, Serving};
use crate::{build, project, sh};

/// The host whose address changes while it is at work; its certificate is made here, its servers by the script.
const MOVING: &str = "moving.test.example";
const NAMESPACE: &str = "test/features";

/// What was fetched and built while there was a network.
#[derive(Debug)]
pub struct Prepared {
    root: PathBuf,
    engine: Option<PathBuf>,
    packed: Packed,
    stand_in: PathBuf,
    images: Vec<&'static Image>,
    tarballs: Tarballs,
    claude: Vec<Package>,
    _emulation: Option<Emulation>,
    with_login: bool,
    /// The devcontainer CLI's program.
    pub devcontainer: PathBuf,
}

/// Fetches and builds what every run needs.
pub fn prepare() -> anyhow::Result<Prepared> {
    prepare_for(&Plan::bare(), Engine::Installed)
}

/// Fetches and builds what a plan's scenarios need.
pub fn prepare_for(plan: &Plan, engine: Engine) -> anyhow::Result<Prepared> {
    let root = project::root()?;
    let arch = Arch::host().context("this machine's architecture has no binaries")?;
    let engine = Docker::prepare(engine)?;
    let images = plan.images();
    let platforms = images.iter().map(|image| image.platform()).collect::<anyhow::Result<BTreeSet<_>>>()?;
    let foreign = platforms.iter().map(|platform| platform.arch).find(|other| *other != arch);
    let with_login = plan.has_row("from", "registry");
    if with_login {
        secured_registry::prepare()?;
    }
    let emulation = foreign.map(Emulation::start).transpose()?;
    Ok(Prepared {
        packed: package::target(None)?,
        stand_in: build::build_helper("stand-in", arch)?,
        tarballs: images::prepare(&images)?,
        images,
        claude: platforms.into_iter().map(Package::fetch).collect::<anyhow::Result<_>>()?,
        devcontainer: devcontainer_cli::ensure_installed(&root)?,
        root,
        engine,
        _emulation: emulation,
        with_login,
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
    _registry: Serving,
    _secured: Option<SecuredRegistry>,
    _folder: TempDir,
    /// The Docker.
    pub docker: Rc<Docker>,
}

impl<'a> Lab<'a> {
    /// Starts everything.
    pub fn open(prepared: &'a Prepared) -> anyhow::Result<Self> {
        let docker = Rc::new(Docker::open(&prepared.root.join("target"), prepared.engine.as_deref())?);
        let folder = tempfile::tempdir()?;
        let mirror = claude::serve(&prepared.claude, &docker.bridge_address()?)?;
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, mirror.authority())?;
        images::import(&docker, &prepared.images, &prepared.tarballs, &authority, &prepared.claude)?;
        let internet = Internet::start(&docker, &prepared.stand_in)?;
        let registry = server::serve(&folder.path().join("registry"), &server::Options::default())?;
        publish_ours(&prepared.packed, registry.port())?;
        let moving = folder.path().join("moving");
        tls::issue(MOVING)?.write(&moving)?;
        let mut values = Values::from(
            [
                ("IMAGE", image::named(image::DEFAULT)?.tag()),
                ("NPM_REGISTRY", mirror.base().to_owned()),
                ("CLAUDE_VERSION", claude::VERSION.to_owned()),
                ("REGISTRY", format!("localhost:{}/{NAMESPACE}", registry.port())),
                ("README", prepared.root.join("README.md").display().to_string()),
                ("NETWORK", internet.network.clone()),
                ("DNS", internet::DNS.to_owned()),
                ("STAND_IN", internet::IMAGE.to_owned()),
                ("MOVING_TLS", moving.display().to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        values.extend(image::all().map(|image| (image.mark(), image.tag())));
        let secured = prepared.with_login.then(|| SecuredRegistry::start(&folder.path().join("secured")));
        let secured = secured.transpose()?;
        if let Some(secured) = &secured {
            let paths = [("AUTHORITY", secured.authority()), ("LOGIN", secured.docker_config())];
            values.insert("SECURED_REGISTRY".to_owned(), secured.reference());
            values.extend(paths.map(|(name, path)| (format!("SECURED_{name}"), path.display().to_string())));
        }
        let tests = prepared.root.join("test-scenarios");
        let staged = stage(&prepared.packed, &tests, &prepared.root.join("target/devcontainer"), &values)?;
        if let Some(secured) = &secured {
            secured.publish(&staged.folder.join("src")).context("publish to the registry with a login")?;
        }
        Ok(Self {
            prepared,
            staged,
            values,
            internet,
            _mirror: mirror,
            _registry: registry,
            _secured: secured,
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

/// As `cargo xtask publish -r localhost:PORT` does.
fn publish_ours(packed: &Packed, port: u16) -> anyhow::Result<()> {
    let destination = Destination {
        registry: Registry::parse(&format!("localhost:{port}"))?,
        namespace: Repository::parse(NAMESPACE)?,
        sources: Sources::from_env(),
    };
    let notes: Notes = std::sync::Arc::new(|text: &str| eprintln!("{text}"));
    publish::publish(&destination, packed, false, &notes).map(drop).context("publish to the test registry")
}
