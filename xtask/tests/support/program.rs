//! The program itself.

/// The program in a folder, with nothing of the machine's own logins.
pub fn program(folder: &std::path::Path) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.current_dir(folder).env("DOCKER_CONFIG", folder);
    for name in ["CARGO_MANIFEST_DIR", "DEVCONTAINERS_OCI_AUTH", "GITHUB_TOKEN"] {
        command.env_remove(name);
    }
    command
}
