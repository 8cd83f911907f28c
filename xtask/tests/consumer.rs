//! `info` and `resolve-dependencies` beside the official CLI: the same bytes on standard output and
//! the same exit code, for the same references and workspaces.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]

mod support;

use support::official::{Official, Said, ours};
use support::{Collection, NAMESPACE, push};
use tempfile::TempDir;
use xtask::registry::server::{Options, Serving, serve};

/// Where a configuration mostly is.
const NESTED: &str = ".devcontainer/devcontainer.json";

/// A registry with some Features, and a folder to run in.
struct Peers {
    official: Official,
    registry: Serving,
    collection: Collection,
    _root: TempDir,
}

impl Peers {
    fn start() -> Option<Self> {
        let official = Official::find()?;
        let root = tempfile::tempdir().unwrap();
        let registry = serve(root.path(), &Options::default()).unwrap();
        Some(Self { official, registry, collection: Collection::new(), _root: root })
    }

    /// The reference of a Feature; `@` in a text becomes the place where they all are.
    fn here(&self, text: &str) -> String {
        text.replace("@/", &format!("{}/{NAMESPACE}/", self.registry.host()))
    }

    /// Publishes one Feature.
    fn publish(&self, id: &str, version: &str, more: &str) {
        let folder = self.collection.feature(id, version, &self.here(more));
        push(self.registry.port(), &support::pack(&folder).unwrap()).unwrap();
    }

    /// Runs both programs.
    fn both(&self, arguments: &[&str]) -> (Said, Said) {
        let folder = self.collection.path();
        let mut official = vec!["features"];
        official.extend(arguments);
        (ours(folder, arguments), self.official.run(folder, &official))
    }

    /// Runs both programs, and sees the same; gives what ours said on standard error.
    fn same(&self, arguments: &[&str], code: i32) -> String {
        let (ours, theirs) = self.both(arguments);
        assert_eq!(ours.stdout, theirs.stdout, "{arguments:?}: {} / {}", ours.stderr, theirs.stderr);
        assert_eq!(
            (ours.code, theirs.code),
            (code, code),
            "{arguments:?}: {} / {}",
            ours.stderr,
            theirs.stderr
        );
        ours.stderr
    }

    /// The same for the workspace's order.
    fn resolve(&self, code: i32) -> String {
        self.same(&["resolve-dependencies", "--workspace-folder", "ws"], code)
    }

    /// Writes a workspace's file.
    fn workspace(&self, path: &str, text: &str) {
        self.collection.file(&format!("ws/{path}"), &self.here(text), 0o644);
    }
}

