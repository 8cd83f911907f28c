//! What the container may reach: typed, checked, and without any I/O.

mod answer;
pub mod cell;
mod decide;
mod draft;
pub mod entry;
mod mode;
mod name;
mod pattern;
mod preset;
#[cfg(test)]
mod properties;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use answer::{AWS_METADATA, RefusedAddress, check_answer};
pub use cell::{CellPolicy, Layer};
pub use decide::{Decision, NAMED_PORTS, Reason};
pub use draft::{Draft, NoPreset};
pub use entry::EntryError;
pub use mode::Mode;
pub use name::{HostName, NameError};
pub use pattern::Pattern;
pub use preset::{CLAUDE, PACKAGES, PRESETS, Preset};

/// The port that an entry without one opens: HTTPS.
pub const DEFAULT_PORT: u16 = 443;

/// Rules a policy may hold; more would not fit into a person's head.
pub const MAX_NAMES: usize = 256;

/// Ports that all rules of a policy may have together: each is an element of the table for each address.
pub const MAX_PORTS: usize = 1024;

/// The egress policy: which names, on which TCP ports.
///
/// Written to `/etc/agent-sandbox/policy.json` while the image is built, read on every start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Version of this file's format.
    pub format: u32,
    /// Whether it is enforced.
    pub mode: Mode,
    /// What may be reached; all else may not.
    pub rules: Vec<Rule>,
    /// What the agent's cell lets through.
    #[serde(default)]
    pub cell: CellPolicy,
}

/// Names that may be reached, and where that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The name, or the zone.
    pub name: Pattern,
    /// The TCP ports.
    pub ports: BTreeSet<u16>,
    /// Where it comes from, for people: an option's entry, a preset.
    pub from: String,
}

/// Why options or a policy file are not a policy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PolicyError {
    /// An entry of the `allow` option does not read.
    #[error("entry {number} (column {column}), '{entry}', {reason}")]
    Entry {
        /// Which entry, from 1.
        number: usize,
        /// Where it begins, in characters, from 1.
        column: usize,
        /// The entry as given.
        entry: String,
        /// What is wrong with it and what to write instead.
        reason: EntryError,
    },
    /// The option `mode` names none.
    #[error("there is no mode '{0}'; there are: enforce, audit")]
    Mode(String),
    /// An entry of the `presets` option is none.
    #[error("entry {number} (column {column}): {no_preset}", no_preset = NoPreset(name.clone()))]
    Preset {
        /// Which entry, from 1.
        number: usize,
        /// Where it begins, in characters, from 1.
        column: usize,
        /// The entry as given.
        name: String,
    },
    /// The preset `packages` without an image to look into.
    #[error("the preset 'packages' is found out while an image is built, and not here")]
    Packages,
    /// More names than [`MAX_NAMES`].
    #[error("the policy holds {0} names, at most {MAX_NAMES} are possible")]
    TooMany(usize),
    /// More ports than [`MAX_PORTS`].
    #[error("the policy holds {0} ports, at most {MAX_PORTS} are possible; list those that are used")]
    TooManyPorts(usize),
    /// The policy file is not JSON of the expected form.
    #[error("the policy file does not read: {0}")]
    Json(String),
    /// The policy file was written by another version.
    #[error("the policy file has format {0}, this version reads format {FORMAT}: rebuild the image")]
    Format(u32),
    /// A name without ports allows nothing and means a broken file.
    #[error("the policy file lists '{0}' without a valid port")]
    NoPorts(Pattern),
    /// A zone's names cannot be asked for ahead, so they cannot be opened by address.
    #[error("the policy file lists '{0}' with other ports than 443 and 80")]
    WildcardPort(Pattern),
}

/// The format that this version writes and reads.
const FORMAT: u32 = 3;

