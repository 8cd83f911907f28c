//! What of the agent's cell the policy can widen: root's word, fixed when the image is built.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Entries that each list may hold.
pub const MAX_ENTRIES: usize = 64;

/// Without it an agent is not started, unless the policy says that it may be missing. What else a cell needs (Unix sockets
/// mediated or closed, `no_new_privs`, no capability) no policy can leave off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The firewall is in force and ready.
    Network,
    /// The environment holds what is listed, and nothing else.
    Environment,
}

impl Layer {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Network, Self::Environment];

    /// As options and the policy's file write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Environment => "environment",
        }
    }
}

/// What the cell lets through beyond its own places. All of it is empty unless somebody widens it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CellPolicy {
    /// Folders that the agent may write beside the workspace, by absolute path.
    pub writable: Vec<String>,
    /// Unix sockets outside that the agent may connect to, by absolute path.
    pub unix_sockets: Vec<String>,
    /// TCP ports on loopback that processes outside the cell listen on and the agent may connect to.
    pub local_ports: BTreeSet<u16>,
    /// Variables that reach the agent as they are.
    pub pass_environment: Vec<String>,
    /// Layers that may be missing.
    pub without: BTreeSet<Layer>,
}

/// Why the options for the cell do not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CellError {
    /// Not a path that means the same for everybody.
    #[error(
        "entry {number}, '{entry}', is no absolute path without '..', and of at most 255 characters; write one like {example}"
    )]
    Path {
        /// Which entry, from 1.
        number: usize,
        /// The entry as given.
        entry: String,
        /// What would be one.
        example: &'static str,
    },
    /// A folder whose writing would let the agent out.
    #[error(
        "entry {number}, '{entry}', is a folder that others run programs or read their settings from; list one below it"
    )]
    TooWide {
        /// Which entry, from 1.
        number: usize,
        /// The entry as given.
        entry: String,
    },
    /// Not a port.
    #[error("entry {number}, '{entry}', is no port between 1 and 65535")]
    Port {
        /// Which entry, from 1.
        number: usize,
        /// The entry as given.
        entry: String,
    },
    /// Not a variable's name.
    #[error("entry {number}, '{entry}', is no name of a variable: letters, digits and '_'")]
    Variable {
        /// Which entry, from 1.
        number: usize,
        /// The entry as given.
        entry: String,
    },
    /// Not a layer.
    #[error("entry {number}: there is no layer '{entry}'; there are: network, environment")]
    Layer {
        /// Which entry, from 1.
        number: usize,
        /// The entry as given.
        entry: String,
    },
    /// More than [`MAX_ENTRIES`].
    #[error("there are {0} entries, at most {MAX_ENTRIES} are possible")]
    TooMany(usize),
}

/// Folders that nobody may list as writable, and so none above them.
pub(crate) const TOO_WIDE: [&str; 24] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
    "/usr/sbin",
    "/var",
    "/var/run",
];

impl CellPolicy {
    /// Folders that the agent may write.
    pub fn writable(text: &str) -> Result<Vec<String>, CellError> {
        let folders = paths(text, "/data/models")?;
        for (number, folder) in folders.iter().enumerate() {
            if folder == "/" || TOO_WIDE.contains(&folder.as_str()) {
                return Err(CellError::TooWide { number: number + 1, entry: folder.clone() });
            }
        }
        Ok(folders)
    }

    /// Unix sockets that the agent may connect to.
    pub fn unix_sockets(text: &str) -> Result<Vec<String>, CellError> {
        paths(text, "/run/postgresql/.s.PGSQL.5432")
    }

    /// Ports outside the cell.
    pub fn local_ports(text: &str) -> Result<BTreeSet<u16>, CellError> {
        let port = |(number, entry): (usize, &str)| match entry.parse() {
            // A sign would be taken, too.
            Ok(port) if port != 0 && entry.starts_with(|digit: char| digit.is_ascii_digit()) => Ok(port),
            _ => Err(CellError::Port { number, entry: entry.to_owned() }),
        };
        entries(text)?.into_iter().map(port).collect()
    }

