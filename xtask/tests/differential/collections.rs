//! The collections that both programs pack and publish.

use crate::support::Collection;

/// A collection, and what is known of it.
pub struct Sample {
    pub name: &'static str,
    pub collection: Collection,
    /// Whether the one Feature in it is the target, and not the collection.
    pub single: Option<&'static str>,
    /// The repositories that a publish makes.
    pub repositories: &'static [&'static str],
    /// What ours leaves out of an archive.
    pub left_out: &'static [(&'static str, &'static [&'static str])],
}

impl Sample {
    fn new(name: &'static str, repositories: &'static [&'static str]) -> Self {
        Self { name, collection: Collection::new(), single: None, repositories, left_out: &[] }
    }

    pub fn target(&self) -> std::path::PathBuf {
        self.single.map_or_else(|| self.collection.path().to_owned(), |id| self.collection.path().join(id))
    }
}

/// All of them.
pub fn all() -> Vec<Sample> {
    let mut samples = vec![small(), many(), renamed(), json(), whole_schema(), names(), left_out()];
    let mut single = small();
    (single.name, single.single) = ("one Feature as target", Some("a"));
    samples.push(single);
    let mut single = renamed();
    (single.name, single.single) = ("one renamed Feature as target", Some("b"));
    single.repositories = &["b", "old-b", "older.b"];
    samples.push(single);
    samples
}

fn small() -> Sample {
    let sample = Sample::new("one small Feature", &["a"]);
    sample.collection.feature("a", "1.0.0", "");
    sample
}

fn many() -> Sample {
    let sample = Sample::new("many Features", &["f0", "f1", "f2", "f3", "f10", "x.y", "x-y", "x_y"]);
    for id in sample.repositories {
        sample.collection.feature(id, "0.1.0", "");
    }
    sample
}

/// With `legacyIds`, and marked as deprecated.
fn renamed() -> Sample {
    let sample = Sample::new("renamed and deprecated Features", &["b", "c", "d", "old-b", "older.b"]);
    sample.collection.feature("b", "2.1.0", r#","legacyIds":["old-b","older.b"]"#);
    sample.collection.feature("c", "1.0.0", r#","deprecated":true"#);
    sample.collection.feature("d", "1.0.0", r#","legacyIds":[]"#);
    sample
}

/// Whatever JavaScript writes differently than it was read.
fn json() -> Sample {
    let sample = Sample::new("JSON of all kinds", &["j", "k", "l", "m"]);
    let text = r#"{
    // A comment
    "id": "j", /* and another */ "version": "1.0.0",
    "name": "J é \u00e9 日本 🎉 \ud83c\udf89 \" \\ \/ \b\f\n\r\t \u0000 \u007f \u2028 < > & '",
    "description": "",
    "customizations": {
        "z": [1.0, 1e3, -0, 0.0, 1e21, 1e-7, 123456789012345680000, 0.1, 5e-324, 1.7976931348623157e308, -1.50],
        "10": 1, "2": 2, "-1": 3, "01": 4, "1.5": 5, "4294967294": 6, "4294967295": 7, "": 8, " ": 9,
        "nested": { "b": null, "9": true, "a": false, "1": [], "c": {} },
        "again": 1, "other": 2, "again": 3,
        "__proto__": { "x": 1 }
    },
    "keywords": ["b", "a",],
}
"#;
    sample.collection.json("j", text);
    sample.collection.file("j/install.sh", "#!/bin/sh\n", 0o755);
    sample.collection.json("k", "{\"id\":\"k\",\"version\":\"1.0.0\",\"name\":\"K\",\"legacyIds\":[],\"containerEnv\":{\"B\":\"${PATH}\",\"A\":\"1\"}}\r\n");
    sample.collection.file("k/install.sh", "#!/bin/sh\n", 0o644);
    sample.collection.file("k/notes.txt", "lines of Windows\r\n", 0o644);
    sample.collection.json("m", "\u{feff}{\"id\":\"m\",\"version\":\"1.0.0\",\"name\":\"M\"}");
    sample.collection.file("m/install.sh", "", 0o755);
    sample.collection.json("l", "\t\n{\"version\":\"1.0.0\",\"name\":\"L\",\n\n\"id\":\"l\"} // the end");
    sample.collection.file("l/install.sh", "", 0o600);
    sample
}

/// Each property that a Feature may have.
fn whole_schema() -> Sample {
    let sample = Sample::new("every property", &["p"]);
    sample.collection.feature(
        "p",
        "10.20.30",
        r#","$schema":"https://example.com/schema.json","description":"D","documentationURL":"https://example.com/d",
        "licenseURL":"https://example.com/l","keywords":["k"],
        "options":{"o10":{"type":"string","enum":["a","b"],"default":"a","description":"E"},
            "o":{"type":"boolean","default":true},"o2":{"type":"string","proposals":["x"],"default":"y"}},
        "containerEnv":{"X":"1"},"privileged":false,"init":true,"capAdd":["SYS_PTRACE"],
        "securityOpt":["seccomp=unconfined"],"entrypoint":"/e.sh",
        "mounts":[{"source":"v-${devcontainerId}","target":"/v","type":"volume"}],
        "customizations":{"vscode":{"extensions":["a.b"],"settings":{"x.y":1.0}}},
        "installsAfter":["ghcr.io/devcontainers/features/common-utils"],
        "dependsOn":{"ghcr.io/devcontainers/features/git:1":{"version":"os-provided"}},
        "onCreateCommand":"a","updateContentCommand":["b","c"],"postCreateCommand":{"d":"e","1":["f"]},
        "postStartCommand":"g","postAttachCommand":"h""#,
    );
    sample
}

/// Files and folders of all kinds.
fn names() -> Sample {
    let sample = Sample::new("names of all kinds", &["n"]);
    sample.collection.feature("n", "1.0.0", "");
    for path in [
        "n/NOTES.md",
        "n/README.md",
        "n/.dot",
        "n/.dots/.more",
        "n/ünï 日本.txt",
        "n/a b/c d",
        "n/deep/er/and/deeper/x",
        "n/a.txt",
        "n/a/z",
        "n/install.sh.d/10-first",
        "n/devcontainer-feature.json.d/x",
        "n/empty-file",
    ] {
        sample.collection.file(path, if path.ends_with("empty-file") { "" } else { path }, 0o640);
    }
    let long = format!("n/{}/{}", "d".repeat(90), "f".repeat(90));
    sample.collection.file(&long, "long", 0o755);
    for folder in ["n/empty", "n/empties/one", "n/empties/two"] {
        std::fs::create_dir_all(sample.collection.path().join(folder)).unwrap();
    }
    // The official CLI packs neither, and takes them for no Feature.
    sample.collection.file(".hidden/x", "x", 0o644);
    sample.collection.file("notes/x", "x", 0o644);
    sample.collection.file("README.md", "x", 0o644);
    sample
}

/// What nobody wants to publish.
fn left_out() -> Sample {
    let mut sample = Sample::new("secrets and litter", &["q"]);
    sample.collection.feature("q", "1.0.0", "");
    for path in
        ["q/.git/config", "q/.env", "q/.env.example", "q/install.sh~", "q/sub/.install.sh.swp", "q/sub/x"]
    {
        sample.collection.file(path, path, 0o644);
    }
    sample.left_out = &[(
        "devcontainer-feature-q.tgz",
        &[".git", ".git/config", ".env", "install.sh~", "sub/.install.sh.swp"],
    )];
    sample
}
