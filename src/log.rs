//! What `agent-sandbox log` shows: what was refused, and the option that would allow it.

use std::fmt::Write as _;

use serde_json::json;

use crate::egress::refusals::option;
use crate::policy::cell::MAX_ENTRIES;
use crate::policy::{MAX_NAMES, Mode};
use crate::status::{AUDIT, By, Denied, Process, Status};
use crate::utc::rfc3339;

/// For people.
pub fn table(status: &Status) -> String {
    if status.denied.is_empty() {
        return audit(status) + "nothing was refused\n";
    }
    let mut text = heading(status);
    for denied in &status.denied {
        text.push_str(&row(denied));
    }
    if status.denied_others > 0 {
        let _ = writeln!(text, "and {} further refusals", status.denied_others);
    }
    if let Some(option) = local_option(status) {
        let _ = write!(
            text,
            "\nOpen ports on localhost to the agent only if it may use what listens there. All of them, with what is \
             open now:\n\n    {option}\n"
        );
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

fn audit(status: &Status) -> String {
    if status.mode == Mode::Audit { format!("{AUDIT}\n\n") } else { String::new() }
}

/// What stands above the table.
pub fn heading(status: &Status) -> String {
    audit(status) + "last                       times  what\n"
}

/// A line of the table.
pub fn row(denied: &Denied) -> String {
    let Denied { what, why, count, last_ms, by, .. } = denied;
    let passed = if denied.let_through { " (let through)" } else { "" };
    format!(
        "{}  {count:>10}  {what}: {why}{passed}{}\n",
        rfc3339(*last_ms),
        by.as_ref().map(hint).unwrap_or_default()
    )
}

fn hint(by: &By) -> String {
    match &by.process {
        Some(Process { pid, name }) => format!(" (by {name}[{pid}], user {})", by.user),
        None => format!(" (by user {})", by.user),
    }
}

/// For programs: one JSON object a line for each refusal, as in the file under `/var/log`.
pub fn lines(denied: &[Denied]) -> String {
    denied.iter().fold(String::new(), |mut text, denied| {
        let mut line = json!({
            "time": rfc3339(denied.last_ms),
            "first": rfc3339(denied.first_ms),
            "count": denied.count,
            "what": denied.what,
            "why": denied.why,
            "letThrough": denied.let_through,
            "option": option(denied.entry.as_deref(), denied.local_port),
        });
        if let Some(by) = &denied.by {
            line["user"] = by.user.as_str().into();
            if let Some(Process { pid, name }) = &by.process {
                line["process"] = json!({ "pid": pid, "name": name });
            }
        }
        let _ = writeln!(text, "{line}");
        text
    })
}

/// The option as it would be with what was refused: what it holds now, and that.
fn allow_option(status: &Status) -> Option<String> {
    let mut names: Vec<&str> = status.denied.iter().filter_map(|denied| denied.entry.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(MAX_NAMES.saturating_sub(status.names.len() + status.allow.len()));
    if names.is_empty() {
        return None;
    }
    let all: Vec<&str> = status.allow.iter().map(String::as_str).chain(names).collect();
    Some(format!("\"allow\": \"{}\"", all.join(", ")))
}

/// The same of `localPorts`.
fn local_option(status: &Status) -> Option<String> {
    let mut ports = status.local_ports.clone();
    ports.extend(status.denied.iter().filter_map(|denied| denied.local_port));
    if ports == status.local_ports || ports.len() > MAX_ENTRIES {
        return None;
    }
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    Some(format!("\"localPorts\": \"{}\"", ports.join(", ")))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::egress::refusals::Refusal;
    use crate::policy::{HostName, Policy};
    use crate::status::NameStatus;

    pub(crate) fn status(allow: &str, denied: &[&str]) -> Status {
        let policy = Policy::from_options(allow).unwrap();
        let names: Vec<NameStatus> = policy
            .hosts()
            .into_iter()
            .map(|(name, ports)| NameStatus {
                name: name.to_string(),
                ports,
                addresses: BTreeSet::new(),
                problem: None,
                from: Vec::new(),
            })
            .collect();
        let denied = denied.iter().map(|name| {
            let refusal = Refusal::Question(HostName::parse(name).unwrap());
            Denied {
                what: refusal.what(),
                why: refusal.why(),
                let_through: false,
                entry: refusal.entry(),
                local_port: None,
                count: 2,
                first_ms: 0,
                last_ms: 60_000,
                by: None,
            }
        });
        Status {
            version: String::new(),
            mode: Mode::Enforce,
            in_force: true,
            problem: None,
            ready: true,
            refused_packets: 0,
            default_deny_at_ms: 0,
            ready_at_ms: None,
            names,
            zones: Vec::new(),
            allow: policy.allow_entries(),
            local_ports: BTreeSet::new(),
            dns_problem: None,
            gate_problem: None,
            privileged: None,
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
            (
                "*.w.example, a.example",
                &["c.example"],
                Some("\"allow\": \"*.w.example, a.example, c.example\""),
            ),
            ("a.example", &["db"], None),
            ("a.example", &[], None),
            // Cloud programs ask for it everywhere, and the option does not take it.
            ("", &["metadata.google.internal"], None),
            ("", &["metadata.google.internal", "c.example"], Some("\"allow\": \"c.example\"")),
        ] {
            let found = allow_option(&status(allow, denied));
            assert_eq!(found.as_deref(), option, "{allow}");
            // What is pasted reads, and allows what was refused.
            let Some(value) = found.as_deref().and_then(|text| text.split('"').nth(3)) else { continue };
            let policy = Policy::from_options(value).unwrap();
            for name in denied.iter().filter(|name| name.contains('.') && !name.starts_with("metadata.")) {
                assert!(policy.hosts().into_keys().any(|allowed| allowed.as_str() == *name));
            }
        }
    }

    #[test]
    fn a_line_a_name() {
        let status = status("", &["a.example", "db"]);
        let text = table(&status);
        assert!(text.contains("1970-01-01T00:01:00Z           2  a.example: not in the policy\n"), "{text}");
        assert!(text.ends_with("    \"allow\": \"a.example\"\n"), "{text}");
        let lines = lines(&status.denied);
        let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert_eq!(
            first,
            json!({
                "time": "1970-01-01T00:01:00Z", "first": "1970-01-01T00:00:00Z", "count": 2,
                "what": "a.example", "why": "not in the policy", "letThrough": false,
                "option": "\"allow\": \"a.example\"",
            })
        );
        assert_eq!(lines.lines().count(), 2);
    }

    #[test]
    fn ports_on_loopback_have_an_option_of_their_own() {
        let mut status = status("", &["db"]);
        let denied = Denied {
            what: "localhost:3000".to_owned(),
            local_port: Some(3000),
            entry: None,
            ..status.denied[0].clone()
        };
        assert!(lines(std::slice::from_ref(&denied)).contains(r#""option":"\"localPorts\": \"3000\"""#));
        status.denied = vec![denied];
        status.local_ports = BTreeSet::from([80]);
        let text = table(&status);
        assert!(text.ends_with("\n    \"localPorts\": \"80, 3000\"\n"), "{text}");
        // An entry of an earlier table's.
        status.local_ports.insert(3000);
        assert!(!table(&status).contains("localPorts"));
    }

    #[test]
    fn who_was_refused_where_it_is_known() {
        let mut denied = status("", &["a.example"]).denied.remove(0);
        denied.by = Some(By { user: "vscode".to_owned(), process: None });
        assert!(
            row(&denied).ends_with("a.example: not in the policy (by user vscode)\n"),
            "{}",
            row(&denied)
        );
        let line = |denied: &Denied| -> serde_json::Value {
            serde_json::from_str(&lines(std::slice::from_ref(denied))).unwrap()
        };
        assert_eq!((&line(&denied)["user"], line(&denied).get("process")), (&json!("vscode"), None));
        let process = Process { pid: 123, name: "curl".to_owned() };
        denied.by = Some(By { user: "root".to_owned(), process: Some(process) });
        assert!(row(&denied).ends_with("(by curl[123], user root)\n"), "{}", row(&denied));
        assert_eq!(line(&denied)["process"], json!({ "pid": 123, "name": "curl" }));
    }

    #[test]
    fn the_table_says_what_it_does_not_hold() {
        let mut full = status("", &["a.example"]);
        full.denied_others = 7;
        assert!(table(&full).contains("and 7 further refusals\n"));
        assert_eq!(table(&status("", &[])), "nothing was refused\n");
    }
}
