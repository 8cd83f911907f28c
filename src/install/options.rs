//! What to install: the Feature's options from the environment, and two flags.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::ValueExt as _;

use super::gitconfig::GitPush;
use super::openpgp::Fingerprint;
use super::policy::Wishes;
use super::release_host;
use super::source::Source;
use super::url::{Url, UrlError};
use super::wanted::Wanted;

/// The release unless somebody says otherwise.
const DEFAULT_VERSION: &str = "latest";

/// What `--help` prints.
pub const USAGE: &str = "\
usage: sandbox-install [--root DIR] [--source DIR] [--release-host URL] [--release-key FINGERPRINT]

Installs Claude Code and the sandbox's programs while an image is built.

  --root DIR          install below DIR instead of /
  --source DIR        take the sandbox's programs from DIR instead of this program's folder
  --release-host URL  take Claude Code from a mirror of its maker's release host, when NPMREGISTRY is empty
  --release-key FPR   accept manifests that the OpenPGP key with these 40 hexadecimal digits signed, instead of
                      the maker's; it is fetched from /keys/claude-code.asc at the release host

environment, as the dev container CLI sets it from the Feature's options:
  VERSION             latest, stable, or a full version such as 2.1.330
  NPMREGISTRY         an npm registry to take Claude Code from, where VERSION may be any dist-tag;
                      when empty, its maker's release host
  ALLOW               further names that the container may reach
  PRESETS             names that belong together, such as vscode or packages
  MODE                enforce; or audit, which refuses nothing and tells of all; when empty, what the policy file
                      says, or enforce
  POLICYFILE          the absolute path of a file in the image with further names, presets, and the mode
  PATH, and where they are set CARGO_HOME, GOPROXY, GOSUMDB, NPM_CONFIG_REGISTRY, PIP_INDEX_URL and the like
                      where the preset packages looks for registries; programs are asked without --root only
  WRITABLE            further folders that the agent may write
  UNIXSOCKETS         Unix sockets outside its cell that the agent may connect to
  LOCALPORTS          TCP ports on loopback outside its cell that the agent may connect to
  PASSENVIRONMENT     names of variables that reach the agent as they are
  WITHOUT             layers without which an agent is started all the same
  GITPUSH             refuse git push to other machines; or allow
  _REMOTE_USER        a user to make Claude Code's folders for, as far as /etc/passwd has one of the name;
  _CONTAINER_USER     another
";

/// Everything that was asked for, checked.
#[derive(Debug)]
pub struct Options {
    /// Which release of Claude Code.
    pub version: Wanted,
    /// From where.
    pub from: Source,
    /// What the container may reach, as it was written.
    pub policy: Wishes,
    /// What becomes of `git push`.
    pub git_push: GitPush,
    /// Who will work in the container, by name: the remote user and the container's.
    pub users: Vec<String>,
    /// Below which folder to install.
    pub root: PathBuf,
    /// The folder with the other programs.
    pub source: PathBuf,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// To be told how.
    Help,
    /// To install.
    Install(Box<Options>),
}

/// Why the options are not understood.
#[derive(Debug, thiserror::Error)]
pub enum OptionError {
    /// A flag that does not exist, or lacks its value.
    #[error("{0}; see --help")]
    Flag(#[from] lexopt::Error),
    /// Neither a word nor a version.
    #[error(
        "the option `version` is `{0}`, neither a word such as `latest` nor a full version such as `2.1.330`"
    )]
    Version(String),
    /// Not a release host.
    #[error("the flag --release-host cannot be used: {0}")]
    ReleaseHost(UrlError),
    /// Not a fingerprint.
    #[error("the flag --release-key is `{0}`, which is not the 40 hexadecimal digits of a key's fingerprint")]
    ReleaseKey(String),
    /// Not a registry.
    #[error("the option `npmRegistry` cannot be used: {0}")]
    Registry(UrlError),
    /// Neither of the two words.
    #[error("the option `gitPush` cannot be used: '{0}' is neither refuse nor allow")]
    GitPush(String),
    /// An environment that is not text.
    #[error("the environment variable {0} is not UTF-8")]
    NotText(&'static str),
    /// The running program's own folder is unknown.
    #[error("cannot tell which folder this program lies in: {0}; give it with --source")]
    OwnFolder(std::io::Error),
}

