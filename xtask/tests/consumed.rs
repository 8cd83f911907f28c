//! What others read of what we publish, and what the reading verbs do otherwise than the official CLI.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use std::process::Command;

use support::official::{Official, Said, isolated, our_command, ours, said};
use support::proxy::{Proxy, reply};
use support::tls::Tls;
use support::{Collection, NAMESPACE, digest_of, http, push, skip};
use tempfile::TempDir;
use xtask::registry::server::{Options, Serving, serve};

const NESTED: &str = "ws/.devcontainer/devcontainer.json";
const RESOLVE: &[&str] = &["resolve-dependencies", "--workspace-folder", "ws"];
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry, and a folder to publish from and to run in.
struct Here {
    registry: Serving,
    collection: Collection,
    _root: TempDir,
}

impl Here {
    fn start() -> Self {
        Self::with(&Options::default())
    }

    fn with(options: &Options) -> Self {
        let root = tempfile::tempdir().unwrap();
        let registry = serve(root.path(), options).unwrap();
        Self { registry, collection: Collection::new(), _root: root }
    }

    /// `@/` in a text becomes the place where the Features are.
    fn at(&self, text: &str) -> String {
        text.replace("@/", &format!("{}/{NAMESPACE}/", self.registry.host()))
    }

    fn publish(&self, id: &str, version: &str, more: &str) -> String {
        let folder = self.collection.feature(id, version, &self.at(more));
        push(self.registry.port(), &support::pack(&folder).unwrap()).unwrap();
        digest_of(self.registry.port(), &format!("{NAMESPACE}/{id}"), version).unwrap()
    }

    fn workspace(&self, text: &str) {
        self.collection.file(NESTED, &self.at(text), 0o644);
    }

    fn resolve(&self) -> Said {
        ours(self.collection.path(), RESOLVE)
    }

    /// The ids of the installation, in order, without their digests.
    fn order(&self) -> Vec<String> {
        let said = self.resolve();
        assert_eq!(said.code, 0, "{}", said.stderr);
        let json = &said.stdout[said.stdout.find("{\n").unwrap()..];
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        let id = |entry: &serde_json::Value| entry["id"].as_str().unwrap().to_owned();
        let last = |id: String| id.split('@').next().unwrap().rsplit('/').next().unwrap().to_owned();
        json["installOrder"].as_array().unwrap().iter().map(id).map(last).collect()
    }
}