impl Policy {
    /// The policy for the Feature's options: what Claude Code needs, the names of `presets`, and those in `allow`, each
    /// `name`, `name:port` or `*.zone`; both separated by commas or white space. All in ASCII.
    pub fn new(presets: &str, allow: &str) -> Result<Self, PolicyError> {
        let mut draft = Draft::new(entry::ascii_only);
        draft.presets(presets)?;
        draft.allow(allow)?;
        if draft.wants_packages() {
            return Err(PolicyError::Packages);
        }
        draft.finish(Mode::Enforce)
    }

    /// The policy for the option `allow` alone.
    pub fn from_options(allow: &str) -> Result<Self, PolicyError> {
        Self::new("", allow)
    }

    /// The same policy in another mode.
    #[must_use]
    pub fn in_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// The option `allow` as it would have to be written for what it has brought.
    pub fn allow_entries(&self) -> Vec<String> {
        let mut entries: Vec<String> = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.from == ALLOW) {
            entries.extend(rule.ports.iter().map(|port| match *port {
                DEFAULT_PORT => rule.name.to_string(),
                port => format!("{}:{port}", rule.name),
            }));
        }
        entries.sort_unstable();
        entries
    }

    /// Reads a policy file's text.
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        serde_json::from_str::<Self>(text).map_err(|error| PolicyError::Json(error.to_string()))?.checked()
    }

    /// The names that stand in it by themselves, with all of their ports.
    pub fn hosts(&self) -> BTreeMap<&HostName, BTreeSet<u16>> {
        let mut hosts: BTreeMap<&HostName, BTreeSet<u16>> = BTreeMap::new();
        for rule in &self.rules {
            if let Some(host) = rule.name.host() {
                hosts.entry(host).or_default().extend(&rule.ports);
            }
        }
        hosts
    }

    /// The zones all of whose names it lists.
    pub fn zones(&self) -> Vec<HostName> {
        let zones = self.rules.iter().filter_map(|rule| match &rule.name {
            Pattern::Below(zone) => Some(zone.clone()),
            Pattern::Host(_) => None,
        });
        zones.collect()
    }

    /// The zones with their ports and where they were listed, as people read them.
    pub fn zone_entries(&self) -> Vec<String> {
        let zones = self.rules.iter().filter(|rule| rule.name.host().is_none());
        let ports = |rule: &Rule| rule.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        zones.map(|rule| format!("{}:{} ({})", rule.name, ports(rule), rule.from)).collect()
    }

    /// Where a name that stands in it by itself was listed.
    pub fn listed_by(&self, name: &HostName) -> Vec<String> {
        let rules = self.rules.iter().filter(|rule| rule.name.host() == Some(name));
        rules.map(|rule| rule.from.clone()).collect()
    }

    fn checked(self) -> Result<Self, PolicyError> {
        if self.format != FORMAT {
            return Err(PolicyError::Format(self.format));
        }
        if self.rules.len() > MAX_NAMES {
            return Err(PolicyError::TooMany(self.rules.len()));
        }
        let ports = self.rules.iter().map(|rule| rule.ports.len()).sum();
        if ports > MAX_PORTS {
            return Err(PolicyError::TooManyPorts(ports));
        }
        for rule in &self.rules {
            if rule.ports.is_empty() || rule.ports.contains(&0) {
                return Err(PolicyError::NoPorts(rule.name.clone()));
            }
            if rule.name.host().is_none() && !rule.ports.iter().all(|port| NAMED_PORTS.contains(port)) {
                return Err(PolicyError::WildcardPort(rule.name.clone()));
            }
        }
        Ok(self)
    }
}

