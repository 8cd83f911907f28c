//! Where credentials, proxies and certificates are looked for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::auth_file::AuthFile;
use super::certificates::Certificates;
use super::credentials::Credentials;
use super::error::OciError;
use super::helper::{self, Answer, Helper};
use super::keyring::Keyring;
use super::proxy::Proxies;
use super::realm::ALLOW_VARIABLE;
use super::reference::{Registry, same_registry};
use super::secret::Secret;

/// What a place has: credentials, each with the path below the registry that they are for.
type Place = Vec<(String, Credentials)>;

/// What a helper may take; some of them ask the user for a passphrase.
const HELPER_TIMEOUT: Duration = Duration::from_secs(60);

/// The places, in the order in which they are looked at; a value, so that tests need no environment.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A user and a password that were given for this run.
    pub login: Option<(String, Secret)>,
    /// `DEVCONTAINERS_OCI_AUTH`: `host|user|token`, comma-separated.
    pub oci_auth: Option<Secret>,
    /// The folder of Docker's config.json.
    pub docker_config: Option<PathBuf>,
    /// The helper to ask where Docker's config.json holds no credentials at all.
    pub default_helper: Option<String>,
    /// The file that `REGISTRY_AUTH_FILE` names; podman then looks at no other.
    pub registry_auth_file: Option<PathBuf>,
    /// Podman's files.
    pub podman_files: Vec<PathBuf>,
    /// `GITHUB_TOKEN`.
    pub github_token: Option<Secret>,
    /// `GITHUB_HOST`.
    pub github_host: Option<String>,
    /// Where credential helpers are, as in `PATH`.
    pub helper_path: Option<OsString>,
    /// What a helper may take, if not a minute.
    pub helper_timeout: Option<Duration>,
    /// Hosts that may see credentials, each `HOST` or `REGISTRY=HOST`, comma-separated.
    pub trusted_hosts: String,
    /// The proxies.
    pub proxies: Proxies,
    /// Certificates to trust.
    pub certificates: Certificates,
}

impl Sources {
    /// What the environment says.
    pub fn from_env() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = std::env::home_dir();
        let below_home = |rest: &str| home.as_ref().map(|home| home.join(rest));
        let helper_path = std::env::var_os("PATH");
        let run = path("XDG_RUNTIME_DIR");
        let config = path("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
        let podman = [run, config].into_iter().flatten().map(|folder| folder.join("containers/auth.json"));
        Self {
            login: None,
            oci_auth: text("DEVCONTAINERS_OCI_AUTH").map(Secret::new),
            docker_config: path("DOCKER_CONFIG").or_else(|| below_home(".docker")),
            default_helper: Some(helper::default_name(helper_path.as_deref()).to_owned()),
            registry_auth_file: path("REGISTRY_AUTH_FILE"),
            podman_files: podman.collect(),
            github_token: text("GITHUB_TOKEN").map(Secret::new),
            github_host: text("GITHUB_HOST"),
            helper_path,
            helper_timeout: None,
            trusted_hosts: text(ALLOW_VARIABLE).unwrap_or_default(),
            proxies: Proxies::from_env(),
            certificates: Certificates::from_env(),
        }
    }

    /// The credentials for a registry. `note` hears of what is odd and can be done without.
    pub fn keyring(&self, registry: &Registry, note: &dyn Fn(&str)) -> Result<Keyring, OciError> {
        let mut keyring = Keyring::default();
        if let Some((user, password)) = &self.login {
            keyring.add(everywhere(Credentials::pair(user, password, "from --password-stdin")));
            return Ok(keyring);
        }
        let places: [&dyn Fn() -> Result<Place, OciError>; 4] = [
            &|| self.in_variable(registry, note),
            &|| self.in_docker_config(registry, note),
            &|| self.in_podman_files(registry, note),
            &|| Ok(self.on_github(registry)),
        ];
        for place in places {
            keyring.add(place()?);
            if keyring.is_complete() {
                break;
            }
        }
        Ok(keyring)
    }

