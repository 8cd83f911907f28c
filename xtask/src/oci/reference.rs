//! Names: a registry, a repository in it.

use std::fmt;

use reqwest::Url;

use super::error::OciError;
use crate::feature::grammar;

/// The names of Docker Hub, which has one set of credentials for all of them.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// A registry by its host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry(String);

/// A repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Repository(String);

impl Registry {
    /// Reads `host` or `host:port`.
    pub fn parse(text: &str) -> Result<Self, OciError> {
        let wrong = |what: &str| {
            let text = without_user(text);
            Err(OciError::Reference(format!(
                "\"{text}\" is not a registry: {what}; write it as in \"ghcr.io\" or \"localhost:5000\""
            )))
        };
        if text.contains('@') {
            return wrong("a user and a password do not belong here");
        }
        if text.contains("://") {
            return wrong("leave the scheme away");
        }
        if text.contains('/') {
            return wrong("a path belongs to the namespace (-n)");
        }
        let registry = Self(text.to_ascii_lowercase());
        match Url::parse(&format!("https://{text}/")) {
            Ok(url)
                if url.username().is_empty()
                    && url.password().is_none()
                    && url.path() == "/"
                    && url.query().is_none()
                    && url.fragment().is_none() =>
            {
                Ok(registry)
            }
            Ok(_) => wrong("only a host and a port are"),
            Err(_) => wrong("it is no host name"),
        }
    }

    /// The host and port as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is on this machine: the one place where plain HTTP is spoken.
    pub fn is_local(&self) -> bool {
        is_local_host(self.host())
    }

    /// Whether it is Docker Hub by one of its names.
    pub fn is_docker_hub(&self) -> bool {
        DOCKER_HUB.contains(&self.as_str())
    }

    fn host(&self) -> &str {
        if self.0.starts_with('[') {
            return self.0.split_inclusive(']').next().unwrap_or(&self.0);
        }
        self.0.split(':').next().unwrap_or(&self.0)
    }

    /// The address of its API.
    pub fn url(&self) -> Result<Url, OciError> {
        let scheme = if self.is_local() { "http" } else { "https" };
        // Docker Hub's name is not the host of its API.
        let host = match self.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            host => host,
        };
        Url::parse(&format!("{scheme}://{host}/v2/"))
            .map_err(|_| OciError::Reference(format!("\"{self}\" is not a registry")))
    }
}

/// What may be quoted of a name: what stands before an `@` may be a password.
fn without_user(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, rest)| rest)
}

/// Whether a host, as somebody wrote it, is the registry.
pub fn same_registry(host: &str, registry: &Registry) -> bool {
    let host = host.to_ascii_lowercase();
    host == registry.as_str() || (registry.is_docker_hub() && DOCKER_HUB.contains(&host.as_str()))
}

/// Whether a host is this machine by name or loopback address.
pub fn is_local_host(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

impl Repository {
    /// Reads a path, lower-cased as the official CLI does it.
    pub fn parse(text: &str) -> Result<Self, OciError> {
        let path = text.to_lowercase();
        if grammar::is_repository_path(&path) && path.len() <= 255 {
            Ok(Self(path))
        } else {
            let text = without_user(text);
            Err(OciError::Reference(format!(
                "\"{text}\" cannot name a repository; use letters and digits with single \".\", \"_\", \"-\" or \"/\" between them"
            )))
        }
    }

    /// A repository below this one.
    pub fn join(&self, id: &str) -> Result<Self, OciError> {
        Self::parse(&format!("{}/{id}", self.0))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for (text, url) in [
            ("ghcr.io", "https://ghcr.io/v2/"),
            ("GHCR.io", "https://ghcr.io/v2/"),
            ("docker.io", "https://registry-1.docker.io/v2/"),
            ("localhost", "http://localhost/v2/"),
            ("localhost:5000", "http://localhost:5000/v2/"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000/v2/"),
            ("[::1]:5000", "http://[::1]:5000/v2/"),
            ("127.0.0.1.example.com", "https://127.0.0.1.example.com/v2/"),
            ("localhost.example.com:5000", "https://localhost.example.com:5000/v2/"),
            ("127.0.0.2:5000", "https://127.0.0.2:5000/v2/"),
        ] {
            assert_eq!(Registry::parse(text).unwrap().url().unwrap().as_str(), url, "{text}");
        }
    }

    #[test]
    fn what_is_no_registry() {
        for text in [
            "",
            "https://ghcr.io",
            "ghcr.io/owner",
            "user@ghcr.io",
            "user:pass@ghcr.io",
            "a b",
            "ghcr.io?x",
            "ghcr.io#x",
            "ghcr.io:99999",
        ] {
            assert!(Registry::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_in_a_name_is_not_quoted() {
        for text in
            ["user:hunter2@ghcr.io", "https://user:hunter2@ghcr.io/x", "u:hunter2@x@ghcr.io", "hunter2@ "]
        {
            let error = Registry::parse(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && error.contains("is not a registry"), "{error}");
            let error = Repository::parse(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn repositories() {
        assert_eq!(Repository::parse("Owner/Repo").unwrap().join("id").unwrap().as_str(), "owner/repo/id");
        for text in ["", "/a", "a/", "a//b", "../a", "a/../b", "a__b", "a b"] {
            assert!(Repository::parse(text).is_err(), "{text}");
        }
    }
}
