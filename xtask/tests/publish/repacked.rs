//! What another tool has published: the same files in other bytes, or other files.

use std::io::Write as _;
use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::proxy::Proxy;
use crate::support::{
    Collection, NAMESPACE, collection_of, destination, digest_of, embedded, http, pack, push, push_to,
};
use xtask::exit::Exit;
use xtask::feature::kind::Kind;
use xtask::oci::digest::Digest;
use xtask::package::{self, Packed};
use xtask::publish::plan::Plan;
use xtask::publish::{report, requests};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Path, whether it is executable, content.
type File = (String, bool, Vec<u8>);

/// How another tool publishes.
struct Tool<'a> {
    port: u16,
    /// What it makes of the files of an archive.
    change: &'a dyn Fn(&mut Vec<File>),
    /// Whether it compresses.
    gzip: bool,
    /// What it makes of the manifest.
    manifest: &'a dyn Fn(&mut Value),
}

impl Tool<'_> {
    fn plain(port: u16) -> Self {
        Self { port, change: &|_| {}, gzip: false, manifest: &|_| {} }
    }

    /// Publishes what a plan has for one repository under its exact version and `latest`; returns the digest.
    fn publish(&self, plan: &Plan, repository: &str) -> String {
        let release = plan.releases.iter().find(|release| release.repository.as_str() == repository).unwrap();
        let layer = self.pack(&release.artifact.layer.bytes().unwrap());
        let mut manifest: Value = serde_json::from_slice(&release.artifact.manifest).unwrap();
        manifest["layers"][0]["digest"] = json!(Digest::of(&layer).as_str());
        manifest["layers"][0]["size"] = json!(layer.len());
        (self.manifest)(&mut manifest);
        let base = format!("http://localhost:{}/v2/{repository}", self.port);
        for blob in [&layer, &b"{}"[..].to_vec()] {
            let begun = http("POST", &format!("{base}/blobs/uploads/"), &[], b"");
            let place = reqwest::Url::parse(&base).unwrap().join(begun.header("location")).unwrap();
            let mark = if place.query().is_some() { '&' } else { '?' };
            let url = format!("{place}{mark}digest={}", Digest::of(blob));
            assert_eq!(http("PUT", &url, &[], blob).status, 201);
        }
        let manifest = manifest.to_string();
        for tag in [release.version.to_string().as_str(), "latest"] {
            let url = format!("{base}/manifests/{tag}");
            assert_eq!(http("PUT", &url, &[("content-type", MANIFEST)], manifest.as_bytes()).status, 201);
        }
        Digest::of(manifest.as_bytes()).to_string()
    }

    /// The same files as other tools write them: no folders, times and owners, another order.
    fn pack(&self, archive: &Bytes) -> Vec<u8> {
        let mut files = Vec::new();
        for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            if entry.header().entry_type().is_file() {
                let mut data = Vec::new();
                std::io::copy(&mut entry, &mut data).unwrap();
                let path = entry.path().unwrap().to_str().unwrap().trim_start_matches("./").to_owned();
                files.push((path, entry.header().mode().unwrap() & 0o100 != 0, data));
            }
        }
        files.reverse();
        (self.change)(&mut files);
        let mut builder = tar::Builder::new(Vec::new());
        for (path, executable, data) in files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(if executable { 0o775 } else { 0o664 });
            header.set_mtime(1_700_000_000);
            header.set_uid(1000);
            header.set_size(data.len() as u64);
            builder.append_data(&mut header, path, &data[..]).unwrap();
        }
        let plain = builder.into_inner().unwrap();
        if !self.gzip {
            return plain;
        }
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&plain).unwrap();
        packed.finish().unwrap()
    }
}

/// What would be published.
fn dry(port: u16, packed: &Packed) -> Plan {
    push_to(&destination(port), packed, true).0.unwrap()
}

/// The sentence of a conflict.
fn conflict(port: u16, packed: &Packed) -> String {
    let proxy = Proxy::of_everything(port);
    let error = push(proxy.port, packed).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::VersionConflict, "{error:#}");
    assert_eq!(proxy.writes(), Vec::<String>::new());
    error.to_string()
}

