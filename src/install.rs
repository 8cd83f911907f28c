//! What `sandbox-install` does while an image is built: fetch Claude Code, verify it, and put it and the
//! sandbox's own programs in place, all or nothing.
//!
//! | exit code | what went wrong |
//! |---|---|
//! | 0 | nothing: everything is in place |
//! | 2 | an option or the policy file does not read, or there is no such release |
//! | 3 | the network, or a host that answers something else |
//! | 4 | what came is not what was announced or signed, or not a program for this machine |
//! | 5 | the file system: no space, no right, something in the way, or a file that keeps its setuid bit |
//! | 6 | a machine that Claude Code, or this release of it, is not published for, or an image that lacks what it needs to start |
//!
//! With every code but 0 nothing was changed.

pub mod certificates;
pub mod fetch;
pub mod gitconfig;
pub mod integrity;
pub mod layout;
mod managed;
pub mod names;
pub mod npm;
pub mod openpgp;
pub mod options;
pub mod packages;
pub mod platform;
pub mod policy;
pub mod policy_file;
mod privileged;
pub mod proxy;
pub mod release_host;
mod resolve;
pub mod source;
pub mod startable;
pub mod trusted;
pub mod unpack;
pub mod url;
pub mod users;
pub mod wanted;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use fetch::{Client, FetchError, Waits};
use gitconfig::GitPush;
use layout::{LayoutError, Stage, StagedFile};
use npm::NpmError;
use options::{OptionError, Options};
use platform::{ELF_HEAD, ElfError, Machine, Platform, PlatformError};
use policy::WishError;
use release_host::ReleaseHostError;
use source::{Kind, Release, Signature};
use startable::StartError;
use unpack::UnpackError;

/// Claude Code itself, which only the launcher starts.
const CLAUDE: &str = "usr/local/lib/agent-sandbox/claude";

/// Folders that are this product's alone, with their modes.
const OWN_FOLDERS: [(&str, u32); 5] = [
    ("usr/local/lib/agent-sandbox", 0o755),
    ("usr/local/libexec/agent-sandbox", 0o755),
    ("etc/agent-sandbox", 0o755),
    ("var/log/agent-sandbox", 0o755),
    // Where the Feature mounts a volume, which takes owner and mode from here when it is new: whoever the user
    // turns out to be can write to it.
    ("var/lib/claude-code", 0o1777),
];

/// The sandbox's own programs, which come with the Feature, and their modes.
const PROGRAMS: [(&str, &str, u32); 3] = [
    ("sandboxd", "usr/local/libexec/agent-sandbox/sandboxd", 0o755),
    ("agent-sandbox", "usr/local/libexec/agent-sandbox/agent-sandbox", 0o755),
    // Users other than root start the sandbox with it.
    ("sandbox-launch", "usr/local/libexec/agent-sandbox/sandbox-launch", 0o6755),
];

/// Names on PATH; the program behind all of them decides by the name it was called with. Whatever has one of
/// these is replaced: another `claude` would start outside the sandbox, and the original Feature's
/// `init-firewall.sh` would change the firewall.
const LINKS: [&str; 4] = [
    "usr/local/bin/agent-sandbox",
    "usr/local/bin/claude",
    "usr/local/bin/git-remote-agent-sandbox-push",
    "usr/local/bin/init-firewall.sh",
];

/// One more, which is the image's own where the image has it.
const SUDO: &str = "usr/local/bin/sudo";
const LINK_TARGET: &str = "../libexec/agent-sandbox/agent-sandbox";

/// The name by which an editor's extension, and Claude Code itself, start an agent; not on PATH.
const WRAPPER: (&str, &str) = ("usr/local/libexec/agent-sandbox/claude-process-wrapper", "agent-sandbox");

const POLICY: &str = "etc/agent-sandbox/policy.json";
/// The system's git configuration, and that of a git that was built to lie in `/usr/local`.
const GITCONFIG: &str = "etc/gitconfig";
const LOCAL_GIT: (&str, &str) = ("usr/local/bin/git", "usr/local/etc/gitconfig");

/// Folders in the home of whoever works in the container, with their modes. Volumes that somebody mounts there
/// take owner and mode from them when they are new.
const HOME_FOLDERS: [(&str, u32); 2] = [(".claude", 0o700), (".local/share/claude", 0o755)];

const PASSWD: &str = "etc/passwd";

const RECORD: &str = "etc/agent-sandbox/install.json";

/// The program has two fifths of this, its archive one.
const MAX_DOWNLOAD: u64 = 1 << 30;

