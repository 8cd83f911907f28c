//! Go: where modules come from, and where their hashes are looked up.

use super::{Found, Image, ini};

const GO: &str = "go";
const NAMES: [&str; 2] = ["GOPROXY", "GOSUMDB"];

/// The settings that come with Go's own files (since 1.21).
const FILE: &str = "/usr/local/go/go.env";

pub(super) fn look(image: &Image, found: &mut Found) {
    let mut variables = image.variables(&NAMES);
    let own = variables.clone();
    // No other release of Go is fetched to answer.
    variables.push(("GOTOOLCHAIN".to_owned(), "local".to_owned()));
    let said = image.ask(GO, &["env", NAMES[0], NAMES[1]], &variables, found);
    let values = said.map(|said| said.lines().map(str::to_owned).collect::<Vec<_>>());
    let values = values.filter(|values| values.len() == NAMES.len()).unwrap_or_else(|| {
        let file = ini::lines(&image.text(GO, FILE, found).unwrap_or_default());
        let value = |name: &&str| {
            let set = own.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
            let in_file = || file.iter().find(|line| line.key == *name).map(|line| line.value.clone());
            set.or_else(in_file).unwrap_or_default()
        };
        NAMES.iter().map(value).collect()
    });
    // A list, whose parts may be words instead of addresses.
    for url in values[0].split([',', '|']).map(str::trim) {
        match url {
            "" | "off" => {}
            "direct" => found.note(
                GO,
                "some modules come from wherever their sources lie; list those hosts in the option `allow`",
            ),
            url => found.url(GO, url),
        }
    }
    // `name`, `name+key`, or one of these and an address.
    let mut words = values[1].split_whitespace();
    match (words.next().unwrap_or("off"), words.next()) {
        ("off", _) => {}
        (_, Some(url)) => found.url(GO, url),
        (name, None) => found.url(GO, &format!("https://{}/", name.split('+').next().unwrap_or_default())),
    }
    if image.has(GO) && !found.has(GO) && values[0].is_empty() {
        found.untold(GO, "it does not say what it uses");
    }
}
