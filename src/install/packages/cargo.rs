//! Cargo. It has no command that says which registry is built into it.

use super::{Found, Image, ini};

const CARGO: &str = "cargo";

/// The source that is built in.
const BUILT_IN: &str = "crates-io";

pub(super) fn look(image: &Image, found: &mut Found) {
    // The second is read in every folder below /, which is every one.
    let home = image.variable("CARGO_HOME").unwrap_or("/usr/local/cargo").trim_end_matches('/').to_owned();
    let mut settings = Vec::new();
    for folder in [home.as_str(), "/.cargo"] {
        for name in ["config.toml", "config"] {
            if let Some(text) = image.text(CARGO, &format!("{folder}/{name}"), found) {
                settings.extend(tables(&text));
                break;
            }
        }
    }
    let indexes = image
        .all_variables()
        .filter(|(name, _)| name.starts_with("CARGO_REGISTRIES_") && name.ends_with("_INDEX"));
    settings.extend(indexes.map(|(_, url)| ("registries._.index".to_owned(), url.to_owned())));
    let replaced = settings.iter().find(|(key, _)| *key == format!("source.{BUILT_IN}.replace-with"));
    for (key, value) in &settings {
        let is_index =
            key.strip_prefix("registries.").is_some_and(|rest| rest.strip_suffix(".index").is_some());
        // A source is in use where another is replaced with it; one that is only described is not.
        let is_source = key.strip_prefix("source.").and_then(|rest| rest.strip_suffix(".registry"));
        let used = |name: &str| {
            settings
                .iter()
                .any(|(key, value)| key.rsplit('.').next() == Some("replace-with") && value == name)
        };
        if is_index || is_source.is_some_and(used) {
            found.url(CARGO, value);
        }
    }
    if replaced.is_none() && image.has(CARGO) {
        found.untold(CARGO, "it does not say which registry it uses where none is set in its place");
    }
}

/// The text values of a TOML file, each with its dotted key; of the forms that Cargo's documentation uses.
fn tables(text: &str) -> Vec<(String, String)> {
    let bare = |key: &str| {
        key.split('.').map(|part| part.trim().trim_matches(['"', '\''])).collect::<Vec<_>>().join(".")
    };
    let mut found = Vec::new();
    for line in ini::lines(text) {
        let table = bare(&line.section);
        let key = bare(&line.key);
        let full = if table.is_empty() { key } else { format!("{table}.{key}") };
        match line.value.strip_prefix('{').and_then(|rest| rest.rsplit_once('}')) {
            Some((inline, _)) => found.extend(inline.split(',').filter_map(|part| {
                let (key, value) = part.split_once('=')?;
                Some((format!("{full}.{}", bare(key)), ini::unquoted(value.trim()).to_owned()))
            })),
            None => found.push((full, ini::unquoted(&line.value).to_owned())),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_toml() {
        let text = "[source.crates-io] # c\nreplace-with = \"m\" # d\n[source.\"m\"]\nregistry='sparse+https://m.example/'\n\
                    [registries]\nown = { index = \"https://o.example/\", token = \"t\" }\nother.index = \"https://p.example/\"\n";
        let expected = [
            ("source.crates-io.replace-with", "m"),
            ("source.m.registry", "sparse+https://m.example/"),
            ("registries.own.index", "https://o.example/"),
            ("registries.own.token", "t"),
            ("registries.other.index", "https://p.example/"),
        ];
        let found = tables(text);
        let found: Vec<_> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(found, expected);
    }
}