    fn in_variable(&self, registry: &Registry, note: &dyn Fn(&str)) -> Result<Place, OciError> {
        let entries = self.oci_auth.as_ref().map_or("", Secret::expose).split(',').map(str::trim);
        let mut found = None;
        for (index, entry) in entries.enumerate().filter(|(_, entry)| !entry.is_empty()) {
            let mut parts = entry.splitn(3, '|');
            let is_ours = parts.next().is_some_and(|host| same_registry(host, registry));
            match (parts.next(), parts.next()) {
                (Some(user), Some(token)) if is_ours && found.is_none() => {
                    found = Some(Credentials::pair(user, &Secret::new(token), "from DEVCONTAINERS_OCI_AUTH"));
                }
                (Some(_), Some(_)) => {}
                _ if is_ours && found.is_none() => {
                    return Err(OciError::Credentials(format!(
                        "the entry for {registry} in DEVCONTAINERS_OCI_AUTH is incomplete; write it as \"{registry}|user|token\""
                    )));
                }
                // Never with its text, which may hold a password.
                _ => note(&format!(
                    "passed over entry {} of DEVCONTAINERS_OCI_AUTH, which is not \"host|user|token\"; entries have commas between them",
                    index + 1
                )),
            }
        }
        Ok(found.map_or_else(Vec::new, everywhere))
    }

    fn in_docker_config(&self, registry: &Registry, note: &dyn Fn(&str)) -> Result<Place, OciError> {
        let Some(folder) = &self.docker_config else {
            return Ok(Vec::new());
        };
        let file = AuthFile::read(&folder.join("config.json"))?;
        if let Some(file) = file.filter(|file| !file.is_empty()) {
            return self.in_file(&file, registry, note);
        }
        let Some(name) = &self.default_helper else {
            return Ok(Vec::new());
        };
        // Nobody asked for this helper, so it is no error that it is not there or has no answer.
        match self.helper(name, "no config file, because it is the default,").ask(registry) {
            Ok(Answer::Found(credentials)) => Ok(everywhere(credentials)),
            _ => Ok(Vec::new()),
        }
    }

    fn in_podman_files(&self, registry: &Registry, note: &dyn Fn(&str)) -> Result<Place, OciError> {
        if let Some(path) = &self.registry_auth_file {
            let file = AuthFile::read(path)?.ok_or_else(|| {
                OciError::Credentials(format!(
                    "REGISTRY_AUTH_FILE names {}, which is not there; correct it, or unset it",
                    path.display()
                ))
            })?;
            return self.in_file(&file, registry, note);
        }
        let mut found = Vec::new();
        for path in &self.podman_files {
            if let Some(file) = AuthFile::read(path)? {
                found = self.in_file(&file, registry, note)?;
            }
            if !found.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    /// The helper for the registry, or else the one for all of them; and what the file itself has.
    fn in_file(&self, file: &AuthFile, registry: &Registry, note: &dyn Fn(&str)) -> Result<Place, OciError> {
        let named_in = file.path().display().to_string();
        if let Some(name) = file.helper_for(registry) {
            match self.helper(name, &named_in).ask(registry)? {
                Answer::Found(credentials) => return Ok(everywhere(credentials)),
                Answer::Nothing => {}
                Answer::Missing(error) => return Err(error),
            }
        } else if let Some(name) = file.store() {
            match self.helper(name, &named_in).ask(registry)? {
                Answer::Found(credentials) => return Ok(everywhere(credentials)),
                Answer::Nothing => {}
                // Editors and Docker Desktop leave such names behind; the registry may need no login.
                Answer::Missing(error) => note(&error.to_string()),
            }
        }
        file.entries(registry)
    }

    fn helper<'a>(&'a self, name: &'a str, named_in: &'a str) -> Helper<'a> {
        Helper {
            name,
            named_in,
            path: self.helper_path.as_deref(),
            timeout: self.helper_timeout.unwrap_or(HELPER_TIMEOUT),
        }
    }

    fn on_github(&self, registry: &Registry) -> Place {
        let github = self.github_host.as_deref().is_none_or(|host| host == "github.com");
        match &self.github_token {
            Some(token) if registry.as_str() == "ghcr.io" && github => {
                everywhere(Credentials::pair("USERNAME", token, "from GITHUB_TOKEN"))
            }
            _ => Vec::new(),
        }
    }
}

/// Credentials for all repositories.
fn everywhere(credentials: Credentials) -> Place {
    vec![(String::new(), credentials)]
}
