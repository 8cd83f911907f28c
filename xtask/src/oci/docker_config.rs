//! Docker's config.json and the credential helpers that it names.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::credentials::Credentials;
use super::error::OciError;
use super::reference::Registry;
use super::secret::Secret;

/// The credentials for a registry: `credHelpers`, else `credsStore`, else `auths`.
pub fn find(folder: &Path, registry: &Registry) -> Result<Option<Credentials>, OciError> {
    let path = folder.join("config.json");
    let Ok(text) = std::fs::read(&path) else {
        // No Docker here, or not for us to read: then there is nothing to find.
        return Ok(None);
    };
    let config: Value = serde_json::from_slice(&text).map_err(|error| {
        OciError::Credentials(format!(
            "{} is not JSON: line {}, column {}",
            path.display(),
            error.line(),
            error.column()
        ))
    })?;
    let helpers = [config["credHelpers"][registry.as_str()].as_str(), config["credsStore"].as_str()];
    for helper in helpers.into_iter().flatten() {
        if let Some(found) = ask_helper(helper, registry)? {
            return Ok(Some(found));
        }
    }
    let entries = keys(registry).into_iter().map(|key| &config["auths"][key]);
    let from = format!("from {}", path.display());
    for entry in entries {
        if let Some(token) = entry["identitytoken"].as_str().filter(|token| !token.is_empty()) {
            return Ok(Some(Credentials::Identity { token: Secret::new(token), from }));
        }
        if let Some(encoded) = entry["auth"].as_str().filter(|auth| !auth.is_empty()) {
            return Ok(Some(Credentials::Basic { encoded: Secret::new(encoded), from }));
        }
    }
    Ok(None)
}

/// The names under which Docker stores a registry.
fn keys(registry: &Registry) -> Vec<String> {
    let mut keys =
        vec![registry.to_string(), format!("https://{registry}"), format!("https://{registry}/v2/")];
    if matches!(registry.as_str(), "docker.io" | "registry-1.docker.io" | "index.docker.io") {
        keys.push("https://index.docker.io/v1/".to_owned());
    }
    keys
}

/// Asks `docker-credential-NAME get`. The registry's name goes in on standard input.
fn ask_helper(helper: &str, registry: &Registry) -> Result<Option<Credentials>, OciError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if helper.is_empty() || !helper.chars().all(plain) {
        return Err(OciError::Credentials(format!(
            "\"{helper}\" in Docker's config.json cannot name a credential helper"
        )));
    }
    let program = format!("docker-credential-{helper}");
    let child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(|error| {
        OciError::Credentials(format!(
            "Docker's config.json names the credential helper {program}, which cannot be started: {error}"
        ))
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input still answers.
        let _ = stdin.write_all(registry.as_str().as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|error| OciError::Credentials(format!("the credential helper {program} failed: {error}")))?;
    if !output.status.success() {
        // This is how a helper says that it has nothing.
        return Ok(None);
    }
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| OciError::Credentials(format!("the credential helper {program} answered no JSON")))?;
    let from = format!("from {program}");
    Ok(match (answer["Username"].as_str(), answer["Secret"].as_str()) {
        (Some("<token>"), Some(token)) => Some(Credentials::Identity { token: Secret::new(token), from }),
        (Some(user), Some(secret)) => Some(Credentials::basic(user, &Secret::new(secret), &from)),
        _ => None,
    })
}
