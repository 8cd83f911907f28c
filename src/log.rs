//! What `agent-sandbox log` shows: the names that were refused, and the option that would allow them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::json;

use crate::policy::{CLAUDE_NAMES, DEFAULT_PORT, MAX_NAMES};
use crate::status::{Denied, NameStatus, Status};
use crate::utc::rfc3339;

/// For people.
pub fn table(status: &Status) -> String {
    if status.denied.is_empty() {
        return "no name was refused\n".to_owned();
    }
    let mut text = String::from("last asked for         questions  name\n");
    for denied in &status.denied {
        let _ = writeln!(text, "{}  {:>10}  {}", rfc3339(denied.last_ms), denied.questions, denied.name);
    }
    if status.denied_others > 0 {
        let _ = writeln!(text, "and {} questions for further names", status.denied_others);
    }
    if let Some(option) = allow_option(status) {
        let _ = write!(
            text,
            "\nAny program may ask for any name: allow those that you know, and rebuild. \
             All of them, with what is allowed now:\n\n    {option}\n"
        );
    }
    text
}

/// For programs: one JSON object a line for each name, as in the file under `/var/log`.
pub fn lines(denied: &[Denied]) -> String {
    denied.iter().fold(String::new(), |mut text, denied| {
        let line = json!({
            "time": rfc3339(denied.last_ms),
            "first": rfc3339(denied.first_ms),
            "questions": denied.questions,
            "what": denied.name,
            "why": WHY,
            "option": suggestion(&denied.name),
        });
        let _ = writeln!(text, "{line}");
        text
    })
}

/// Why a name is refused.
pub const WHY: &str = "not in the policy";

/// What allows a name. Single labels are hosts next to this one, or mistakes: listing one would not make it known.
pub fn suggestion(name: &str) -> Option<String> {
    name.contains('.').then(|| format!("\"allow\": \"{name}\""))
}

/// The option as it would be with the refused names: what it holds now, and they.
fn allow_option(status: &Status) -> Option<String> {
    let mut names: Vec<&str> =
        status.denied.iter().map(|denied| denied.name.as_str()).filter(|name| name.contains('.')).collect();
    names.sort_unstable();
    names.truncate(MAX_NAMES.saturating_sub(status.names.len()));
    if names.is_empty() {
        return None;
    }
    let now = status.names.iter().flat_map(entries);
    let all: Vec<String> = now.chain(names.into_iter().map(str::to_owned)).collect();
    Some(format!("\"allow\": \"{}\"", all.join(", ")))
}

/// How the option names what is allowed; what comes with the product is not named.
fn entries(name: &NameStatus) -> Vec<String> {
    let given = if CLAUDE_NAMES.contains(&name.name.as_str()) { Some(DEFAULT_PORT) } else { None };
    let ports: BTreeSet<u16> = name.ports.iter().copied().filter(|port| Some(*port) != given).collect();
    let entry = |port: &u16| match *port {
        DEFAULT_PORT => name.name.clone(),
        port => format!("{}:{port}", name.name),
    };
    ports.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn status(allow: &str, denied: &[&str]) -> Status {
        let policy = Policy::from_options(allow).unwrap();
        let names = policy.allow.iter().map(|(name, ports)| NameStatus {
            name: name.to_string(),
            ports: ports.clone(),
            addresses: BTreeSet::new(),
            problem: None,
        });
        let denied = denied.iter().map(|name| Denied {
            name: (*name).to_owned(),
            questions: 2,
            first_ms: 0,
            last_ms: 60_000,
        });
        Status {
            version: String::new(),
            in_force: true,
            problem: None,
            ready: true,
            refused_packets: 0,
            default_deny_at_ms: 0,
            ready_at_ms: None,
            names: names.collect(),
            dns_problem: None,
            denied: denied.collect(),
            denied_others: 0,
        }
    }

    #[test]
    fn the_option_holds_what_is_allowed_and_what_was_refused() {
        for (allow, denied, option) in [
            ("", &["packages.example.com"][..], Some("\"allow\": \"packages.example.com\"")),
            (
                "b.example, a.example:8443",
                &["z.example", "c.example"],
                Some("\"allow\": \"a.example:8443, b.example, c.example, z.example\""),
            ),
            (
                "api.anthropic.com:8443",
                &["c.example"],
                Some("\"allow\": \"api.anthropic.com:8443, c.example\""),
            ),
            ("a.example", &["db"], None),
            ("a.example", &[], None),
        ] {
            let found = allow_option(&status(allow, denied));
            assert_eq!(found.as_deref(), option, "{allow}");
            // What is pasted reads, and allows what was refused.
            let Some(value) = found.as_deref().and_then(|text| text.split('"').nth(3)) else { continue };
            let policy = Policy::from_options(value).unwrap();
            for name in denied.iter().filter(|name| name.contains('.')) {
                assert!(policy.allow.keys().any(|allowed| allowed.as_str() == *name));
            }
        }
    }

    #[test]
    fn a_line_a_name() {
        let status = status("", &["a.example", "db"]);
        let text = table(&status);
        assert!(text.contains("1970-01-01T00:01:00Z           2  a.example\n"), "{text}");
        assert!(text.ends_with("    \"allow\": \"a.example\"\n"), "{text}");
        let lines = lines(&status.denied);
        let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert_eq!(
            first,
            json!({
                "time": "1970-01-01T00:01:00Z", "first": "1970-01-01T00:00:00Z", "questions": 2,
                "what": "a.example", "why": "not in the policy", "option": "\"allow\": \"a.example\"",
            })
        );
        assert_eq!(lines.lines().count(), 2);
    }

    #[test]
    fn the_table_says_what_it_does_not_hold() {
        let mut full = status("", &["a.example"]);
        full.denied_others = 7;
        assert!(table(&full).contains("and 7 questions for further names\n"));
        assert_eq!(table(&status("", &[])), "no name was refused\n");
    }
}