fn collection() -> Collection {
    let collection = Collection::new();
    collection.feature("a", "1.2.0", r#","legacyIds":["old"]"#);
    collection.file("a/lib/x.sh", "x", 0o755);
    collection.file("a/README.md", "# A\n", 0o644);
    collection
}

#[test]
fn the_same_files_packed_by_another_tool_are_left_as_they_are() {
    let registry = embedded();
    let port = registry.port();
    let collection = collection();
    let plan = dry(port, &collection.pack());
    let [a, old] = ["a", "old"].map(|id| format!("{NAMESPACE}/{id}"));
    let theirs = Tool { gzip: true, ..Tool::plain(port) }.publish(&plan, &a);
    let their_copy = Tool::plain(port).publish(&plan, &old);
    let proxy = Proxy::of_everything(port);
    let planned = dry(proxy.port, &collection.pack());
    let is_collections = |path: &str| !path.contains("/a/") && !path.contains("/old/");
    assert!(requests::of(&planned).iter().all(|request| is_collections(&request.path)), "{planned:?}");
    let plan = push(proxy.port, &collection.pack()).unwrap();
    // Only the collection is written: it was not there.
    assert!(proxy.writes().iter().all(|line| is_collections(line)), "{:?}", proxy.writes());
    assert_eq!(report::json_line(&plan), r#"{"a":{}}"#);
    let host = format!("localhost:{}", proxy.port);
    let at = format!("{host}/{a}");
    assert_eq!(
        report::sentences(&destination(proxy.port).registry, &plan, false),
        [
            format!(
                "{at}: 1.2.0 is already published with the same files, packed by another tool ({theirs}); it is left as it is"
            ),
            format!(
                "{host}/{old}: 1.2.0 is already published with the same files, packed by another tool ({their_copy}); it is left as it is"
            ),
            format!("{host}/{NAMESPACE}: pushed the collection"),
        ]
    );
    let json: Value =
        serde_json::from_str(&report::plan_json(&[(&destination(port).registry, plan)])).unwrap();
    let first = &json["registries"][0]["releases"][0];
    assert_eq!(
        (&first["digest"], &first["published"], &first["tags"]),
        (&json!(theirs), &json!(true), &json!([]))
    );
    for (repository, digest) in [(&a, &theirs), (&old, &their_copy)] {
        for (tag, expected) in [("1.2.0", Some(digest)), ("latest", Some(digest)), ("1", None)] {
            assert_eq!(digest_of(port, repository, tag).as_ref(), expected, "{repository}:{tag}");
        }
    }
    assert_eq!(collection_of(port)["features"][0]["id"], "a");
    // Once more, there is nothing at all to do.
    proxy.forget();
    push(proxy.port, &collection.pack()).unwrap();
    assert_eq!(proxy.writes(), Vec::<String>::new());
    // And the next version is ours.
    collection.feature("a", "1.2.1", r#","legacyIds":["old"]"#);
    let plan = push(proxy.port, &collection.pack()).unwrap();
    assert_eq!(plan.releases[1].tags, ["1", "1.2", "1.2.1", "latest"]);
    assert_eq!(digest_of(port, &a, "1.2.0"), Some(theirs));
}

#[test]
fn a_copy_under_a_former_id_comes_from_nowhere_where_the_main_one_is_packed_otherwise() {
    let registry = embedded();
    let collection = collection();
    let plan = dry(registry.port(), &collection.pack());
    Tool::plain(registry.port()).publish(&plan, &format!("{NAMESPACE}/a"));
    let proxy = Proxy::of_everything(registry.port());
    let plan = push(proxy.port, &collection.pack()).unwrap();
    assert_eq!(report::json_line(&plan), r#"{"a":{"publishedLegacyIds":["old"]}}"#);
    assert!(proxy.seen().iter().all(|seen| !seen.query.contains("mount=")), "{:?}", proxy.writes());
    let copied = &plan.releases[1];
    assert_eq!(
        digest_of(registry.port(), &format!("{NAMESPACE}/old"), "1.2.0"),
        Some(copied.artifact.digest.to_string())
    );
}

#[test]
fn files_that_differ_are_named() {
    let collection = collection();
    for (what, change, manifest, expected) in [
        (
            "bytes",
            &(|files: &mut Vec<File>| {
                for (_, _, data) in files.iter_mut().filter(|file| file.0 == "lib/x.sh") {
                    data.push(b'y');
                }
            }) as &dyn Fn(&mut Vec<File>),
            &(|_: &mut Value| {}) as &dyn Fn(&mut Value),
            "(lib/x.sh was changed; sha256:",
        ),
        (
            "names",
            &|files| files.iter_mut().for_each(|file| file.0 = file.0.replace("lib/x", "lib/y")),
            &|_| {},
            "(lib/x.sh was added, lib/y.sh was removed; sha256:",
        ),
        (
            "bits",
            &|files| files.iter_mut().for_each(|file| file.1 = false),
            &|_| {},
            "(lib/x.sh was made executable; sha256:",
        ),
        (
            "documentation",
            &|files| files.retain(|file| file.0 != "README.md"),
            &|_| {},
            "raise the version; to publish documentation with it, write it before you publish, and what is not to be packed at all can be listed in .featureignore",
        ),
        (
            "no archive",
            &|_| {},
            &|manifest| {
                manifest["layers"][0]["digest"] = manifest["config"]["digest"].clone();
            },
            "(which cannot be compared: it cannot be read (",
        ),
        (
            "two layers",
            &|_| {},
            &|manifest| {
                let layer = manifest["layers"][0].clone();
                manifest["layers"].as_array_mut().unwrap().push(layer);
            },
            "(which cannot be compared: it has 2 layers; sha256:",
        ),
        (
            "other metadata",
            &|_| {},
            &|manifest| manifest["annotations"]["dev.containers.metadata"] = json!("{}"),
            "(the files are the same, the metadata in the manifest is not; sha256:",
        ),
    ] {
        let registry = embedded();
        let plan = dry(registry.port(), &collection.pack());
        let tool = Tool { change, manifest, ..Tool::plain(registry.port()) };
        tool.publish(&plan, &format!("{NAMESPACE}/a"));
        let sentence = conflict(registry.port(), &collection.pack());
        assert!(sentence.contains(expected), "{what}: {sentence}");
        assert_eq!(sentence.contains("documentation"), what == "documentation", "{sentence}");
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
    }
}

#[test]
fn what_older_tools_leave_out_of_a_manifest_is_no_difference() {
    let registry = embedded();
    let collection = collection();
    let plan = dry(registry.port(), &collection.pack());
    let manifest = |manifest: &mut Value| drop(manifest.as_object_mut().unwrap().remove("annotations"));
    let tool = Tool {
        manifest: &manifest,
        change: &|files| {
            for (_, executable, _) in files.iter_mut().filter(|file| file.0 == "install.sh") {
                *executable = false;
            }
        },
        ..Tool::plain(registry.port())
    };
    tool.publish(&plan, &format!("{NAMESPACE}/a"));
    let plan = push(registry.port(), &pack(&collection.path().join("a")).unwrap()).unwrap();
    assert!(plan.releases[0].repacked.is_some());
}

#[test]
fn a_layer_that_cannot_be_had_is_a_conflict_all_the_same() {
    let registry = embedded();
    let collection = collection();
    let plan = dry(registry.port(), &collection.pack());
    Tool::plain(registry.port()).publish(&plan, &format!("{NAMESPACE}/a"));
    let layer = plan.releases[0].artifact.layer.digest().to_string();
    for (status, expected) in [(404, "its layer is gone"), (403, "403")] {
        let layer = layer.clone();
        let proxy = Proxy::start(registry.port(), move |seen| {
            let theirs =
                seen.method == "GET" && seen.path.contains("/a/blobs/") && !seen.path.ends_with(&layer);
            theirs.then(|| crate::support::proxy::reply(status, &[], ""))
        });
        let error = push(proxy.port, &collection.pack()).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::VersionConflict, "{error:#}");
        let sentence = error.to_string();
        assert!(sentence.contains("(which cannot be compared: "), "{sentence}");
        assert!(status == 403 || sentence.contains(expected), "{sentence}");
        assert_eq!(proxy.writes(), Vec::<String>::new());
    }
}

#[test]
fn a_template_may_list_its_files_in_any_order() {
    let registry = embedded();
    let collection = Collection::new();
    collection.template("t", "1.0.0", "");
    let more: &Path = &collection.path().join("t/more.txt");
    std::fs::write(more, "1").unwrap();
    let packed = || package::of_kind(Kind::Template, Some(collection.path())).unwrap();
    let plan = dry(registry.port(), &packed());
    let turn = |text: &[u8]| {
        let mut json: Value = serde_json::from_slice(text).unwrap();
        json["files"].as_array_mut().unwrap().reverse();
        json.to_string()
    };
    let tool = Tool {
        change: &|files| {
            let metadata = files.iter_mut().find(|file| file.0 == "devcontainer-template.json").unwrap();
            metadata.2 = turn(&metadata.2).into_bytes();
        },
        manifest: &|manifest| {
            let metadata = &mut manifest["annotations"]["dev.containers.metadata"];
            *metadata = json!(turn(metadata.as_str().unwrap().as_bytes()));
        },
        ..Tool::plain(registry.port())
    };
    tool.publish(&plan, &format!("{NAMESPACE}/t"));
    let plan = push(registry.port(), &packed()).unwrap();
    assert_eq!(report::json_line(&plan), r#"{"t":{}}"#);
    assert!(plan.releases[0].repacked.is_some());
    std::fs::write(more, "2").unwrap();
    let sentence = conflict(registry.port(), &packed());
    assert!(sentence.contains("(more.txt was changed; sha256:"), "{sentence}");
}
