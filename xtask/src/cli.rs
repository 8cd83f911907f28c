//! Every command and flag of `cargo xtask`, in one place.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::arch::Arch;
use crate::scenarios::engine::Engine;

/// The publisher for Dev Container Features.
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
    /// The embedded OCI registry
    Registry(RegistryArgs),
    /// Run the scenarios through the devcontainer CLI against a real Docker
    TestScenarios(ScenarioArgs),
    /// Run the firewall's tests and the daemon on other kernels, under qemu
    TestKernels(KernelArgs),
    /// Write the generated parts of the documentation
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
    /// A collection folder or one Feature [default: this repository's features/]
    pub target: Option<PathBuf>,
    /// Where the archives go
    #[arg(short, long, default_value = "./output")]
    pub output_folder: PathBuf,
    /// Empty the output folder first
    #[arg(short, long)]
    pub force_clean_output_folder: bool,
}

/// Flags of `publish`; names and defaults are the official CLI's, with `--local`, `--dry-run` and `--json` added.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// A collection folder or one Feature [default: this repository's features/]
    pub target: Option<PathBuf>,
    /// Registry to push to
    #[arg(short, long, default_value = "ghcr.io", conflicts_with = "local")]
    pub registry: String,
    /// Namespace of the collection [default: owner/repository of the git remote, lower-cased]
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Say what would be pushed, push nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Publish to the embedded registry under target/registry; needs no account
    #[arg(long, conflicts_with = "username")]
    pub local: bool,
    /// Nothing but JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// Who we are to the registry.
    #[command(flatten)]
    pub auth: AuthArgs,
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
    /// Folder that keeps the registry's content [default: target/registry]
    #[arg(long)]
    pub root: Option<PathBuf>,
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

/// Flags of `docs`.
#[derive(Debug, Args)]
pub struct DocsArgs {
    /// Write nothing; fail if something would change
    #[arg(long)]
    pub check: bool,
}

/// Flags of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure
    #[arg(value_enum)]
    pub name: BenchName,
    /// How often each
    #[arg(long, default_value_t = 20)]
    pub runs: u32,
}

/// The benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchName {
    /// Binary sizes, and time from container start to default-deny and to ready
    Start,
}

/// Flags of `ci`.
#[derive(Debug, Args)]
pub struct CiArgs {
    /// Run only these steps, in their order
    pub steps: Vec<String>,
}
