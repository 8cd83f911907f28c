//! `cargo xtask templates`: what is done with Features, done with Templates.

use crate::cli::{TemplatesArgs, TemplatesCommand};
use crate::feature::kind::Kind;
use crate::{docs, package, publish};

/// Runs the command.
pub fn run(args: &TemplatesArgs) -> anyhow::Result<()> {
    match &args.command {
        TemplatesCommand::Package(args) => package::run(Kind::Template, args),
        TemplatesCommand::Publish(args) => publish::run(Kind::Template, args),
        TemplatesCommand::Docs(args) => docs::templates(args),
    }
}
