//! Who we are to a registry, in the official CLI's order of places.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::docker_config;
use super::error::OciError;
use super::reference::Registry;
use super::secret::{Known, Secret};

/// Where credentials may come from; a value, so that tests need no environment.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `DEVCONTAINERS_OCI_AUTH`: `host|user|token`, comma-separated.
    pub oci_auth: Option<Secret>,
    /// The folder of Docker's config.json.
    pub docker_config: Option<PathBuf>,
    /// `GITHUB_TOKEN`.
    pub github_token: Option<Secret>,
    /// `GITHUB_HOST`.
    pub github_host: Option<String>,
    /// Pairs `registry=host` that the user trusts.
    pub trusted_realms: String,
}

/// What to show a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    Anonymous,
    /// `user:password` in base64.
    Basic {
        /// The encoded pair.
        encoded: Secret,
        /// Where it was found, for messages.
        from: String,
    },
    /// A token that buys tokens.
    Identity {
        /// The token.
        token: Secret,
        /// Where it was found, for messages.
        from: String,
    },
}

impl Sources {
    /// What the environment says.
    pub fn from_env() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            oci_auth: text("DEVCONTAINERS_OCI_AUTH").map(Secret::new),
            docker_config: text("DOCKER_CONFIG")
                .map(PathBuf::from)
                .or_else(|| std::env::home_dir().map(|home| home.join(".docker"))),
            github_token: text("GITHUB_TOKEN").map(Secret::new),
            github_host: text("GITHUB_HOST"),
            trusted_realms: text(super::realm::ALLOW_VARIABLE).unwrap_or_default(),
        }
    }

    /// The credentials for a registry.
    pub fn find(&self, registry: &Registry) -> Result<Credentials, OciError> {
        if let Some(found) = self.in_variable(registry)? {
            return Ok(found);
        }
        if let Some(folder) = &self.docker_config
            && let Some(found) = docker_config::find(folder, registry)?
        {
            return Ok(found);
        }
        let github = self.github_host.as_deref().is_none_or(|host| host == "github.com");
        match &self.github_token {
            Some(token) if registry.as_str() == "ghcr.io" && github => {
                Ok(Credentials::basic("USERNAME", token, "from GITHUB_TOKEN"))
            }
            _ => Ok(Credentials::Anonymous),
        }
    }

    fn in_variable(&self, registry: &Registry) -> Result<Option<Credentials>, OciError> {
        let Some(variable) = &self.oci_auth else {
            return Ok(None);
        };
        for entry in variable.expose().split(',') {
            let mut parts = entry.trim().splitn(3, '|');
            if parts.next() != Some(registry.as_str()) {
                continue;
            }
            return match (parts.next(), parts.next()) {
                (Some(user), Some(token)) => {
                    Ok(Some(Credentials::basic(user, &Secret::new(token), "from DEVCONTAINERS_OCI_AUTH")))
                }
                _ => Err(OciError::Credentials(format!(
                    "the entry for {registry} in DEVCONTAINERS_OCI_AUTH is incomplete; write it as \"{registry}|user|token\""
                ))),
            };
        }
        Ok(None)
    }
}

impl Credentials {
    /// A user and a password.
    pub fn basic(user: &str, password: &Secret, from: &str) -> Self {
        let encoded = Secret::new(BASE64.encode(format!("{user}:{}", password.expose())));
        Self::Basic { encoded, from: from.to_owned() }
    }

    /// Everything of them that must not be shown.
    pub fn secrets(&self) -> Known {
        let mut known = Known::default();
        match self {
            Self::Anonymous => {}
            Self::Identity { token, .. } => known.add(token.expose()),
            Self::Basic { encoded, .. } => {
                known.add(encoded.expose());
                let pair = BASE64.decode(encoded.expose()).unwrap_or_default();
                let pair = String::from_utf8_lossy(&pair);
                known.add(&pair);
                known.add(pair.split_once(':').map_or("", |(_, password)| password));
            }
        }
        known
    }

    /// Where they come from, for messages.
    pub fn describe(&self) -> String {
        match self {
            Self::Anonymous => "without credentials".to_owned(),
            Self::Basic { from, .. } | Self::Identity { from, .. } => format!("with the credentials {from}"),
        }
    }
}
