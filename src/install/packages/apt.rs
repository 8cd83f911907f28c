//! Debian's package manager: `sources.list(5)`.

use super::{Found, Image};

const APT: &str = "apt";

/// What switches a stanza off, as apt reads a boolean.
const OFF: [&str; 6] = ["no", "false", "without", "off", "disable", "0"];

pub(super) fn look(image: &Image, found: &mut Found) {
    let mut addresses = Vec::new();
    let one = image.text(APT, "/etc/apt/sources.list", found);
    for text in one.into_iter().chain(image.texts(APT, "/etc/apt/sources.list.d", ".list", found)) {
        addresses.extend(text.lines().filter_map(of_line));
    }
    for text in image.texts(APT, "/etc/apt/sources.list.d", ".sources", found) {
        addresses.extend(of_stanzas(&text));
    }
    for url in addresses {
        found.url(APT, &url);
    }
}

/// The address in a line such as `deb [arch=amd64 signed-by=…] http://deb.example.org/debian stable main`.
fn of_line(line: &str) -> Option<String> {
    let line = line.trim();
    let rest = line.strip_prefix("deb-src").or_else(|| line.strip_prefix("deb"))?;
    let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
    let rest = rest.strip_prefix('[').map_or(Some(rest), |options| Some(options.split_once(']')?.1))?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// The addresses in fields `URIs`, of stanzas that are not switched off.
fn of_stanzas(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let (mut addresses, mut enabled, mut field) = (Vec::new(), true, String::new());
        for line in stanza {
            let value = if line.starts_with([' ', '\t']) {
                line
            } else {
                let Some((name, value)) = line.split_once(':') else { continue };
                field = name.trim().to_ascii_lowercase();
                value
            };
            match field.as_str() {
                "uris" => addresses.extend(value.split_whitespace().map(str::to_owned)),
                "enabled" => enabled = !OFF.contains(&value.trim()),
                _ => {}
            }
        }
        if enabled {
            found.append(&mut addresses);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_stanzas() {
        for (line, address) in [
            ("deb http://deb.example.org/debian bookworm main", Some("http://deb.example.org/debian")),
            ("deb-src [ arch=amd64 ] https://a.example x", Some("https://a.example")),
            ("deb [signed-by=/a b] https://a.example x", Some("https://a.example")),
            ("deb [broken https://a.example", None),
            ("# deb http://no.example x y", None),
            ("debhttp://no.example", None),
            ("deb", None),
        ] {
            assert_eq!(of_line(line).as_deref(), address, "{line}");
        }
        let text = "# c\nTypes: deb\nuris: http://a.example/x\n https://b.example\n# c\n\thttps://c.example\nSuites: s\n http://no.example\n\n\
                    Enabled: no\nURIs: http://off.example\n\nURIs: http://d.example";
        assert_eq!(
            of_stanzas(text),
            ["http://a.example/x", "https://b.example", "https://c.example", "http://d.example"]
        );
    }
}