/// Reads the flags in `args`, which starts with the program's name, and the options with `variable`.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, OptionError> {
    let mut parser = lexopt::Parser::from_iter(args);
    let (mut root, mut source) = (PathBuf::from("/"), None);
    let mut release_host = release_host::BASE.to_owned();
    let mut release_key = release_host::KEY.to_owned();
    while let Some(arg) = parser.next()? {
        match arg {
            lexopt::Arg::Long("root") => root = parser.value()?.into(),
            lexopt::Arg::Long("source") => source = Some(parser.value()?.into()),
            lexopt::Arg::Long("release-host") => release_host = parser.value()?.string()?,
            lexopt::Arg::Long("release-key") => release_key = parser.value()?.string()?,
            lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    // An option that is left empty is one that was not set.
    let written = |name: &'static str| match variable(name).map(OsString::into_string) {
        None => Ok(String::new()),
        Some(Ok(text)) => Ok(text),
        Some(Err(_)) => Err(OptionError::NotText(name)),
    };
    let text = |name: &'static str| written(name).map(|text| text.trim().to_owned());
    let (mut version, registry) = (text("VERSION")?, text("NPMREGISTRY")?);
    if version.is_empty() {
        DEFAULT_VERSION.clone_into(&mut version);
    }
    let from = if registry.is_empty() {
        Source::ReleaseHost {
            base: Url::parse(&release_host).map_err(OptionError::ReleaseHost)?,
            key: Fingerprint::parse(&release_key).ok_or(OptionError::ReleaseKey(release_key))?,
        }
    } else {
        Source::Npm(Url::parse(&registry).map_err(OptionError::Registry)?)
    };
    let git_push = text("GITPUSH")?;
    Ok(Command::Install(Box::new(Options {
        version: Wanted::parse(&version).ok_or(OptionError::Version(version))?,
        from,
        // Whose errors say a column.
        policy: Wishes {
            presets: written("PRESETS")?,
            allow: written("ALLOW")?,
            mode: written("MODE")?,
            file: written("POLICYFILE")?,
            writable: written("WRITABLE")?,
            unix_sockets: written("UNIXSOCKETS")?,
            local_ports: written("LOCALPORTS")?,
            pass_environment: written("PASSENVIRONMENT")?,
            without: written("WITHOUT")?,
        },
        git_push: GitPush::parse(&git_push).ok_or(OptionError::GitPush(git_push))?,
        users: vec![text("_REMOTE_USER")?, text("_CONTAINER_USER")?],
        root,
        source: source.map_or_else(own_folder, Ok)?,
    })))
}

fn own_folder() -> Result<PathBuf, OptionError> {
    let mut path = env::current_exe().map_err(OptionError::OwnFolder)?;
    path.pop();
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str], variables: &[(&str, &str)]) -> Result<Options, String> {
        let args = ["sandbox-install"].iter().chain(args).map(OsString::from);
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        match parse(args, variable) {
            Ok(Command::Install(options)) => Ok(*options),
            Ok(Command::Help) => Err("help".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn defaults() {
        for variables in [&[][..], &[("VERSION", ""), ("NPMREGISTRY", " "), ("ALLOW", "")]] {
            let options = parsed(&[], variables).unwrap();
            assert_eq!(options.version, Wanted::Tag("latest".to_owned()));
            let base = Url::parse("https://downloads.claude.ai/claude-code-releases").unwrap();
            let key = Fingerprint::parse("31DDDE24DDFAB679F42D7BD2BAA929FF1A7ECACE").unwrap();
            assert_eq!(options.from, Source::ReleaseHost { base, key });
            assert_eq!(options.root, PathBuf::from("/"));
            assert_eq!(options.git_push, GitPush::Refuse);
            assert_eq!(options.policy, Wishes::default());
        }
    }

    #[test]
    fn what_is_set_counts() {
        let options = parsed(
            &["--root", "/r", "--source=/s"],
            &[
                ("VERSION", "2.1.330"),
                ("NPMREGISTRY", "https://r.example/npm"),
                ("ALLOW", " api.example.com"),
                ("POLICYFILE", "/etc/p.jsonc"),
                ("GITPUSH", "allow"),
                ("_REMOTE_USER", "node"),
            ],
        )
        .unwrap();
        assert_eq!(options.version.to_string(), "2.1.330");
        assert_eq!(options.from, Source::Npm(Url::parse("https://r.example/npm").unwrap()));
        assert_eq!(options.users, ["node", ""]);
        assert_eq!(options.git_push, GitPush::Allow);
        assert_eq!((options.root, options.source), ("/r".into(), "/s".into()));
        let (allow, file) = (" api.example.com".to_owned(), "/etc/p.jsonc".to_owned());
        assert_eq!(options.policy, Wishes { allow, file, ..Wishes::default() });
    }

    #[test]
    fn a_mirror_of_the_release_host() {
        let digits = "0123456789abcdef0123456789abcdef01234567";
        let options =
            parsed(&["--release-host", "https://m.example/c", "--release-key", digits], &[]).unwrap();
        let base = Url::parse("https://m.example/c").unwrap();
        let key = Fingerprint::parse(digits).unwrap();
        assert_eq!(options.from, Source::ReleaseHost { base, key });
    }

    #[test]
    fn nonsense_is_refused() {
        for (args, variables, part) in [
            (&["--help"][..], &[][..], "help"),
            (&["--frobnicate"], &[], "--frobnicate"),
            (&["--root"], &[], "--root"),
            (&["extra"], &[], "extra"),
            (&["--release-host"], &[], "--release-host"),
            (
                &["--release-host", "http://m.example/"],
                &[],
                "the flag --release-host cannot be used: `http://m.example/` is plain http",
            ),
            (&["--release-key", "31DDDE24"], &[], "the flag --release-key is `31DDDE24`"),
            (&[], &[("VERSION", "2.1")], "the option `version` is `2.1`"),
            (
                &[],
                &[("NPMREGISTRY", "http://r.example/")],
                "the option `npmRegistry` cannot be used: `http://r.example/` is plain http",
            ),
            (
                &[],
                &[("GITPUSH", "never")],
                "the option `gitPush` cannot be used: 'never' is neither refuse nor allow",
            ),
        ] {
            let error = parsed(args, variables).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
