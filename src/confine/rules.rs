//! The cell's Landlock rules (landlock(7)): what its processes may write, what they may not read, and that they reach no
//! process outside by a signal, a tracer or an abstract socket. As much of it as the kernel carries.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use landlock::{
    AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, RestrictSelfError, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::paths;

mod beneath;
mod secrets;

use beneath::{Allowed, Hidden};

/// What the rules are made from.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// Folders and files that the cell writes, and reads even where a secret would be hidden; by their real paths,
    /// without a link in them.
    pub writable: &'a [PathBuf],
    /// The user's home outside the cell; `/` where it is not known.
    pub real_home: &'a Path,
    /// Unix sockets outside that may be reached beside the daemon's.
    pub listed_sockets: &'a [PathBuf],
}

/// What holds once [`Prepared::restrict_self`] has returned. What is `false` is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one kernel feature, and any combination is reported"
)]
pub struct Enforced {
    /// The kernel's version of Landlock, 0 without.
    pub abi: u32,
    /// Files are written, made, removed and renamed in the writable places alone.
    pub writes: bool,
    /// So are they shortened; without it a file that cannot be written could still be emptied.
    pub truncation: bool,
    /// Files can be moved from folder to folder in the writable places; where `writes` holds without it, such a move
    /// fails, and programs copy.
    pub moves: bool,
    /// Devices take no request but those that a program needs.
    pub devices: bool,
    /// The user's secrets are not read.
    pub reads: bool,
    /// No process outside is traced, and nothing of it read in `/proc` that its user alone may read.
    pub tracing: bool,
    /// No process outside gets a signal.
    pub signals: bool,
    /// No abstract socket of a process outside is reached.
    pub abstract_sockets: bool,
    /// No path socket is reached but in the writable places and those listed.
    pub path_sockets: bool,
}

/// Why the rules are not in force.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A writable place that is gone again, or has a link in its path.
    #[error("the cell cannot be given {path}, which it should write: {source}")]
    Place {
        /// Which.
        path: String,
        /// Why not.
        source: Errno,
    },
    /// The kernel says that it has Landlock, and then does not take a rule.
    #[error(
        "the kernel refused the cell's rules for files: {0}; start the agent again, and report it if it stays"
    )]
    Kernel(#[from] RulesetError),
    /// Sixteen rulesets lie on each other already.
    #[error(
        "the cell's rules for files cannot be added: this process is in as many Landlock domains as the kernel allows; start the agent from a terminal that no other sandbox started"
    )]
    TooManyLayers,
    /// Prepared for more than was taken.
    #[error("the kernel enforces less of the cell's rules for files than it said; the agent is not started")]
    Partly,
}

/// Rules whose files are open and that await their process.
#[derive(Debug)]
pub struct Prepared {
    /// None without Landlock.
    ruleset: Option<RulesetCreated>,
    enforced: Enforced,
    crowded: Vec<PathBuf>,
}

/// Devices that programs open to write. Terminals other than the caller's are among them: a terminal that the cell makes
/// has a number that nobody knows beforehand.
const DEVICES: [&str; 8] = [
    "/dev/full",
    "/dev/null",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/random",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
];

/// Where shared memory and named semaphores are made, beside the writable places.
const SHARED_MEMORY: &str = "/dev/shm";

