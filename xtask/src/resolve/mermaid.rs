//! The graph as a text for mermaid, byte for byte the official CLI's. Does no I/O.

use std::collections::HashMap;

use crate::feature::js_json;
use crate::oci::digest::Digest;

use super::compare::{equal, fulfils};
use super::node::{Asked, Graph, NodeId};

/// How much of a node's hash is its name.
const NAME: usize = 6;

/// The text: each Feature that the user asked for, followed by the arrows that lead on from it.
pub fn render(graph: &Graph) -> String {
    let mut chart = Chart { graph, labels: HashMap::new(), text: "flowchart\n".to_owned() };
    for id in graph.worklist.iter().filter(|id| graph.nodes[**id].asked == Asked::ByUser) {
        let label = chart.label(*id);
        chart.text.push_str(&label);
        chart.text.push('\n');
        chart.arrows(*id);
    }
    chart.text
}

struct Chart<'a> {
    graph: &'a Graph,
    labels: HashMap<NodeId, String>,
    text: String,
}

impl Chart<'_> {
    fn arrows(&mut self, id: NodeId) {
        let graph = self.graph;
        let node = &graph.nodes[id];
        for (wanted, arrow, same) in node
            .depends_on
            .iter()
            .map(|id| (*id, "-->", equal as fn(&_, &_) -> bool))
            .chain(node.installs_after.iter().map(|id| (*id, "-.->", fulfils as fn(&_, &_) -> bool)))
        {
            for target in &graph.worklist {
                if same(&graph.nodes[*target], &graph.nodes[wanted]) {
                    let line = format!("{} {arrow} {}\n", self.label(id), self.label(*target));
                    self.text.push_str(&line);
                }
            }
            self.arrows(wanted);
        }
    }

    fn label(&mut self, id: NodeId) -> String {
        let graph = self.graph;
        self.labels
            .entry(id)
            .or_insert_with(|| {
                let node = &graph.nodes[id];
                let digest = Digest::of(js_json::stringify(&graph.to_json(id)).as_bytes());
                let aliases = match &node.aliases {
                    Some(aliases) if !aliases.is_empty() => format!("<br>aliases: {}", aliases.join(", ")),
                    _ => String::new(),
                };
                format!("{}[{}<br/><{}>{aliases}]", &digest.hex()[..NAME], node.reference, node.priority)
            })
            .clone()
    }
}
