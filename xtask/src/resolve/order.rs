//! The order of installation: the rounds of the Dev Container specification. Does no I/O.

use super::compare::{equal, fulfils, order};
use super::node::{Graph, Node, NodeId};

/// Features that wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the Features depend on each other in a circle: {}; take one of these dependencies out",
    .0.join(" -> ")
)]
pub struct Circle(pub Vec<String>);

/// An order, and what was learned on the way to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// The nodes as they are installed.
    pub nodes: Vec<NodeId>,
    /// Sentences about each round.
    pub rounds: Vec<String>,
}

/// In each round, of all that wait for nothing any more, those with the highest priority come next.
pub fn install_order(graph: &Graph) -> Result<Order, Circle> {
    let node = |id: &NodeId| &graph.nodes[*id];
    let mut left = graph.worklist.clone();
    let mut found = Order::default();
    while !left.is_empty() {
        let ready = |id: &&NodeId| first_missing(graph, node(id), &found.nodes).is_none();
        let mut round: Vec<NodeId> = left.iter().filter(ready).copied().collect();
        let Some(highest) = round.iter().map(|id| node(id).priority).max() else {
            return Err(Circle(circle(graph, &left, &found.nodes)));
        };
        round.retain(|id| node(id).priority == highest);
        left.retain(|id| !round.iter().any(|next| equal(node(next), node(id))));
        round.sort_by(|a, b| order(node(a), node(b)));
        let names: Vec<&str> = round.iter().map(|id| node(id).reference.as_str()).collect();
        found.rounds.push(format!("round {}: {}", found.rounds.len() + 1, names.join(", ")));
        found.nodes.extend(round);
    }
    Ok(found)
}

/// The first dependency that is not among those installed; soft ones on what is never installed do not count.
fn first_missing(graph: &Graph, node: &Node, installed: &[NodeId]) -> Option<NodeId> {
    let is = |same: fn(&Node, &Node) -> bool, among: &[NodeId], wanted: NodeId| {
        among.iter().any(|id| same(&graph.nodes[*id], &graph.nodes[wanted]))
    };
    let hard = node.depends_on.iter().copied().find(|id| !is(equal, installed, *id));
    let soft = node.installs_after.iter().copied();
    hard.or_else(|| {
        soft.filter(|id| is(fulfils, &graph.worklist, *id)).find(|id| !is(fulfils, installed, *id))
    })
}

/// A walk along what is missing, from where it comes back to itself.
fn circle(graph: &Graph, left: &[NodeId], installed: &[NodeId]) -> Vec<String> {
    let name = |id: NodeId| graph.nodes[id].reference.clone();
    let mut walk: Vec<NodeId> = left.first().copied().into_iter().collect();
    while let Some(last) = walk.last() {
        let next = first_missing(graph, &graph.nodes[*last], installed).and_then(|missing| {
            let missing = &graph.nodes[missing];
            left.iter().copied().find(|id| {
                let node = &graph.nodes[*id];
                equal(node, missing) || fulfils(node, missing)
            })
        });
        let Some(next) = next else { break };
        if let Some(start) = walk.iter().position(|id| *id == next) {
            walk.push(next);
            return walk[start..].iter().copied().map(name).collect();
        }
        walk.push(next);
    }
    left.iter().copied().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::published;
    use super::*;

    /// Lines `a: b c ?d !2`: a needs b and c, comes after d, and has the priority 2.
    fn graph(lines: &[&str]) -> Graph {
        let mut graph = Graph::default();
        let node = |name: &str| published(&format!("g.io/a/{name} {name}"), "{}");
        for line in lines {
            let (name, rest) = line.split_once(':').unwrap();
            let id = graph.add(node(name));
            for word in rest.split_whitespace() {
                if let Some(priority) = word.strip_prefix('!') {
                    graph.nodes[id].priority = priority.parse().unwrap();
                } else if let Some(soft) = word.strip_prefix('?') {
                    let soft = graph.add(node(soft));
                    graph.nodes[id].installs_after.push(soft);
                } else {
                    let hard = graph.add(node(word));
                    graph.nodes[id].depends_on.push(hard);
                }
            }
            graph.worklist.push(id);
        }
        graph
    }

    fn names(graph: &Graph, order: &Order) -> String {
        let name = |id: &NodeId| graph.nodes[*id].reference.replace("g.io/a/", "");
        order.nodes.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rounds() {
        for (lines, expected) in [
            (&["b:", "a:"][..], "a b"),
            (&["a: b", "b:"], "b a"),
            (&["a: ?b", "b:"], "b a"),
            // What is never installed is waited for by nobody.
            (&["a: ?x", "b:"], "a b"),
            (&["a: b c", "b: c", "c:", "d:"], "c d b a"),
            // The highest priority has a round of its own; what it needs comes first all the same.
            (&["a:", "b:", "c: !1"], "c a b"),
            (&["a:", "b:", "c: b !1"], "a b c"),
            (&["a: !1", "b: !2", "c:"], "b a c"),
            (&[], ""),
        ] {
            let graph = graph(lines);
            assert_eq!(names(&graph, &install_order(&graph).unwrap()), expected, "{lines:?}");
        }
        let order = install_order(&graph(&["a: b", "b:"])).unwrap();
        assert_eq!(order.rounds, ["round 1: g.io/a/b", "round 2: g.io/a/a"]);
    }

    #[test]
    fn circles_are_named_without_what_only_leads_to_them() {
        for (lines, expected) in [
            (&["a: a"][..], "a a"),
            (&["a: b", "b: c", "c: b", "d:"], "b c b"),
            (&["a: ?b", "b: ?a"], "a b a"),
            (&["x: a", "a: ?b", "b: c", "c: a"], "a b c a"),
        ] {
            let circle = install_order(&graph(lines)).unwrap_err();
            assert_eq!(circle.0.join(" ").replace("g.io/a/", ""), expected, "{lines:?}");
        }
    }
}
