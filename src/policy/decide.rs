//! What a policy says of a connection, and why.

use std::fmt;

use super::name::HostName;
use super::{Policy, Rule};

/// Ports whose connections name the host that they are for, so that they are judged by that name when they are made:
/// HTTPS by its hello, HTTP by its request. All other ports are opened by address.
pub const NAMED_PORTS: [u16; 2] = [443, 80];

/// What a policy says of a name and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision<'a> {
    /// It may be reached, because of this rule.
    Allowed(&'a Rule),
    /// It may not.
    Refused(Reason),
}

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No rule covers the name.
    NotListed,
    /// A rule covers the name, but not this port.
    OtherPort,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotListed => "not in the policy",
            Self::OtherPort => "in the policy, but not with this port",
        })
    }
}

impl Policy {
    /// Whether a name may be reached at a TCP port.
    pub fn decide(&self, name: &HostName, port: u16) -> Decision<'_> {
        let mut reason = Reason::NotListed;
        for rule in self.rules.iter().filter(|rule| rule.name.covers(name)) {
            if rule.ports.contains(&port) {
                return Decision::Allowed(rule);
            }
            reason = Reason::OtherPort;
        }
        Decision::Refused(reason)
    }

    /// Whether a rule covers a name, with whatever port: then its addresses may be known.
    pub fn lists(&self, name: &HostName) -> bool {
        self.rules.iter().any(|rule| rule.name.covers(name))
    }
}

impl Decision<'_> {
    /// Whether it may be reached.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions() {
        let policy =
            Policy::from_options("a.example, *.b.example:80, *.b.example, x.b.example:22, db:5432").unwrap();
        let decide = |name: &str, port| policy.decide(&HostName::parse(name).unwrap(), port);
        for (name, port, allowed) in [
            ("a.example", 443, Ok("a.example")),
            ("a.example", 80, Err(Reason::OtherPort)),
            ("b.example", 443, Err(Reason::NotListed)),
            ("y.b.example", 80, Ok("*.b.example")),
            ("x.b.example", 443, Ok("*.b.example")),
            ("x.b.example", 22, Ok("x.b.example")),
            ("y.b.example", 22, Err(Reason::OtherPort)),
            ("db", 5432, Ok("db")),
            ("db", 443, Err(Reason::OtherPort)),
            ("evil.test", 443, Err(Reason::NotListed)),
        ] {
            match (decide(name, port), allowed) {
                (Decision::Allowed(rule), Ok(by)) => assert_eq!(rule.name.to_string(), by, "{name}:{port}"),
                (Decision::Refused(reason), Err(why)) => assert_eq!(reason, why, "{name}:{port}"),
                (found, _) => panic!("{name}:{port}: {found:?}"),
            }
        }
        assert!(policy.lists(&HostName::parse("y.b.example").unwrap()));
        assert!(!policy.lists(&HostName::parse("b.example").unwrap()));
    }
}