#[test]
fn info_says_what_the_official_cli_says() {
    let Some(peers) = Peers::start() else { return };
    peers.publish("base", "1.0.0", "");
    peers.publish("lib", "1.2.3", r#","legacyIds":["old-lib"],"installsAfter":["@/base"]"#);
    peers.publish("lib", "2.0.0", r#","legacyIds":["old-lib"],"description":"ünï 1.0 \"x\"""#);
    peers.publish(
        "app",
        "0.1.0",
        r#","dependsOn":{"@/lib:1":{"b":true,"a":"x"},"@/base":{}},"installsAfter":["@/old-lib"]"#,
    );
    // A graph shows a circle as it is; there is no order here to fail.
    peers.publish("circle", "1.0.0", r#","dependsOn":{"@/circle":{"again":"x"}}"#);
    peers.same(&["info", "dependencies", &peers.here("@/circle")], 0);
    peers.publish("lost", "1.0.0", r#","dependsOn":{"@/nowhere":{}}"#);
    let stderr = peers.same(&["info", "verbose", &peers.here("@/lost")], 1);
    assert!(stderr.contains("/lost depends, cannot be resolved"), "{stderr}");
    let digest = support::digest_of(peers.registry.port(), &format!("{NAMESPACE}/lib"), "1").unwrap();
    for reference in ["@/app", "@/lib:1", "@/LIB:1.2", "@/old-lib:2", &format!("@/lib#{digest}")] {
        let reference = peers.here(reference).replace('#', "@");
        for mode in ["manifest", "tags", "dependencies", "verbose"] {
            for format in ["text", "json"] {
                let stderr = peers.same(&["info", mode, &reference, "--output-format", format], 0);
                assert_eq!(stderr, "", "{reference}");
            }
        }
    }
    let wrong = digest.replace("sha256:", "sha256:0").split_at(71).0.to_owned();
    for (reference, why) in [
        ("@/none", format!("has no latest in {NAMESPACE}/none")),
        ("@/lib:9", format!("has no 9 in {NAMESPACE}/lib")),
        (&format!("@/lib#{wrong}"), "has no sha256:0".to_owned()),
        ("@/lib#sha256:12", "no sha256 digest".to_owned()),
        ("lib", "the reference has no registry".to_owned()),
        ("ghcr.io/lib", "the path of the reference".to_owned()),
        ("./lib", "a path on this machine".to_owned()),
        ("a/b/c", "the name of no registry".to_owned()),
        ("@/lib:-1", "not a tag".to_owned()),
        ("a b/c/d", "cannot be the host".to_owned()),
        // No such port: the official CLI's stack trace is no output to match, its exit code is.
        ("localhost:1/a/b", "cannot reach the registry localhost:1".to_owned()),
    ] {
        let reference = peers.here(reference).replace('#', "@");
        for (mode, format) in [("manifest", "text"), ("tags", "json"), ("verbose", "text")] {
            let stderr = peers.same(&["info", mode, &reference, "--output-format", format], 1);
            assert!(stderr.contains(&why) && stderr.lines().count() == 1, "{reference}: {stderr}");
        }
    }
}

#[test]
fn info_reads_a_registry_that_is_not_ours() {
    let Some(peers) = Peers::start() else { return };
    let Some(other) = support::docker_registry::DockerRegistry::start() else { return };
    for version in ["1.2.3", "1.10.0", "2.0.0"] {
        let folder = peers.collection.feature("lib", version, r#","legacyIds":["old-lib"]"#);
        push(other.port, &support::pack(&folder).unwrap()).unwrap();
    }
    for reference in ["lib", "old-lib:1"] {
        let reference = format!("localhost:{}/{NAMESPACE}/{reference}", other.port);
        peers.same(&["info", "verbose", &reference], 0);
        peers.same(&["info", "tags", &reference, "--output-format", "json"], 0);
    }
    let none = format!("localhost:{}/{NAMESPACE}/none", other.port);
    peers.same(&["info", "verbose", &none], 1);
}

/// What is in `features` and around it, the exit code, and a piece of what ours says on standard error.
const WORKSPACES: &[(&str, i32, &str)] = &[
    (r#"{"features":{"@/base":{}}}"#, 0, ""),
    ("// c\n{ /* x */ \"features\": {\"@/base:1\": \"1.0\",}, }", 0, ""),
    // By options, tags and digests.
    (
        r#"{"features":{"@/lib:2":{"z":"1"},"@/lib:1":{},"@/lib:latest":false,"@/base":true,"@/base:1.0":{"v":"B"},"@/base:1":{"v":"a"}}}"#,
        0,
        "",
    ),
    (r#"{"features":{"@/base:1":{},"@/base:1.0.0":{},"@/BASE":{}}}"#, 0, ""),
    // Hard and soft dependencies, old names.
    (r#"{"features":{"@/app":{},"@/lib:2":{}}}"#, 0, ""),
    (r#"{"features":{"@/top":{},"@/base":{}}}"#, 0, ""),
    (r#"{"features":{"@/old-lib":{},"@/lib":{},"@/app":{}}}"#, 0, ""),
    (
        r#"{"features":{"@/base":{},"@/lib:2":{},"@/soft-b":{}},"overrideFeatureInstallOrder":["@/soft-b","@/lib"]}"#,
        0,
        "",
    ),
    (r#"{"features":{"@/app":{},"@/soft-b":{}},"overrideFeatureInstallOrder":["@/app","@/base"]}"#, 0, ""),
    (
        r#"{"features":{"@/base":{}},"overrideFeatureInstallOrder":["@/nowhere"]}"#,
        1,
        "in \"overrideFeatureInstallOrder\" cannot be resolved",
    ),
    // Folders of the workspace.
    (r#"{"features":{"./c":{},"./a":{"n":null,"l":[1.0,"x"]},"./empty":"e","@/base":{}}}"#, 0, ""),
    (r#"{"features":{"../c":{}}}"#, 1, "must lie in the folder .devcontainer"),
    (r#"{"features":{"/c":{}}}"#, 1, "must be relative"),
    (r#"{"features":{"./nowhere":{}}}"#, 1, "cannot be read"),
    // Releases on GitHub, which are not asked for anything.
    (r#"{"features":{"own/repo/b@v1":{},"own/repo/b":{},"own/repo/a@latest":{"x":"y"}}}"#, 0, ""),
    (
        r#"{"features":{"@/base":{"a":"${localEnv:NO_SUCH:d}","b":"${localWorkspaceFolderBasename}","c":"${containerWorkspaceFolder}"}}}"#,
        0,
        "",
    ),
    (r#"{"x":"${localEnv}","features":{"@/base":{}}}"#, 1, "names no environment variable"),
    (r#"{"features":{"@/base":{},"@/one":{}}}"#, 1, "in a circle: "),
    (r#"{"features":{"@/soft-a":{},"@/soft-b":{}}}"#, 1, "in a circle: "),
    (r#"{"features":{"@/soft-a":{}}}"#, 0, ""),
    (r#"{"features":{"@/nowhere":{}}}"#, 1, "/nowhere\" cannot be resolved: the registry "),
    (r#"{"features":{"@/lost":{}}}"#, 1, "/lost depends, cannot be resolved: the registry "),
    (r#"{"features":{"common-utils":{}}}"#, 1, "a bare name is no Feature any more"),
    (r#"{"image":"x"}"#, 1, "names no Feature"),
    ("[]", 1, "an object was expected"),
    ("", 1, "no JSON value"),
];

#[test]
fn resolve_dependencies_says_what_the_official_cli_says() {
    let Some(peers) = Peers::start() else { return };
    for (id, version, more) in [
        ("base", "1.0.0", ""),
        ("base", "2.0.0-rc.1", ""),
        ("lib", "1.2.3", r#","legacyIds":["old-lib"],"installsAfter":["@/base"]"#),
        ("lib", "2.0.0", r#","legacyIds":["old-lib"],"description":"ünï""#),
        (
            "app",
            "0.1.0",
            r#","dependsOn":{"@/lib:1":{"b":true,"a":"x"},"@/base":"1"},"installsAfter":["@/old-lib"]"#,
        ),
        ("top", "1.0.0", r#","dependsOn":{"@/app":{},"@/lib:1":{"a":"x","b":true}}"#),
        ("one", "1.0.0", r#","dependsOn":{"@/two":{}}"#),
        ("two", "1.0.0", r#","dependsOn":{"@/three":{}}"#),
        ("three", "1.0.0", r#","dependsOn":{"@/one":{}}"#),
        ("soft-a", "1.0.0", r#","installsAfter":["@/soft-b"]"#),
        ("soft-b", "1.0.0", r#","installsAfter":["@/soft-a"]"#),
        ("lost", "1.0.0", r#","dependsOn":{"@/nowhere":{}}"#),
    ] {
        peers.publish(id, version, more);
    }
    for (id, more) in [
        ("a", r#","dependsOn":{"./b":{"x":1},"@/app":{}},"installsAfter":["./c"]"#),
        ("b", ""),
        ("c", r#","legacyIds":["d"]"#),
    ] {
        let text = format!(r#"{{"id":"{id}","version":"1.0.0","name":"{id}"{more}}}"#);
        peers.workspace(&format!(".devcontainer/{id}/devcontainer-feature.json"), &text);
    }
    peers.workspace(".devcontainer/empty/devcontainer-feature.json", "");
    for (config, code, says) in WORKSPACES {
        peers.workspace(NESTED, config);
        let stderr = peers.resolve(*code);
        assert!(stderr.contains(says), "{config}: {stderr}");
        assert_eq!(stderr.lines().count(), usize::from(*code != 0), "{config}: {stderr}");
    }
}

#[test]
fn the_lockfile_beside_the_configuration_decides() {
    let Some(peers) = Peers::start() else { return };
    peers.publish("lib", "1.2.3", "");
    peers.publish("lib", "2.0.0", "");
    peers
        .workspace(".devcontainer/b/devcontainer-feature.json", r#"{"id":"b","version":"1.0.0","name":"B"}"#);
    peers.workspace(NESTED, r#"{"features":{"@/lib:1":{},"@/lib:2":{}}}"#);
    let digest = support::digest_of(peers.registry.port(), &format!("{NAMESPACE}/lib"), "2").unwrap();
    let lock = |file: &str, digest: &str| {
        let text = format!(r#"{{"features":{{"@/lib:1":{{"version":"2.0.0","integrity":"{digest}"}}}}}}"#);
        peers.workspace(file, &text);
    };
    lock(".devcontainer/devcontainer-lock.json", &digest);
    peers.resolve(0);
    lock(".devcontainer/devcontainer-lock.json", &format!("sha256:{}", "0".repeat(64)));
    peers.resolve(1);
    peers.workspace(".devcontainer/devcontainer-lock.json", "{}");
    assert!(peers.resolve(1).contains("`devcontainer upgrade` writes it anew"));
    // The file above the folder comes first, and has a lockfile of its own.
    peers.workspace(".devcontainer.json", r#"{"features":{"@/lib:1":{},"./.devcontainer/b":{}}}"#);
    peers.resolve(0);
    lock(".devcontainer-lock.json", &digest);
    peers.same(&["resolve-dependencies", "--workspace-folder", "./ws/../ws/"], 0);
    peers.workspace(".devcontainer.json", r#"{"features":{"./b":{}}}"#);
    assert!(peers.resolve(1).contains("must lie in the folder .devcontainer"));
    let stderr = peers.same(&["resolve-dependencies"], 1);
    assert!(stderr.contains("there is neither .devcontainer.json nor"), "{stderr}");
}

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % limit
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }

    /// A reference to one of the Features, by a name that it has or had.
    fn reference(&mut self) -> String {
        let old = if self.below(6) == 0 { "old-" } else { "" };
        let tag = self.one_of(&["", "", ":1", ":1.0", ":latest"]);
        format!("@/{old}f{}{tag}", self.below(FEATURES))
    }

    /// `"reference":options` up to so many times.
    fn wanted(&mut self, most: u64) -> String {
        let options = ["{}", "{}", r#"{"a":"x"}"#, r#"{"a":"X","b":true}"#, r#"{"b":false}"#, r#""1""#];
        let pairs: Vec<String> = (0..self.below(most + 1))
            .map(|_| format!("\"{}\":{}", self.reference(), self.one_of(&options)))
            .collect();
        pairs.join(",")
    }

    fn list(&mut self, most: u64) -> String {
        let items: Vec<String> =
            (0..self.below(most + 1)).map(|_| format!("\"{}\"", self.reference())).collect();
        items.join(",")
    }
}

const FEATURES: u64 = 6;

#[test]
fn random_graphs_are_resolved_as_the_official_cli_resolves_them() {
    let mut resolved = 0;
    for seed in 1..=10_u64 {
        let Some(peers) = Peers::start() else { return };
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Dependencies on all of them would nearly always be a circle.
        let hard = 1 + dice.below(2);
        for number in 0..FEATURES {
            let (depends_on, after) = (dice.wanted(hard), dice.list(1));
            let more = format!(
                r#","legacyIds":["old-f{number}"],"dependsOn":{{{depends_on}}},"installsAfter":[{after}]"#
            );
            peers.publish(&format!("f{number}"), "1.0.0", &more);
        }
        for _ in 0..3 {
            let (features, first) = (dice.wanted(3), dice.list(2));
            let text = format!(
                r#"{{"features":{{"@/f0":{{}},{features}}},"overrideFeatureInstallOrder":[{first}]}}"#
            );
            peers.workspace(NESTED, &text.replace(",}", "}"));
            let (ours, theirs) = peers.both(&["resolve-dependencies", "--workspace-folder", "ws"]);
            assert_eq!(ours.stdout, theirs.stdout, "seed {seed}, {text}: {}", ours.stderr);
            assert_eq!(ours.code, theirs.code, "seed {seed}, {text}: {}", ours.stderr);
            resolved += u32::from(ours.code == 0);
        }
    }
    assert!(resolved > 5, "only {resolved} graphs had an order");
}
