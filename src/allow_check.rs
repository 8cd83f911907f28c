//! `agent-sandbox allow-check`: what the policy says of a name and a port, without trying it. Pure.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::egress::refusals::Refusal;
use crate::policy::{ALLOW, Decision, Mode, NAMED_PORTS, Policy, Rule, entry};

/// A decision, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Whether a rule allows it. In the mode `audit` what no rule allows passes all the same.
    pub is_allowed: bool,
    /// Why, in one sentence.
    pub sentence: String,
    /// The same for programs.
    pub json: Value,
}

/// Explains what becomes of a connection to `NAME` or `NAME:PORT`; an error says what is wrong with the question.
pub fn explain(policy: &Policy, text: &str) -> Result<Explained, String> {
    let (name, port) = entry::question(text).map_err(|error| format!("'{text}' {error}"))?;
    let by: Vec<&Rule> =
        policy.rules.iter().filter(|rule| rule.name.covers(&name) && rule.ports.contains(&port)).collect();
    let decision = policy.decide(&name, port);
    let refusal = match &decision {
        Decision::Refused(reason) => Some(Refusal::connection(&name, port, *reason, policy.mode)),
        Decision::Allowed(_) => None,
    };
    let mut json = json!({
        "name": name.as_str(),
        "port": port,
        "mode": policy.mode,
        "allowed": !by.is_empty(),
        "passes": refusal.as_ref().is_none_or(Refusal::is_let_through),
        "by": by.iter().map(|rule| json!({ "name": rule.name, "ports": rule.ports, "from": rule.from })).collect::<Vec<_>>(),
    });
    let (is_allowed, sentence) = match refusal {
        None => {
            let rules: Vec<String> =
                by.iter().map(|rule| format!("'{}' ({})", rule.name, place(rule))).collect();
            let mut sentence = format!("{name}:{port} is allowed by {}; {}", rules.join(" and "), how(port));
            if policy.mode == Mode::Audit {
                let _ = write!(sentence, "; the mode is audit, in which nothing is enforced");
            }
            (true, sentence)
        }
        Some(refusal) => {
            json["why"] = refusal.why().into();
            json["option"] = refusal.entry().map(|entry| format!("\"allow\": \"{entry}\"")).into();
            let sentence = match (policy.mode, refusal.entry()) {
                (Mode::Audit, Some(entry)) => format!(
                    "{name}:{port} is {}; it passes only because the mode is audit, in which nothing is enforced; to allow it, add to the Feature's options: \"allow\": \"{entry}\"",
                    refusal.why()
                ),
                _ => refusal.sentence(),
            };
            (false, sentence)
        }
    };
    json["sentence"] = sentence.as_str().into();
    Ok(Explained { is_allowed, sentence, json })
}

/// Where a rule was written.
fn place(rule: &Rule) -> &str {
    if rule.from == ALLOW { "option allow" } else { &rule.from }
}

fn how(port: u16) -> &'static str {
    if NAMED_PORTS.contains(&port) {
        "each connection is judged by the name in it"
    } else {
        "the addresses that the name has are open"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Draft;

    fn policy() -> Policy {
        let mut draft = Draft::new(entry::ascii_only);
        draft.allow("*.b.example, db:5432").unwrap();
        draft.entry("x.b.example", "/etc/p.jsonc line 3").unwrap();
        draft.named("npm.example.com", 443, "preset packages: npm").unwrap();
        draft.finish(Mode::Enforce).unwrap()
    }

    #[test]
    fn decisions_are_explained() {
        let policy = policy();
        for (text, allowed, sentence) in [
            (
                "API.anthropic.com",
                true,
                "api.anthropic.com:443 is allowed by 'api.anthropic.com' (preset claude); each connection is judged by the name in it",
            ),
            (
                "y.b.example.",
                true,
                "y.b.example:443 is allowed by '*.b.example' (option allow); each connection is judged by the name in it",
            ),
            (
                "x.b.example",
                true,
                "x.b.example:443 is allowed by '*.b.example' (option allow) and 'x.b.example' (/etc/p.jsonc line 3); each connection is judged by the name in it",
            ),
            (
                "npm.example.com:443",
                true,
                "npm.example.com:443 is allowed by 'npm.example.com' (preset packages: npm); each connection is judged by the name in it",
            ),
            (
                "db:5432",
                true,
                "db:5432 is allowed by 'db' (option allow); the addresses that the name has are open",
            ),
            (
                "x.b.example:22",
                false,
                "refused x.b.example:22: in the policy, but not with this port; to allow it, add to the Feature's options: \"allow\": \"x.b.example:22\"",
            ),
            (
                "b.example:53",
                false,
                "refused b.example:53: not in the policy, and no entry can allow it: it opens port 53, and DNS to a chosen server is a tunnel; leave it out, listed names are looked up",
            ),
            (
                "b.example",
                false,
                "refused b.example:443: not in the policy; to allow it, add to the Feature's options: \"allow\": \"b.example\"",
            ),
        ] {
            let explained = explain(&policy, text).unwrap();
            assert_eq!((explained.is_allowed, explained.sentence.as_str()), (allowed, sentence));
            assert_eq!(explained.json["passes"], allowed);
        }
    }

    #[test]
    fn audit_says_that_nothing_is_enforced() {
        let policy = policy().in_mode(Mode::Audit);
        let refused = explain(&policy, "c.example:8443").unwrap();
        assert!(!refused.is_allowed);
        assert_eq!(
            refused.sentence,
            "c.example:8443 is not in the policy; it passes only because the mode is audit, in which nothing is enforced; to allow it, add to the Feature's options: \"allow\": \"c.example:8443\""
        );
        assert_eq!((&refused.json["allowed"], &refused.json["passes"]), (&json!(false), &json!(true)));
        // What no entry could allow is refused in this mode, too.
        let refused = explain(&policy, "c.example:53").unwrap();
        assert!(refused.sentence.starts_with("refused c.example:53: "), "{}", refused.sentence);
        assert_eq!(refused.json["passes"], false);
        assert!(
            explain(&policy, "db:5432")
                .unwrap()
                .sentence
                .ends_with("; the mode is audit, in which nothing is enforced")
        );
    }

    #[test]
    fn json() {
        let explained = explain(&policy(), "x.b.example").unwrap();
        let rule = |name, from| json!({ "name": name, "ports": [443], "from": from });
        assert_eq!(
            explained.json,
            json!({
                "name": "x.b.example", "port": 443, "mode": "enforce", "allowed": true, "passes": true,
                "by": [rule("*.b.example", "allow"), rule("x.b.example", "/etc/p.jsonc line 3")],
                "sentence": explained.sentence,
            })
        );
        let explained = explain(&policy(), "x.b.example:22").unwrap();
        assert_eq!(explained.json["why"], "in the policy, but not with this port");
        assert_eq!(explained.json["option"], "\"allow\": \"x.b.example:22\"");
        assert_eq!(explained.json["by"], json!([]));
    }

    #[test]
    fn questions_that_do_not_read() {
        for (text, part) in [
            ("a:0", "no port"),
            ("a:x", "no port"),
            ("a:+1", "no port"),
            ("10.0.0.1", "IP address"),
            ("[::1]:443", "IP address"),
            ("*.b.example", "wildcard"),
            ("https://b.example/", "is a URL"),
            ("bücher.example", "write its xn-- form"),
        ] {
            let error = explain(&policy(), text).unwrap_err();
            assert!(error.starts_with(&format!("'{text}' ")) && error.contains(part), "{error}");
        }
    }
}
