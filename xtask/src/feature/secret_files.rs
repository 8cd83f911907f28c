//! Files whose content must not become public. They are refused, since install.sh may need them:
//! leaving one out would break the Feature where nobody looks.

/// Key stores, which cannot be looked into.
const STORES: &[&str] = &[".p12", ".pfx", ".jks", ".keystore", ".kdbx"];

/// Why a file of this name and with this beginning is refused.
pub fn refusal(name: &str, head: &[u8]) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let mut lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    if STORES.iter().any(|ending| lower.ends_with(ending)) {
        Some("a key store, which may hold private keys")
    } else if lines.clone().any(begins_private_key) {
        Some("holds a private key")
    } else if lower == ".npmrc" && lines.clone().any(|line| has_value(line, b"_authtoken=", b"_auth=")) {
        Some("holds a login for an npm registry")
    } else if lower == ".npmrc" && lines.clone().any(|line| has_value(line, b"_password=", b"_password =")) {
        Some("holds a password for an npm registry")
    } else if lower == ".pypirc" && lines.any(|line| has_value(line, b"password=", b"password:")) {
        Some("holds a password for a Python registry")
    } else {
        None
    }
}

/// The first line of a private key as OpenSSL, OpenSSH, GnuPG or `PuTTY` write it. A script that only
/// mentions one has more in that line.
fn begins_private_key(line: &[u8]) -> bool {
    let pem = line.starts_with(b"-----BEGIN ")
        && (line.ends_with(b"PRIVATE KEY-----") || line.ends_with(b"PRIVATE KEY BLOCK-----"));
    pem || line.starts_with(b"PuTTY-User-Key-File-")
}

/// Whether a line sets one of two keys to more than a variable's name.
fn has_value(line: &[u8], one: &[u8], other: &[u8]) -> bool {
    // Spaces around the sign mean nothing in these formats.
    let line: Vec<u8> = line.iter().filter(|byte| !byte.is_ascii_whitespace()).copied().collect();
    let lower = line.to_ascii_lowercase();
    if lower.starts_with(b"#") || lower.starts_with(b";") {
        return false;
    }
    [one, other].iter().any(|key| {
        let at = lower.windows(key.len()).position(|window| window == *key);
        at.map(|at| &line[at + key.len()..]).is_some_and(|value| !value.is_empty() && value[0] != b'$')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_and_what_is_not() {
        // Put together here, so that no scanner takes this file for a key.
        let begin = |kind: &str| format!("-----BEGIN {kind}-----\nAAAA\n");
        for (name, text, refused) in [
            ("id_rsa", begin("RSA PRIVATE KEY"), true),
            ("id_ed25519", begin("OPENSSH PRIVATE KEY"), true),
            ("x.pem", format!("junk\r\n  {}", begin("PRIVATE KEY").replace('\n', "\r\n")), true),
            ("x.pem", begin("ENCRYPTED PRIVATE KEY"), true),
            ("secret.asc", begin("PGP PRIVATE KEY BLOCK"), true),
            ("k.ppk", "PuTTY-User-Key-File-3: ssh-ed25519\n".to_owned(), true),
            ("store.P12", String::new(), true),
            ("trust.jks", String::new(), true),
            (".npmrc", "//registry.example.com/:_authToken=abc\n".to_owned(), true),
            (".npmrc", "_password = abc\n".to_owned(), true),
            (".pypirc", "[pypi]\nusername = __token__\npassword = pypi-x\n".to_owned(), true),
            ("ca.pem", begin("CERTIFICATE"), false),
            ("apt.key", begin("PGP PUBLIC KEY BLOCK"), false),
            ("id_rsa.pub", "ssh-rsa AAAA me@here\n".to_owned(), false),
            (
                "install.sh",
                format!("grep -q '{}' key\n", begin("PRIVATE KEY").lines().next().unwrap()),
                false,
            ),
            (".npmrc", "registry=https://registry.example.com\n".to_owned(), false),
            (".npmrc", "//r.example.com/:_authToken=${NPM_TOKEN}\n".to_owned(), false),
            (".npmrc", "# _auth=abc\n_auth=\n".to_owned(), false),
            (".pypirc", "[pypi]\nusername = __token__\n".to_owned(), false),
            ("npmrc.txt", "_auth=abc\n".to_owned(), false),
        ] {
            assert_eq!(refusal(name, text.as_bytes()).is_some(), refused, "{name}: {text}");
        }
    }
}
