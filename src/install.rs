//! What `sandbox-install` does while an image is built: fetch Claude Code, verify it, and put it and the
//! sandbox's own programs in place, all or nothing.
//!
//! | exit code | what went wrong |
//! |---|---|
//! | 0 | nothing: everything is in place |
//! | 2 | an option does not read, or the registry has no such release |
//! | 3 | the network, or a registry that answers something else |
//! | 4 | what came is not what the registry promised, or not a program for this machine |
//! | 5 | the file system: no space, no right, or something in the way |
//! | 6 | a machine that Claude Code is not published for |
//!
//! With every code but 0 nothing was changed.

pub mod fetch;
pub mod integrity;
pub mod layout;
pub mod npm;
pub mod options;
pub mod platform;
mod resolve;
pub mod unpack;
pub mod url;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use fetch::{Client, FetchError};
use integrity::{Hasher, Integrity};
use layout::{LayoutError, Stage, StagedFile};
use npm::{NpmError, Release};
use options::{OptionError, Options};
use platform::{ELF_HEAD, ElfError, Machine, Platform, PlatformError};
use unpack::UnpackError;

/// Claude Code itself, which only the launcher starts.
const CLAUDE: &str = "usr/local/lib/agent-sandbox/claude";

/// Folders that are this product's alone.
const OWN_FOLDERS: [&str; 3] =
    ["usr/local/lib/agent-sandbox", "usr/local/libexec/agent-sandbox", "etc/agent-sandbox"];

/// The sandbox's own programs, which come with the Feature.
const PROGRAMS: [(&str, &str); 2] = [
    ("sandboxd", "usr/local/libexec/agent-sandbox/sandboxd"),
    ("agent-sandbox", "usr/local/libexec/agent-sandbox/agent-sandbox"),
];

/// Names on PATH; the program behind both decides by the name it was called with.
const LINKS: [&str; 2] = ["usr/local/bin/agent-sandbox", "usr/local/bin/claude"];
const LINK_TARGET: &str = "../libexec/agent-sandbox/agent-sandbox";

const POLICY: &str = "etc/agent-sandbox/policy.json";
const RECORD: &str = "etc/agent-sandbox/install.json";

/// The answer about one package has a few hundred kilobytes.
const MAX_PACKUMENT: u64 = 32 << 20;

/// The archive has a fifth of this.
const MAX_TARBALL: u64 = 1 << 30;

/// Why nothing was installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// An option does not read.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// A machine without a published binary.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A program that should have come with the Feature.
    #[error("{} {why}; the Feature was packaged incompletely or for another machine", path.display())]
    Source {
        /// Where it was looked for.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The registry has no such release.
    #[error(transparent)]
    Npm(#[from] NpmError),
    /// Other bytes than the registry promised.
    #[error(
        "the archive of {package} {version} has the hash {found}…, not {expected}… as the registry says; nothing was installed, try again or another registry"
    )]
    Integrity {
        /// The package.
        package: String,
        /// Its version.
        version: String,
        /// The start of the promised hash.
        expected: String,
        /// The start of the hash of what came.
        found: String,
    },
    /// An archive with something else in it.
    #[error("the archive of the Claude Code package {0}; nothing was installed")]
    Unpack(#[from] UnpackError),
    /// A program for another machine.
    #[error("`package/claude` in {package} {version} {source}; nothing was installed")]
    Program {
        /// The package.
        package: String,
        /// Its version.
        version: String,
        /// What it is.
        source: ElfError,
    },
    /// The file system.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// What `install.json` keeps about an installation.
#[derive(Debug, Serialize)]
pub struct Record {
    /// Version of Claude Code.
    pub claude_version: String,
    /// The npm package it came in.
    pub package: String,
    /// The hash that the package was checked against.
    pub integrity: String,
    /// Where the package was fetched from.
    pub source: String,
}

impl InstallError {
    /// The exit code, as the table above has it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Option(_) => 2,
            Self::Npm(error) => match error {
                NpmError::NoTag { .. } | NpmError::NoVersion { .. } => 2,
                NpmError::NoIntegrity { .. } | NpmError::Integrity { .. } => 4,
                _ => 3,
            },
            Self::Fetch(_) => 3,
            Self::Integrity { .. } | Self::Unpack(_) | Self::Program { .. } => 4,
            Self::Source { .. } | Self::Layout(_) => 5,
            Self::Platform(_) => 6,
        }
    }
}

