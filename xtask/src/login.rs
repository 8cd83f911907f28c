//! Logging in for one run: `--username NAME --password-stdin`.

use std::io::{IsTerminal as _, Read};

use crate::cli::AuthArgs;
use crate::oci::credentials::Sources;
use crate::oci::error::OciError;
use crate::oci::reference::Registry;
use crate::oci::secret::Secret;

/// No password or token comes near this.
const MAX_PASSWORD: u64 = 64 << 10;

/// Where credentials come from: what the flags say, then the environment.
pub fn sources(args: &AuthArgs, registries: &[Registry]) -> Result<Sources, OciError> {
    let mut sources = Sources::from_env();
    for host in &args.allow_auth_host {
        sources.trusted_hosts = format!("{},{host}", sources.trusted_hosts);
    }
    if let Some(user) = &args.username {
        if registries.len() != 1 {
            return Err(wrong("one password is for one registry; for several, use `docker login`"));
        }
        let input = std::io::stdin();
        if input.is_terminal() {
            return Err(wrong(
                "--password-stdin reads from a pipe or a file, so that nobody sees the password; write it as in `pass show ghcr | cargo xtask publish --username NAME --password-stdin`",
            ));
        }
        sources.login = Some(login(user, input.lock())?);
    }
    Ok(sources)
}

fn login(user: &str, input: impl Read) -> Result<(String, Secret), OciError> {
    if user.is_empty() || user.contains(':') || user.contains(char::is_control) {
        return Err(wrong(
            "the user name of --username is empty, or has a \":\" or a control character in it",
        ));
    }
    let mut text = Vec::new();
    input
        .take(MAX_PASSWORD + 1)
        .read_to_end(&mut text)
        .map_err(|error| wrong(&format!("the password cannot be read from standard input: {error}")))?;
    if text.len() as u64 > MAX_PASSWORD {
        return Err(wrong("what came in on standard input is too long for a password"));
    }
    let text = String::from_utf8(text).map_err(|_| wrong("the password on standard input is not UTF-8"))?;
    // `echo` adds one line end, and no password ends with one.
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(wrong("no password came in on standard input"));
    }
    Ok((user.to_owned(), Secret::new(password)))
}

fn wrong(what: &str) -> OciError {
    OciError::Reference(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_not_the_passwords() {
        for (input, expected) in [
            ("pass", "pass"),
            ("pass\n", "pass"),
            ("pass\r\n", "pass"),
            ("pass\n\n", "pass\n"),
            (" pass ", " pass "),
        ] {
            let (user, password) = login("me", input.as_bytes()).unwrap();
            assert_eq!((user.as_str(), password.expose()), ("me", expected));
        }
    }

    #[test]
    fn what_is_no_login() {
        let long = "x".repeat(70_000);
        for (user, input) in [
            ("me", &b""[..]),
            ("me", b"\n"),
            ("me", b"\xff"),
            ("me", long.as_bytes()),
            ("", b"p"),
            ("a:b", b"p"),
        ] {
            assert!(login(user, input).is_err(), "{user}");
        }
        let args = AuthArgs { username: Some("me".to_owned()), ..AuthArgs::default() };
        let two = ["ghcr.io", "registry.example"].map(|name| Registry::parse(name).unwrap());
        assert!(sources(&args, &two).unwrap_err().to_string().contains("one password is for one registry"));
    }
}
