//! The graph of Features and what they depend on. Does no I/O.
//!
//! The official CLI names each node of the graph that it prints by a hash of all that it knows
//! about the node, as JSON. So the nodes are kept as it keeps them, down to the order of the
//! properties, and the graph can be compared byte for byte.

use crate::feature::json::{Json, Object};

use super::source::Source;

/// Which one of a graph's nodes.
pub type NodeId = usize;

/// Who asked for a Feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The user, in the configuration.
    ByUser,
    /// Another Feature.
    ByFeature,
}

/// A Feature, as far as it has been looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Who asked for it.
    pub asked: Asked,
    /// The reference; bare names are expanded.
    pub reference: String,
    /// The reference as written.
    pub written: String,
    /// The options that it is asked for with.
    pub options: Json,
    /// Where it comes from.
    pub source: Source,
    /// What is known of it.
    pub properties: Object,
    /// The ids that it has and had; nothing before its metadata was read.
    pub aliases: Option<Vec<String>>,
    /// What must be installed before it.
    pub depends_on: Vec<NodeId>,
    /// What is installed before it if it is installed at all.
    pub installs_after: Vec<NodeId>,
    /// How far to the front the user wants it.
    pub priority: usize,
}

/// All the nodes, and which of them are installed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// Every node, also those that stand for one of the worklist.
    pub nodes: Vec<Node>,
    /// The nodes to install, no two of which are equal.
    pub worklist: Vec<NodeId>,
}

impl Node {
    /// A Feature of which only the reference and the source are known.
    pub fn new(asked: Asked, reference: &str, written: &str, options: Json, found: (Source, String)) -> Self {
        let (source, id) = found;
        let mut properties = Object::default();
        properties.set("id", Json::String(id));
        if !matches!(source, Source::Registry { .. }) {
            properties.set("name", Json::String(reference.to_owned()));
        }
        let included = Json::Bool(true);
        if matches!(source, Source::Registry { .. }) {
            properties.set("included", included);
            properties.set("value", options.clone());
        } else {
            properties.set("value", options.clone());
            properties.set("included", included);
        }
        Self {
            asked,
            reference: reference.to_owned(),
            written: written.to_owned(),
            options,
            source,
            properties,
            aliases: None,
            depends_on: Vec::new(),
            installs_after: Vec::new(),
            priority: 0,
        }
    }

    /// Learns the ids that a Feature goes by.
    pub fn set_aliases(&mut self, metadata: &Object) {
        let text = |name: &str| metadata.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
        let current = text("currentId").or_else(|| text("id"));
        let legacy = metadata.get("legacyIds").and_then(Json::as_array).unwrap_or_default();
        let ids = current.into_iter().chain(legacy.iter().filter_map(Json::as_str));
        self.aliases = Some(ids.map(str::to_owned).collect());
    }

    /// Learns what the metadata says.
    pub fn set_properties(&mut self, metadata: &Object) {
        for (name, value) in metadata.iter() {
            self.properties.set(name, value.clone());
        }
    }

    /// The options that are printed with the order.
    pub fn value(&self) -> &Json {
        self.properties.get("value").unwrap_or(&self.options)
    }

    /// The id that is printed with the order: what is published by its digest, all else as written.
    pub fn install_id(&self) -> String {
        match &self.source {
            Source::Registry { reference, published: Some(published) } => {
                format!("{}@{}", reference.resource, published.digest)
            }
            _ => self.written.clone(),
        }
    }
}

impl Graph {
    /// Adds a node.
    pub fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// A node with everything below it, as the official CLI keeps it.
    pub fn to_json(&self, id: NodeId) -> Json {
        let node = &self.nodes[id];
        let mut set = Object::default();
        set.set("sourceInformation", node.source.to_json(&node.written));
        set.set("features", Json::Array(vec![Json::Object(node.properties.clone())]));
        let list = |ids: &[NodeId]| Json::Array(ids.iter().map(|id| self.to_json(*id)).collect());
        let by_user = node.asked == Asked::ByUser;
        let mut object = Object::default();
        object.set("type", Json::String(if by_user { "user-provided" } else { "resolved" }.to_owned()));
        object.set("userFeatureId", Json::String(node.reference.clone()));
        object.set("options", node.options.clone());
        if !by_user {
            object.set("featureSet", Json::Object(set.clone()));
        }
        object.set("dependsOn", list(&node.depends_on));
        object.set("installsAfter", list(&node.installs_after));
        #[allow(clippy::cast_precision_loss, reason = "no list is that long")]
        object.set("roundPriority", Json::Number(node.priority as f64));
        if by_user {
            object.set("featureSet", Json::Object(set));
        }
        if let Some(aliases) = &node.aliases {
            object.set("featureIdAliases", Json::Array(aliases.iter().cloned().map(Json::String).collect()));
        }
        Json::Object(object)
    }
}
