//! npm, pnpm and yarn.

use serde_json::{Map, Value};

use super::{Found, Image, ini};

const NPM: &str = "npm";

/// Where a distribution, or whoever made the image, sets npm up for all users.
const FILES: [&str; 5] = [
    "/etc/npmrc",
    "/usr/etc/npmrc",
    "/usr/local/etc/npmrc",
    "/usr/lib/node_modules/npm/npmrc",
    "/usr/local/lib/node_modules/npm/npmrc",
];

/// In whatever case.
const REGISTRY: &str = "npm_config_registry";

pub(super) fn look(image: &Image, found: &mut Found) {
    let variables: Vec<(String, String)> = image
        .all_variables()
        .filter(|(name, _)| name.eq_ignore_ascii_case(REGISTRY))
        .map(|(_, value)| (REGISTRY.to_owned(), value.to_owned()))
        .collect();
    let said = image.ask(NPM, &["config", "list", "--json"], &variables, found);
    let said = said.and_then(|said| serde_json::from_str::<Map<String, Value>>(&said).ok());
    match said {
        Some(config) => {
            for (key, value) in config {
                if let (true, Some(url)) = (is_registry(&key), value.as_str()) {
                    found.url(NPM, url);
                }
            }
        }
        None => unasked(image, &variables, found),
    }
    for (client, variable) in [("pnpm", None), ("yarn", Some("YARN_REGISTRY"))] {
        other(image, client, variable, found);
    }
    if let Some(url) = image.variable("YARN_NPM_REGISTRY_SERVER") {
        found.url("yarn", url);
    }
}

fn unasked(image: &Image, variables: &[(String, String)], found: &mut Found) {
    for (_, url) in variables {
        found.url(NPM, url);
    }
    for path in FILES {
        let text = image.text(NPM, path, found).unwrap_or_default();
        for line in ini::lines(&text).iter().filter(|line| is_registry(&line.key)) {
            found.url(NPM, ini::unquoted(&line.value));
        }
    }
    if image.has(NPM) && !found.has(NPM) {
        found.untold(NPM, "it does not say what it uses");
    }
}

/// Clients that read npm's configuration, and have a registry built in that may be another.
fn other(image: &Image, client: &'static str, variable: Option<&str>, found: &mut Found) {
    let set = variable.and_then(|name| Some((name.to_owned(), image.variable(name)?.to_owned())));
    let variables: Vec<(String, String)> = set.into_iter().collect();
    let said = image.ask(client, &["config", "get", "registry"], &variables, found).unwrap_or_default();
    if let Some(url) = said.lines().map(str::trim).find(|line| line.starts_with("http")) {
        return found.url(client, url);
    }
    for (_, url) in &variables {
        found.url(client, url);
    }
    if image.has(client) && !found.has(client) {
        found.untold(client, "it does not say what it uses");
    }
}

/// `registry`, or that of a scope, as `@example:registry`.
fn is_registry(key: &str) -> bool {
    key == "registry" || (key.starts_with('@') && key.ends_with(":registry"))
}
