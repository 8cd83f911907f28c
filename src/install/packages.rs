//! The preset `packages`: the registries that the image's own package managers are set to use. No host is known here;
//! each comes from a configuration file of root's, or from a client that is asked.

mod alpine;
mod apt;
mod ask;
mod cargo;
mod gem;
mod go;
mod image;
mod ini;
mod maven;
mod npm;
mod pip;
mod place;

use std::collections::BTreeSet;

pub use image::Image;

use crate::policy::{Draft, PACKAGES};
use place::Place;

/// What the clients of an image name.
#[derive(Debug, Default)]
pub struct Found {
    /// By client, each place once.
    places: BTreeSet<(&'static str, Place)>,
    notes: Vec<String>,
}

/// No client names a registry.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the preset 'packages' finds no registry in this image, as no package manager in it names one; leave the preset out, or list the hosts in the option `allow`"
)]
pub struct NothingFound;

/// What the clients of an image name, and what is to be said of it.
pub fn find(image: &Image) -> Found {
    let mut found = Found::default();
    for look in [npm::look, pip::look, cargo::look, go::look, gem::look, maven::look, apt::look, alpine::look]
    {
        look(image, &mut found);
    }
    found
}

/// Adds them to a policy, and says which they are.
pub fn add(image: &Image, draft: &mut Draft, mut say: impl FnMut(&str)) -> Result<(), NothingFound> {
    let mut say = |line: &str| say(&format!("preset {PACKAGES}: {line}"));
    let mut found = find(image);
    let mut added = 0;
    for (client, place) in std::mem::take(&mut found.places) {
        match draft.named(&place.host, place.port, &format!("preset {PACKAGES}: {client}")) {
            Ok(()) => {
                added += 1;
                say(&format!("{client} uses {}:{}", place.host, place.port));
            }
            Err(error) => found.note(client, &format!("'{}' {error}; it is left out", place.host)),
        }
    }
    for note in &found.notes {
        say(note);
    }
    if added == 0 {
        return Err(NothingFound);
    }
    say(
        "these are the indexes; what they list may lie on other hosts, which `agent-sandbox log` shows when they are refused",
    );
    Ok(())
}

impl Found {
    /// The places, each as `client host:port`.
    pub fn lines(&self) -> Vec<String> {
        self.places.iter().map(|(client, place)| format!("{client} {}:{}", place.host, place.port)).collect()
    }

    /// What is to be said: what was skipped, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Takes in an address that a client uses, where it is one of a host outside. The address may hold a password, so it is
    /// never repeated.
    fn url(&mut self, client: &'static str, text: &str) {
        match Place::of_url(text) {
            Ok(place) => _ = self.places.insert((client, place)),
            Err(why) => self.note(client, &why.to_string()),
        }
    }

    fn note(&mut self, client: &str, text: &str) {
        let note = format!("{client}: {text}");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Where a client was not asked, or said nothing of use.
    fn untold(&mut self, client: &str, why: &str) {
        self.note(client, &format!("{why}, so the registry that is built into it stays out"));
    }

    fn has(&self, client: &str) -> bool {
        self.places.iter().any(|(known, _)| *known == client)
    }
}

#[cfg(test)]
mod tests;
