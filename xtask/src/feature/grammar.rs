//! The grammars of ids, versions and references to other Features.

use semver::Version;

/// The largest number that the consumers' version parser takes.
const MAX_VERSION_NUMBER: u64 = (1 << 53) - 1;

/// Whether a text can be the last part of a repository's name, which is what an id becomes: consumers
/// and the official CLI lower-case it there.
pub fn is_id(text: &str) -> bool {
    is_path_component(&text.to_ascii_lowercase())
}

/// `[a-z0-9]+([._-][a-z0-9]+)*`: what both the official CLI and the distribution spec allow.
pub fn is_path_component(text: &str) -> bool {
    let mut after_separator = true;
    for c in text.chars() {
        match c {
            'a'..='z' | '0'..='9' => after_separator = false,
            '.' | '_' | '-' if !after_separator => after_separator = true,
            _ => return false,
        }
    }
    !after_separator
}

/// One or more components with slashes between them.
pub fn is_repository_path(text: &str) -> bool {
    text.split('/').all(is_path_component)
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128 && text.starts_with(word) && text.chars().all(|c| word(c) || c == '.' || c == '-')
}

/// A version that can be published: semver 2.0 without build metadata, and a legal tag.
pub fn version(text: &str) -> Result<Version, String> {
    let version = Version::parse(text).map_err(|error| {
        format!("the version \"{text}\" is not semantic versioning ({error}); write it as in \"1.2.3\"")
    })?;
    if !version.build.is_empty() {
        return Err(format!(
            "the version \"{text}\" has build metadata, and a tag cannot hold the \"+\"; leave \"+{}\" away",
            version.build
        ));
    }
    if [version.major, version.minor, version.patch].iter().any(|&part| part > MAX_VERSION_NUMBER) {
        return Err(format!("the version \"{text}\" has a number larger than consumers can read"));
    }
    if !is_tag(text) {
        return Err(format!("the version \"{text}\" is longer than the 128 characters of a tag"));
    }
    Ok(version)
}

/// A Feature that another one depends on: `registry/namespace/id[:tag|@digest]` or the address of an archive.
pub fn is_dependency(text: &str) -> bool {
    is_archive_address(text) || is_registry_reference(text)
}

/// What `installsAfter` may hold: a dependency, or the bare id that old Features used.
pub fn is_install_order_reference(text: &str) -> bool {
    is_dependency(text) || is_id(text)
}

fn is_archive_address(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://") else {
        return false;
    };
    // What follows the path names no file.
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let file = rest.rsplit('/').next().unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    !host.is_empty()
        && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
        && file.strip_prefix("devcontainer-feature-").and_then(|file| file.strip_suffix(".tgz")).is_some_and(
            |id| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'),
        )
}

fn is_registry_reference(text: &str) -> bool {
    // Consumers lower-case the whole reference, so upper case is a matter of taste here.
    let text = text.to_ascii_lowercase();
    let (name, suffix_ok) = if let Some((name, digest)) = text.split_once('@') {
        (name, digest.strip_prefix("sha256:").is_some_and(is_sha256_hex))
    } else {
        match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, is_tag(tag)),
            _ => (text.as_str(), true),
        }
    };
    let Some((host, path)) = name.split_once('/') else {
        return false;
    };
    suffix_ok && is_host(host) && path.contains('/') && is_repository_path(path)
}

/// Whether a reference is a path, which means something on one machine only.
pub fn is_local_path(text: &str) -> bool {
    text.starts_with('/') || text.starts_with("./") || text.starts_with("../") || text.contains('\\')
}

/// Sixty-four lower-case hexadecimal digits.
pub fn is_sha256_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, "80"));
    (name.contains('.') || name == "localhost")
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
        && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for good in ["a", "claude-code", "a.b_c-d", "0a", "MyTool", "A"] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "\u{212a}", "a b", "a/b", "-a", "a-", "a--b", "a__b", "..", "a.", "é"] {
            assert!(!is_id(bad), "{bad}");
        }
    }

    #[test]
    fn versions() {
        for good in ["0.0.0", "1.2.3", "1.0.0-rc.1", "10.20.30"] {
            assert!(version(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "1",
            "1.0",
            "v1.0.0",
            " 1.0.0 ",
            "=1.0.0",
            "01.0.0",
            "1.0.0.0",
            "1.0.0+b1",
            "1.0.0-01",
            "9007199254740992.0.0",
        ] {
            assert!(version(bad).is_err(), "{bad}");
        }
        assert!(version(&format!("1.0.0-{}", "a".repeat(130))).is_err());
    }

    #[test]
    fn dependencies() {
        for good in [
            "ghcr.io/devcontainers/features/common-utils",
            "ghcr.io/devcontainers/features/common-utils:2",
            "ghcr.io/devcontainers/features/common-utils@sha256:0bb92d2da46d760c599d0a41ed88d52521209408b529761417090b62ee16dfd1",
            "localhost:5000/ns/id:1.2.3",
            "https://example.com/x/devcontainer-feature-go.tgz",
            "https://example.com/devcontainer-feature-My_Tool.tgz?token=a/b#c",
            "GHCR.io/Owner/Features/Go:1",
            "ghcr.io/a/b/c@SHA256:0BB92D2DA46D760C599D0A41ED88D52521209408B529761417090B62EE16DFD1",
            "registry.example.com:8443/a/b:1.2-rc.1",
        ] {
            assert!(is_dependency(good), "{good}");
        }
        for bad in [
            "",
            "common-utils",
            "./local",
            "ghcr.io/one",
            "ghcr.io/a/b:",
            "ghcr.io/a/b@sha256:12",
            "http://example.com/devcontainer-feature-go.tgz",
            "https://example.com/go.tgz",
            "host/a/b",
            "ghcr.io/a/b c",
            "ghcr.io/a/b:1@sha256:0bb92d2da46d760c599d0a41ed88d52521209408b529761417090b62ee16dfd1",
            "ghcr.io/a/b@sha512:0bb92d2da46d760c599d0a41ed88d52521209408b529761417090b62ee16dfd1",
            "ghcr.io/a//b",
            "ghcr.io/a/b:99999x/y",
            "https://example.com/x?devcontainer-feature-go.tgz",
            "https:///devcontainer-feature-go.tgz",
            "https://example.com/devcontainer-feature-.tgz",
            "https://example.com/a b/devcontainer-feature-go.tgz",
        ] {
            assert!(!is_dependency(bad), "{bad}");
        }
        for path in ["./a", "../a", "/a", "a\\b", ".\\a"] {
            assert!(is_local_path(path) && !is_dependency(path), "{path}");
        }
        assert!(!is_local_path("ghcr.io/a/b"));
        assert!(is_install_order_reference("common-utils"));
        assert!(!is_install_order_reference("common utils"));
    }
}
