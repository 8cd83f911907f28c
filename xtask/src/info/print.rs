//! What `info` prints: byte for byte what the official CLI does.

use crate::feature::js_json;
use crate::feature::json::{Json, Object};
use crate::terminal;

/// Prints as text at once, or collects JSON for the end.
#[derive(Debug)]
pub(super) struct Printer {
    collected: Option<Object>,
}

impl Printer {
    pub(super) fn new(json: bool) -> Self {
        Self { collected: json.then(Object::default) }
    }

    pub(super) fn is_json(&self) -> bool {
        self.collected.is_some()
    }

    /// The number is the level of the official CLI's log, which prints it here by mistake; whoever
    /// compares the output expects it.
    pub(super) fn no_reference(&self, written: &str) -> anyhow::Result<()> {
        if self.is_json() {
            return terminal::result("{} 3");
        }
        terminal::result(format_args!("Failed to parse Feature identifier '{written}'\n 5"))
    }

    pub(super) fn no_manifest(&self) -> anyhow::Result<()> {
        self.nothing("No manifest found! If this manifest requires authentication, please login.")
    }

    pub(super) fn no_tags(&self, resource: &str) -> anyhow::Result<()> {
        self.nothing(&format!("No published versions found for feature '{resource}'\n"))
    }

    fn nothing(&self, text: &str) -> anyhow::Result<()> {
        terminal::result(if self.is_json() { "{}" } else { text })
    }

    pub(super) fn manifest(&mut self, manifest: &Json, canonical: &str) -> anyhow::Result<()> {
        if let Some(collected) = &mut self.collected {
            collected.set("manifest", manifest.clone());
            collected.set("canonicalId", Json::String(canonical.to_owned()));
            return Ok(());
        }
        let manifest = js_json::stringify_indented(manifest, 2);
        terminal::result(format_args!("{}\n{manifest}\n", boxed("Manifest")))?;
        terminal::result(format_args!("{}\n{canonical}\n", boxed("Canonical Identifier")))
    }

    pub(super) fn tags(&mut self, tags: &[String]) -> anyhow::Result<()> {
        if let Some(collected) = &mut self.collected {
            let tags = tags.iter().cloned().map(Json::String).collect();
            collected.set("publishedTags", Json::Array(tags));
            return Ok(());
        }
        terminal::result(format_args!("{}\n{}", boxed("Published Tags"), tags.join("\n   ")))
    }

    /// Text only: there is no such property in the JSON.
    pub(super) fn dependencies(graph: &str) -> anyhow::Result<()> {
        terminal::result(format_args!(
            "{}\n{graph}",
            boxed("Dependency Tree (Render with https://mermaid.live/)")
        ))
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self.collected {
            Some(collected) => terminal::result(js_json::stringify_pretty(&Json::Object(collected))),
            None => Ok(()),
        }
    }
}

/// A headline in a frame, always with the codes for bold.
fn boxed(title: &str) -> String {
    let line = "─".repeat(title.chars().count());
    format!("┌{line}┐\n│\u{1b}[1m{title}\u{1b}[22m│\n└{line}┘")
}
