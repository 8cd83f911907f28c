//! The policy that comes of the options, of a file in the image, and of what its package managers are set to use.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use agent_sandbox::install::packages::{self, Image};
use agent_sandbox::policy::{Mode, Policy};

use crate::setup::Setup;

/// Puts a file into the image, with folders and a mode that are root's alone to write.
fn put(setup: &Setup, path: &str, text: &str) {
    let path = setup.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    for part in path.ancestors().take_while(|part| *part != setup.root.path()) {
        let mode = if part.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(part, Permissions::from_mode(mode)).unwrap();
    }
}

fn installed(setup: &Setup, options: &[(&str, &str)]) -> (Policy, String) {
    let output = setup.run(options);
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(setup.path("etc/agent-sandbox/policy.json")).unwrap();
    assert!(text.is_ascii());
    (Policy::from_json(&text).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_policy_file_and_options_add_up() {
    let setup = Setup::new();
    let text = "{\n  // why\n  \"mode\": \"audit\",\n  \"allow\": [\n    { \"name\": \"bücher.example\", \"ports\": [8443] },\n  ],\n}\n";
    put(&setup, "etc/project/allow.jsonc", text);
    let options = [("POLICYFILE", "/etc/project/allow.jsonc"), ("ALLOW", "api.example.com")];
    let (policy, said) = installed(&setup, &options);
    assert_eq!(policy.mode, Mode::Audit);
    let rules: Vec<String> =
        policy.rules.iter().map(|rule| format!("{} ({})", rule.name, rule.from)).collect();
    assert!(rules.contains(&"api.example.com (allow)".to_owned()), "{rules:?}");
    let from_file = "xn--bcher-kva.example (/etc/project/allow.jsonc line 5)".to_owned();
    assert!(rules.contains(&from_file), "{rules:?}");
    assert!(said.contains("'bücher.example' is xn--bcher-kva.example in the policy"), "{said}");
    let differ = [options[0], ("MODE", "enforce")];
    setup.refused(
        &differ,
        2,
        "the policy file /etc/project/allow.jsonc, line 3, column 11: the option `mode` is 'enforce' and this is 'audit'",
    );
}

#[test]
fn a_policy_file_that_is_not_used() {
    let setup = Setup::new();
    put(&setup, "etc/p.jsonc", "{\n  \"allow\": [\"*.com\"]\n}");
    let option = [("POLICYFILE", "/etc/p.jsonc")];
    setup.refused(
        &option,
        2,
        "the policy file /etc/p.jsonc, line 2, column 13: '*.com' is a wildcard over zones",
    );
    put(&setup, "etc/p.jsonc", &" ".repeat(256 * 1024 + 1));
    setup.refused(&option, 2, "has more than 262144 bytes");
    put(&setup, "etc/p.jsonc", "{}");
    fs::set_permissions(setup.path("etc/p.jsonc"), Permissions::from_mode(0o664)).unwrap();
    setup.refused(&option, 2, "may have been written by others than root");
    setup.refused(
        &[("POLICYFILE", "/etc/none")],
        2,
        "the policy file /etc/none cannot be read: No such file",
    );
    setup.refused(&[("POLICYFILE", "etc/p.jsonc")], 2, "no absolute path");
    std::os::unix::fs::symlink("p.jsonc", setup.path("etc/link")).unwrap();
    setup.refused(&[("POLICYFILE", "/etc/link")], 2, "has the link /etc/link on the way");
}

#[test]
fn registries_of_the_image() {
    let setup = Setup::new();
    let option = [("PRESETS", "packages")];
    setup.refused(&option, 2, "the preset 'packages' finds no registry in this image");
    put(&setup, "etc/apt/sources.list", "deb http://deb.example.com/debian stable main\n");
    put(&setup, "etc/npmrc", "registry=https://npm.example.com:8443/\n");
    let (policy, said) = installed(&setup, &option);
    let rules: Vec<String> = policy
        .rules
        .iter()
        .filter(|rule| rule.from.starts_with("preset packages: "))
        .map(|rule| format!("{} {:?} {}", rule.name, rule.ports, rule.from))
        .collect();
    assert_eq!(
        rules,
        ["deb.example.com {80} preset packages: apt", "npm.example.com {8443} preset packages: npm"]
    );
    assert!(said.contains("preset packages: npm uses npm.example.com:8443"), "{said}");
    assert!(said.contains("may lie on other hosts"), "{said}");
    // A file may name the preset, too.
    put(&setup, "etc/p.jsonc", "{ \"presets\": [\"packages\"] }");
    assert_eq!(installed(&setup, &[("POLICYFILE", "/etc/p.jsonc")]).0, policy);
}

#[test]
fn real_clients_say_what_they_use() {
    let path = std::env::var("PATH").unwrap_or_default();
    let here = |variables: &[(&'static str, &'static str)]| {
        let variables = variables.iter().copied().chain([("PATH", path.as_str())]);
        packages::find(&Image::with("/".as_ref(), true, variables))
    };
    let set = here(&[
        ("NPM_CONFIG_REGISTRY", "https://npm.example.com/"),
        ("PIP_INDEX_URL", "https://user:secret@pip.example.com:8443/simple"),
    ]);
    let built_in = here(&[]);
    let mut asked = 0;
    for (client, line) in [("npm", "npm npm.example.com:443"), ("pip", "pip pip.example.com:8443")] {
        let is_there = std::env::split_paths(&path).any(|folder| folder.join(client).exists());
        let is_roots = !set.notes().iter().any(|note| note.starts_with(client) && note.contains("not asked"));
        if is_there && is_roots {
            asked += 1;
            assert!(set.lines().contains(&line.to_owned()), "{:?} {:?}", set.lines(), set.notes());
            let any = built_in.lines().iter().any(|line| line.starts_with(client));
            assert!(any, "{client} says what it uses where nothing is set: {:?}", built_in.notes());
        }
    }
    assert!(!set.notes().iter().any(|note| note.contains("secret")));
    if asked == 0 {
        eprintln!(
            "SKIPPED real_clients_say_what_they_use: needs npm or pip in folders that root alone may write"
        );
        assert!(std::env::var_os("CI").is_none(), "CI needs npm or pip");
    }
}