#[test]
fn the_official_cli_locks_and_compares_what_is_published() {
    let Some(official) = Official::find() else { return };
    let here = Here::start();
    let folder = here.collection.path();
    let old = here.publish("lib", "1.2.3", "");
    here.publish("lib", "1.3.0", "");
    here.publish("lib", "2.0.0", "");
    let base = here.publish("base", "0.1.0", "");
    let app = here.publish("app", "1.0.0", r#","dependsOn":{"@/base":{}},"legacyIds":["old-app"]"#);
    here.workspace(r#"{"image":"x","features":{"@/old-app:1":{},"@/lib:1.2.3":{}}}"#);
    // It asks the network for advisories unless its cache is fresh. This one is.
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let advisories = format!("devcontainercli-{}/control-manifest.json", user.trim());
    let none = r#"{"disallowedFeatures":[],"featureAdvisories":[]}"#;
    here.collection.file(&advisories, none, 0o644);
    let upgrade = said(
        official
            .command(folder)
            .args(["upgrade", "--dry-run", "--workspace-folder", "ws", "--log-level", "error"])
            .env("TMPDIR", folder),
    );
    assert_eq!(std::fs::read_to_string(folder.join(&advisories)).unwrap(), none);
    assert_eq!(upgrade.code, 0, "{}", upgrade.stderr);
    let lock: serde_json::Value = serde_json::from_str(&upgrade.stdout).unwrap();
    for (reference, repository, version, digest, on) in [
        ("@/base", "@/base", "0.1.0", &base, None),
        ("@/old-app:1", "@/old-app", "1.0.0", &app, Some("@/base")),
        ("@/lib:1.2.3", "@/lib", "1.2.3", &old, None),
    ] {
        let entry = &lock["features"][here.at(reference)];
        assert_eq!(entry["version"], version, "{lock}");
        assert_eq!(entry["resolved"], format!("{}@{digest}", here.at(repository)), "{lock}");
        assert_eq!(entry["integrity"], digest.as_str(), "{lock}");
        assert_eq!(entry["dependsOn"][0].as_str(), on.map(|on| here.at(on)).as_deref(), "{lock}");
    }
    here.collection.file("ws/.devcontainer/devcontainer-lock.json", &upgrade.stdout, 0o644);
    here.workspace(r#"{"image":"x","features":{"@/lib:1":{}}}"#);
    let arguments =
        ["outdated", "--workspace-folder", "ws", "--output-format", "json", "--log-level", "info"];
    let outdated = official.run(folder, &arguments);
    assert_eq!(outdated.code, 0, "{}", outdated.stderr);
    let outdated: serde_json::Value = serde_json::from_str(&outdated.stdout).unwrap();
    let lib = &outdated["features"][here.at("@/lib:1")];
    assert_eq!(
        (lib["wanted"].as_str(), lib["latest"].as_str()),
        (Some("1.3.0"), Some("2.0.0")),
        "{outdated}"
    );
}

#[test]
fn skopeo_carries_a_feature_there_and_back_with_its_digest() {
    if !std::path::Path::new("/usr/bin/skopeo").exists() {
        return skip("skopeo is not installed (apt-get install skopeo)");
    }
    let here = Here::start();
    let folder = here.collection.path();
    let digest = here.publish("lib", "1.2.3", r#","description":"ünï","options":{}"#);
    let collection = digest_of(here.registry.port(), NAMESPACE, "latest").unwrap();
    let copy = |from: &str, to: &str| {
        let mut skopeo = isolated("/usr/bin/skopeo", folder);
        skopeo.args([
            "--insecure-policy",
            "copy",
            "--all",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
        ]);
        let copied = said(skopeo.args([from, to]));
        assert_eq!(copied.code, 0, "{from} {to}: {}", copied.stderr);
    };
    let host = here.registry.host();
    for (repository, tag, digest) in
        [(format!("{NAMESPACE}/lib"), "1", &digest), (NAMESPACE.to_owned(), "latest", &collection)]
    {
        copy(&format!("docker://{host}/{repository}:{tag}"), &format!("oci:layout:{tag}"));
        copy(&format!("oci:layout:{tag}"), &format!("docker://{host}/other/{repository}:{tag}"));
        let other = format!("other/{repository}");
        assert_eq!(digest_of(here.registry.port(), &other, tag).as_ref(), Some(digest));
        let info =
            ours(folder, &["info", "manifest", &format!("{host}/{other}:{tag}"), "--output-format", "json"]);
        assert!(info.stdout.contains(&format!("{host}/{other}@{digest}")), "{} {}", info.stdout, info.stderr);
    }
}

#[test]
fn all_tags_are_told_however_many_pages_there_are() {
    let here = Here::with(&Options { max_page: 2, ..Options::default() });
    here.publish("lib", "1.2.3", "");
    here.publish("lib", "2.0.0", "");
    let said = ours(here.collection.path(), &["info", "tags", &here.at("@/lib"), "--output-format", "json"]);
    let tags: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let expected = ["1", "1.2", "1.2.3", "2", "2.0", "2.0.0", "latest"];
    assert_eq!(tags["publishedTags"], serde_json::json!(expected));
}

#[test]
fn a_soft_dependency_that_cannot_be_looked_up_holds_nothing_up() {
    let here = Here::start();
    here.publish("base", "1.0.0", "");
    let nobody = "localhost:1/owner/features/common";
    let after = format!(r#","installsAfter":["{nobody}","common-utils","@/base:9"]"#);
    here.publish("a", "1.0.0", &after);
    here.workspace(r#"{"features":{"@/a":{},"@/base":{}}}"#);
    let said = here.resolve();
    assert_eq!(said.stderr.lines().count(), 3, "{}", said.stderr);
    for (line, (name, why)) in said.stderr.lines().zip([
        (nobody, "cannot reach the registry localhost:1"),
        ("common-utils", "a bare name is no Feature any more"),
        (&here.at("@/base:9"), "has no 9 in"),
    ]) {
        let start =
            format!("{} wants to be installed after {name}, which cannot be looked up", here.at("@/a"));
        assert!(line.starts_with(&start) && line.contains(why), "{line}");
    }
    // That one version of it is gone does not change what it is.
    assert!(said.stdout.contains(" -.-> "), "{}", said.stdout);
    assert_eq!(here.order(), ["base", "a"]);
    if let Some(official) = Official::find() {
        // The reason for the difference.
        let theirs = official.run(here.collection.path(), &[&["features"], RESOLVE].concat());
        assert_eq!((theirs.code, theirs.stdout.as_str()), (1, ""), "{}", theirs.stderr);
    }
}

#[test]
fn errors_are_sentences_that_name_the_features() {
    let here = Here::start();
    for (id, on) in [("one", "two"), ("two", "three"), ("three", "two"), ("lost", "nowhere")] {
        here.publish(id, "1.0.0", &format!(r#","dependsOn":{{"@/{on}":{{}}}}"#));
    }
    let many = format!(r#","installsAfter":[{}]"#, vec![r#""@/one""#; 600].join(","));
    here.publish("many", "1.0.0", &many);
    let (port, host) = (here.registry.port(), here.registry.host());
    for (config, error) in [
        (
            r#"{"features":{"@/one":{}}}"#,
            "the Features depend on each other in a circle: @/two -> @/three -> @/two; take one of these dependencies out",
        ),
        (
            r#"{"features":{"@/lost":{}}}"#,
            "the Feature \"@/nowhere\", on which @/lost depends, cannot be resolved: the registry HOST has no latest in owner/features/nowhere",
        ),
        (
            r#"{"features":{"@/many":{}}}"#,
            "more than 500 Features depend on each other; something publishes dependencies without end",
        ),
        // The official CLI takes this for a release on GitHub, and exits with 0.
        (
            r#"{"features":{"HOST/owner/id":{}}}"#,
            "the Feature \"HOST/owner/id\" cannot be resolved: the registry HOST has no latest in owner/id",
        ),
        // The official CLI reads what it can of this, and goes on.
        (
            r#"{"features":{"@/one":{}}"#,
            "FOLDER/ws/.devcontainer/devcontainer.json: line 1, column 1: unterminated object",
        ),
        (
            r#"{"features":["@/one"]}"#,
            "FOLDER/ws/.devcontainer/devcontainer.json: \"features\" must be an object, and is a list",
        ),
        (
            r#"{"features":{"@/one":{}},"overrideFeatureInstallOrder":{}}"#,
            "FOLDER/ws/.devcontainer/devcontainer.json: \"overrideFeatureInstallOrder\" must be a list of references",
        ),
    ] {
        here.workspace(&config.replace("HOST", &host));
        let folder = here.collection.path().canonicalize().unwrap();
        let error = here.at(error).replace("HOST", &host).replace("FOLDER", &folder.display().to_string());
        let said = here.resolve();
        assert_eq!((said.code, said.stderr), (1, format!("error: {error}\n")), "{config}");
    }
    // What is there and is no Feature.
    let manifest = format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"x"}}}}"#);
    let proxy = Proxy::start(port, move |seen| {
        (seen.path.ends_with("/manifests/other")).then(|| reply(200, &[], &manifest))
    });
    let reference = format!("localhost:{}/{NAMESPACE}/one:other", proxy.port);
    let said = ours(here.collection.path(), &["info", "manifest", &reference]);
    assert!(said.stderr.contains("is no Feature: the type of its config is not"), "{}", said.stderr);
    assert!(said.code == 1 && said.stdout.starts_with("No manifest found!"), "{}", said.stdout);
}

#[test]
fn metadata_that_no_annotation_holds_is_read_from_the_archive() {
    let here = Here::start();
    here.publish("base", "1.0.0", "");
    here.publish("a", "1.0.0", r#","dependsOn":{"@/base":{"x":"y"}}"#);
    let url = |tag: &str| format!("http://{}/v2/{NAMESPACE}/a/manifests/{tag}", here.registry.host());
    let mut manifest = http("GET", &url("1"), &[("accept", MANIFEST)], b"").json();
    manifest.as_object_mut().unwrap().remove("annotations");
    let bytes = serde_json::to_vec(&manifest).unwrap();
    assert_eq!(http("PUT", &url("bare"), &[("content-type", MANIFEST)], &bytes).status, 201);
    here.workspace(r#"{"features":{"@/a:bare":{}}}"#);
    assert_eq!(here.order(), ["base", "a"]);
    if let Some(official) = Official::find() {
        let theirs = official.run(here.collection.path(), &[&["features"], RESOLVE].concat());
        assert_eq!(theirs.stdout, here.resolve().stdout, "{}", theirs.stderr);
    }
}

#[test]
fn an_archive_behind_an_address_is_a_feature_like_any_other() {
    let Some(official) = Official::find() else { return };
    let here = Here::start();
    let folder = here.collection.path();
    here.publish("base", "1.0.0", "");
    let go = here.collection.feature(
        "go",
        "1.0.0",
        &here.at(r#","dependsOn":{"@/base":{"x":"y"}},"legacyIds":["golang"]"#),
    );
    let archive = support::pack(&go).unwrap().features[0].archive.clone();
    let text = String::from_utf8(archive.bytes().unwrap().to_vec()).unwrap();
    let server = Proxy::start(here.registry.port(), move |seen| {
        let status = if seen.path == "/x/devcontainer-feature-go.tgz" { 200 } else { 404 };
        Some(reply(status, &[], if status == 200 { &text } else { "" }))
    });
    let front = Tls::start(server.port);
    let address = format!("https://{}/x/devcontainer-feature-go.tgz", front.host());
    here.workspace(&format!(r#"{{"features":{{"{address}":{{"v":"1"}},"@/base":{{}}}}}}"#));
    let run = || {
        let mut command = our_command(folder);
        said(command.args(RESOLVE).env("SSL_CERT_FILE", front.ca()).env_remove("SSL_CERT_DIR"))
    };
    let ours = run();
    let theirs =
        said(official.command(folder).arg("features").args(RESOLVE).env("NODE_EXTRA_CA_CERTS", front.ca()));
    assert_eq!((ours.code, theirs.code), (0, 0), "{} / {}", ours.stderr, theirs.stderr);
    assert_eq!(ours.stdout, theirs.stdout, "{} / {}", ours.stderr, theirs.stderr);
    // Where it is gone, the official CLI goes on as if it depended on nothing.
    here.workspace(&format!(r#"{{"features":{{"{}":{{}}}}}}"#, address.replace("/x/", "/y/")));
    let gone = run();
    assert_eq!(gone.code, 1);
    assert!(gone.stderr.ends_with("it cannot be downloaded (the server answered 404)\n"), "{}", gone.stderr);
}
