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

#[cfg(test)]
mod tests {
    use super::super::compare::tests::published;
    use super::*;

    #[test]
    fn hard_and_soft_arrows_start_at_what_the_user_asked_for() {
        let mut graph = Graph::default();
        let mut add = |text: &str, aliases: &[&str]| {
            let mut node = published(text, "{}");
            node.aliases = (!aliases.is_empty()).then(|| aliases.iter().map(|id| (*id).to_owned()).collect());
            node.asked = if text.starts_with("g.io/a/a") { Asked::ByUser } else { Asked::ByFeature };
            graph.add(node)
        };
        let [a, b, c, soft] = [
            add("g.io/a/a d1", &[]),
            add("g.io/a/b d2", &["b", "old-b"]),
            add("g.io/a/c d3", &[]),
            add("g.io/a/c d4", &[]),
        ];
        graph.nodes[a].depends_on.push(b);
        graph.nodes[b].installs_after.push(soft);
        graph.nodes[c].priority = 2;
        graph.worklist = vec![a, b, c];
        let text = render(&graph);
        // Each name begins with a hash of everything below the node.
        let names: Vec<String> =
            text.split([' ', '\n']).filter_map(|word| Some(word.split_once('[')?.0.to_owned())).collect();
        let (a, b, c) = (&names[0], &names[2], &names[4]);
        assert!(names.iter().all(|name| name.len() == NAME), "{names:?}");
        assert_eq!(
            text,
            format!(
                "flowchart\n{a}[g.io/a/a<br/><0>]\n\
                 {a}[g.io/a/a<br/><0>] --> {b}[g.io/a/b<br/><0><br>aliases: b, old-b]\n\
                 {b}[g.io/a/b<br/><0><br>aliases: b, old-b] -.-> {c}[g.io/a/c<br/><2>]\n"
            )
        );
    }

    #[test]
    fn the_longest_chain_fits_on_the_stack() {
        let last = 499;
        let mut graph = Graph::default();
        for number in 0..=last {
            let id = graph.add(published(&format!("g.io/a/f{number} d{number}"), "{}"));
            graph.nodes[id].depends_on.extend(id.checked_sub(1));
            graph.worklist.push(id);
        }
        let text = js_json::stringify(&graph.to_json(last));
        assert_eq!(text.matches("\"manifestDigest\"").count(), 500);
        graph.worklist.clear();
        graph.worklist.push(last);
        assert_eq!(render(&graph).lines().count(), 2);
    }
}
