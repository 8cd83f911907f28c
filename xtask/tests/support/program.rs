//! The program as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

/// A run in a folder that is also its home: nothing of the machine's own logins may matter.
pub fn xtask(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.current_dir(folder).env("DOCKER_CONFIG", folder).env("HOME", folder);
    let names = [
        "CARGO_MANIFEST_DIR",
        "DEVCONTAINERS_OCI_AUTH",
        "DEVCONTAINERS_OCI_AUTH_HOSTS",
        "GITHUB_TOKEN",
        "GITHUB_HOST",
        "REGISTRY_AUTH_FILE",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "NODE_EXTRA_CA_CERTS",
    ];
    for name in names {
        command.env_remove(name);
    }
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
}

/// Its exit code, standard output and standard error.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}
