//! `docs`: what is written for readers and made from something else, written or checked.

mod collection;
mod own;
pub mod readme;

use crate::cli::{DocsArgs, SourceArgs, TemplateDocsArgs};
use crate::feature::kind::Kind;
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
    let SourceArgs { github_owner, github_repo } = args.source.clone();
    let place = readme::Place { registry: args.registry.clone(), namespace, github_owner, github_repo };
    collection::update(&Job { kind: Kind::Feature, folder, place, check: args.check })
}

/// The verb for Templates.
pub fn templates(args: &TemplateDocsArgs) -> anyhow::Result<()> {
    let SourceArgs { github_owner, github_repo } = args.source.clone();
    let place = readme::Place { github_owner, github_repo, ..readme::Place::default() };
    collection::update(&Job { kind: Kind::Template, folder: &args.project_folder, place, check: args.check })
}