/// Why nothing was installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// An option does not read.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// What is wished does not make a policy.
    #[error(transparent)]
    Policy(#[from] WishError),
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
    /// The release host has no such release.
    #[error(transparent)]
    ReleaseHost(#[from] ReleaseHostError),
    /// Other bytes than announced.
    #[error(
        "the download of {release} has the hash {found}…, not {expected}… as announced; nothing was installed, try again or another source in the option `npmRegistry`"
    )]
    Integrity {
        /// What was downloaded.
        release: String,
        /// The start of the announced hash.
        expected: String,
        /// The start of the hash of what came.
        found: String,
    },
    /// More or fewer bytes than announced.
    #[error(
        "the download of {release} is not {expected} bytes long as announced; nothing was installed, try again or another source in the option `npmRegistry`"
    )]
    Size {
        /// What was downloaded.
        release: String,
        /// The announced length.
        expected: u64,
    },
    /// An archive with something else in it.
    #[error("the archive of the Claude Code package {0}; nothing was installed")]
    Unpack(#[from] UnpackError),
    /// A program for another machine.
    #[error("the program of {release} {source}; nothing was installed")]
    Program {
        /// What it came with.
        release: String,
        /// What it is.
        source: ElfError,
    },
    /// A program that the image cannot start.
    #[error("the program of {release} {source}; nothing was installed")]
    Start {
        /// What it came with.
        release: String,
        /// What is missing.
        source: StartError,
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
    /// The npm package it came in, where it came from a registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The hash that the download was checked against.
    pub integrity: String,
    /// By whom the hash is signed, where it came from a release host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// Where it was downloaded from.
    pub source: String,
    /// What becomes of `git push`.
    pub git_push: GitPush,
}

impl InstallError {
    /// The exit code, as the table above has it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Option(_) | Self::Policy(_) => 2,
            Self::Npm(error) => match error {
                NpmError::NoTag { .. } | NpmError::NoVersion { .. } => 2,
                NpmError::NoIntegrity { .. } | NpmError::Integrity { .. } => 4,
                _ => 3,
            },
            Self::ReleaseHost(error) => match error {
                ReleaseHostError::NoChannel(_) | ReleaseHostError::NoVersion(_) => 2,
                ReleaseHostError::Integrity { .. }
                | ReleaseHostError::Signature { .. }
                | ReleaseHostError::NotSigned(_)
                | ReleaseHostError::NotSignedByWord { .. } => 4,
                ReleaseHostError::NoPlatform { .. } => 6,
                _ => 3,
            },
            Self::Fetch(_) => 3,
            Self::Integrity { .. }
            | Self::Size { .. }
            | Self::Unpack(_)
            | Self::Program { .. }
            | Self::Start { source: StartError::Broken(_), .. } => 4,
            Self::Source { .. } | Self::Layout(_) => 5,
            Self::Platform(_) | Self::Start { source: StartError::Missing { .. }, .. } => 6,
        }
    }
}

/// Installs, and hands `say` a line about each step that takes a while.
pub fn run(options: &Options, mut say: impl FnMut(&str)) -> Result<Record, InstallError> {
    let platform = Platform::of_image(&options.root)?;
    // Before the long download, as these need no network to fail.
    let policy = policy::build(&options.policy, &options.root, &mut say)?;
    let programs = read_programs(&options.source, platform.machine)?;
    let client = Client::new(Waits::default(), &mut say)?;
    let release = options.from.resolve(&client, &options.version, platform)?;
    match release.signature {
        Some(Signature::VerifiedBy(key)) => say(&format!("verified the manifest's signature by {key}")),
        Some(Signature::None) => say(&format!(
            "Claude Code {} is from before manifests were signed: its sha256 is as good as the connection",
            release.version
        )),
        None => {}
    }
    say(&format!("fetching Claude Code {} for {platform} from {}", release.version, release.url));

    let mut stage = Stage::new(&options.root);
    for (folder, mode) in OWN_FOLDERS {
        stage.own_folder(folder, mode)?;
    }
    stage.link_unless_foreign(SUDO, LINK_TARGET)?;
    stage_claude(&mut stage, &client, &release, platform, &mut say)?;

    for ((_, path, mode), bytes) in PROGRAMS.iter().zip(programs) {
        stage.whole(path, &bytes, *mode)?;
    }
    for link in LINKS {
        stage.link(link, LINK_TARGET)?;
    }
    stage.link(WRAPPER.0, WRAPPER.1)?;
    if let Some(conflict) =
        fs::read(options.root.join(managed::MAIN)).ok().and_then(|text| managed::conflict(&text))
    {
        say(&format!("/{} {conflict}", managed::MAIN));
    }
    stage.whole(managed::DROP_IN, &pretty(&managed::settings(), managed::DROP_IN)?, 0o644)?;
    // An image without the file has nobody but root.
    let passwd = fs::read(options.root.join(PASSWD)).unwrap_or_default();
    for user in users::find(&String::from_utf8_lossy(&passwd), &options.users) {
        for (folder, mode) in HOME_FOLDERS {
            stage.folder_in_home(&user, folder, mode)?;
        }
    }
    let record = Record {
        claude_version: release.version.to_string(),
        package: release.package,
        integrity: release.integrity.to_string(),
        signature: release.signature,
        source: release.url.to_string(),
        git_push: options.git_push,
    };
    stage_gitconfig(&mut stage, GITCONFIG, options.git_push)?;
    if options.root.join(LOCAL_GIT.0).exists() {
        stage_gitconfig(&mut stage, LOCAL_GIT.1, options.git_push)?;
    }
    stage.whole(POLICY, &pretty(&policy, POLICY)?, 0o644)?;
    stage.whole(RECORD, &pretty(&record, RECORD)?, 0o644)?;
    let stripped = privileged::strip(&options.root)?;
    stage.commit()?;
    stripped.keep().iter().for_each(|line| say(line));
    Ok(record)
}

