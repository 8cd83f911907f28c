//! What the container may reach: typed, checked, and without any I/O.

mod answer;
mod decide;
mod mode;
mod name;
mod pattern;
mod preset;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use answer::{RefusedAddress, check_answer};
pub use decide::{Decision, NAMED_PORTS, Reason};
pub use mode::Mode;
pub use name::{HostName, NameError};
pub use pattern::Pattern;
pub use preset::{CLAUDE, PRESETS, Preset};

/// The port that an entry without one opens: HTTPS.
pub const DEFAULT_PORT: u16 = 443;

/// Rules a policy may hold; more would not fit into a person's head.
pub const MAX_NAMES: usize = 256;

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
    #[error("allow entry '{entry}': {reason}")]
    Entry {
        /// The entry as given.
        entry: String,
        /// What is wrong with it and what to write instead.
        reason: String,
    },
    /// The option `mode` names none.
    #[error("there is no mode '{0}'; there are: enforce, audit")]
    Mode(String),
    /// An entry of the `presets` option is none.
    #[error("there is no preset '{0}'; there are: {names}", names = preset_names())]
    Preset(String),
    /// More names than [`MAX_NAMES`].
    #[error("the policy holds {0} names, at most {MAX_NAMES} are possible")]
    TooMany(usize),
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
    /// `name`, `name:port` or `*.zone`; both separated by commas or white space.
    pub fn new(presets: &str, allow: &str) -> Result<Self, PolicyError> {
        let mut rules = Rules::default();
        rules.add_preset(&CLAUDE)?;
        for wanted in entries(presets) {
            let preset = PRESETS.iter().find(|preset| preset.name.eq_ignore_ascii_case(wanted));
            rules.add_preset(preset.ok_or_else(|| PolicyError::Preset(wanted.to_owned()))?)?;
        }
        for entry in entries(allow) {
            let (name, port) = parse_entry(entry)?;
            rules.add(name, port, ALLOW);
        }
        Self { format: FORMAT, mode: Mode::Enforce, rules: rules.0 }.checked()
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

    /// The zones with their ports, as people read them.
    pub fn zone_entries(&self) -> Vec<String> {
        let zones = self.rules.iter().filter(|rule| rule.name.host().is_none());
        let ports = |rule: &Rule| rule.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        zones.map(|rule| format!("{}:{}", rule.name, ports(rule))).collect()
    }

    fn checked(self) -> Result<Self, PolicyError> {
        if self.format != FORMAT {
            return Err(PolicyError::Format(self.format));
        }
        if self.rules.len() > MAX_NAMES {
            return Err(PolicyError::TooMany(self.rules.len()));
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
const ALLOW: &str = "allow";

/// What stands between commas or white space.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty())
}

fn preset_names() -> String {
    PRESETS.map(|preset| preset.name).join(", ")
}

/// Rules, one for each name and source.
#[derive(Default)]
struct Rules(Vec<Rule>);

impl Rules {
    fn add_preset(&mut self, preset: &Preset) -> Result<(), PolicyError> {
        for host in preset.hosts {
            let name = Pattern::parse(host).map_err(|error| entry_error(host, error))?;
            self.add(name, DEFAULT_PORT, &format!("preset {}", preset.name));
        }
        Ok(())
    }

    fn add(&mut self, name: Pattern, port: u16, from: &str) {
        match self.0.iter_mut().find(|rule| rule.name == name && rule.from == from) {
            Some(rule) => {
                rule.ports.insert(port);
            }
            None => self.0.push(Rule { name, ports: BTreeSet::from([port]), from: from.to_owned() }),
        }
    }
}

fn parse_entry(entry: &str) -> Result<(Pattern, u16), PolicyError> {
    let fail = |reason: &str| PolicyError::Entry { entry: entry.to_owned(), reason: reason.to_owned() };
    if entry.contains("://") || entry.contains('/') {
        return Err(fail("is a URL; write the host name, as in api.example.com or api.example.com:8443"));
    }
    let (name, port) = match entry.split_once(':') {
        Some((name, port)) => {
            let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
            let port = port.parse::<u16>().ok().filter(|port| digits && *port != 0);
            (name, port.ok_or_else(|| fail("has no port between 1 and 65535 behind the colon"))?)
        }
        None => (entry, DEFAULT_PORT),
    };
    if port == 53 {
        return Err(fail("opens port 53, and DNS to a chosen server is a tunnel"));
    }
    let name = Pattern::parse(name).map_err(|error| entry_error(entry, error))?;
    if name.host().is_none() && !NAMED_PORTS.contains(&port) {
        return Err(fail(
            "is a wildcard with another port than 443 and 80, where no connection names its host; write the whole name",
        ));
    }
    Ok((name, port))
}

fn entry_error(entry: &str, error: NameError) -> PolicyError {
    PolicyError::Entry { entry: entry.to_owned(), reason: error.to_string() }
}

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
}
