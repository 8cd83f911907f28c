//! `docs`: what is written for readers and made from something else, written or checked.

mod collection;
mod own;
pub mod readme;

use crate::cli::{DocsArgs, SourceArgs, TemplateDocsArgs};
use crate::feature::kind::Kind;
use crate::oci::reference::{Registry, Repository};
use crate::project;
use crate::publish::no_namespace;
use collection::Job;

/// The verb: each Feature's README.md, or this repository's own parts.
pub fn verb(args: &DocsArgs) -> anyhow::Result<()> {
    let Some(folder) = &args.project_folder else {
        return own::update(args.check);
    };
    let namespace = match &args.namespace {
        Some(namespace) => namespace.clone(),
        None => project::namespace_of_remote(folder).map_err(no_namespace)?,
    };
    // As they are written: what is refused here is what a publish refuses.
    Registry::parse(&args.registry)?;
    Repository::parse(&namespace)?;
    let (github_owner, github_repo) = source(&args.source);
    let place = readme::Place { registry: args.registry.clone(), namespace, github_owner, github_repo };
    collection::update(&Job { kind: Kind::Feature, folder, place, check: args.check })
}

/// The verb for Templates.
pub fn templates(args: &TemplateDocsArgs) -> anyhow::Result<()> {
    let (github_owner, github_repo) = source(&args.source);
    let place = readme::Place { github_owner, github_repo, ..readme::Place::default() };
    collection::update(&Job { kind: Kind::Template, folder: &args.project_folder, place, check: args.check })
}

/// The owner and the repository; both or neither.
fn source(args: &SourceArgs) -> (String, String) {
    let SourceArgs { github_owner, github_repo } = args.clone();
    (github_owner.unwrap_or_default(), github_repo.unwrap_or_default())
}
