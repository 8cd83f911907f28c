//! What holds for every policy.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::egress::refusals::Refusal;

const LABEL: &str = "[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?";

/// Names that meet each other often, and hardly ever a number at the end.
fn name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "a.example",
        "b.a.example",
        "xa.example",
        "c.b.a.example",
        "db",
        "example.com",
    ]);
    let any = prop::string::string_regex(&format!("({LABEL}\\.){{1,3}}[a-z]{{2,6}}")).unwrap();
    prop_oneof![known.prop_map(str::to_owned), any]
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![Just(443), Just(80), Just(22), 54_u16..]
}

/// An entry that reads.
fn entry_text() -> impl Strategy<Value = String> {
    let host = (name(), port()).prop_map(|(name, port)| format!("{name}:{port}"));
    let zone = (name(), prop::sample::select(NAMED_PORTS.to_vec()))
        .prop_filter("a zone of everybody's", |(name, _)| Pattern::parse(&format!("*.{name}")).is_ok())
        .prop_map(|(name, port)| format!("*.{name}:{port}"));
    prop_oneof![host, zone]
        .prop_filter("a name that reads", |text| entry::parse(text, entry::ascii_only).is_ok())
}

fn entries() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(entry_text(), 0..8)
}

/// Text that is near to what people and attackers write.
fn near() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "*",
        "*.",
        ".",
        "-",
        ":",
        "com",
        "co.uk",
        "localhost",
        "127",
        "0x7f",
        "1",
        "metadata",
        "google",
        "internal",
        "example",
        "169.254.169.254",
        "a",
        "A",
        "xn--",
        "[::1]",
        ":443",
        ":53",
        ":0",
        "/",
        "://",
        " ",
        "ä",
        "goog",
        "local",
        "uk",
    ]);
    prop_oneof![
        prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat()),
        "[*.:a-c0-9x\\[\\]/-]{0,20}",
        any::<String>(),
    ]
}

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

proptest! {
    #[test]
    fn a_host_names_normal_form_is_its_own(text in near()) {
        if let Ok(name) = HostName::parse(&text) {
            prop_assert_eq!(HostName::parse(name.as_str()), Ok(name.clone()));
            prop_assert!(name.as_str().is_ascii() && !name.as_str().bytes().any(|b| b.is_ascii_uppercase()));
        }
    }

    #[test]
    fn what_is_printed_reads_as_what_it_was(text in near(), entry in entry_text()) {
        for text in [text, entry] {
            let Ok((pattern, port)) = entry::parse(&text, entry::ascii_only) else { continue };
            let printed = format!("{pattern}:{port}");
            prop_assert_eq!(entry::parse(&printed, entry::ascii_only), Ok((pattern.clone(), port)));
            prop_assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern));
        }
    }

    #[test]
    fn no_text_opens_what_is_never_open(text in near()) {
        let Ok((pattern, port)) = entry::parse(&text, entry::ascii_only) else { return Ok(()) };
        prop_assert!(port != 0 && port != 53);
        for text in ["localhost", "a.localhost", "metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"] {
            prop_assert!(!pattern.covers(&host(text)), "{} covers {}", pattern, text);
        }
        let (Pattern::Host(name) | Pattern::Below(name)) = &pattern;
        prop_assert!(name.as_str().parse::<std::net::IpAddr>().is_err());
        prop_assert!(!name.as_str().rsplit('.').next().unwrap().bytes().all(|b| b.is_ascii_digit()));
        if pattern.host().is_none() {
            prop_assert!(name.as_str().contains('.') && !["co.uk", "com.au"].contains(&name.as_str()));
            prop_assert!(NAMED_PORTS.contains(&port));
        }
    }

    #[test]
    fn a_host_is_itself_and_a_zone_is_strictly_below(rule in name(), other in name(), label in LABEL) {
        let (Ok(pattern), own) = (Pattern::parse(&rule), host(&rule)) else { return Ok(()) };
        let (below, beside) = (host(&format!("{label}.{rule}")), host(&format!("{label}{rule}")));
        let before = host(&format!("{rule}.{label}.test"));
        prop_assert!(pattern.covers(&own) && !pattern.covers(&below));
        prop_assert_eq!(pattern.covers(&host(&other)), own == host(&other));
        let Ok(zone) = Pattern::parse(&format!("*.{rule}")) else { return Ok(()) };
        prop_assert!(zone.covers(&below));
        prop_assert!(!zone.covers(&own) && !zone.covers(&beside) && !zone.covers(&before));
        let (labels, below): (Vec<&str>, Vec<&str>) = (rule.split('.').collect(), other.split('.').collect());
        let strictly = below.len() > labels.len() && below[below.len() - labels.len()..] == labels;
        prop_assert_eq!(zone.covers(&host(&other)), strictly);
    }

    #[test]
    fn a_rule_more_takes_nothing_away(few in entries(), more in entries(), asked in name(), port in port()) {
        let small = Policy::from_options(&few.join(",")).unwrap();
        let all = Policy::from_options(&[few, more].concat().join(" ")).unwrap();
        let asked = host(&asked);
        if small.decide(&asked, port).is_allowed() {
            prop_assert!(all.decide(&asked, port).is_allowed());
        }
        prop_assert!(!small.lists(&asked) || all.lists(&asked));
        // And what is allowed is so because of a rule that says it.
        if let Decision::Allowed(rule) = all.decide(&asked, port) {
            prop_assert!(rule.name.covers(&asked) && rule.ports.contains(&port) && all.rules.contains(rule));
        }
    }

    #[test]
    fn what_was_refused_is_allowed_by_the_option_that_is_printed(allow in entries(), asked in name(), port in port()) {
        let policy = Policy::from_options(&allow.join(",")).unwrap();
        let asked = host(&asked);
        if let Decision::Refused(reason) = policy.decide(&asked, port) {
            let entry = Refusal::Connection { name: asked.clone(), port, reason, let_through: false }.entry().unwrap();
            let mut entries = policy.allow_entries();
            entries.push(entry);
            let pasted = Policy::from_options(&entries.join(", ")).unwrap();
            prop_assert!(pasted.decide(&asked, port).is_allowed());
        }
    }

    #[test]
    fn the_option_that_is_printed_is_the_option(allow in entries()) {
        let policy = Policy::from_options(&allow.join(",")).unwrap();
        let printed = Policy::from_options(&policy.allow_entries().join(",")).unwrap();
        let sorted = |policy: &Policy| {
            policy.rules.iter().map(|rule| (rule.name.clone(), rule.ports.clone())).collect::<BTreeSet<_>>()
        };
        prop_assert_eq!(sorted(&printed), sorted(&policy));
    }

    #[test]
    fn the_file_reads_as_what_was_written(allow in entries(), audit in any::<bool>()) {
        let mode = if audit { Mode::Audit } else { Mode::Enforce };
        let policy = Policy::new("github vscode", &allow.join(",")).unwrap().in_mode(mode);
        let text = serde_json::to_string(&policy).unwrap();
        prop_assert!(text.is_ascii());
        prop_assert_eq!(Policy::from_json(&text), Ok(policy));
    }

    #[test]
    fn no_file_makes_it_panic(text in "[\\[\\]{}:,\"a-e0-9*. ]{0,60}") {
        let _ = Policy::from_json(&text);
    }
}
