//! Every command and flag of `cargo xtask`, in one place.

use std::path::PathBuf;

use clap::{Arg, Args, Parser, Subcommand, ValueEnum};

use crate::arch::Arch;
use crate::publish::LONGEST;
use crate::registry::fault::{Fault, spec};
use crate::scenarios::engine::Engine;

/// The publisher for Dev Container Features and Templates.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the static binaries that the Features ship
    Build(BuildArgs),
    /// Assemble, validate and pack Features into reproducible archives
    Package(PackageArgs),
    /// Pack Features and push them to an OCI registry
    Publish(PublishArgs),
    /// Say what is published under a reference
    Info(InfoArgs),
    /// Say in which order a workspace's Features are installed
    ResolveDependencies(ResolveArgs),
    /// The commands for Features by the official CLI's names, as in `features publish`
    Features(FeaturesArgs),
    /// The same for Templates
    Templates(TemplatesArgs),
    /// The embedded OCI registry
    Registry(RegistryArgs),
    /// Run the scenarios through the devcontainer CLI against a real Docker
    TestScenarios(ScenarioArgs),
    /// Run the firewall's tests and the daemon on other kernels, under qemu
    TestKernels(KernelArgs),
    /// Write the README.md of each Feature of a collection; without -p, this repository's own generated parts
    #[command(visible_alias = "generate-docs", mut_args(only_of_a_collection))]
    Docs(DocsArgs),
    /// Measure
    Bench(BenchArgs),
    /// Everything that must pass before a change lands
    Ci(CiArgs),
}

/// Flags of `build`.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Build for this architecture only [default: both]
    #[arg(long, value_enum)]
    pub arch: Vec<Arch>,
    /// Use this way to a cross toolchain instead of the first that works
    #[arg(long, value_enum)]
    pub via: Option<Via>,
}

/// Ways to a toolchain for another architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// A target of rustup, installed or to be added
    Rustup,
    /// Debian's `rustc-web`, `cargo-web` and `libstd-rust-web-dev`
    Debian,
}

/// Flags of `package`; names and defaults are the official CLI's.
#[derive(Debug, Args)]
pub struct PackageArgs {
    /// A collection folder or one Feature [default: the current folder; in this repository, features/]
    pub target: Option<PathBuf>,
    /// Where the archives go
    #[arg(short, long, default_value = "./output")]
    pub output_folder: PathBuf,
    /// Empty the output folder first
    #[arg(short, long)]
    pub force_clean_output_folder: bool,
    /// What the official CLI takes; here each level says the same
    #[arg(long, value_parser = log_level(false), default_value = "info")]
    pub log_level: LogLevel,
    /// Fail if a Feature changed since this commit, tag or branch and its version did not
    #[arg(long, value_name = "REF")]
    pub since: Option<String>,
}

/// Flags of `publish`; names and defaults are the official CLI's, with `--local`, `--dry-run`, `--json` and `--timeout` added.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// A collection folder or one Feature [default: the current folder; in this repository, features/]
    pub target: Option<PathBuf>,
    /// Registry to push to; can be repeated
    #[arg(short, long, default_value = "ghcr.io", conflicts_with = "local")]
    pub registry: Vec<String>,
    /// Namespace of the collection, lower-cased [default: owner/repository of the git remote]
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Say what would be pushed, push nothing
    #[arg(long)]
    pub dry_run: bool,
    /// End after so many seconds, 1 to 86400; what is there then is whole
    #[arg(long, value_name = "SECONDS", default_value_t = LONGEST.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// Publish to the embedded registry under target/registry of this checkout; needs no account
    #[arg(long, conflicts_with = "username")]
    pub local: bool,
    /// Nothing but JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// Fail if a Feature changed since this commit, tag or branch and its version did not
    #[arg(long, value_name = "REF")]
    pub since: Option<String>,
    /// What the official CLI takes; here each level says the same
    #[arg(long, value_parser = log_level(false), default_value = "info")]
    pub log_level: LogLevel,
    /// Who we are to the registry.
    #[command(flatten)]
    pub auth: AuthArgs,
}

/// Flags of `info`; names and defaults are the official CLI's.
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// What to say; "verbose" says everything
    #[arg(value_enum)]
    pub mode: InfoMode,
    /// The reference of a Feature, as in ghcr.io/owner/features/id:1
    pub feature: String,
    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    pub output_format: OutputFormat,
    /// What else is said, on standard error
    #[arg(long, value_parser = log_level(false), default_value = "info")]
    pub log_level: LogLevel,
}

