//! Maven: the mirrors and repositories in its settings. It has no short way to say what is built into it.

use super::{Found, Image};

const MAVEN: &str = "maven";

/// Where it is set up for all users.
const FILES: [&str; 2] = ["/etc/maven/settings.xml", "/usr/share/maven/conf/settings.xml"];

pub(super) fn look(image: &Image, found: &mut Found) {
    for path in FILES {
        let text = image.text(MAVEN, path, found).unwrap_or_default();
        for url in urls(&text) {
            found.url(MAVEN, &url);
        }
    }
    if image.has("mvn") && !found.has(MAVEN) {
        found.untold(MAVEN, "its settings name no repository");
    }
}

/// The addresses of mirrors and repositories that no comment holds. Proxies have no such element.
fn urls(text: &str) -> Vec<String> {
    let mut bare = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("<!--") {
        bare.push_str(before);
        rest = comment.split_once("-->").map_or("", |(_, after)| after);
    }
    bare.push_str(rest);
    let elements = bare.split("<url>").skip(1);
    elements.filter_map(|element| Some(element.split_once("</url>")?.0.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_passed_over() {
        let text = "<a><!-- <url>https://no.example/</url> --><url> https://m.example/x </url><!-- <url>https://n.example/</url>";
        assert_eq!(urls(text), ["https://m.example/x"]);
    }
}
