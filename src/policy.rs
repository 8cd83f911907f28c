//! What the container may reach: typed, checked, and without any I/O.

mod answer;
mod name;
mod preset;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use answer::{RefusedAddress, check_answer};
pub use name::{HostName, NameError};
pub use preset::CLAUDE_NAMES;

/// The port that an entry without one opens: HTTPS.
pub const DEFAULT_PORT: u16 = 443;

/// Names a policy may hold; more would not fit into `/etc/hosts` and a person's head.
pub const MAX_NAMES: usize = 256;

/// The egress policy: which names, on which TCP ports.
///
/// Written to `/etc/agent-sandbox/policy.json` while the image is built, read on every start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Version of this file's format.
    pub format: u32,
    /// TCP ports by allowed name.
    pub allow: BTreeMap<HostName, BTreeSet<u16>>,
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
    NoPorts(HostName),
}

/// The format that this version writes and reads.
const FORMAT: u32 = 1;

impl Policy {
    /// The policy for the Feature's options: what Claude Code needs, and the names in `allow`,
    /// separated by commas or white space, each `name` or `name:port`.
    pub fn from_options(allow: &str) -> Result<Self, PolicyError> {
        let mut names: BTreeMap<HostName, BTreeSet<u16>> = BTreeMap::new();
        for name in CLAUDE_NAMES {
            let name = HostName::parse(name).map_err(|error| entry_error(name, error))?;
            names.entry(name).or_default().insert(DEFAULT_PORT);
        }
        let entries = allow.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        for entry in entries {
            let (name, port) = parse_entry(entry)?;
            names.entry(name).or_default().insert(port);
        }
        Self { format: FORMAT, allow: names }.checked()
    }

    /// Reads a policy file's text.
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        serde_json::from_str::<Self>(text).map_err(|error| PolicyError::Json(error.to_string()))?.checked()
    }

    fn checked(self) -> Result<Self, PolicyError> {
        if self.format != FORMAT {
            return Err(PolicyError::Format(self.format));
        }
        if self.allow.len() > MAX_NAMES {
            return Err(PolicyError::TooMany(self.allow.len()));
        }
        match self.allow.iter().find(|(_, ports)| ports.is_empty() || ports.contains(&0)) {
            Some((name, _)) => Err(PolicyError::NoPorts(name.clone())),
            None => Ok(self),
        }
    }
}

fn parse_entry(entry: &str) -> Result<(HostName, u16), PolicyError> {
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
    let name = HostName::parse(name).map_err(|error| entry_error(entry, error))?;
    Ok((name, port))
}

fn entry_error(entry: &str, error: NameError) -> PolicyError {
    PolicyError::Entry { entry: entry.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(policy: &Policy, name: &str) -> Vec<u16> {
        policy.allow[&HostName::parse(name).unwrap()].iter().copied().collect()
    }

    #[test]
    fn options_become_names_and_ports() {
        let policy =
            Policy::from_options("Api.Example.com, db.example.com:5432\nx.example.com:80 x.example.com")
                .unwrap();
        assert_eq!(ports(&policy, "api.example.com"), [443]);
        assert_eq!(ports(&policy, "db.example.com"), [5432]);
        assert_eq!(ports(&policy, "x.example.com"), [80, 443]);
        assert_eq!(policy.allow.len(), CLAUDE_NAMES.len() + 3);
    }

    #[test]
    fn no_extra_names_leave_what_claude_needs() {
        let policy = Policy::from_options("").unwrap();
        assert_eq!(policy.allow.len(), CLAUDE_NAMES.len());
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
            ("*.example.com", "wildcard"),
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
            r#"{"format":2,"allow":{}}"#,
            r#"{"format":1,"allow":{},"extra":1}"#,
            r#"{"format":1,"allow":{"a.example":[]}}"#,
            r#"{"format":1,"allow":{"a.example":[0]}}"#,
            r#"{"format":1,"allow":{"*":[443]}}"#,
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
