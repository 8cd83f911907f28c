//! The parts of this repository's documentation that are made from something else.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::feature::json::{self, Json};
use crate::project;
use crate::terminal;

/// A part of a file between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
struct Part {
    file: &'static str,
    name: &'static str,
    text: String,
}

/// Writes them, or with `check` fails where one is out of date.
pub(super) fn update(check: bool) -> anyhow::Result<()> {
    let root = project::root()
        .map_err(|error| anyhow::anyhow!("{error}, or name the folder of a collection with -p"))?;
    let parts = [
        Part { file: "README.md", name: "options", text: options_table(&root)? },
        Part {
            file: "ARCHITECTURE.md",
            name: "table",
            text: fenced(&root.join("tests/expected/table.nft"))?,
        },
        Part {
            file: "README.md",
            name: "environment",
            text: plain(&root.join("tests/expected/environment.md"))?,
        },
    ];
    let mut written = false;
    for part in parts {
        let path = root.join(part.file);
        let old = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let new = replace(&old, part.name, &part.text).with_context(|| path.display().to_string())?;
        if new != old {
            ensure!(!check, "{} is out of date: run `cargo xtask docs`", part.file);
            fs::write(&path, new)?;
            terminal::note(format_args!("wrote {}", part.file));
            written = true;
        }
    }
    if !written {
        terminal::note("README.md and ARCHITECTURE.md are up to date");
    }
    Ok(())
}

fn replace(text: &str, name: &str, part: &str) -> anyhow::Result<String> {
    let (begin, end) = (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"));
    let (head, rest) = text.split_once(&begin).with_context(|| format!("no {begin}"))?;
    let (_, tail) = rest.split_once(&end).with_context(|| format!("no {end}"))?;
    Ok(format!("{head}{begin}\n{part}\n{end}{tail}"))
}

fn plain(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(text.trim_end().to_owned())
}

fn fenced(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(format!("```\n{}\n```", text.trim_end()))
}

fn options_table(root: &Path) -> anyhow::Result<String> {
    let path = root.join("features/claude-code/devcontainer-feature.json");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let feature = json::parse(&text).with_context(|| path.display().to_string())?;
    let options = feature.as_object().and_then(|o| o.get("options")).and_then(Json::as_object);
    let mut table = "| Option | Type | Default | Description |\n|---|---|---|---|".to_owned();
    for (name, option) in options.into_iter().flat_map(json::Object::iter) {
        let field = |field: &str| option.as_object().and_then(|o| o.get(field));
        let text = |name: &str| field(name).and_then(Json::as_str).unwrap_or_default().replace('|', "\\|");
        let default = match field("default") {
            Some(Json::Bool(value)) => format!("`{value}`"),
            Some(Json::String(value)) if !value.is_empty() => format!("`{value}`"),
            _ => String::new(),
        };
        let _ = write!(table, "\n| `{name}` | {} | {default} | {} |", text("type"), text("description"));
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_replaced_between_their_marks() {
        let text = "a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n";
        assert_eq!(replace(text, "x", "new").unwrap(), "a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb\n");
        assert!(replace(text, "y", "new").is_err());
        assert!(replace("<!-- x:begin -->", "x", "new").is_err());
    }
}
