//! `RubyGems`.

use super::{Found, Image};

const GEM: &str = "gem";

/// Where gem is set up for all users.
const FILE: &str = "/etc/gemrc";

pub(super) fn look(image: &Image, found: &mut Found) {
    let said = image.ask(GEM, &["sources", "--list"], &[], found);
    let text = said.or_else(|| image.text(GEM, FILE, found)).unwrap_or_default();
    // One a line in both, in the file as an item of a list.
    for line in text.lines().map(|line| line.trim().trim_start_matches("- ").trim_matches(['"', '\''])) {
        if line.starts_with("http://") || line.starts_with("https://") {
            found.url(GEM, line);
        }
    }
    if image.has(GEM) && !found.has(GEM) {
        found.untold(GEM, "it does not say what it uses");
    }
}
