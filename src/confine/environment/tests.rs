use super::table::Rule;
use super::*;
use proptest::prelude::*;
use std::path::PathBuf;

fn places() -> Places {
    Places {
        real_home: "/home/vscode".into(),
        home: "/var/lib/claude-code/home".into(),
        temporary: "/tmp/agent-sandbox-1000/tmp".into(),
        config: Some("/var/lib/claude-code/config".into()),
        workspace: vec![PathBuf::from("/workspaces/x")],
        toolchains: vec![("RUSTUP_HOME", "/home/vscode/.rustup".into())],
        ..Places::default()
    }
}

fn cleaned(from: &[(&str, &str)], extra: &[&str]) -> Vec<(String, String)> {
    let from = from.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let extra: Vec<_> = extra.iter().map(|&name| name.to_owned()).collect();
    let clean = clean(from, &places(), &extra).into_iter();
    clean.map(|(name, value)| (name.into_string().unwrap(), value.into_string().unwrap())).collect()
}

fn value(clean: &[(String, String)], wanted: &str) -> Option<String> {
    let mut values = clean.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let first = values.next();
    assert_eq!(values.next(), None, "{wanted} is there twice");
    first
}

/// None of these is listed, whatever it holds.
#[test]
fn what_never_passes_by_itself() {
    for name in [
        "VSCODE_IPC_HOOK_CLI",
        "VSCODE_GIT_IPC_HANDLE",
        "VSCODE_GIT_ASKPASS_MAIN",
        "VSCODE_INSPECTOR_OPTIONS",
        "REMOTE_CONTAINERS_IPC",
        "REMOTE_CONTAINERS_SOCKETS",
        "REMOTE_CONTAINERS_DISPLAY_SOCK",
        "SSH_AUTH_SOCK",
        "SSH_AGENT_PID",
        "SSH_ASKPASS",
        "SSH_CONNECTION",
        "GPG_AGENT_INFO",
        "GPG_TTY",
        "GNUPGHOME",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_PROXY_COMMAND",
        "GITHUB_TOKEN",
        "GH_TOKEN",
        "GITHUB_CODESPACE_TOKEN",
        "GITLAB_TOKEN",
        "CODESPACE_NAME",
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_SECRET_ACCESS_KEY",
        "AZURE_CLIENT_SECRET",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "KUBECONFIG",
        "NPM_TOKEN",
        "NODE_AUTH_TOKEN",
        "TWINE_PASSWORD",
        "CARGO_REGISTRY_TOKEN",
        "PIP_PASSWORD",
        "BROWSER",
        "DISPLAY",
        "XAUTHORITY",
        "WAYLAND_DISPLAY",
        "DBUS_SESSION_BUS_ADDRESS",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "BASH_ENV",
        "ENV",
        "PROMPT_COMMAND",
        "PS1",
        "ZDOTDIR",
        "LD_PRELOAD",
        "LD_AUDIT",
        "PYTHONSTARTUP",
        "PERL5OPT",
        "RUBYOPT",
        "JAVA_TOOL_OPTIONS",
        "BASH_FUNC_git%%",
        "ELECTRON_RUN_AS_NODE",
        "DOCKER_CONFIG",
        "DOCKER_CERT_PATH",
        "ANTHROPIC_UNIX_SOCKET",
        "CLAUDE_CODE_SSE_PORT",
        "CLAUDE_CODE_AUTO_CONNECT_IDE",
        "CLAUDE_CODE_CLIENT_KEY",
        "ANTHROPIC_FOUNDRY_API_KEY",
        "ANTHROPIC_AWS_API_KEY",
        "CLAUDE_BRIDGE_OAUTH_TOKEN",
        "MCP_CLIENT_SECRET",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "DATABASE_URL",
        "LC_",
        "LC_A=B",
        "path",
        "Home",
        "",
    ] {
        assert_eq!(table::rule(name), None, "{name}");
    }
}

#[test]
fn nobody_is_listed_twice_and_no_name_of_the_table_is_set_anew() {
    let mut seen = HashSet::new();
    for name in table::TABLE.iter().flat_map(|row| row.names) {
        assert!(seen.insert(name), "{name}");
        assert!(set_anew(None, &places()).iter().all(|(set, _)| set != name), "{name}");
    }
}