/// Where rules come from that the option `allow` brought.
pub(crate) const ALLOW: &str = "allow";

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(policy: &Policy, name: &str) -> Vec<u16> {
        policy.hosts()[&HostName::parse(name).unwrap()].iter().copied().collect()
    }

    #[test]
    fn options_become_names_and_ports() {
        let policy =
            Policy::from_options("Api.Example.com, db.example.com:5432\nx.example.com:80 x.example.com")
                .unwrap();
        assert_eq!(ports(&policy, "api.example.com"), [443]);
        assert_eq!(ports(&policy, "db.example.com"), [5432]);
        assert_eq!(ports(&policy, "x.example.com"), [80, 443]);
        assert_eq!(policy.rules.len(), CLAUDE.hosts.len() + 3);
    }

    #[test]
    fn no_extra_names_leave_what_claude_needs() {
        let policy = Policy::from_options("").unwrap();
        assert_eq!(policy.rules.len(), CLAUDE.hosts.len());
        assert_eq!(ports(&policy, "api.anthropic.com"), [443]);
    }

    #[test]
    fn entries_that_are_refused() {
        for (entry, reason) in [
            ("https://example.com", "is a URL"),
            ("example.com/path", "is a URL"),
            ("example.com:0", "no port between"),
            ("example.com:", "no port between"),
            ("example.com:+80", "no port between"),
            ("example.com:65536", "no port between"),
            ("example.com:53", "tunnel"),
            ("*.com", "everybody's"),
            ("*.example.com:8443", "wildcard with another port"),
            ("a.*.example.com", "wildcard"),
            ("10.0.0.1", "IP address"),
            ("0x7f.1", "IP address"),
            ("[::1]:443", "IP address"),
            ("fd00::1", "IP address"),
            ("a:b:c", "no port between"),
            ("bücher.example", "xn-- form"),
            ("localhost", "the container itself"),
            ("*.localhost", "everybody's"),
            ("metadata.google.internal", "metadata service"),
            ("exa mple_.com", "label"),
        ] {
            let error = Policy::from_options(entry).unwrap_err().to_string();
            assert!(error.contains(reason), "{entry}: {error}");
        }
    }

    #[test]
    fn the_file_round_trips_and_a_strange_one_is_refused() {
        let policy = Policy::from_options("a.example:8443").unwrap();
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(Policy::from_json(&text), Ok(policy));
        for text in [
            "",
            "{}",
            r#"{"format":1,"allow":{}}"#,
            r#"{"format":3,"rules":[]}"#,
            r#"{"format":3,"mode":"","rules":[]}"#,
            r#"{"format":4,"mode":"enforce","rules":[]}"#,
            r#"{"format":3,"mode":"enforce","rules":[],"extra":1}"#,
            r#"{"format":3,"mode":"enforce","rules":[{"name":"a.example","ports":[],"from":""}]}"#,
            r#"{"format":3,"mode":"enforce","rules":[{"name":"a.example","ports":[0],"from":""}]}"#,
            r#"{"format":3,"mode":"enforce","rules":[{"name":"*","ports":[443],"from":""}]}"#,
            r#"{"format":3,"mode":"enforce","rules":[{"name":"*.a.example","ports":[22],"from":""}]}"#,
        ] {
            assert!(Policy::from_json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn too_many_names_are_refused() {
        use std::fmt::Write as _;
        let mut many = String::new();
        for n in 0..=MAX_NAMES {
            write!(many, "n{n}.example ").unwrap();
        }
        assert!(matches!(Policy::from_options(&many), Err(PolicyError::TooMany(_))));
    }

    #[test]
    fn too_many_ports_are_refused() {
        let many = |n: usize| (100..100 + n).map(|port| format!("db:{port}")).collect::<Vec<_>>().join(" ");
        let most = MAX_PORTS - CLAUDE.hosts.len();
        assert!(Policy::from_options(&many(most)).is_ok());
        assert_eq!(Policy::from_options(&many(most + 1)), Err(PolicyError::TooManyPorts(MAX_PORTS + 1)));
    }

    #[test]
    fn errors_have_a_place() {
        let error = Policy::from_options("a.example, https://b.example").unwrap_err().to_string();
        let start = "entry 2 (column 12), 'https://b.example', is a URL; write the host name";
        assert!(error.starts_with(start), "{error}");
        assert_eq!(Policy::new("packages", ""), Err(PolicyError::Packages));
    }
}
