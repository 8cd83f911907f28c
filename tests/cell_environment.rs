//! What a caller's environment hands on to shells and languages: everything without the cell's cleaning, and with it
//! nothing that is somebody's identity or a way out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use agent_sandbox::confine::environment::clean;
use agent_sandbox::confine::places::Places;

/// Every value that must not arrive has this in it.
const MARK: &str = "LEAK";

/// What an editor, a login and a project may have left in the environment, by kind.
const LEAKS: &[(&str, &[(&str, &str)])] = &[
    (
        "the variables that the original Feature empties",
        &[
            ("SSH_AUTH_SOCK", "/tmp/vscode-ssh-auth-LEAK.sock"),
            ("VSCODE_GIT_ASKPASS_MAIN", "/home/x/.vscode-server/LEAK/askpass-main.js"),
            ("VSCODE_GIT_ASKPASS_NODE", "/home/x/.vscode-server/LEAK/node"),
            ("VSCODE_GIT_ASKPASS_EXTRA_ARGS", "LEAK"),
            ("GIT_ASKPASS", "/home/x/.vscode-server/LEAK/askpass.sh"),
            ("GH_TOKEN", "LEAK"),
            ("GITHUB_TOKEN", "LEAK"),
            ("GIT_CONFIG_VALUE_0", "LEAK"),
            ("VSCODE_IPC_HOOK_CLI", "/tmp/vscode-ipc-LEAK.sock"),
            ("VSCODE_GIT_IPC_HANDLE", "/run/user/1000/vscode-git-LEAK.sock"),
            ("REMOTE_CONTAINERS_IPC", "/tmp/vscode-remote-containers-ipc-LEAK.sock"),
            ("REMOTE_CONTAINERS_SOCKETS", "[\"/tmp/LEAK.sock\"]"),
            ("REMOTE_CONTAINERS_DISPLAY_SOCK", "/tmp/.X11-unix/LEAK"),
            ("GPG_AGENT_INFO", "/LEAK:1:1"),
            ("BROWSER", "/home/x/.vscode-server/LEAK/browser.sh"),
            ("WAYLAND_DISPLAY", "vscode-wayland-LEAK.sock"),
        ],
    ),
    (
        "SSH and GnuPG",
        &[
            ("SSH_AGENT_PID", "LEAK"),
            ("SSH_ASKPASS", "/LEAK"),
            ("SSH_CONNECTION", "LEAK"),
            ("SSH_TTY", "LEAK"),
            ("GNUPGHOME", "/LEAK"),
            ("GPG_TTY", "LEAK"),
        ],
    ),
    (
        "Git",
        &[
            ("GIT_SSH", "/LEAK"),
            ("GIT_SSH_COMMAND", "ssh -i LEAK"),
            ("GIT_CONFIG_PARAMETERS", "'a.b=LEAK'"),
            ("GIT_CONFIG_GLOBAL", "/LEAK"),
            ("GIT_EDITOR", "LEAK"),
            ("GIT_EXTERNAL_DIFF", "LEAK"),
            ("GIT_PROXY_COMMAND", "LEAK"),
            ("GIT_COOKIE_FILE", "LEAK"),
        ],
    ),
    (
        "hosts of code",
        &[
            ("GITHUB_CODESPACE_TOKEN", "LEAK"),
            ("GH_ENTERPRISE_TOKEN", "LEAK"),
            ("GITLAB_TOKEN", "LEAK"),
            ("CI_JOB_TOKEN", "LEAK"),
            ("BITBUCKET_TOKEN", "LEAK"),
            ("AZURE_DEVOPS_EXT_PAT", "LEAK"),
        ],
    ),
    (
        "editors",
        &[
            ("VSCODE_AGENT_FOLDER", "LEAK"),
            ("VSCODE_CLI_REQUIRE_TOKEN", "LEAK"),
            ("VSCODE_INJECTION", "LEAK"),
            ("VSCODE_NONCE", "LEAK"),
            ("VSCODE_PROXY_URI", "https://LEAK"),
            ("ELECTRON_RUN_AS_NODE", "LEAK"),
            ("TERM_PROGRAM_VERSION", "vscode-LEAK"),
            ("EDITOR", "code --wait LEAK"),
            ("NODE_OPTIONS", "--no-warnings --trace-event-categories=LEAK"),
            ("CLAUDE_CODE_SSE_PORT", "LEAK"),
            ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/1000/LEAK"),
            ("XDG_RUNTIME_DIR", "/run/user/LEAK"),
            ("XDG_CONFIG_HOME", "/LEAK"),
            ("DISPLAY", ":LEAK"),
            ("XAUTHORITY", "/LEAK"),
        ],
    ),
    (
        "clouds",
        &[
            ("AWS_ACCESS_KEY_ID", "LEAK"),
            ("AWS_SECRET_ACCESS_KEY", "LEAK"),
            ("AWS_SESSION_TOKEN", "LEAK"),
            ("AZURE_CLIENT_SECRET", "LEAK"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/LEAK"),
            ("KUBECONFIG", "/LEAK"),
            ("DIGITALOCEAN_TOKEN", "LEAK"),
            ("CLOUDFLARE_API_TOKEN", "LEAK"),
            ("VAULT_TOKEN", "LEAK"),
            ("OP_SESSION_my", "LEAK"),
        ],
    ),
    (
        "registries, proxies and engines",
        &[
            ("NPM_TOKEN", "LEAK"),
            ("NODE_AUTH_TOKEN", "LEAK"),
            ("npm_config__authToken", "LEAK"),
            ("npm_config_registry", "https://me:LEAK@npm.example/"),
            ("PIP_INDEX_URL", "https://me:LEAK@pip.example/simple"),
            ("UV_INDEX_OWN_PASSWORD", "LEAK"),
            ("TWINE_PASSWORD", "LEAK"),
            ("CARGO_REGISTRY_TOKEN", "LEAK"),
            ("CARGO_REGISTRIES_OWN_TOKEN", "LEAK"),
            ("GOPROXY", "https://me:LEAK@go.example,direct"),
            ("HTTPS_PROXY", "http://me:LEAK@proxy.example:3128"),
            ("http_proxy", "me:LEAK@proxy.example:3128"),
            ("DOCKER_HOST", "unix:///var/run/LEAK.sock"),
            ("DOCKER_AUTH_CONFIG", "LEAK"),
            ("DATABASE_URL", "postgres://me:LEAK@db/x"),
        ],
    ),
    (
        "what programs run at their start",
        &[
            ("PROMPT_COMMAND", "true LEAK"),
            ("PYTHONSTARTUP", "/LEAK"),
            ("ZDOTDIR", "/LEAK"),
            ("LD_LIBRARY_PATH", "LEAK/relative"),
            ("PERL5OPT", "-mLEAK"),
            ("BASH_FUNC_leak%%", "() { echo LEAK; }"),
        ],
    ),
];

struct Reader {
    program: &'static str,
    arguments: &'static [&'static str],
    /// On standard input, for what reads commands there.
    input: &'static str,
    /// Many machines have none.
    common: bool,
}

