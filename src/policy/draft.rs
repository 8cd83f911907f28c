//! A policy in the making: what options, presets and files bring adds up.

use std::collections::BTreeSet;

use super::entry::{self, EntryError, ToAscii};
use super::preset::{CLAUDE, PACKAGES, PRESETS, Preset};
use super::{ALLOW, CellPolicy, DEFAULT_PORT, FORMAT, Mode, Pattern, Policy, PolicyError, Rule};

/// A policy in the making. What Claude Code needs is in it from the start.
#[derive(Debug)]
pub struct Draft {
    rules: Vec<Rule>,
    to_ascii: ToAscii,
    wants_packages: bool,
    notes: Vec<String>,
}

/// A name that no preset has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no preset '{0}'; there are: {names}", names = preset_names())]
pub struct NoPreset(pub String);

impl Draft {
    /// What Claude Code needs; `to_ascii` is what turns names of other letters into those that DNS has.
    pub fn new(to_ascii: ToAscii) -> Self {
        let mut draft = Self { rules: Vec::new(), to_ascii, wants_packages: false, notes: Vec::new() };
        draft.add_preset(&CLAUDE);
        draft
    }

    /// Adds what the option `presets` names.
    pub fn presets(&mut self, option: &str) -> Result<(), PolicyError> {
        for Entry { number, column, text } in entries(option) {
            self.preset(text).map_err(|NoPreset(name)| PolicyError::Preset { number, column, name })?;
        }
        Ok(())
    }

    /// Adds what the option `allow` lists.
    pub fn allow(&mut self, option: &str) -> Result<(), PolicyError> {
        for Entry { number, column, text } in entries(option) {
            self.entry(text, ALLOW).map_err(|reason| PolicyError::Entry {
                number,
                column,
                entry: text.to_owned(),
                reason,
            })?;
        }
        Ok(())
    }

    /// Adds a preset. Which names `packages` has is not known here; see [`Self::wants_packages`].
    pub fn preset(&mut self, name: &str) -> Result<(), NoPreset> {
        if name.eq_ignore_ascii_case(PACKAGES) {
            self.wants_packages = true;
            return Ok(());
        }
        let preset = PRESETS.iter().find(|preset| preset.name.eq_ignore_ascii_case(name));
        self.add_preset(preset.ok_or_else(|| NoPreset(name.to_owned()))?);
        Ok(())
    }

    /// Adds an entry, `name`, `name:port` or `*.zone`, that stands in `from`.
    pub fn entry(&mut self, text: &str, from: &str) -> Result<(), EntryError> {
        let (name, port) = entry::parse(text, self.to_ascii)?;
        self.note(text, &name);
        self.add(name, port, from);
        Ok(())
    }

    /// Adds a name with a port of its own that stands in `from`.
    pub fn named(&mut self, text: &str, port: u16, from: &str) -> Result<(), EntryError> {
        let name = entry::named(text, port, self.to_ascii)?;
        self.note(text, &name);
        self.add(name, port, from);
        Ok(())
    }

    /// Whether the preset `packages` is wanted, whose names are whoever's who knows the image.
    pub fn wants_packages(&self) -> bool {
        self.wants_packages
    }

    /// Which names were written in other letters than those that the policy has.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The policy.
    pub fn finish(self, mode: Mode) -> Result<Policy, PolicyError> {
        Policy { format: FORMAT, mode, rules: self.rules, cell: CellPolicy::default() }.checked()
    }

    fn note(&mut self, text: &str, name: &Pattern) {
        let note = format!("'{text}' is {name} in the policy");
        if !text.is_ascii() && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn add_preset(&mut self, preset: &Preset) {
        // A test reads each of them.
        for name in preset.hosts.iter().filter_map(|host| Pattern::parse(host).ok()) {
            self.add(name, DEFAULT_PORT, &format!("preset {}", preset.name));
        }
    }

    fn add(&mut self, name: Pattern, port: u16, from: &str) {
        match self.rules.iter_mut().find(|rule| rule.name == name && rule.from == from) {
            Some(rule) => {
                rule.ports.insert(port);
            }
            None => self.rules.push(Rule { name, ports: BTreeSet::from([port]), from: from.to_owned() }),
        }
    }
}

/// What stands in an option, and where.
struct Entry<'a> {
    /// From 1.
    number: usize,
    /// In characters, from 1.
    column: usize,
    text: &'a str,
}

/// What stands between commas or white space.
fn entries(option: &str) -> impl Iterator<Item = Entry<'_>> {
    let parts = option.split(|c: char| c == ',' || c.is_whitespace());
    let placed = parts.scan(1, |next, text| {
        let column = *next;
        *next += text.chars().count() + 1;
        Some((column, text))
    });
    let found = placed.filter(|(_, text)| !text.is_empty());
    found.enumerate().map(|(index, (column, text))| Entry { number: index + 1, column, text })
}

fn preset_names() -> String {
    let names = PRESETS.iter().map(|preset| preset.name).chain([PACKAGES]);
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_places() {
        let found: Vec<_> =
            entries(" ä.example,, b\nc ").map(|entry| (entry.number, entry.column, entry.text)).collect();
        assert_eq!(found, [(1, 2, "ä.example"), (2, 14, "b"), (3, 16, "c")]);
    }

    #[test]
    fn presets_add_up_and_packages_are_remembered() {
        let mut draft = Draft::new(entry::ascii_only);
        draft.presets("GitHub gitlab").unwrap();
        assert!(!draft.wants_packages());
        draft.preset("Packages").unwrap();
        assert!(draft.wants_packages());
        let error = draft.presets("github, svn").unwrap_err().to_string();
        assert!(
            error.starts_with("entry 2 (column 9): there is no preset 'svn'; there are: claude,"),
            "{error}"
        );
        assert!(error.ends_with("bitbucket, packages"), "{error}");
        let policy = draft.finish(Mode::Audit).unwrap();
        assert!(policy.rules.iter().any(|rule| rule.from == "preset gitlab"));
        assert_eq!(policy.mode, Mode::Audit);
    }
}
