//! `agent-sandbox allow-check`: what the policy says of a name and a port, without trying it. Pure.

use crate::egress::refusals::Refusal;
use crate::policy::{DEFAULT_PORT, Decision, HostName, NAMED_PORTS, Policy};

/// A decision, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Whether it may be reached.
    pub is_allowed: bool,
    /// Why, in one sentence.
    pub sentence: String,
}

/// Explains what becomes of a connection to `NAME` or `NAME:PORT`; an error says what is wrong with the question.
pub fn explain(policy: &Policy, text: &str) -> Result<Explained, String> {
    let (name, port) = match text.split_once(':') {
        None => (text, DEFAULT_PORT),
        Some((name, port)) => {
            let port = port.parse::<u16>().ok().filter(|port| *port != 0);
            (name, port.ok_or_else(|| format!("'{text}' has no port between 1 and 65535 behind the colon"))?)
        }
    };
    let name = HostName::parse(name.strip_suffix('.').unwrap_or(name))
        .map_err(|error| format!("'{name}' {error}"))?;
    Ok(match policy.decide(&name, port) {
        Decision::Allowed(rule) => {
            let how = if NAMED_PORTS.contains(&port) {
                "each connection is judged by the name in it"
            } else {
                "the addresses that the name has are open"
            };
            let sentence = format!("{name}:{port} is allowed by '{}' ({}); {how}", rule.name, rule.from);
            Explained { is_allowed: true, sentence }
        }
        Decision::Refused(reason) => {
            let sentence = Refusal::Connection { name, port, reason, let_through: false }.sentence();
            Explained { is_allowed: false, sentence }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_explained() {
        let policy = Policy::new("", "*.b.example, db:5432").unwrap();
        for (text, allowed, sentence) in [
            (
                "API.anthropic.com",
                true,
                "api.anthropic.com:443 is allowed by 'api.anthropic.com' (preset claude); each connection is judged by the name in it",
            ),
            (
                "x.b.example.",
                true,
                "x.b.example:443 is allowed by '*.b.example' (allow); each connection is judged by the name in it",
            ),
            ("db:5432", true, "db:5432 is allowed by 'db' (allow); the addresses that the name has are open"),
            (
                "x.b.example:22",
                false,
                "refused x.b.example:22: in the policy, but not with this port; to allow it, add to the Feature's options: \"allow\": \"x.b.example:22\"",
            ),
            (
                "b.example",
                false,
                "refused b.example:443: not in the policy; to allow it, add to the Feature's options: \"allow\": \"b.example\"",
            ),
        ] {
            let explained = explain(&policy, text).unwrap();
            assert_eq!((explained.is_allowed, explained.sentence.as_str()), (allowed, sentence));
        }
        for (text, part) in
            [("a:0", "no port"), ("a:x", "no port"), ("10.0.0.1", "IP address"), ("*.b.example", "wildcard")]
        {
            assert!(explain(&policy, text).unwrap_err().contains(part), "{text}");
        }
    }
}
