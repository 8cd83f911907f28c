use proptest::prelude::*;

use super::*;
use crate::install::names;
use crate::policy::Policy;

fn read(text: &str) -> Result<(Option<Mode>, Policy, bool), Problem> {
    let mut draft = Draft::new(names::to_ascii);
    let mode = add(text.as_bytes(), "/etc/p.jsonc", None, &mut draft)?;
    let packages = draft.wants_packages();
    Ok((mode, draft.finish(Mode::Enforce).unwrap(), packages))
}

#[test]
fn everything_that_a_file_may_say() {
    let text = r#"// What this project needs.
{
    "mode": "audit",
    "presets": ["github", "packages",],
    "allow": [
        "Api.Example.com", /* everything
        below */ "*.cdn.example.com:80",
        { "name": "bücher.example", "ports": [443, 8443], "why": "// no comment" },
        { "name": "db", "ports": [5432,], },
        { "name": "*.zone.example" },
    ],
}
"#;
    let (mode, policy, packages) = read(text).unwrap();
    assert_eq!((mode, packages), (Some(Mode::Audit), true));
    let brought: Vec<String> = policy
        .rules
        .iter()
        .filter(|rule| rule.from.starts_with('/'))
        .map(|rule| format!("{} {:?} {}", rule.name, rule.ports, rule.from))
        .collect();
    assert_eq!(
        brought,
        [
            "api.example.com {443} /etc/p.jsonc line 6",
            "*.cdn.example.com {80} /etc/p.jsonc line 7",
            "xn--bcher-kva.example {443, 8443} /etc/p.jsonc line 8",
            "db {5432} /etc/p.jsonc line 9",
            "*.zone.example {443} /etc/p.jsonc line 10",
        ]
    );
    assert!(policy.rules.iter().any(|rule| rule.from == "preset github"));
    for text in ["{}", "\u{feff}{}", "{\"presets\":[],\"allow\":[]}"] {
        assert_eq!(read(text).map(|(mode, ..)| mode), Ok(None), "{text}");
    }
}

