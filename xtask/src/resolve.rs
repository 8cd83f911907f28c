//! `cargo xtask resolve-dependencies`: in which order the Features of a workspace are installed.

pub mod collate;
pub mod compare;
pub mod config;
pub mod error;
pub mod fetch;
pub mod manifest;
pub mod mermaid;
pub mod node;
pub mod order;
pub mod reference;
pub mod source;
pub mod substitute;
pub mod walk;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::cli::{LogLevel, ResolveArgs};
use crate::feature::js_json;
use crate::feature::json::{Json, Object};
use crate::oci::credentials::Sources;
use crate::terminal;
use error::ResolveError;
use fetch::Fetcher;
use node::{Graph, NodeId};

/// The verb.
pub fn verb(args: &ResolveArgs) -> anyhow::Result<()> {
    let here = std::env::current_dir().context("the current folder is gone")?;
    let named = args.workspace_folder.as_deref().unwrap_or(Path::new(""));
    let workspace = source::normalize(&here.join(named));
    let config = config::read(&workspace)?;
    let mut fetcher = fetcher(args.log_level != LogLevel::Error);
    fetcher.place = Some(config.place);
    fetcher.locked = config.locked;
    let graph = runtime()?.block_on(walk::graph(&mut fetcher, config.features, &config.first))?;
    // The graph helps most where there is no order.
    terminal::result(mermaid::render(&graph))?;
    let order = order::install_order(&graph).map_err(ResolveError::from)?;
    order.rounds.iter().for_each(|round| fetcher.detail(round));
    terminal::result(render(&graph, &order.nodes))
}

/// Looks Features up, and says on standard error what there is to say.
pub(crate) fn fetcher(details: bool) -> Fetcher {
    Fetcher::new(Sources::from_env(), Arc::new(|text: &str| terminal::note(text)), details)
}

/// One thread is enough for what waits most of the time.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")
}

fn render(graph: &Graph, order: &[NodeId]) -> String {
    let entry = |id: &NodeId| {
        let node = &graph.nodes[*id];
        let mut entry = Object::default();
        entry.set("id", Json::String(node.install_id()));
        entry.set("options", node.value().clone());
        Json::Object(entry)
    };
    let mut result = Object::default();
    result.set("installOrder", Json::Array(order.iter().map(entry).collect()));
    js_json::stringify_indented(&Json::Object(result), 2)
}