const fn shell(program: &'static str, arguments: &'static [&'static str]) -> Reader {
    Reader { program, arguments, input: "", common: true }
}

/// Each prints its environment, as a child of its own sees it or as the language has it.
const READERS: &[Reader] = &[
    shell("bash", &["-c", "env -0"]),
    shell("bash", &["-lc", "env -0"]),
    shell("bash", &["-ic", "env -0"]),
    shell("bash", &["-lic", "env -0"]),
    Reader { program: "bash", arguments: &["-s"], input: "env -0\n", common: true },
    shell("sh", &["-c", "env -0"]),
    shell("sh", &["-lc", "env -0"]),
    shell("python3", &["-c", "import os; print('\\0'.join(k + '=' + v for k, v in os.environ.items()))"]),
    shell("node", &["-e", "console.log(Object.entries(process.env).map(e => e.join('=')).join('\\0'))"]),
    Reader { common: false, ..shell("zsh", &["-c", "env -0"]) },
    Reader { common: false, ..shell("zsh", &["-lc", "env -0"]) },
    Reader { common: false, ..shell("zsh", &["-ic", "env -0"]) },
    Reader { common: false, ..shell("fish", &["-c", "env -0"]) },
    Reader { common: false, ..shell("fish", &["-lc", "env -0"]) },
    Reader { common: false, ..shell("fish", &["-ic", "env -0"]) },
];

struct Lab {
    folder: tempfile::TempDir,
    places: Places,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            folder.path().join(name)
        };
        let places = Places {
            real_home: place("real"),
            home: place("home"),
            temporary: place("tmp"),
            workspace: vec![place("project")],
            ..Places::default()
        };
        assert_eq!(agent_sandbox::confine::carry::carry(&places), [""; 0]);
        Self { folder, places }
    }

    /// The parent's environment: what one needs to run anything, and all the leaks.
    fn parent(&self) -> Vec<(OsString, OsString)> {
        let mut parent = vec![
            ("PATH".into(), std::env::var_os("PATH").unwrap()),
            ("HOME".into(), self.places.real_home.clone().into()),
            ("USER".into(), "x".into()),
            ("LANG".into(), "C.UTF-8".into()),
            ("TERM".into(), "dumb".into()),
            ("GIT_CONFIG_COUNT".into(), "1".into()),
            ("GIT_CONFIG_KEY_0".into(), "user.name".into()),
        ];
        let leaks = LEAKS.iter().flat_map(|(_, leaks)| leaks.iter());
        parent.extend(leaks.map(|(name, value)| (OsString::from(name), OsString::from(value))));
        parent
    }

    fn read(&self, reader: &Reader, environment: &[(OsString, OsString)]) -> BTreeMap<String, String> {
        let input = self.folder.path().join("input");
        std::fs::write(&input, reader.input).unwrap();
        let mut command = Command::new(found(reader.program).unwrap());
        command.args(reader.arguments).env_clear().envs(environment.iter().cloned());
        command.current_dir(&self.places.workspace[0]).stdin(std::fs::File::open(input).unwrap());
        let output = command.stderr(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{} {:?}: {}", reader.program, reader.arguments, output.status);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let entries = text.trim_end_matches('\n').split('\0').filter_map(|entry| entry.split_once('='));
        entries.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// The program itself: what a version manager puts before it is a script with an environment of its own.
fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).filter(|folder| !folder.ends_with("shims"));
    let mut files = folders.map(|folder| folder.join(program));
    files.find(|path| path.is_file())
}