#[test]
fn every_error_has_a_place_and_says_what_to_write() {
    for (text, line, column, part) in [
        ("", 1, 1, "holds nothing; write {}"),
        ("[]", 1, 1, "the file is a list and not an object"),
        ("{\n  \"alow\": []\n}", 2, 3, "unknown key \"alow\"; there are: mode, presets, allow"),
        ("{\"allow\": [],\n\"allow\": []}", 2, 1, "has \"allow\" twice"),
        ("{\"mode\": \"off\"}", 1, 10, "no mode 'off'; write \"enforce\" or \"audit\""),
        ("{\"mode\": \"\"}", 1, 10, "no mode ''"),
        ("{\"mode\": 1}", 1, 10, "a number stands where text belongs; write \"enforce\""),
        (
            "{\"presets\": \"github\"}",
            1,
            2,
            "\"presets\" is a text and not a list; write \"presets\": [\"github\"]",
        ),
        ("{\"presets\": [\n\t\"svn\"]}", 2, 2, "no preset 'svn'; there are: claude"),
        ("{\"presets\": [null]}", 1, 14, "null stands where text belongs"),
        ("{\"allow\": {}}", 1, 2, "\"allow\" is an object and not a list"),
        ("{\"allow\": [\"ä\", true]}", 1, 17, "a boolean stands where an entry belongs; write a name"),
        ("{\"allow\": [\"https://a.example\"]}", 1, 12, "'https://a.example' is a URL; write the host name"),
        ("{\"allow\": [\"a.example:53\"]}", 1, 12, "'a.example:53' opens port 53"),
        ("{\"allow\": [\"a.example:x\"]}", 1, 12, "no port between"),
        ("{\"allow\": [\"*.com\"]}", 1, 12, "everybody's"),
        ("{\"allow\": [\"*.a.example:22\"]}", 1, 12, "wildcard with another port"),
        ("{\"allow\": [\"a.*.example\"]}", 1, 12, "not in front of a zone"),
        ("{\"allow\": [\"10.0.0.1\"]}", 1, 12, "IP address"),
        ("{\"allow\": [\"localhost\"]}", 1, 12, "the container itself"),
        ("{\"allow\": [\"аpi.example\"]}", 1, 12, "several scripts"),
        (
            "{\"allow\": [{\"name\": \"a.example\", \"port\": 1}]}",
            1,
            34,
            "unknown key \"port\"; there are: name, ports, why",
        ),
        ("{\"allow\": [\n {\"ports\": [1]}]}", 2, 2, "the entry has no name"),
        ("{\"allow\": [{\"name\": \"a.example:1\"}]}", 1, 21, "write it into \"ports\""),
        ("{\"allow\": [{\"name\": \"a.example\", \"ports\": []}]}", 1, 43, "no port in the list"),
        (
            "{\"allow\": [{\"name\": \"a.example\", \"ports\": 1}]}",
            1,
            34,
            "\"ports\" is a number and not a list",
        ),
        (
            "{\"allow\": [{\"name\": \"a.example\", \"ports\": [1, \"2\"]}]}",
            1,
            47,
            "not a port; write a number",
        ),
        ("{\"allow\": [{\"name\": \"a.example\", \"ports\": [65536]}]}", 1, 44, "not a port"),
        ("{\"allow\": [{\"name\": \"a.example\", \"ports\": [1.5]}]}", 1, 44, "not a port"),
        ("{\"allow\": [{\"name\": \"a.example\", \"ports\": [443, 53]}]}", 1, 49, "port 53"),
        (
            "{\"allow\": [{\"name\": \"*.a.example\", \"ports\": [80, 22]}]}",
            1,
            50,
            "wildcard with another port",
        ),
        ("{\"allow\": [{\"name\": \"a.example\", \"why\": 1}]}", 1, 41, "write a reason in quotes"),
        ("{\"allow\": [\"a.example\"\n \"b.example\"]}", 1, 23, "no JSON with comments"),
        ("{\n  'mode': 1\n}", 2, 3, "no JSON with comments"),
        ("{} {}", 1, 4, "no JSON with comments"),
    ] {
        let problem = read(text).unwrap_err();
        assert!(problem.what.contains(part), "{text}: {}", problem.what);
        assert_eq!((problem.line, problem.column), (line, column), "{text}: {}", problem.what);
    }
    let problem = add(b"{\n \xff}", "/p", None, &mut Draft::new(names::to_ascii)).unwrap_err();
    assert_eq!((problem.line, problem.column), (2, 2));
    assert!(problem.what.starts_with("not UTF-8"));
    let problem = read(&"[".repeat(200_000)).unwrap_err();
    assert!(problem.what.starts_with("nested deeper"), "{}", problem.what);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_every_place_is_in_the_text(text in "[\\[\\]{}:,\"a-c/*0-9.\\\\ \n\u{e4}-]{0,60}") {
        if let Err(problem) = read(&text) {
            let line = text.split('\n').nth(problem.line - 1).unwrap();
            prop_assert!(problem.column <= line.chars().count() + 1);
        }
    }

    #[test]
    fn what_is_listed_is_what_the_option_would_bring(
        entries in prop::collection::vec(("[a-z]{1,8}\\.[a-z]{1,8}\\.example", prop::option::of(1_u16..52)), 0..6),
    ) {
        let texts: Vec<String> = entries
            .iter()
            .map(|(name, port)| port.map_or_else(|| name.clone(), |port| format!("{name}:{port}")))
            .collect();
        let file = serde_json::json!({ "allow": texts }).to_string();
        let (_, policy, _) = read(&file).unwrap();
        let option = Policy::from_options(&texts.join(",")).unwrap();
        prop_assert_eq!(policy.hosts(), option.hosts());
    }
}
