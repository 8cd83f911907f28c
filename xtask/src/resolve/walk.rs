//! From what the user asks for to the graph of everything that it needs.

use std::collections::VecDeque;

use crate::feature::json::{Json, Object};

use super::compare::{equal, fulfils};
use super::error::ResolveError;
use super::fetch::Fetcher;
use super::node::{Asked, Graph, NodeId};
use super::source::shown;

/// More Features than anybody installs.
const MAX_NODES: usize = 500;

/// A Feature that is still to be looked up.
struct Waiting {
    asked: Asked,
    written: String,
    options: Json,
    /// Who depends on it.
    by: Option<NodeId>,
    /// Where in the dependent's list it stands.
    slot: usize,
}

/// Looks up what the user asks for, and all that it depends on.
pub async fn graph(
    fetcher: &mut Fetcher,
    wanted: Vec<(String, Json)>,
    first: &[String],
) -> Result<Graph, ResolveError> {
    let mut graph = Graph::default();
    let mut queue: VecDeque<Waiting> = wanted
        .into_iter()
        .map(|(written, options)| Waiting { asked: Asked::ByUser, written, options, by: None, slot: 0 })
        .collect();
    while let Some(next) = queue.pop_front() {
        room(&graph)?;
        let by = next.by.map(|id| graph.nodes[id].reference.clone());
        let cannot = |why: String| ResolveError::Feature {
            feature: shown(&next.written),
            by: by.as_ref().map(|by| format!(", on which {} depends,", shown(by))).unwrap_or_default(),
            why,
        };
        let node = fetcher.node(next.asked, &next.written, next.options.clone()).await.map_err(cannot)?;
        let known = graph.worklist.iter().any(|known| equal(&graph.nodes[*known], &node));
        let metadata = if known { None } else { fetcher.metadata(&node).await.map_err(cannot)? };
        let id = graph.add(node);
        if let Some(by) = next.by {
            graph.nodes[by].depends_on[next.slot] = id;
        }
        if known {
            continue;
        }
        if let Some(metadata) = metadata {
            learn(fetcher, &mut graph, id, &metadata, &mut queue).await?;
        }
        graph.worklist.push(id);
    }
    prioritize(fetcher, &mut graph, first).await?;
    Ok(graph)
}

/// Puts what metadata says into a node, and what it depends on into the queue.
async fn learn(
    fetcher: &mut Fetcher,
    graph: &mut Graph,
    id: NodeId,
    metadata: &Object,
    queue: &mut VecDeque<Waiting>,
) -> Result<(), ResolveError> {
    let node = &mut graph.nodes[id];
    node.set_properties(metadata);
    node.set_aliases(metadata);
    let reference = shown(&node.reference);
    let hard = metadata.get("dependsOn").and_then(Json::as_object);
    for (slot, (written, options)) in hard.into_iter().flat_map(Object::iter).enumerate() {
        // Until it is its turn, the place is held by the dependent itself.
        graph.nodes[id].depends_on.push(id);
        queue.push_back(Waiting {
            asked: Asked::ByFeature,
            written: written.to_owned(),
            options: options.clone(),
            by: Some(id),
            slot,
        });
    }
    let soft = metadata.get("installsAfter").and_then(Json::as_array).unwrap_or_default();
    for written in soft.iter().filter_map(Json::as_str) {
        room(graph)?;
        if let Some(node) = fetcher.soft(written, &reference).await {
            let soft = graph.add(node);
            graph.nodes[id].installs_after.push(soft);
        }
    }
    Ok(())
}

fn room(graph: &Graph) -> Result<(), ResolveError> {
    if graph.nodes.len() < MAX_NODES { Ok(()) } else { Err(ResolveError::TooMany(MAX_NODES)) }
}

/// Gives the Features that the user wants first their priorities: the first one the highest.
async fn prioritize(fetcher: &mut Fetcher, graph: &mut Graph, first: &[String]) -> Result<(), ResolveError> {
    for (position, written) in first.iter().enumerate().rev() {
        let options = Json::Object(Object::default());
        let node =
            fetcher.node(Asked::ByUser, written, options).await.map_err(|why| ResolveError::Feature {
                feature: shown(written),
                by: " in \"overrideFeatureInstallOrder\"".to_owned(),
                why,
            })?;
        for id in &graph.worklist {
            if fulfils(&graph.nodes[*id], &node) {
                let node = &mut graph.nodes[*id];
                node.priority = node.priority.max(first.len() - position);
            }
        }
    }
    Ok(())
}