#[test]
fn nothing_that_is_somebodys_arrives_and_without_cleaning_all_of_it_does() {
    let lab = Lab::new();
    let parent = lab.parent();
    let cleaned = clean(parent.clone(), &lab.places, &[]);
    let mut tried = 0;
    for reader in READERS {
        if found(reader.program).is_none() {
            eprintln!("SKIPPED: there is no {}", reader.program);
            assert!(!reader.common, "{} is needed", reader.program);
            continue;
        }
        tried += 1;
        let what = format!("{} {:?}", reader.program, reader.arguments);
        let open = lab.read(reader, &parent);
        let missing: Vec<_> = LEAKS
            .iter()
            .flat_map(|(_, leaks)| leaks.iter())
            .filter(|(name, _)| !open.get(*name).is_some_and(|value| value.contains(MARK)))
            .map(|(name, _)| *name)
            .filter(|name| !is_lost_anyway(reader.program, name))
            .collect();
        assert_eq!(missing, [""; 0], "{what} does not get these even without cleaning");
        let arrived = lab.read(reader, &cleaned);
        let leaked: Vec<_> = arrived.iter().filter(|(_, value)| value.contains(MARK)).collect();
        assert!(leaked.is_empty(), "{what} gets {leaked:?}");
        for (name, wanted) in [("HOME", &lab.places.home), ("TMPDIR", &lab.places.temporary)] {
            assert_eq!(arrived.get(name).map(Path::new), Some(wanted.as_path()), "{what}: {name}");
        }
        for (name, wanted) in [("LANG", "C.UTF-8"), ("GIT_ASKPASS", "/bin/false"), ("GIT_CONFIG_VALUE_0", "")]
        {
            assert_eq!(arrived.get(name).map(String::as_str), Some(wanted), "{what}: {name}");
        }
    }
    assert!(tried >= 9, "{tried}");
}