/// Git may come later than this, as another Feature brings it: it finds its configuration then.
fn stage_gitconfig(stage: &mut Stage, path: &str, push: GitPush) -> Result<(), LayoutError> {
    let there = stage.root().join(path);
    let (old, mode) = match fs::read(&there) {
        Ok(old) => {
            let mode = there.metadata().map_or(0o644, |found| found.permissions().mode() & 0o777);
            (old, mode)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), 0o644),
        Err(source) => return Err(LayoutError::Io { action: "read", path: there, source }),
    };
    let new = gitconfig::with(&old, push);
    if new == old { Ok(()) } else { stage.whole(path, &new, mode) }
}

fn read_programs(source: &Path, machine: Machine) -> Result<Vec<Vec<u8>>, InstallError> {
    let read = |name: &str| {
        let path = source.join(name);
        let fail = |why: String| InstallError::Source { path: path.clone(), why };
        let bytes = fs::read(&path).map_err(|error| fail(format!("cannot be read: {error}")))?;
        machine.check_elf(&bytes).map_err(|error| fail(error.to_string()))?;
        Ok(bytes)
    };
    PROGRAMS.iter().map(|(name, ..)| read(name)).collect()
}

fn stage_claude(
    stage: &mut Stage,
    client: &Client,
    release: &Release,
    platform: Platform,
    say: &mut impl FnMut(&str),
) -> Result<(), InstallError> {
    let mut program = stage.file(CLAUDE)?;
    match release.kind {
        Kind::Plain => {
            download(client, release, &mut program)?;
            say(&format!("verified {}", release.integrity.prefix()));
        }
        Kind::Archive => {
            let mut archive = stage.scratch(CLAUDE)?;
            download(client, release, &mut archive)?;
            say(&format!("verified {}, unpacking", release.integrity.prefix()));
            unpack::program(archive.reread()?, |bytes| program.write(bytes).map_err(InstallError::from))?;
        }
    }
    let head = program.head(ELF_HEAD as u64)?;
    platform
        .machine
        .check_elf(&head)
        .map_err(|source| InstallError::Program { release: release.to_string(), source })?;
    startable::check(program.reread()?, stage.root(), platform)
        .map_err(|source| InstallError::Start { release: release.to_string(), source })?;
    program.finish(0o755)?;
    Ok(())
}

fn download(client: &Client, release: &Release, to: &mut StagedFile) -> Result<(), InstallError> {
    let mut hasher = release.integrity.hasher();
    let mut got = 0;
    client.get(&release.url, "*/*", MAX_DOWNLOAD)?.read_all(|bytes| {
        got += bytes.len() as u64;
        // As soon as it is too long, and not when the disk is full.
        check_size(release, |size| got <= size)?;
        hasher.update(bytes);
        to.write(bytes).map_err(InstallError::from)
    })?;
    check_size(release, |size| got == size)?;
    let found = hasher.finish();
    if found == release.integrity {
        return Ok(());
    }
    Err(InstallError::Integrity {
        release: release.to_string(),
        expected: release.integrity.prefix(),
        found: found.prefix(),
    })
}

fn check_size(release: &Release, holds: impl FnOnce(u64) -> bool) -> Result<(), InstallError> {
    match release.size {
        Some(expected) if !holds(expected) => {
            Err(InstallError::Size { release: release.to_string(), expected })
        }
        _ => Ok(()),
    }
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
