//! Debian's `docker-registry` with tokens that it checks itself: what they are good for counts.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::SigningKey as _;
use reqwest::{Method, StatusCode};
use serde_json::json;
use support::docker_registry::DockerRegistry;
use support::proxy::{Proxy, Seen, reply};
use support::{Collection, NAMESPACE, push_to};
use xtask::exit::Exit;
use xtask::oci::blob;
use xtask::oci::digest::Digest;
use xtask::oci::reference::Repository;
use xtask::oci::secret::Secret;
use xtask::oci::transport::{Access, Call, Client};
use xtask::oci::upload::{self, Begun};
use xtask::publish::Destination;

/// The registry, and the place where its tokens are made.
struct Peer {
    registry: DockerRegistry,
    realm: Proxy,
    _folder: tempfile::TempDir,
}

impl Peer {
    /// Starts both; `grant` says which of the actions that are asked for are granted.
    fn start(grant: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let signed = rcgen::generate_simple_self_signed(["issuer".to_owned()]).unwrap();
        let bundle = folder.path().join("issuer.pem");
        std::fs::write(&bundle, signed.cert.pem()).unwrap();
        let realm = Proxy::start(1, move |seen| {
            if seen.header("authorization") != Some("Basic bWU6cGFzcw==") {
                return Some(reply(401, &[], ""));
            }
            let access = access(seen, &grant);
            let token = sign(&signed, &access);
            Some(reply(200, &[], &json!({"token": token, "expires_in": 300}).to_string()))
        });
        let auth = format!(
            "auth: {{token: {{realm: \"http://localhost:{}/token\", service: peer, issuer: issuer, rootcertbundle: {}}}}}",
            realm.port,
            bundle.display()
        );
        let registry = DockerRegistry::start_with(&auth)?;
        Some(Self { registry, realm, _folder: folder })
    }

    fn destination(&self) -> Destination {
        let port = self.registry.port;
        let mut destination = support::destination(port);
        destination.sources.oci_auth = Some(Secret::new(format!("localhost:{port}|me|pass")));
        destination.sources.trusted_hosts = format!("localhost:{}", self.realm.port);
        destination
    }

    fn client(&self) -> Client {
        let Destination { registry, sources, .. } = self.destination();
        Client::new(registry, Access::PullPush, &sources, Arc::new(|_: &str| {})).unwrap()
    }
}

/// What is granted of what a query asks for.
fn access(seen: &Seen, grant: &dyn Fn(&str, &str) -> bool) -> serde_json::Value {
    let query = reqwest::Url::parse(&format!("x:?{}", seen.query)).unwrap();
    let scopes = query.query_pairs().filter(|(name, _)| name == "scope");
    let access = scopes.map(|(_, scope)| {
        let parts: Vec<&str> = scope.splitn(3, ':').collect();
        let actions: Vec<&str> = parts[2].split(',').filter(|action| grant(parts[1], action)).collect();
        json!({"type": "repository", "name": parts[1], "actions": actions})
    });
    access.collect()
}

fn sign(signed: &rcgen::CertifiedKey<rcgen::KeyPair>, access: &serde_json::Value) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(signed.cert.der())]});
    let claims = json!({
        "iss": "issuer", "sub": "me", "aud": "peer", "jti": "1", "access": access,
        "iat": now, "nbf": now - 60, "exp": now + 300,
    });
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let text = format!("{header}.{claims}");
    let signature = signed.signing_key.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(fixed(&signature)))
}

/// The two numbers of a signature in DER, each in 32 bytes.
fn fixed(der: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::new();
    let mut rest = &der[2..];
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = &rest[2..2 + length];
        let number = &number[number.len().saturating_sub(32)..];
        numbers.extend(std::iter::repeat_n(0, 32 - number.len()));
        numbers.extend_from_slice(number);
        rest = &rest[2 + length..];
    }
    numbers
}

fn two_features() -> xtask::package::Packed {
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    collection.feature("b", "1.0.0", "");
    collection.pack()
}

#[test]
fn a_whole_run_needs_one_token_a_repository() {
    let Some(peer) = Peer::start(|_, _| true) else { return };
    push_to(&peer.destination(), &two_features(), false).0.unwrap();
    let mut asked = BTreeMap::new();
    for seen in peer.realm.seen() {
        *asked.entry(seen.query).or_insert(0) += 1;
    }
    assert!(asked.len() == 3 && asked.values().all(|count| *count == 1), "{asked:?}");
    assert!(push_to(&peer.destination(), &two_features(), false).0.unwrap().collection.present);
}

#[test]
fn a_token_without_the_right_to_write_is_found_out_before_anything_is_sent() {
    let Some(peer) = Peer::start(|repository, action| action == "pull" || repository.ends_with("/a")) else {
        return;
    };
    let error = push_to(&peer.destination(), &two_features(), false).0.unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Registry);
    let expected = format!("lets nothing be written to 2 of 3 repositories ({NAMESPACE}/b, {NAMESPACE})");
    assert!(error.to_string().contains(&expected), "{error}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let repository = Repository::parse(&format!("{NAMESPACE}/a")).unwrap();
    let client = peer.client();
    let config = Digest::of(xtask::oci::manifest::CONFIG);
    let sent = runtime.block_on(blob::exists(&client, &repository, &config)).unwrap();
    assert!(!sent, "a blob was sent to the repository that may be written to");
}

#[test]
fn a_mount_needs_a_token_for_both_repositories() {
    let Some(peer) = Peer::start(|_, _| true) else { return };
    let client = peer.client();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let [from, to] = ["from/x", "to/y"].map(|name| Repository::parse(name).unwrap());
    let data = bytes::Bytes::from_static(b"a blob to mount");
    let digest = Digest::of(&data);
    runtime.block_on(async {
        let Begun::Session(session) = upload::begin(&client, &from, &digest, None).await.unwrap() else {
            panic!("nothing was to be mounted");
        };
        upload::send(&client, &from, &data.into(), session).await.unwrap();
    });
    let mount = |with: bool| {
        let mut url = client.url(&to, "blobs/uploads/").unwrap();
        url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", from.as_str());
        let mut call = Call::new(Method::POST, url).with(bytes::Bytes::new());
        call.mount_from = with.then(|| from.clone());
        runtime.block_on(client.send(&to, call)).unwrap().status
    };
    let asked = |with: bool| {
        peer.realm.forget();
        // Also without: the registry then says what it misses, which costs a request and a token.
        assert_eq!(mount(with), StatusCode::CREATED);
        peer.realm
            .seen()
            .into_iter()
            .map(|seen| seen.query.replace("%3A", ":").replace("%2F", "/").replace("%2C", ","))
            .collect::<Vec<_>>()
    };
    let alone = "scope=repository:to/y:pull,push";
    assert_eq!(asked(true), [format!("{alone}&scope=repository:from/x:pull&service=peer")]);
    let without = asked(false);
    assert_eq!(without[0], format!("{alone}&service=peer"));
    assert!(without.len() == 2 && without[1].contains("repository:from/x:pull"), "{without:?}");
}