/// Makes the rules, in the process that starts the cell.
pub fn prepare(ground: Ground<'_>) -> Result<Prepared, RulesError> {
    let abi = abi();
    let real_home = std::fs::canonicalize(ground.real_home).unwrap_or_else(|_| ground.real_home.to_owned());
    let mut enforced = enforced(abi);
    if abi == 0 {
        return Ok(Prepared { ruleset: None, enforced, crowded: Vec::new() });
    }
    // Nothing can be taken back from below a place that may be written; and without a home nothing was looked for.
    let holds_home = ground.writable.iter().any(|place| real_home.starts_with(place));
    enforced.reads &= !holds_home && real_home != Path::new("/");

    let rights = Rights::of(abi);
    let mut ruleset =
        Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(rights.handled)?;
    if enforced.signals {
        ruleset = ruleset.scope(Scope::Signal)?;
    }
    if enforced.abstract_sockets {
        ruleset = ruleset.scope(Scope::AbstractUnixSocket)?;
    }
    let mut ruleset = ruleset.create()?;

    let Allowed { paths, crowded } = Hidden::of(&real_home).allowed();
    for path in paths {
        // What is gone again needs no rule.
        if let Ok(at) = open(&path, OFlags::NOFOLLOW) {
            ruleset = add(ruleset, &at, rights.read)?;
        }
    }
    for place in ground.writable {
        // A link in it would lead the rule to what nobody meant.
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let at = rustix::fs::openat2(CWD, place, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
            .map_err(|source| RulesError::Place { path: place.display().to_string(), source })?;
        ruleset = add(ruleset, &at, rights.handled)?;
    }
    if let Ok(at) = open(Path::new(SHARED_MEMORY), OFlags::NOFOLLOW) {
        ruleset = add(ruleset, &at, rights.handled & !rights.resolve)?;
    }
    for device in DEVICES {
        if let Ok(at) = open(Path::new(device), OFlags::empty()) {
            ruleset = add(ruleset, &at, rights.device)?;
        }
    }
    if enforced.path_sockets {
        // The daemon's socket is made anew on each start, in a folder that root alone writes.
        for path in ground.listed_sockets.iter().map(PathBuf::as_path).chain([Path::new(paths::RUN)]) {
            if let Ok(at) = open(path, OFlags::empty()) {
                ruleset = add(ruleset, &at, rights.resolve)?;
            }
        }
    }
    Ok(Prepared { ruleset: Some(ruleset), enforced, crowded })
}

impl Prepared {
    /// What holds once they are in force.
    pub fn enforced(&self) -> Enforced {
        self.enforced
    }

    /// Folders of the user's home with so many entries that what is not known by name there is not read.
    pub fn crowded(&self) -> &[PathBuf] {
        &self.crowded
    }

    /// Puts the calling thread, and whatever it starts, under the rules. It sets `no_new_privs`.
    pub fn restrict_self(self) -> Result<Enforced, RulesError> {
        let Some(ruleset) = self.ruleset else { return Ok(self.enforced) };
        match ruleset.restrict_self() {
            Ok(status) if status.ruleset == RulesetStatus::FullyEnforced => Ok(self.enforced),
            Ok(_) => Err(RulesError::Partly),
            Err(RulesetError::RestrictSelf(RestrictSelfError::RestrictSelfCall { source, .. }))
                if source.raw_os_error() == Some(libc::E2BIG) =>
            {
                Err(RulesError::TooManyLayers)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What a kernel with this version enforces.
fn enforced(abi: u32) -> Enforced {
    Enforced {
        abi,
        writes: abi >= 1,
        truncation: abi >= 3,
        moves: abi >= 2,
        devices: abi >= 5,
        reads: abi >= 1,
        tracing: abi >= 1,
        signals: abi >= 6,
        abstract_sockets: abi >= 6,
        path_sockets: abi >= 9,
    }
}

/// Of each kind those that the kernel knows.
#[derive(Debug, Clone, Copy)]
struct Rights {
    handled: BitFlags<AccessFs>,
    read: BitFlags<AccessFs>,
    device: BitFlags<AccessFs>,
    resolve: BitFlags<AccessFs>,
}

impl Rights {
    /// Names of files are not hidden, so that a shell can walk everywhere: `ReadDir` is not handled.
    fn of(abi: u32) -> Self {
        let since = |least: u32, right: AccessFs| if abi >= least { right.into() } else { BitFlags::EMPTY };
        let truncate = since(3, AccessFs::Truncate);
        let ioctl = since(5, AccessFs::IoctlDev);
        let resolve = since(9, AccessFs::ResolveUnix);
        let read = AccessFs::ReadFile | AccessFs::Execute;
        let write = AccessFs::WriteFile
            | AccessFs::RemoveDir
            | AccessFs::RemoveFile
            | AccessFs::MakeChar
            | AccessFs::MakeDir
            | AccessFs::MakeReg
            | AccessFs::MakeSock
            | AccessFs::MakeFifo
            | AccessFs::MakeBlock
            | AccessFs::MakeSym
            | since(2, AccessFs::Refer)
            | truncate
            | ioctl;
        let device = AccessFs::ReadFile | AccessFs::WriteFile | truncate | ioctl;
        Self { handled: read | write | resolve, read, device, resolve }
    }
}

fn add(
    ruleset: RulesetCreated,
    at: &OwnedFd,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesError> {
    // Best effort here means: of a file, those rights that files have.
    let rule = PathBeneath::new(at, rights).set_compatibility(CompatLevel::BestEffort);
    Ok(ruleset.add_rule(rule)?)
}

fn open(path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC | flags, Mode::empty())
}

/// The kernel's version of Landlock; 0 where it has none, or a container's profile refuses it.
#[expect(unsafe_code, reason = "no crate here tells the version; the call takes no memory of this program")]
pub fn abi() -> u32 {
    const VERSION: u32 = 1;
    // SAFETY: without a pointer and with this flag the call reads and writes nothing.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    u32::try_from(version).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_is_asked_for_what_it_knows() {
        for abi in 1..=12 {
            let (rights, enforced) = (Rights::of(abi), enforced(abi));
            let known = landlock::Access::from_all(landlock::ABI::from(i32::try_from(abi).unwrap()));
            let handled: BitFlags<AccessFs> = rights.handled | AccessFs::ReadDir;
            assert_eq!(handled, known, "{abi}");
            assert!(rights.handled.contains(rights.device | rights.read), "{abi}");
            assert_eq!(enforced.moves, handled.contains(AccessFs::Refer), "{abi}");
            assert_eq!(enforced.truncation, handled.contains(AccessFs::Truncate), "{abi}");
            assert_eq!(enforced.devices, handled.contains(AccessFs::IoctlDev), "{abi}");
            assert_eq!(enforced.path_sockets, handled.contains(AccessFs::ResolveUnix), "{abi}");
        }
        assert_eq!(enforced(0), Enforced::default());
    }
}