/// Installs, and hands `say` a line about each step that takes a while.
pub fn run(options: &Options, mut say: impl FnMut(&str)) -> Result<Record, InstallError> {
    let platform = Platform::of_image(&options.root)?;
    // Before the long download, as it needs no network to fail.
    let programs = read_programs(&options.source, platform.machine)?;
    let client = Client::new()?;
    let release = find_release(&client, options, platform)?;
    say(&format!("fetching Claude Code {} for {platform} from {}", release.version, release.tarball));

    let mut stage = Stage::new(&options.root);
    for folder in OWN_FOLDERS {
        stage.own_folder(folder)?;
    }
    let mut archive = stage.scratch(CLAUDE)?;
    download(&client, &release, &mut archive)?;
    say(&format!("verified {}, unpacking", release.integrity.prefix()));
    let program = stage.file(CLAUDE)?;
    unpack_program(&mut archive, program, &release, platform.machine)?;

    for ((_, path), bytes) in PROGRAMS.iter().zip(programs) {
        stage.whole(path, &bytes, 0o755)?;
    }
    for link in LINKS {
        stage.link(link, LINK_TARGET)?;
    }
    let record = Record {
        claude_version: release.version.to_string(),
        package: release.package,
        integrity: release.integrity.to_string(),
        source: release.tarball.to_string(),
    };
    stage.whole(POLICY, &pretty(&options.policy, POLICY)?, 0o644)?;
    stage.whole(RECORD, &pretty(&record, RECORD)?, 0o644)?;
    stage.commit()?;
    Ok(record)
}

fn read_programs(source: &Path, machine: Machine) -> Result<Vec<Vec<u8>>, InstallError> {
    let read = |name: &str| {
        let path = source.join(name);
        let fail = |why: String| InstallError::Source { path: path.clone(), why };
        let bytes = fs::read(&path).map_err(|error| fail(format!("cannot be read: {error}")))?;
        machine.check_elf(&bytes).map_err(|error| fail(error.to_string()))?;
        Ok(bytes)
    };
    PROGRAMS.iter().map(|(name, _)| read(name)).collect()
}

fn find_release(client: &Client, options: &Options, platform: Platform) -> Result<Release, InstallError> {
    let package = npm::package_for(platform);
    let url = npm::packument_url(&options.registry, &package).map_err(OptionError::Registry)?;
    let mut answer = Vec::new();
    client.get(&url, npm::PACKUMENT_TYPE, MAX_PACKUMENT)?.read_all(|bytes| {
        answer.extend_from_slice(bytes);
        Ok::<_, FetchError>(())
    })?;
    Ok(npm::pick(&answer, &package, &options.version)?)
}

fn download(client: &Client, release: &Release, to: &mut StagedFile) -> Result<(), InstallError> {
    let mut hasher = Hasher::default();
    client.get(&release.tarball, "*/*", MAX_TARBALL)?.read_all(|bytes| {
        hasher.update(bytes);
        to.write(bytes).map_err(InstallError::from)
    })?;
    check_integrity(release, &hasher.finish())
}

fn check_integrity(release: &Release, found: &Integrity) -> Result<(), InstallError> {
    if *found == release.integrity {
        return Ok(());
    }
    Err(InstallError::Integrity {
        package: release.package.clone(),
        version: release.version.to_string(),
        expected: release.integrity.prefix(),
        found: found.prefix(),
    })
}

fn unpack_program(
    archive: &mut StagedFile,
    mut program: StagedFile,
    release: &Release,
    machine: Machine,
) -> Result<(), InstallError> {
    let mut head = Vec::with_capacity(ELF_HEAD);
    unpack::program(archive.reread()?, |bytes| {
        head.extend(bytes.iter().take(ELF_HEAD - head.len()));
        program.write(bytes).map_err(InstallError::from)
    })?;
    machine.check_elf(&head).map_err(|source| InstallError::Program {
        package: release.package.clone(),
        version: release.version.to_string(),
        source,
    })?;
    Ok(program.finish(0o755)?)
}

fn pretty(value: &impl Serialize, path: &str) -> Result<Vec<u8>, LayoutError> {
    let text = serde_json::to_string_pretty(value);
    let fail = |error: serde_json::Error| LayoutError::Io {
        action: "write",
        path: path.into(),
        source: error.into(),
    };
    Ok((text.map_err(fail)? + "\n").into_bytes())
}
