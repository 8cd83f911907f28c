//! Where credentials come from: variables, files, helpers, standard input.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use support::guarded::Guarded;
use support::proxy::{Proxy, reply};
use support::{Collection, push_to, run, xtask};
use tempfile::TempDir;
use xtask::exit::Exit;
use xtask::oci::credentials::{Credentials, Sources};
use xtask::oci::error::OciError;
use xtask::oci::reference::{Registry, Repository};
use xtask::oci::secret::Secret;
use xtask::registry::server::{Options, serve};

/// A home with config files and helpers.
struct Home {
    folder: TempDir,
    sources: Sources,
    notes: Mutex<Vec<String>>,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let sources = Sources {
            docker_config: Some(folder.path().to_owned()),
            helper_path: Some(bin.into_os_string()),
            helper_timeout: Some(Duration::from_secs(20)),
            ..Sources::default()
        };
        Self { folder, sources, notes: Mutex::default() }
    }

    fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn config(&self, text: &str) {
        self.file("config.json", text);
    }

    /// Writes a helper; its lines go after `#!/bin/sh`.
    fn helper(&self, name: &str, lines: &str) {
        let path = self.file(&format!("bin/docker-credential-{name}"), &format!("#!/bin/sh\n{lines}\n"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn ask(&self, registry: &str, repository: &str) -> Result<Credentials, OciError> {
        let registry = Registry::parse(registry).unwrap();
        let note = |text: &str| self.notes.lock().unwrap().push(text.to_owned());
        let keyring = self.sources.keyring(&registry, &note)?;
        Ok(keyring.find(&Repository::parse(repository).unwrap()).clone())
    }

    /// What is found, as `user:password from where`.
    fn found(&self, registry: &str, repository: &str) -> String {
        let folder = format!("{}/", self.folder.path().display());
        match self.ask(registry, repository).unwrap() {
            Credentials::Anonymous => "nothing".to_owned(),
            Credentials::Identity { token, from } => {
                format!("identity {} {}", token.expose(), from.replace(&folder, ""))
            }
            Credentials::Basic { encoded, from } => {
                let pair = base64::engine::general_purpose::STANDARD.decode(encoded.expose()).unwrap();
                format!("{} {}", String::from_utf8(pair).unwrap(), from.replace(&folder, ""))
            }
        }
    }

    fn error(&self, registry: &str) -> String {
        let error = self.ask(registry, "a/b").unwrap_err();
        assert_eq!(Exit::of(&anyhow::Error::from(error)), Exit::Registry);
        self.ask(registry, "a/b").unwrap_err().to_string()
    }
}

fn auth(pair: &str) -> String {
    format!(r#"{{"auth":"{}"}}"#, base64::engine::general_purpose::STANDARD.encode(pair))
}

#[test]
fn the_first_place_that_has_something_wins() {
    let mut home = Home::new();
    home.helper("one", r#"read key; echo "{\"Username\":\"helper\",\"Secret\":\"$key\"}""#);
    // From the last place to the first: each hides those before it.
    assert_eq!(home.found("ghcr.io", "a/b"), "nothing");
    home.sources.github_token = Some(Secret::new("g"));
    assert_eq!(home.found("ghcr.io", "a/b"), "USERNAME:g from GITHUB_TOKEN");
    assert_eq!(home.found("evil-ghcr.io", "a/b"), "nothing");
    home.sources.github_host = Some("github.example".to_owned());
    assert_eq!(home.found("ghcr.io", "a/b"), "nothing");
    home.sources.github_host = Some("github.com".to_owned());
    assert_eq!(home.found("ghcr.io", "a/b"), "USERNAME:g from GITHUB_TOKEN");

    let config = home.file("config/auth.json", &format!(r#"{{"auths":{{"ghcr.io":{}}}}}"#, auth("c:c")));
    let run = home.file("run/auth.json", &format!(r#"{{"auths":{{"ghcr.io":{}}}}}"#, auth("r:r")));
    home.sources.podman_files = vec![home.folder.path().join("none/auth.json"), config.clone()];
    assert_eq!(home.found("ghcr.io", "a/b"), "c:c from config/auth.json");
    home.sources.podman_files = vec![run, config];
    assert_eq!(home.found("ghcr.io", "a/b"), "r:r from run/auth.json");
    home.sources.registry_auth_file =
        Some(home.file("named.json", &format!(r#"{{"auths":{{"ghcr.io":{}}}}}"#, auth("n:n"))));
    assert_eq!(home.found("ghcr.io", "a/b"), "n:n from named.json");

    home.config(&format!(r#"{{"auths":{{"ghcr.io":{}}}}}"#, auth("d:d")));
    assert_eq!(home.found("ghcr.io", "a/b"), "d:d from config.json");
    home.config(&format!(r#"{{"credsStore":"one","auths":{{"ghcr.io":{}}}}}"#, auth("d:d")));
    assert_eq!(home.found("ghcr.io", "a/b"), "helper:ghcr.io from docker-credential-one");
    home.sources.oci_auth = Some(Secret::new("ghcr.io|v|p|q,other.example|x|y"));
    assert_eq!(home.found("ghcr.io", "a/b"), "v:p|q from DEVCONTAINERS_OCI_AUTH");
    home.sources.login = Some(("me".to_owned(), Secret::new("typed")));
    assert_eq!(home.found("ghcr.io", "a/b"), "me:typed from --password-stdin");
}

#[test]
fn entries_that_do_not_read_are_said_without_their_text() {
    let mut home = Home::new();
    for (text, found, noted) in [
        ("ghcr.io|u|t", "u:t", &[][..]),
        (" ghcr.io|u|t , ,", "u:t", &[]),
        ("ghcr.io:me:hunter2,ghcr.io|u|t", "u:t", &[1]),
        ("ghcr.io|u|hunt,er2", "u:hunt", &[2]),
        ("other.example|hunter2,ghcr.io;u;hunter2", "", &[1, 2]),
    ] {
        home.sources.oci_auth = Some(Secret::new(text));
        home.notes.lock().unwrap().clear();
        let expected = if found.is_empty() {
            "nothing".to_owned()
        } else {
            format!("{found} from DEVCONTAINERS_OCI_AUTH")
        };
        assert_eq!(home.found("ghcr.io", "a/b"), expected, "{text}");
        let notes: Vec<String> = noted
            .iter()
            .map(|entry| format!("passed over entry {entry} of DEVCONTAINERS_OCI_AUTH, which is not \"host|user|token\"; entries have commas between them"))
            .collect();
        assert_eq!(*home.notes.lock().unwrap(), notes, "{text}");
    }
    home.sources.oci_auth = Some(Secret::new("ghcr.io|hunter2"));
    assert_eq!(
        home.error("ghcr.io"),
        "the entry for ghcr.io in DEVCONTAINERS_OCI_AUTH is incomplete; write it as \"ghcr.io|user|token\""
    );
}

#[test]
fn the_longest_path_of_a_file_wins() {
    let home = Home::new();
    let entry = |key: &str| format!("{key:?}:{}", auth(&format!("{key}:x")));
    let keys = ["r.example", "r.example/a", "r.example/a/b", "https://other.example/a/b", "r.example/x"];
    home.config(&format!(r#"{{"auths":{{{}}}}}"#, keys.map(entry).join(",")));
    for (repository, expected) in [
        ("a/b", "r.example/a/b"),
        ("a/b/c", "r.example/a/b"),
        ("a/bc", "r.example/a"),
        ("a", "r.example/a"),
        ("ab", "r.example"),
        ("y/x", "r.example"),
    ] {
        assert_eq!(home.found("r.example", repository), format!("{expected}:x from config.json"));
    }
    assert!(home.found("other.example", "z").starts_with("https://other.example/a/b:x"));
}

#[test]
fn a_path_elsewhere_leaves_the_next_place_its_turn() {
    let mut home = Home::new();
    home.config(&format!(r#"{{"auths":{{"ghcr.io/somebody":{}}}}}"#, auth("d:d")));
    home.sources.github_token = Some(Secret::new("g"));
    assert_eq!(home.found("ghcr.io", "somebody/x"), "d:d from config.json");
    assert_eq!(home.found("ghcr.io", "owner/x"), "USERNAME:g from GITHUB_TOKEN");
}

#[test]
fn helpers_are_asked_and_believed() {
    let home = Home::new();
    home.helper("user", r#"echo '{"ServerURL":"x","Username":"u","Secret":"s"}'"#);
    home.helper("identity", r#"echo '{"Username":"<token>","Secret":"i"}'"#);
    home.helper("none", "echo 'credentials not found in native keychain'; exit 1");
    home.helper("empty", "");
    home.helper("blank", r#"echo '{"Username":"","Secret":""}'"#);
    home.helper(
        "key",
        r#"test "$1" = get || exit 1; read key; echo "{\"Username\":\"u\",\"Secret\":\"$key\"}""#,
    );
    for (name, expected) in [
        ("user", "u:s from docker-credential-user"),
        ("identity", "identity i from docker-credential-identity"),
        ("none", "d:d from config.json"),
        ("empty", "d:d from config.json"),
        ("blank", "d:d from config.json"),
        ("key", "u:r.example:5000 from docker-credential-key"),
    ] {
        let auths = auth("d:d");
        home.config(&format!(r#"{{"credsStore":"{name}","auths":{{"r.example:5000":{auths}}}}}"#));
        assert_eq!(home.found("r.example:5000", "a/b"), expected, "store {name}");
        let helpers = format!(r#""credHelpers":{{"r.example:5000":"{name}"}}"#);
        home.config(&format!(r#"{{{helpers},"auths":{{"r.example:5000":{auths}}}}}"#));
        assert_eq!(home.found("r.example:5000", "a/b"), expected, "helper {name}");
    }
    // The helper of a registry stands in for the store; Docker Hub has its own key.
    home.config(r#"{"credsStore":"user","credHelpers":{"https://r.example":"none","docker.io":"key"}}"#);
    assert_eq!(home.found("r.example", "a/b"), "nothing");
    assert_eq!(home.found("other.example", "a/b"), "u:s from docker-credential-user");
    assert_eq!(home.found("docker.io", "a/b"), "u:https://index.docker.io/v1/ from docker-credential-key");
    assert!(home.notes.lock().unwrap().is_empty());
}

#[test]
fn helpers_that_fail_are_one_sentence_without_secrets() {
    let mut home = Home::new();
    home.helper("garbage", "echo t0ps3cret");
    home.helper("half", r#"echo '{"Username":"t0ps3cret"}'"#);
    home.helper("binary", r"printf '\377\376'");
    home.helper("flood", "yes t0ps3cret | head -c 3000000");
    home.helper("locked", "echo 'the keychain is locked, token=t0ps3cret' >&2; exit 1");
    home.helper("leaky", r#"echo '{"Username":"u","Secret":"t0ps3cret"}'; exit 2"#);
    for (name, expected) in [
        ("garbage", "answered something else than JSON with a Username and a Secret"),
        ("half", "answered something else than JSON with a Username and a Secret"),
        ("binary", "answered something else than JSON with a Username and a Secret"),
        ("flood", "answered something else than JSON with a Username and a Secret"),
        ("locked", "failed: the keychain is locked, [hidden];"),
        ("leaky", "failed: its words are not shown, because a secret is among them"),
    ] {
        home.config(&format!(r#"{{"credsStore":"{name}"}}"#));
        let error = home.error("r.example");
        assert!(error.contains(expected) && !error.contains("t0ps3cret"), "{error}");
        assert!(error.contains(&format!("`echo r.example | docker-credential-{name} get`")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    home.config(r#"{"credHelpers":{"r.example":"../../bin/sh"}}"#);
    assert!(home.error("r.example").contains("cannot name a credential helper"));
    // A helper that is not there: for this registry an error, for all of them only a note.
    home.config(r#"{"credHelpers":{"r.example":"gone"}}"#);
    assert!(home.error("r.example").contains("docker-credential-gone, which is not installed"));
    home.config(r#"{"credsStore":"gone"}"#);
    home.sources.github_token = Some(Secret::new("g"));
    assert_eq!(home.found("ghcr.io", "a/b"), "USERNAME:g from GITHUB_TOKEN");
    assert!(home.notes.lock().unwrap()[0].contains("docker-credential-gone, which is not installed"));
}

#[test]
fn a_helper_that_hangs_is_ended() {
    let mut home = Home::new();
    home.sources.helper_timeout = Some(Duration::from_millis(300));
    let pid = home.folder.path().join("pid");
    home.helper("slow", &format!("echo $$ > {}; exec sleep 100", pid.display()));
    home.helper("child", "sleep 3; echo x");
    home.helper("held", "sleep 3 & echo '{\"Username\":\"u\",\"Secret\":\"s\"}'");
    for name in ["slow", "child", "held"] {
        home.config(&format!(r#"{{"credsStore":"{name}"}}"#));
        let start = Instant::now();
        let error = home.ask("r.example", "a/b").unwrap_err().to_string();
        assert!(error.ends_with("gave no answer within 0.3 seconds and was ended"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(2), "{name}: {:?}", start.elapsed());
    }
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(!std::path::Path::new("/proc").join(pid.trim()).exists(), "the helper still runs");
}

#[test]
fn the_default_helper_is_asked_where_nothing_is_configured() {
    let mut home = Home::new();
    home.sources.default_helper = Some("default".to_owned());
    assert_eq!(home.found("r.example", "a/b"), "nothing");
    home.helper("default", r#"echo '{"Username":"u","Secret":"s"}'"#);
    assert_eq!(home.found("r.example", "a/b"), "u:s from docker-credential-default");
    home.config(r#"{"auths":{}}"#);
    assert_eq!(home.found("r.example", "a/b"), "u:s from docker-credential-default");
    home.config(&format!(r#"{{"auths":{{"other.example":{}}}}}"#, auth("d:d")));
    assert_eq!(home.found("r.example", "a/b"), "nothing");
    home.config("{}");
    home.helper("default", "echo no bus; exit 1");
    assert_eq!(home.found("r.example", "a/b"), "nothing");
    assert!(home.notes.lock().unwrap().is_empty());
}

#[test]
fn a_file_that_cannot_be_read_is_one_sentence_and_nothing_is_sent() {
    let proxy = Proxy::start(1, |_| Some(reply(500, &[], "")));
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let packed = collection.pack();
    let mut home = Home::new();
    let attempt = |home: &Home| {
        let mut destination = support::destination(proxy.port);
        destination.sources = home.sources.clone();
        let error = push_to(&destination, &packed, false).0.unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Registry);
        assert!(proxy.seen().is_empty());
        error.to_string()
    };
    home.config("{\"auths\":");
    assert!(attempt(&home).contains("config.json is not JSON: line 1, column 9; correct it"));
    std::fs::remove_file(home.folder.path().join("config.json")).unwrap();
    std::fs::create_dir(home.folder.path().join("config.json")).unwrap();
    let error = attempt(&home);
    assert!(
        error.contains("credentials may be in ") && error.contains("config.json, which cannot be read"),
        "{error}"
    );
    std::fs::remove_dir(home.folder.path().join("config.json")).unwrap();
    home.sources.registry_auth_file = Some(home.folder.path().join("gone.json"));
    let error = attempt(&home);
    assert!(
        error.starts_with("REGISTRY_AUTH_FILE names ") && error.contains("gone.json, which is not there"),
        "{error}"
    );
    home.sources.registry_auth_file = None;
    home.sources.trusted_hosts = "https://a.example/".to_owned();
    let mut destination = support::destination(proxy.port);
    destination.sources = home.sources.clone();
    let error = push_to(&destination, &packed, false).0.unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Usage);
    assert!(proxy.seen().is_empty());
}

#[test]
fn each_repository_is_shown_its_own_credentials() {
    let guarded = Guarded::start(|_, _| None);
    let home = Home::new();
    let host = format!("localhost:{}", guarded.proxy.port);
    let entries = [(String::new(), "all:x"), ("/owner/features/b".to_owned(), "b:x")]
        .map(|(path, pair)| format!(r#""{host}{path}":{}"#, auth(pair)));
    home.config(&format!(r#"{{"auths":{{{}}}}}"#, entries.join(",")));
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    collection.feature("b", "1.0.0", "");
    let mut destination = support::destination(guarded.proxy.port);
    destination.sources = home.sources.clone();
    push_to(&destination, &collection.pack(), false).0.unwrap();
    let mut asked: Vec<String> = guarded
        .proxy
        .seen()
        .iter()
        .filter(|seen| seen.path == "/token")
        .map(|seen| {
            let pair = seen.header("authorization").unwrap().strip_prefix("Basic ").unwrap();
            let pair = base64::engine::general_purpose::STANDARD.decode(pair).unwrap();
            format!("{} {}", String::from_utf8(pair).unwrap(), seen.query.contains("features%2Fb%3A"))
        })
        .collect();
    // The repositories are looked at together; which is first is chance.
    asked.sort();
    assert_eq!(asked, ["all:x false", "all:x false", "b:x true"]);
}

#[test]
fn a_password_on_standard_input_is_shown_to_the_registry_and_to_nobody_else() {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&shown);
    let guarded = Guarded::start(move |seen, _| {
        if seen.path == "/token" {
            record.lock().unwrap().push(seen.header("authorization").unwrap().to_owned());
        }
        let echo = "me:p4ss word cDRzcyB3b3Jk p4ss%20word p4ss+word";
        (seen.method == "POST").then(|| reply(403, &[], echo))
    });
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let registry = format!("localhost:{}", guarded.proxy.port);
    let publish = |arguments: &[&str], input: &[u8]| {
        let mut command = xtask(collection.path());
        command.args(["publish", ".", "-n", "owner/features", "-r", &registry]).args(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A program that refuses its arguments reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, stderr) = publish(&["--username", "me", "--password-stdin"], b"p4ss word\n");
    assert_eq!(code, 5, "{stderr}");
    assert!(
        stderr.contains("with the credentials from --password-stdin: [secret] [secret] [secret] [secret];"),
        "{stderr}"
    );
    assert!(!stderr.contains("p4ss"), "{stderr}");
    let shown = shown.lock().unwrap().clone();
    assert!(!shown.is_empty() && shown.iter().all(|header| header == "Basic bWU6cDRzcyB3b3Jk"), "{shown:?}");
    guarded.proxy.forget();
    for (arguments, input, expected) in [
        (&["--username", "me"][..], &b"x"[..], "--password-stdin"),
        (&["--password-stdin"], b"x", "--username"),
        (&["--username", "me", "--password-stdin"], b"\n", "error: no password came in on standard input"),
        (
            &["--username", "m:e", "--password-stdin"],
            b"x",
            "error: the user name of --username is empty, or has",
        ),
        (&["--username", "me", "--password-stdin", "--local"], b"x", "cannot be used with"),
        (&["--username", "me", "--password", "hunter2"], b"x", "unexpected argument '--password'"),
    ] {
        let (code, stderr) = publish(arguments, input);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
    assert!(guarded.proxy.seen().is_empty());
}

#[test]
fn every_place_that_the_environment_names_is_looked_at() {
    let guarded = Guarded::start(|_, _| None);
    let registry = format!("localhost:{}", guarded.proxy.port);
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let entry = format!(r#"{{"auths":{{"{registry}":{}}}}}"#, auth("me:pw"));
    let login = format!("{registry}|me|pw");
    for (file, variable, value) in [
        (None, "DEVCONTAINERS_OCI_AUTH", login.as_str()),
        (Some("d/config.json"), "DOCKER_CONFIG", "d"),
        (Some(".docker/config.json"), "", ""),
        (Some("x.json"), "REGISTRY_AUTH_FILE", "x.json"),
        (Some("r/containers/auth.json"), "XDG_RUNTIME_DIR", "r"),
        (Some("c/containers/auth.json"), "XDG_CONFIG_HOME", "c"),
        (Some(".config/containers/auth.json"), "", ""),
    ] {
        let home = tempfile::tempdir().unwrap();
        if let Some(file) = file.map(|file: &str| home.path().join(file)) {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, &entry).unwrap();
        }
        let mut command = xtask(home.path());
        command.arg("publish").arg(collection.path()).args(["-n", "owner/features", "-r", &registry]);
        command.env_remove("DOCKER_CONFIG");
        if !variable.is_empty() {
            command.env(variable, value);
        }
        guarded.proxy.forget();
        let (code, _, stderr) = run(&mut command);
        assert_eq!(code, 0, "{variable} {file:?}: {stderr}");
        let seen = guarded.proxy.seen().into_iter().filter(|seen| seen.path == "/token");
        let shown: Vec<String> =
            seen.map(|seen| seen.header("authorization").unwrap_or_default().to_owned()).collect();
        assert!(
            !shown.is_empty() && shown.iter().all(|shown| shown == "Basic bWU6cHc="),
            "{variable} {file:?}: {shown:?}"
        );
    }
}

#[test]
fn a_host_is_allowed_by_flag_and_by_variable() {
    let root = tempfile::tempdir().unwrap();
    let start = |fault: &str| {
        let faults = vec![fault.parse().unwrap()];
        serve(root.path(), &Options { faults, ..Options::default() }).unwrap()
    };
    let tokens = start("token=60,login=me:pw");
    let realm = format!("localhost:{}", tokens.port());
    let serving = start(&format!("token=60,realm=http://{realm}/token,login=me:pw"));
    let registry = format!("localhost:{}", serving.port());
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let publish = |flag: Option<&str>, variable: &str| {
        let mut command = xtask(collection.path());
        command.args(["publish", ".", "-n", "owner/features", "-r", &registry]);
        command.env("DEVCONTAINERS_OCI_AUTH", format!("{registry}|me|pw"));
        command.args(flag.map(|host| ["--allow-auth-host", host]).into_iter().flatten());
        run(command.env("DEVCONTAINERS_OCI_AUTH_HOSTS", variable)).0
    };
    let pair = format!("{registry}={realm}");
    let other = format!("registry.example={realm}");
    for (flag, variable, code) in [
        (None, "", 5),
        (Some(other.as_str()), "", 5),
        (None, other.as_str(), 5),
        (Some(realm.as_str()), "", 0),
        (Some(pair.as_str()), other.as_str(), 0),
        (None, pair.as_str(), 0),
        (Some("https://x"), "", 2),
    ] {
        assert_eq!(publish(flag, variable), code, "{flag:?} {variable}");
    }
}