#[test]
fn what_is_set_anew_is_whatever_it_was() {
    let clean = cleaned(
        &[
            ("HOME", "/home/vscode"),
            ("TMPDIR", "/tmp"),
            ("PATH", "/home/vscode/.vscode-server/bin/0/bin/remote-cli:.:/usr/bin:/home/vscode/.cargo/bin"),
            ("GIT_ASKPASS", "/home/vscode/.vscode-server/askpass.sh"),
            ("GIT_CONFIG_COUNT", "2"),
            ("JAVA_TOOL_OPTIONS", "-javaagent:/home/vscode/x.jar"),
            ("GIT_CONFIG_KEY_1", "core.sshCommand"),
            ("CLAUDE_CONFIG_DIR", "/home/vscode"),
        ],
        &["HOME", "PATH"],
    );
    let path = "/var/lib/claude-code/home/.local/bin:/usr/bin:/home/vscode/.cargo/bin";
    for (name, want) in [
        ("HOME", "/var/lib/claude-code/home"),
        ("TMPDIR", "/tmp/agent-sandbox-1000/tmp"),
        ("TMP", "/tmp/agent-sandbox-1000/tmp"),
        ("CLAUDE_CODE_TMPDIR", "/tmp/agent-sandbox-1000/tmp"),
        ("TMUX_TMPDIR", "/tmp/agent-sandbox-1000/tmp"),
        ("SCREENDIR", "/tmp/agent-sandbox-1000/tmp/screen"),
        (
            "JAVA_TOOL_OPTIONS",
            "-Duser.home=/var/lib/claude-code/home -Djava.io.tmpdir=/tmp/agent-sandbox-1000/tmp",
        ),
        ("PATH", path),
        (PATH_AGAIN, path),
        ("GIT_ASKPASS", "/bin/false"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "credential.helper"),
        ("GIT_CONFIG_VALUE_0", ""),
        ("CLAUDE_CONFIG_DIR", "/var/lib/claude-code/config"),
        ("RUSTUP_HOME", "/home/vscode/.rustup"),
    ] {
        assert_eq!(value(&clean, name).as_deref(), Some(want), "{name}");
    }
    assert_eq!(value(&clean, "GIT_CONFIG_KEY_1"), None);
}

#[test]
fn java_is_told_nothing_where_it_would_be_read_wrongly() {
    for home in ["/a home", "/a'home", "/a\"home"] {
        assert_eq!(java_options(&Places { home: home.into(), ..places() }), None, "{home}");
    }
}

#[test]
fn what_the_policy_adds_passes_as_it_is() {
    let from = [("DATABASE_URL", "postgres://me:secret@db/x"), ("DATABASE_URLS", "x"), ("RUSTUP_HOME", "/r")];
    assert_eq!(value(&cleaned(&from, &[]), "DATABASE_URL"), None);
    let clean = cleaned(&from, &["DATABASE_URL"]);
    assert_eq!(value(&clean, "DATABASE_URL").as_deref(), Some("postgres://me:secret@db/x"));
    assert_eq!(value(&clean, "DATABASE_URLS"), None);
    assert_eq!(
        value(&clean, "RUSTUP_HOME").as_deref(),
        Some("/r"),
        "what was set counts before what was found"
    );
}

#[test]
fn of_a_name_that_is_there_twice_the_first_counts() {
    let clean = cleaned(&[("LANG", "C"), ("LANG", "de_DE"), ("PATH", "/a"), ("PATH", "/b")], &[]);
    assert_eq!(value(&clean, "LANG").as_deref(), Some("C"));
    assert!(value(&clean, "PATH").unwrap().ends_with(":/a"));
}

#[test]
fn without_a_configuration_folder_claude_code_is_told_none() {
    let places = Places { config: None, ..places() };
    let clean = clean([("CLAUDE_CONFIG_DIR".into(), "/x".into())], &places, &[]);
    assert!(clean.iter().all(|(name, _)| name != "CLAUDE_CONFIG_DIR"));
}

#[test]
fn readme_shows_this_table() {
    let shown = include_str!("../../../tests/expected/environment.md");
    assert!(shown == documentation() + "\n", "tests/expected/environment.md should be:\n{}", documentation());
}

proptest! {
    #[test]
    fn only_listed_names_arrive(names in proptest::collection::vec("[A-Za-z_][A-Za-z0-9_%=]{0,20}", 0..40)) {
        let from = names.iter().map(|name| (OsString::from(name), OsString::from("leak")));
        for (name, value) in clean(from, &places(), &[]) {
            let name = name.into_string().unwrap();
            prop_assert!(value != "leak" || table::rule(&name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_login_in_an_address_never_arrives(
        user in "[a-z]{0,5}", password in "[a-z]{1,8}", host in "[a-z]{1,8}", scheme in "(https?://|socks5h?://|)",
    ) {
        let address = format!("{scheme}{user}:{password}@{host}:80");
        let names = table::TABLE.iter().filter(|row| row.rule == Rule::Addresses).flat_map(|row| row.names);
        let from = names.map(|name| (OsString::from(name), OsString::from(&address)));
        let clean = clean(from, &places(), &[]);
        prop_assert!(clean.iter().all(|(_, value)| *value != *address));
    }

    #[test]
    fn every_folder_to_look_in_is_absolute_and_nobodys_editor(list in "[a-z./:]{0,40}(:/h/.vscode-server/bin)?(:[:/a-z]{0,20})?") {
        let clean = cleaned(&[("PATH", &list)], &[]);
        let path = value(&clean, "PATH").unwrap();
        prop_assert!(path.split(':').all(|entry| entry.starts_with('/') && !entry.contains("/.vscode-server/")));
    }
}