/// Some programs drop or overwrite a variable by themselves.
fn is_lost_anyway(program: &str, name: &str) -> bool {
    match program {
        // dash passes on no name that it could not have given itself.
        "sh" => name == "BASH_FUNC_leak%%",
        _ => false,
    }
}

/// A login shell begins with the system's `PATH`.
#[test]
fn a_login_shell_has_the_agents_path_again() {
    let lab = Lab::new();
    let mut parent = lab.parent();
    let tools = lab.places.workspace[0].join("tools");
    let path = format!("{}:{}", std::env::var("PATH").unwrap(), tools.display());
    parent[0].1 = path.into();
    let cleaned = clean(parent, &lab.places, &[]);
    for reader in READERS.iter().filter(|reader| reader.arguments[0].contains('l')) {
        if found(reader.program).is_none() {
            eprintln!("SKIPPED: there is no {}", reader.program);
            continue;
        }
        let arrived = lab.read(reader, &cleaned);
        let folders: Vec<_> = std::env::split_paths(&arrived["PATH"]).collect();
        let what = format!("{} {:?}: {folders:?}", reader.program, reader.arguments);
        assert!(folders.contains(&tools), "{what}");
        assert_eq!(folders.first(), Some(&lab.places.home.join(".local/bin")), "{what}");
    }
}

/// Git takes the caller's login without the cleaning, and none with it.
#[test]
fn git_asks_no_helper() {
    let lab = Lab::new();
    let helper = lab.folder.path().join("helper");
    std::fs::write(&helper, "#!/bin/sh\necho username=me\necho password=LEAK\n").unwrap();
    std::fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let settings = format!(
        "[credential]\n\thelper = {0}\n[credential \"https://h.example\"]\n\thelper = {0}\n",
        helper.display()
    );
    let fill = |mut environment: Vec<(OsString, OsString)>, system: &Path| {
        // It would stand for the user's own settings.
        environment.retain(|(name, _)| name != "GIT_CONFIG_GLOBAL");
        let input = lab.folder.path().join("question");
        std::fs::write(&input, "protocol=https\nhost=h.example\n\n").unwrap();
        let mut command = Command::new("git");
        command.args(["credential", "fill"]).env_clear().envs(environment).env("GIT_CONFIG_SYSTEM", system);
        command.stdin(std::fs::File::open(input).unwrap()).current_dir(&lab.places.workspace[0]);
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).contains(MARK)
    };
    let nothing = Path::new("/dev/null");
    // In the user's own settings.
    std::fs::write(lab.places.real_home.join(".gitconfig"), &settings).unwrap();
    assert_eq!(agent_sandbox::confine::carry::carry(&lab.places), [""; 0]);
    assert!(fill(lab.parent(), nothing));
    assert!(!fill(clean(lab.parent(), &lab.places, &[]), nothing));
    // And in the system's, where the editor puts its own.
    std::fs::remove_file(lab.places.real_home.join(".gitconfig")).unwrap();
    let system = lab.folder.path().join("system");
    std::fs::write(&system, &settings).unwrap();
    assert!(fill(lab.parent(), &system));
    assert!(!fill(clean(lab.parent(), &lab.places, &[]), &system));
}
