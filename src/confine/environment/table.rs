//! What passes into the cell, by name, with the reason. README shows this table.

/// What of a listed variable passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Whatever it holds.
    AsItIs,
    /// These values.
    Only(&'static [&'static str]),
    /// What does not begin so.
    Not(&'static str),
    /// Addresses that hold no login and no query.
    Addresses,
    /// `tcp://`, without a login.
    Tcp,
    /// An absolute path that is not an editor's.
    Folder,
    /// The same, and only where the cell may write.
    WritableFolder,
    /// Of a list of folders those that are absolute and not an editor's.
    Folders,
    /// A program that is not an editor outside the cell.
    Editor,
    /// Of Node's options those that load no code.
    NodeOptions,
}

impl Rule {
    /// For README.
    pub fn words(self) -> String {
        match self {
            Self::AsItIs => "as it is".to_owned(),
            Self::Only(values) => format!("`{}` alone", values.join("`, `")),
            Self::Not(beginning) => format!("unless it begins with `{beginning}`"),
            Self::Addresses => "addresses without a login or a query".to_owned(),
            Self::Tcp => "`tcp://` alone, without a login".to_owned(),
            Self::Folder => "an absolute path, not into an editor's server".to_owned(),
            Self::WritableFolder => "where the cell may write".to_owned(),
            Self::Folders => "absolute folders, not an editor's".to_owned(),
            Self::Editor => "unless it is VS Code or its like".to_owned(),
            Self::NodeOptions => "options that load no code".to_owned(),
        }
    }
}

/// Variables that pass alike for one reason. A name that ends with `*` stands for all that begin so.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Which.
    pub names: &'static [&'static str],
    /// What of them.
    pub rule: Rule,
    /// Why.
    pub why: &'static str,
}