/// What `info` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InfoMode {
    /// The manifest, and the reference with its digest
    Manifest,
    /// The published tags
    Tags,
    /// What the Feature depends on, as a graph
    Dependencies,
    /// All of these
    Verbose,
}

/// How something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// How much is said on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogLevel {
    /// Errors, and what must be known
    Error,
    /// The steps that matter
    #[default]
    Info,
    /// Each step
    Debug,
    /// Each step
    Trace,
}

/// The levels that a command of the official CLI has: only one of them has "error".
fn log_level(with_error: bool) -> impl clap::builder::TypedValueParser<Value = LogLevel> {
    use clap::builder::{PossibleValuesParser, TypedValueParser as _};
    let names: &[&str] =
        if with_error { &["error", "info", "debug", "trace"] } else { &["info", "debug", "trace"] };
    PossibleValuesParser::new(names.iter().copied()).try_map(|name| LogLevel::from_str(&name, false))
}

/// Flags of `resolve-dependencies`; names and defaults are the official CLI's.
#[derive(Debug, Args)]
pub struct ResolveArgs {
    /// The folder that has the configuration [default: the current folder]
    #[arg(long)]
    pub workspace_folder: Option<PathBuf>,
    /// What else is said, on standard error
    #[arg(long, value_parser = log_level(true), default_value = "error")]
    pub log_level: LogLevel,
}

/// Flags of every command that talks to a registry.
#[derive(Debug, Clone, Default, Args)]
pub struct AuthArgs {
    /// User to log in as; the password comes with --password-stdin
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    pub username: Option<String>,
    /// Read the password or token of --username from standard input
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
    /// Another host that may see the registry's credentials; can be repeated
    #[arg(long, value_name = "[REGISTRY=]HOST", alias = "allow-cross-origin-auth-host")]
    pub allow_auth_host: Vec<String>,
    /// What the official CLI has to be told, and what is always so here
    #[arg(long, hide = true)]
    pub oci_auth_hardening: bool,
}

/// Flags of `features`.
#[derive(Debug, Args)]
pub struct FeaturesArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: FeaturesCommand,
}

/// The commands of `features`: those that the official CLI has there.
#[derive(Debug, Subcommand)]
pub enum FeaturesCommand {
    /// Assemble, validate and pack Features into reproducible archives
    Package(PackageArgs),
    /// Pack Features and push them to an OCI registry
    Publish(PublishArgs),
    /// Say what is published under a reference
    Info(InfoArgs),
    /// Say in which order a workspace's Features are installed
    ResolveDependencies(ResolveArgs),
    /// Write the README.md of each Feature of a collection
    #[command(visible_alias = "docs", mut_arg("project_folder", |folder| folder.default_value(".")))]
    GenerateDocs(DocsArgs),
}

impl From<FeaturesCommand> for Command {
    fn from(command: FeaturesCommand) -> Self {
        match command {
            FeaturesCommand::Package(args) => Self::Package(args),
            FeaturesCommand::Publish(args) => Self::Publish(args),
            FeaturesCommand::Info(args) => Self::Info(args),
            FeaturesCommand::ResolveDependencies(args) => Self::ResolveDependencies(args),
            FeaturesCommand::GenerateDocs(args) => Self::Docs(args),
        }
    }
}

/// Flags of `docs` that would say nothing of this repository's own parts.
fn only_of_a_collection(flag: Arg) -> Arg {
    if ["registry", "namespace", "github_owner", "github_repo"].contains(&flag.get_id().as_str()) {
        flag.requires("project_folder")
    } else {
        flag
    }
}

/// Flags of `templates`.
#[derive(Debug, Args)]
pub struct TemplatesArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: TemplatesCommand,
}

/// What the target of the commands for Templates is.
const TEMPLATES_TARGET: &str =
    "A collection folder or one Template [default: the current folder; in this repository, templates/]";

/// What `--since` of the commands for Templates does.
const TEMPLATES_SINCE: &str =
    "Fail if a Template changed since this commit, tag or branch and its version did not";

/// The commands of `templates`.
#[derive(Debug, Subcommand)]
pub enum TemplatesCommand {
    /// Validate and pack Templates into reproducible archives
    #[command(mut_arg("target", |target| target.help(TEMPLATES_TARGET)), mut_arg("since", |since| since.help(TEMPLATES_SINCE)))]
    Package(PackageArgs),
    /// Pack Templates and push them to an OCI registry
    #[command(mut_arg("target", |target| target.help(TEMPLATES_TARGET)), mut_arg("since", |since| since.help(TEMPLATES_SINCE)))]
    Publish(PublishArgs),
    /// Write the README.md of each Template of a collection
    #[command(visible_alias = "generate-docs")]
    Docs(TemplateDocsArgs),
}

