//! Whether a place may be given credentials.
//!
//! A registry names the place where its tokens are made. Were any place good enough, then whoever
//! answers for a registry could have its users' passwords sent wherever he likes.

use reqwest::Url;

use super::reference::is_local_host;

/// The variable with more pairs `registry=host`, comma-separated.
pub const ALLOW_VARIABLE: &str = "DEVCONTAINERS_OCI_AUTH_HOSTS";

/// Registries whose tokens are known to be made elsewhere; the official CLI has the same list.
const KNOWN: &[(&str, &str)] = &[
    ("registry-1.docker.io", "auth.docker.io"),
    ("registry.docker.io", "auth.docker.io"),
    ("docker.io", "auth.docker.io"),
    ("index.docker.io", "auth.docker.io"),
    ("registry.gitlab.com", "gitlab.com"),
];

/// Whether the realm may see credentials for the registry. `allowed` are pairs of the user.
pub fn is_trusted(registry: &Url, realm: &Url, allowed: &str) -> bool {
    let (Some(registry_host), Some(realm_host)) = (authority(registry), authority(realm)) else {
        return false;
    };
    let local = |url: &Url| url.host_str().is_some_and(is_local_host);
    let safe = realm.scheme() == "https" || (realm.scheme() == "http" && local(realm) && local(registry));
    let listed = KNOWN.contains(&(registry_host.as_str(), realm_host.as_str()))
        || allowed.split(',').filter_map(|pair| pair.trim().split_once('=')).any(|(from, to)| {
            from.eq_ignore_ascii_case(&registry_host) && to.eq_ignore_ascii_case(&realm_host)
        });
    safe && (registry_host == realm_host || listed)
}

/// Host and port as written in a URL.
pub fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_registry_itself_and_known_places() {
        for (registry, realm, allowed, expected) in [
            ("https://ghcr.io/v2/", "https://ghcr.io/token", "", true),
            ("https://ghcr.io/v2/", "http://ghcr.io/token", "", false),
            ("https://ghcr.io/v2/", "https://evil.example/token", "", false),
            ("https://ghcr.io/v2/", "https://ghcr.io.evil.example/token", "", false),
            ("https://ghcr.io/v2/", "https://ghcr.io:444/token", "", false),
            ("https://registry-1.docker.io/v2/", "https://auth.docker.io/token", "", true),
            ("https://registry.gitlab.com/v2/", "https://gitlab.com/jwt/auth", "", true),
            ("https://gitlab.com/v2/", "https://registry.gitlab.com/jwt/auth", "", false),
            ("https://r.example/v2/", "https://a.example/t", "r.example=a.example", true),
            ("https://r.example/v2/", "https://a.example/t", "x=y, R.example=A.example", true),
            ("https://r.example/v2/", "http://a.example/t", "r.example=a.example", false),
            ("http://localhost:5000/v2/", "http://localhost:5000/t", "", true),
            ("http://localhost:5000/v2/", "http://localhost:5001/t", "", false),
            ("http://localhost:5000/v2/", "http://localhost:5001/t", "localhost:5000=localhost:5001", true),
        ] {
            let parse = |text: &str| Url::parse(text).unwrap();
            assert_eq!(
                is_trusted(&parse(registry), &parse(realm), allowed),
                expected,
                "{registry} -> {realm} ({allowed})"
            );
        }
    }
}
