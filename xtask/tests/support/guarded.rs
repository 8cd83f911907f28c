//! A registry that wants tokens, and the place where they are made, at one address.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use tempfile::TempDir;
use xtask::oci::secret::Secret;
use xtask::publish::Destination;
use xtask::registry::server::{Options, Serving, serve};

use super::proxy::{Proxy, Seen, reply};

type Answer = Option<Response<Full<Bytes>>>;

/// The tokens that were made, and which of them are still good.
#[derive(Default)]
pub struct Tokens {
    made: Mutex<usize>,
    good: Mutex<HashSet<String>>,
}

impl Tokens {
    /// Makes a token that is good until it is revoked.
    pub fn make(&self) -> String {
        let mut made = self.made.lock().unwrap();
        *made += 1;
        let token = format!("token-{made}");
        self.good.lock().unwrap().insert(token.clone());
        token
    }

    pub fn made(&self) -> usize {
        *self.made.lock().unwrap()
    }

    pub fn revoke_all(&self) {
        self.good.lock().unwrap().clear();
    }

    /// The token that a request shows, if it is good.
    pub fn shown(&self, seen: &Seen) -> Option<String> {
        let token = seen.header("authorization")?.strip_prefix("Bearer ")?.to_owned();
        self.good.lock().unwrap().contains(&token).then_some(token)
    }
}

/// The running registry.
pub struct Guarded {
    pub proxy: Proxy,
    pub tokens: Arc<Tokens>,
    pub registry: Serving,
    _root: TempDir,
}

impl Guarded {
    /// Starts it. `policy` sees each request first; where it has no answer, `/token` makes tokens
    /// and everything else wants one.
    pub fn start(policy: impl Fn(&Seen, &Tokens) -> Answer + Send + Sync + 'static) -> Self {
        let root = tempfile::tempdir().unwrap();
        let registry = serve(root.path(), &Options::default()).unwrap();
        let tokens = Arc::new(Tokens::default());
        let shared = Arc::clone(&tokens);
        let proxy = Proxy::start(registry.port(), move |seen| {
            if let Some(answer) = policy(seen, &shared) {
                return Some(answer);
            }
            if seen.path == "/token" {
                return Some(reply(200, &[], &format!(r#"{{"token":"{}"}}"#, shared.make())));
            }
            if shared.shown(seen).is_some() { None } else { Some(challenge(seen, "")) }
        });
        Self { proxy, tokens, registry, _root: root }
    }

    /// Where to publish to, with a login.
    pub fn destination(&self) -> Destination {
        let port = self.proxy.port;
        let mut destination = super::destination(port);
        destination.sources.oci_auth = Some(Secret::new(format!("localhost:{port}|me|s3cr3t-passw0rd")));
        destination
    }

    /// The queries with which tokens were asked for.
    pub fn asked(&self) -> Vec<String> {
        let seen = self.proxy.seen().into_iter().filter(|seen| seen.path == "/token");
        seen.map(|seen| seen.query.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",")).collect()
    }

    /// The requests for anything but tokens.
    pub fn requests(&self) -> Vec<Seen> {
        self.proxy.seen().into_iter().filter(|seen| seen.path != "/token").collect()
    }
}

/// The answer that asks for a token; `more` are further parameters.
pub fn challenge(seen: &Seen, more: &str) -> Response<Full<Bytes>> {
    let challenge = format!("Bearer realm=\"http://{}/token\"{more}", seen.header("host").unwrap());
    reply(
        401,
        &[("www-authenticate", &challenge)],
        r#"{"errors":[{"code":"UNAUTHORIZED","message":"log in"}]}"#,
    )
}