/// All that passes.
pub const TABLE: &[Row] = &[
    Row {
        names: &[
            "USER", "LOGNAME", "SHELL", "HOSTNAME", "PWD", "OLDPWD", "SHLVL", "TZ", "LANG", "LANGUAGE",
            "LC_*",
        ],
        rule: Rule::AsItIs,
        why: "who and where one is, and in which language",
    },
    Row {
        names: &[
            "TERM",
            "COLORTERM",
            "COLUMNS",
            "LINES",
            "NO_COLOR",
            "FORCE_COLOR",
            "CLICOLOR",
            "CLICOLOR_FORCE",
            "LS_COLORS",
            "PAGER",
            "LESS",
        ],
        rule: Rule::AsItIs,
        why: "how a terminal looks",
    },
    Row {
        names: &["TERM_PROGRAM", "TERM_PROGRAM_VERSION"],
        rule: Rule::Not("vscode"),
        why: "keys and colours; with `vscode` programs look for the editor's bridge",
    },
    Row { names: &["EDITOR", "VISUAL"], rule: Rule::Editor, why: "an editor in the cell" },
    Row {
        names: &[
            "CI",
            "DEBIAN_FRONTEND",
            "MAKEFLAGS",
            "CC",
            "CXX",
            "CFLAGS",
            "CXXFLAGS",
            "CPPFLAGS",
            "LDFLAGS",
            "RUSTFLAGS",
        ],
        rule: Rule::AsItIs,
        why: "how to build",
    },
    Row {
        names: &[
            "NODE_ENV",
            "RUST_BACKTRACE",
            "RUST_LOG",
            "PYTHONUNBUFFERED",
            "PYTHONDONTWRITEBYTECODE",
            "PYTHONIOENCODING",
        ],
        rule: Rule::AsItIs,
        why: "how to run",
    },
    Row {
        names: &["REMOTE_CONTAINERS", "CODESPACES", "DEVCONTAINER"],
        rule: Rule::Only(&["true", "1"]),
        why: "that this is a Dev Container",
    },
    Row {
        names: &["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"],
        rule: Rule::AsItIs,
        why: "whose a commit is; no more of Git's",
    },
    Row {
        names: &[
            "ASDF_DIR",
            "ASDF_DATA_DIR",
            "CONDA_DIR",
            "CONDA_EXE",
            "CONDA_PREFIX",
            "DOTNET_ROOT",
            "FNM_DIR",
            "GOENV_ROOT",
            "GOROOT",
            "GRADLE_HOME",
            "JAVA_HOME",
            "JENV_ROOT",
            "MAVEN_HOME",
            "MISE_DATA_DIR",
            "NODENV_ROOT",
            "NVM_BIN",
            "NVM_DIR",
            "PLAYWRIGHT_BROWSERS_PATH",
            "PYENV_ROOT",
            "RBENV_ROOT",
            "RUSTUP_HOME",
            "SDKMAN_DIR",
            "TFENV_ROOT",
            "VIRTUAL_ENV",
            "VOLTA_HOME",
        ],
        rule: Rule::Folder,
        why: "toolchains, to read; those in the real home are found without",
    },
    Row {
        names: &[
            "CONDA_DEFAULT_ENV",
            "DOTNET_CLI_TELEMETRY_OPTOUT",
            "DOTNET_NOLOGO",
            "DOTNET_RUNNING_IN_CONTAINER",
            "GOFLAGS",
            "GOOS",
            "GOARCH",
            "GOTOOLCHAIN",
            "CGO_ENABLED",
            "NODE_VERSION",
            "PYENV_VERSION",
            "PYTHON_VERSION",
            "RUSTUP_TOOLCHAIN",
            "RUST_VERSION",
        ],
        rule: Rule::AsItIs,
        why: "which toolchain",
    },
    Row {
        names: &[
            "CLASSPATH",
            "CPATH",
            "GEM_PATH",
            "INFOPATH",
            "LD_LIBRARY_PATH",
            "LIBRARY_PATH",
            "MANPATH",
            "NODE_PATH",
            "PKG_CONFIG_PATH",
            "PYTHONPATH",
            "XDG_DATA_DIRS",
        ],
        rule: Rule::Folders,
        why: "libraries of images and projects",
    },
    Row {
        names: &[
            "BUNDLE_PATH",
            "BUN_INSTALL",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "COMPOSER_HOME",
            "DENO_DIR",
            "GEM_HOME",
            "GOBIN",
            "GOCACHE",
            "GOMODCACHE",
            "GOPATH",
            "GRADLE_USER_HOME",
            "NPM_CONFIG_CACHE",
            "NPM_CONFIG_PREFIX",
            "NUGET_PACKAGES",
            "PIPX_BIN_DIR",
            "PIPX_HOME",
            "PIP_CACHE_DIR",
            "PNPM_HOME",
            "POETRY_CACHE_DIR",
            "PYTHONUSERBASE",
            "UV_CACHE_DIR",
            "YARN_CACHE_FOLDER",
            "npm_config_cache",
            "npm_config_prefix",
        ],
        rule: Rule::WritableFolder,
        why: "caches; elsewhere they would fail, without they are in the private home",
    },
    Row {
        names: &["NODE_OPTIONS"],
        rule: Rule::NodeOptions,
        why: "memory; an editor's debugger is loaded by it",
    },
    Row {
        names: &[
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "NO_PROXY",
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "no_proxy",
        ],
        rule: Rule::Addresses,
        why: "a proxy's login is somebody's",
    },
    Row {
        names: &[
            "GONOPROXY",
            "GONOSUMDB",
            "GOPRIVATE",
            "GOPROXY",
            "GOSUMDB",
            "NPM_CONFIG_REGISTRY",
            "PIP_EXTRA_INDEX_URL",
            "PIP_INDEX_URL",
            "RUSTUP_DIST_SERVER",
            "RUSTUP_UPDATE_ROOT",
            "UV_DEFAULT_INDEX",
            "UV_INDEX_URL",
            "YARN_NPM_REGISTRY_SERVER",
            "npm_config_registry",
        ],
        rule: Rule::Addresses,
        why: "registries; a token in one is somebody's",
    },
    Row {
        names: &[
            "CURL_CA_BUNDLE",
            "GIT_SSL_CAINFO",
            "NODE_EXTRA_CA_CERTS",
            "PIP_CERT",
            "REQUESTS_CA_BUNDLE",
            "SSL_CERT_DIR",
            "SSL_CERT_FILE",
        ],
        rule: Rule::Folder,
        why: "certificates of whom to trust",
    },
    Row {
        names: &["DOCKER_HOST"],
        rule: Rule::Tcp,
        why: "a proxy of Docker's interface; a socket would be root",
    },
    Row {
        names: &[
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "ANTHROPIC_CUSTOM_HEADERS",
            "CLAUDE_CODE_OAUTH_TOKEN",
        ],
        rule: Rule::AsItIs,
        why: "Claude Code's own login: without one it cannot work",
    },
    Row {
        names: &["ANTHROPIC_BASE_URL", "CLAUDE_CODE_API_BASE_URL"],
        rule: Rule::Addresses,
        why: "where its model is",
    },
    Row {
        names: &[
            "ANTHROPIC_BETAS",
            "ANTHROPIC_CUSTOM_MODEL_OPTION*",
            "ANTHROPIC_DEFAULT_*",
            "ANTHROPIC_LOG",
            "ANTHROPIC_MODEL",
            "ANTHROPIC_SMALL_FAST_MODEL",
            "API_TIMEOUT_MS",
            "BASH_DEFAULT_TIMEOUT_MS",
            "BASH_MAX_OUTPUT_LENGTH",
            "BASH_MAX_TIMEOUT_MS",
            "CLAUDE_AGENT_SDK_*",
            "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE",
            "CLAUDE_BASH_MAINTAIN_PROJECT_WORKING_DIR",
            "CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD",
            "CLAUDE_CODE_AUTO_COMPACT_WINDOW",
            "CLAUDE_CODE_CERT_STORE",
            "CLAUDE_CODE_DEBUG_LOG_LEVEL",
            "CLAUDE_CODE_DISABLE_*",
            "CLAUDE_CODE_EFFORT_LEVEL",
            "CLAUDE_CODE_EMIT_*",
            "CLAUDE_CODE_ENABLE_*",
            "CLAUDE_CODE_ENTRYPOINT",
            "CLAUDE_CODE_EXIT_AFTER_STOP_DELAY",
            "CLAUDE_CODE_EXPERIMENTAL_AGENT_TEAMS",
            "CLAUDE_CODE_FILE_READ_MAX_OUTPUT_TOKENS",
            "CLAUDE_CODE_FORK_SUBAGENT",
            "CLAUDE_CODE_GLOB_*",
            "CLAUDE_CODE_MAX_*",
            "CLAUDE_CODE_NO_FLICKER",
            "CLAUDE_CODE_PLUGIN_GIT_TIMEOUT_MS",
            "CLAUDE_CODE_PROXY_RESOLVES_HOSTS",
            "CLAUDE_CODE_SCROLL_SPEED",
            "CLAUDE_CODE_SHELL",
            "CLAUDE_CODE_SIMPLE",
            "CLAUDE_CODE_STREAM_CLOSE_TIMEOUT",
            "CLAUDE_CODE_SUBAGENT_MODEL",
            "CLAUDE_CODE_SUBPROCESS_ENV_SCRUB",
            "CLAUDE_CODE_SYNTAX_HIGHLIGHT",
            "CLAUDE_CODE_TASK_LIST_ID",
            "CLAUDE_CODE_TMUX_TRUECOLOR",
            "DISABLE_*",
            "ENABLE_CLAUDEAI_MCP_SERVERS",
            "ENABLE_LSP_TOOL",
            "ENABLE_PROMPT_CACHING_1H",
            "ENABLE_TOOL_SEARCH",
            "MAX_MCP_OUTPUT_TOKENS",
            "MAX_STRUCTURED_OUTPUT_RETRIES",
            "MAX_THINKING_TOKENS",
            "MCP_CONNECTION_NONBLOCKING",
            "MCP_CONNECT_TIMEOUT_MS",
            "MCP_REMOTE_SERVER_CONNECTION_BATCH_SIZE",
            "MCP_SERVER_CONNECTION_BATCH_SIZE",
            "MCP_TIMEOUT",
            "MCP_TOOL_TIMEOUT",
            "SLASH_COMMAND_TOOL_CHAR_BUDGET",
            "TASK_MAX_OUTPUT_LENGTH",
            "USE_API_CONTEXT_MANAGEMENT",
            "USE_BUILTIN_RIPGREP",
        ],
        rule: Rule::AsItIs,
        why: "Claude Code's own settings",
    },
];

/// The rule for a name, if it is listed.
pub fn rule(name: &str) -> Option<Rule> {
    TABLE.iter().find(|row| row.names.iter().any(|listed| is(listed, name))).map(|row| row.rule)
}

fn is(listed: &str, name: &str) -> bool {
    match listed.strip_suffix('*') {
        None => listed == name,
        Some(prefix) => name.strip_prefix(prefix).is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        }),
    }
}