/// Flags of `registry`.
#[derive(Debug, Args)]
pub struct RegistryArgs {
    /// What the registry does.
    #[command(subcommand)]
    pub command: RegistryCommand,
}

/// The commands of `registry`.
#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// Serve the embedded registry on localhost until interrupted
    Serve(ServeArgs),
}

/// Flags of `registry serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Port on localhost; 0 takes a free one
    #[arg(long, default_value_t = 5000)]
    pub port: u16,
    /// Folder that keeps the registry's content [default: target/registry of this checkout]
    #[arg(long)]
    pub root: Option<PathBuf>,
    /// Misbehave, to try a client: see --help
    #[arg(long, value_name = "SPEC", long_help = spec::HELP)]
    pub fault: Vec<Fault>,
}

/// Flags of `test-scenarios`.
#[derive(Debug, Args)]
pub struct ScenarioArgs {
    /// Run only scenarios whose name contains this
    #[arg(long)]
    pub filter: Option<String>,
    /// Which Docker to run them on
    #[arg(long, value_enum, default_value_t)]
    pub engine: Engine,
}

/// Flags of `test-kernels`.
#[derive(Debug, Args)]
pub struct KernelArgs {
    /// Run only kernels whose name contains this
    #[arg(long)]
    pub filter: Option<String>,
}

/// Flags of `docs`; names and defaults are those of the official CLI's `features generate-docs`, with `--check` added.
#[derive(Debug, Default, Args)]
pub struct DocsArgs {
    /// Write nothing; fail if something would change
    #[arg(long)]
    pub check: bool,
    /// The folder that the Features' folders lie in
    #[arg(short, long, value_name = "DIR")]
    pub project_folder: Option<PathBuf>,
    /// Registry that the Features are published to
    #[arg(short, long, default_value = "ghcr.io")]
    pub registry: String,
    /// Namespace of the collection, as it is to be written [default: owner/repository of the git remote, lower-cased]
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// What the official CLI takes; here each level says the same
    #[arg(long, value_parser = log_level(false), default_value = "info")]
    pub log_level: LogLevel,
    /// Where the sources are.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// Flags of `templates docs`; names and defaults are those of the official CLI's `templates generate-docs`.
#[derive(Debug, Args)]
pub struct TemplateDocsArgs {
    /// Write nothing; fail if something would change
    #[arg(long)]
    pub check: bool,
    /// The folder that the Templates' folders lie in
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub project_folder: PathBuf,
    /// What the official CLI takes; here each level says the same
    #[arg(long, value_parser = log_level(false), default_value = "info")]
    pub log_level: LogLevel,
    /// Where the sources are.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// Flags that name the repository on GitHub to which a README.md links.
#[derive(Debug, Clone, Default, Args)]
pub struct SourceArgs {
    /// Owner on GitHub, for the link to the source; comes with --github-repo
    #[arg(long, requires = "github_repo")]
    pub github_owner: Option<String>,
    /// Repository on GitHub, for the link to the source; comes with --github-owner
    #[arg(long, requires = "github_owner")]
    pub github_repo: Option<String>,
}

/// Flags of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure
    #[arg(value_enum)]
    pub name: BenchName,
    /// How often each [default: 20 starts, 5 publishes, 9 of egress and cell]
    #[arg(long)]
    pub runs: Option<u32>,
    /// Of egress and cell: so little that it shows no more than that all of it works
    #[arg(long, conflicts_with = "runs")]
    pub quick: bool,
    /// Of egress and cell: only cases whose name contains this
    #[arg(long)]
    pub filter: Option<String>,
    /// Of egress and cell: nothing but JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// Of egress: measure this daemon, and not the one of this checkout
    #[arg(long, value_name = "PATH")]
    pub sandboxd: Option<PathBuf>,
}

/// The benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchName {
    /// Binary sizes, and time from container start to default-deny and to ready
    Start,
    /// Packing and publishing, beside the official CLI
    Publish,
    /// The gate beside haproxy, the DNS filter beside dnsmasq: throughput, rates, added time, memory
    Egress,
    /// Work in the agent's cell beside the same work without: starts, builds, git, npm, sockets
    Cell,
}

/// Flags of `ci`.
#[derive(Debug, Args)]
pub struct CiArgs {
    /// Run only these steps, in their order
    pub steps: Vec<String>,
}