    /// Variables that reach the agent.
    pub fn pass_environment(text: &str) -> Result<Vec<String>, CellError> {
        let variable = |(number, entry): (usize, &str)| {
            let plain =
                entry.len() <= 255 && entry.bytes().all(|sign| sign.is_ascii_alphanumeric() || sign == b'_');
            if plain {
                Ok(entry.to_owned())
            } else {
                Err(CellError::Variable { number, entry: entry.to_owned() })
            }
        };
        entries(text)?.into_iter().map(variable).collect()
    }

    /// Layers that may be missing.
    pub fn without(text: &str) -> Result<BTreeSet<Layer>, CellError> {
        let layer = |(number, entry): (usize, &str)| {
            let found = Layer::ALL.into_iter().find(|layer| layer.name() == entry);
            found.ok_or_else(|| CellError::Layer { number, entry: entry.to_owned() })
        };
        entries(text)?.into_iter().map(layer).collect()
    }
}

fn paths(text: &str, example: &'static str) -> Result<Vec<String>, CellError> {
    let path = |(number, entry): (usize, &str)| {
        let trimmed = if entry == "/" { entry } else { entry.trim_end_matches('/') };
        let plain = trimmed.starts_with('/')
            && entry.len() <= 255
            && !entry.chars().any(char::is_control)
            && trimmed
                .split('/')
                .skip(1)
                .all(|part| !matches!(part, "." | "..") && (trimmed == "/" || !part.is_empty()));
        if plain {
            Ok(trimmed.to_owned())
        } else {
            Err(CellError::Path { number, entry: entry.to_owned(), example })
        }
    };
    entries(text)?.into_iter().map(path).collect()
}

/// What stands between commas or white space, numbered from 1.
fn entries(text: &str) -> Result<Vec<(usize, &str)>, CellError> {
    let parts = text.split(|sign: char| sign == ',' || sign.is_whitespace()).filter(|part| !part.is_empty());
    let entries: Vec<_> = parts.enumerate().map(|(index, part)| (index + 1, part)).collect();
    if entries.len() > MAX_ENTRIES { Err(CellError::TooMany(entries.len())) } else { Ok(entries) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read() {
        assert_eq!(
            CellPolicy::writable("/data/models/, /srv/x"),
            Ok(vec!["/data/models".into(), "/srv/x".into()])
        );
        assert_eq!(CellPolicy::unix_sockets(" "), Ok(Vec::new()));
        assert_eq!(CellPolicy::local_ports("3000 5432"), Ok(BTreeSet::from([3000, 5432])));
        assert_eq!(CellPolicy::without("environment"), Ok(BTreeSet::from([Layer::Environment])));
    }

    #[test]
    fn what_is_refused() {
        for entry in ["data", "/data/../etc", "/data//x", "/data/./x", "//", "~/x"] {
            let error = CellPolicy::writable(&format!("/fine, {entry}")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("entry 2, '{entry}', is no absolute path")), "{error}");
        }
        for folder in ["/", "/usr/", "/home", "/tmp"] {
            assert!(matches!(CellPolicy::writable(folder), Err(CellError::TooWide { .. })), "{folder}");
        }
        for port in ["0", "65536", "+80", "http"] {
            assert!(matches!(CellPolicy::local_ports(port), Err(CellError::Port { .. })), "{port}");
        }
        assert!(matches!(
            CellPolicy::pass_environment("A_1 B=x"),
            Err(CellError::Variable { number: 2, .. })
        ));
        assert!(CellPolicy::without("all").unwrap_err().to_string().contains("no layer 'all'"));
        let many = "1 ".repeat(MAX_ENTRIES + 1);
        assert_eq!(CellPolicy::local_ports(&many), Err(CellError::TooMany(MAX_ENTRIES + 1)));
    }
}
