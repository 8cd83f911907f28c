//! `package` and `publish` beside the official CLI 0.89.0: the same collections, the same registry.
//!
//! What may differ is in README's table, and here by name. A difference that has no name fails, and so does a name
//! for a difference that is no longer there.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics fails the test")]
#![allow(unreachable_pub, reason = "modules of one test program share their parts")]

mod bad_input;
mod collections;
mod difference;
mod packed;
mod programs;
mod published;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use difference::{ALL, Difference, Differences};
use packed::Packed;
use programs::{BOTH, Programs, Which};
use published::Published;
use support::docker_registry::DockerRegistry;
use support::proxy::{Proxy, reply};
use support::{Collection, digest_of};
use xtask::registry::server::{Options, serve};

/// Both, and a registry that is neither's.
fn peers() -> Option<(Programs, DockerRegistry)> {
    Some((Programs::find()?, DockerRegistry::start()?))
}

#[test]
fn every_difference_has_its_row_in_the_readme() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    for difference in ALL {
        let row = format!("\n| {} | ", difference.row());
        assert_eq!(readme.matches(&row).count(), 1, "{difference:?}");
    }
}

#[test]
fn both_pack_the_same() {
    let Some(programs) = Programs::find() else {
        return;
    };
    for sample in collections::all() {
        let out = tempfile::tempdir().unwrap();
        let [official, ours] = BOTH.map(|which| {
            let folder = out.path().join(format!("{which:?}"));
            let ran = programs.package(which, &sample.target(), &folder);
            assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}: {}", sample.name, ran.stderr);
            Packed::read(&folder)
        });
        let mut expected = Differences::from([Difference::Archive]);
        if !sample.left_out.is_empty() {
            expected.insert(Difference::LeftOut);
        }
        assert_eq!(packed::compare(&official, &ours, sample.left_out), expected, "{}", sample.name);
    }
}

#[test]
fn the_time_of_the_run_is_in_the_archives_of_the_official_cli_alone() {
    let Some(programs) = Programs::find() else {
        return;
    };
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    let out = tempfile::tempdir().unwrap();
    let pack = |run: &str| {
        BOTH.map(|which| {
            let folder = out.path().join(format!("{which:?}{run}"));
            assert_eq!(programs.package(which, collection.path(), &folder).code, 0);
            Packed::read(&folder)
        })
    };
    let first = pack("1");
    // An archive's times are seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let second = pack("2");
    assert_ne!(first[0], second[0]);
    assert_eq!(first[1], second[1]);
}

#[test]
fn both_publish_the_same() {
    let Some(programs) = Programs::find() else {
        return;
    };
    // What ours leaves out makes another artifact; that is seen in packing.
    for sample in collections::all().into_iter().filter(|sample| sample.left_out.is_empty()) {
        let Some(registry) = DockerRegistry::start() else {
            return;
        };
        eprintln!("{}", sample.name);
        both_publish(&programs, &registry, &sample.target(), sample.repositories);
        // Once more, there is nothing to do.
        let line = both_publish(&programs, &registry, &sample.target(), sample.repositories);
        assert!(!line.contains("publishedTags"), "{line}");
    }
}

/// Both publish a target, say the same and leave the same at the registry. Returns what they say.
fn both_publish(
    programs: &Programs,
    registry: &DockerRegistry,
    target: &Path,
    repositories: &[&str],
) -> String {
    let [official, ours] = BOTH.map(|which| {
        let ran = programs.publish(which, target, registry.port);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let published = Published::read(registry.port, which.namespace(), repositories);
        (published::line(&ran.stdout, &published), published)
    });
    assert_eq!(official.0, ours.0);
    published::compare(&official.1, &ours.1);
    official.0
}

#[test]
fn both_release_the_same() {
    let Some((programs, registry)) = peers() else {
        return;
    };
    let collection = Collection::new();
    let renamed = r#","legacyIds":["old-b"]"#;
    collection.feature("b", "1.0.0", "");
    for (version, id, more, tags) in [
        ("1.0.0", "a", "", "1 1.0 1.0.0 latest"),
        ("1.0.1", "a", "", "1 1.0 1.0.1 latest"),
        ("1.1.0", "a", "", "1 1.1 1.1.0 latest"),
        ("2.0.0", "a", "", "2 2.0 2.0.0 latest"),
        ("10.0.0", "a", "", "10 10.0 10.0.0 latest"),
        ("10.0.0", "a", "", ""),
        ("1.0.1", "b", renamed, "1 1.0 1.0.1 latest"),
        ("1.1.0", "b", renamed, "1 1.1 1.1.0 latest"),
        ("0.0.1", "c", "", "0 0.0 0.0.1 latest"),
    ] {
        collection.feature(id, version, more);
        let line = both_publish(&programs, &registry, collection.path(), &["a", "b", "c", "old-b"]);
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let published = line[id]["publishedTags"].as_array().into_iter().flatten();
        let published: Vec<&str> = published.map(|tag| tag.as_str().unwrap()).collect();
        assert_eq!(published.join(" "), tags, "{id} {version}");
    }
    // A fix for an older major version takes the same tags, and in our collection the newest version stays listed.
    collection.feature("a", "1.1.1", "");
    for (which, listed) in [(Which::Official, "1.1.1"), (Which::Ours, "10.0.0")] {
        let ran = programs.publish(which, collection.path(), registry.port);
        let expected = r#"{"a":{"publishedTags":["1","1.1","1.1.1"],"#;
        assert!(ran.stdout.starts_with(expected), "{}", ran.stdout);
        let base = format!("http://localhost:{}/v2/{}", registry.port, which.namespace());
        let accept = ("accept", "application/vnd.oci.image.manifest.v1+json");
        let manifest = support::http("GET", &format!("{base}/manifests/latest"), &[accept], b"").json();
        let layer = manifest["layers"][0]["digest"].as_str().unwrap();
        let collection = support::http("GET", &format!("{base}/blobs/{layer}"), &[], b"").json();
        assert_eq!(collection["features"][0]["version"], listed);
    }
}

#[test]
fn a_pre_release_moves_the_tags_of_the_official_cli_alone() {
    let Some((programs, registry)) = peers() else {
        return;
    };
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    both_publish(&programs, &registry, collection.path(), &["a"]);
    collection.feature("a", "2.0.0-rc.1", "");
    for (which, tags) in
        [(Which::Official, r#"["2","2.0","2.0.0-rc.1","latest"]"#), (Which::Ours, r#"["2.0.0-rc.1"]"#)]
    {
        let ran = programs.publish(which, collection.path(), registry.port);
        assert!(ran.stdout.starts_with(&format!(r#"{{"a":{{"publishedTags":{tags},"#)), "{}", ran.stdout);
        let published = Published::read(registry.port, which.namespace(), &["a"]);
        let latest = published.manifest("a", "latest") == published.manifest("a", "2.0.0-rc.1");
        assert_eq!(latest, which == Which::Official);
    }
}

#[test]
fn other_content_of_a_published_version_is_refused_by_ours_alone() {
    let Some((programs, registry)) = peers() else {
        return;
    };
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    both_publish(&programs, &registry, collection.path(), &["a"]);
    collection.feature("a", "1.0.0", r#","description":"other""#);
    for (which, code, stdout) in [(Which::Official, 0, "{\"a\":{}}\n"), (Which::Ours, 4, "")] {
        let read = || Published::read(registry.port, which.namespace(), &["a"]);
        let before = read();
        let ran = programs.publish(which, collection.path(), registry.port);
        assert_eq!((ran.code, ran.stdout.as_str()), (code, stdout), "{}", ran.stderr);
        assert_eq!(before.manifest("a", "1.0.0"), read().manifest("a", "1.0.0"));
    }
}

#[test]
fn what_the_official_cli_published_is_left_as_it_is_by_ours() {
    let Some(programs) = Programs::find() else {
        return;
    };
    for sample in collections::all().into_iter().filter(|sample| sample.left_out.is_empty()) {
        let registry = support::embedded();
        let target = sample.target();
        assert_eq!(programs.publish(Which::Official, &target, registry.port()).code, 0, "{}", sample.name);
        let namespace = Which::Official.namespace();
        let read = || Published::read(registry.port(), namespace, sample.repositories);
        let before = read();
        let proxy = Proxy::of_everything(registry.port());
        let host = format!("localhost:{}", proxy.port);
        let args = [
            "publish".as_ref(),
            "-r".as_ref(),
            host.as_ref(),
            "-n".as_ref(),
            namespace.as_ref(),
            target.as_os_str(),
        ];
        let ran = programs.run(Which::Ours, &args);
        assert_eq!(ran.code, 0, "{}: {}", sample.name, ran.stderr);
        assert!(!ran.stdout.contains("publishedTags"), "{}: {}", sample.name, ran.stdout);
        let said = ran.stderr.matches("with the same files, packed by another tool").count();
        assert_eq!(said, sample.repositories.len(), "{}: {}", sample.name, ran.stderr);
        assert!(before == read(), "{}", sample.name);
        assert_eq!(proxy.writes(), Vec::<String>::new(), "{}", sample.name);
        // Other content is another thing.
        let [first, ..] = sample.repositories else { panic!("{} publishes nothing", sample.name) };
        let script = format!("{first}/install.sh");
        sample.collection.file(&script, "#!/bin/sh\n# other\n", 0o755);
        let ran = programs.run(Which::Ours, &args);
        assert_eq!((ran.code, ran.stdout.as_str()), (4, ""), "{}: {}", sample.name, ran.stderr);
        assert!(ran.stderr.contains("(install.sh was changed; sha256:"), "{}: {}", sample.name, ran.stderr);
        assert_eq!(proxy.writes(), Vec::<String>::new(), "{}", sample.name);
    }
}

#[test]
fn where_tags_are_paged_the_official_cli_overwrites_a_version() {
    let Some(programs) = Programs::find() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let registry = serve(folder.path(), &Options { max_page: 2, ..Options::default() }).unwrap();
    for (which, code) in [(Which::Official, 0), (Which::Ours, 4)] {
        let collection = Collection::new();
        for version in ["1.0.0", "2.0.0"] {
            collection.feature("a", version, "");
            assert_eq!(programs.publish(which, collection.path(), registry.port()).code, 0);
        }
        let digest = || digest_of(registry.port(), &format!("{}/a", which.namespace()), "2.0.0");
        let before = digest();
        collection.feature("a", "2.0.0", r#","description":"other""#);
        assert_eq!(programs.publish(which, collection.path(), registry.port()).code, code);
        assert_eq!(before == digest(), which == Which::Ours);
    }
}

#[test]
fn a_publish_that_broke_off_is_finished_by_ours_alone() {
    let Some((programs, registry)) = peers() else {
        return;
    };
    // The copy under the former id gets no tag: ours may set it at the same time.
    let proxy = Proxy::start(registry.port, |seen| {
        let copy = seen.path.contains("/old/manifests/") && !seen.path.contains("/sha256:");
        let cut = seen.path.ends_with("/a/manifests/latest") || copy;
        (seen.method == "PUT" && cut).then(|| reply(400, &[], "{}"))
    });
    let collection = Collection::new();
    collection.feature("a", "1.0.0", r#","legacyIds":["old"]"#);
    for (which, code, line, tags) in [
        (Which::Official, 1, r#"{"a":{}}"#, &["1", "1.0", "1.0.0"][..]),
        (
            Which::Ours,
            5,
            r#"{"a":{"publishedTags":["latest"],"digest":"DIGEST","version":"1.0.0","publishedLegacyIds":["old"]}}"#,
            &["1", "1.0", "1.0.0", "latest"],
        ),
    ] {
        let cut = programs.publish(which, collection.path(), proxy.port);
        assert_eq!((cut.code, cut.stdout.as_str()), (code, ""), "{}", cut.stderr);
        let ran = programs.publish(which, collection.path(), registry.port);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let published = Published::read(registry.port, which.namespace(), &["a", "old"]);
        assert_eq!(published::line(&ran.stdout, &published).trim_end(), line);
        assert_eq!(published.tags("a"), tags);
        let copies = if which == Which::Ours { tags } else { &[] };
        assert_eq!(published.tags("old"), copies);
    }
}

#[test]
fn one_feature_takes_the_place_of_the_collection_with_the_official_cli_alone() {
    let Some((programs, registry)) = peers() else {
        return;
    };
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    collection.feature("b", "1.0.0", "");
    both_publish(&programs, &registry, collection.path(), &["a", "b"]);
    let target = collection.feature("a", "1.0.1", "");
    for (which, listed) in [(Which::Official, &["a 1.0.1"][..]), (Which::Ours, &["a 1.0.1", "b 1.0.0"])] {
        let ran = programs.publish(which, &target, registry.port);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let published = Published::read(registry.port, which.namespace(), &["a"]);
        assert_eq!(published.listed(), listed);
    }
}

#[test]
fn ours_leads_nobody_to_half_a_release_and_reads_back_what_it_pushed() {
    let Some((programs, registry)) = peers() else {
        return;
    };
    let collection = Collection::new();
    collection.feature("a", "1.2.3", "");
    for which in BOTH {
        let proxy = Proxy::start(registry.port, |_| None);
        let ran = programs.publish(which, collection.path(), proxy.port);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let base = format!("/v2/{}", which.namespace());
        let seen: Vec<String> = proxy.seen().iter().map(|seen| seen.line().replace(&base, "")).collect();
        let place =
            |line: &str| seen.iter().rposition(|seen| seen == line).unwrap_or_else(|| panic!("no {line}"));
        let put = |tag: &str| place(&format!("PUT /a/manifests/{tag}"));
        let collection = place("PUT /manifests/latest");
        let floating = ["1.2", "1", "latest"].map(put);
        let exact_first = floating.iter().all(|place| put("1.2.3") < *place);
        assert_eq!(exact_first, which == Which::Ours, "{seen:?}");
        assert!(floating.iter().all(|place| *place < collection), "{seen:?}");
        let read_back = |line: &str, put: usize| seen[put..].iter().any(|seen| seen == line);
        let afterwards = [
            read_back("GET /manifests/latest", collection),
            read_back("GET /a/manifests/latest", put("latest")),
            read_back("GET /a/manifests/1.2.3", put("1.2.3")),
        ];
        assert_eq!(afterwards, [which == Which::Ours; 3], "{seen:?}");
    }
}

#[test]
fn a_registry_can_have_the_password_sent_elsewhere_by_the_official_cli_alone() {
    let Some(programs) = Programs::find() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let registry = serve(folder.path(), &Options::default()).unwrap();
    let collection = Collection::new();
    collection.feature("a", "1.0.0", "");
    for (which, code) in [(Which::Official, 0), (Which::Ours, 5)] {
        let elsewhere = Proxy::start(registry.port(), |_| Some(reply(200, &[], r#"{"token":"t"}"#)));
        let challenge = format!(
            "Bearer realm=\"http://localhost:{}/token\",service=\"s\",scope=\"repository:x:pull,push\"",
            elsewhere.port
        );
        let proxy = Proxy::start(registry.port(), move |seen| {
            let stranger = seen.header("authorization") != Some("Bearer t");
            stranger.then(|| reply(401, &[("www-authenticate", &challenge)], "{}"))
        });
        let login = format!("localhost:{}|user|secret", proxy.port);
        let ran =
            programs.publish_as(which, collection.path(), proxy.port, &[("DEVCONTAINERS_OCI_AUTH", &login)]);
        assert_eq!(ran.code, code, "{}", ran.stderr);
        let told = elsewhere
            .seen()
            .iter()
            .any(|seen| seen.header("authorization") == Some("Basic dXNlcjpzZWNyZXQ="));
        assert_eq!(told, which == Which::Official);
    }
}

#[test]
fn a_symbolic_link_is_packed_by_the_official_cli_alone() {
    let Some(programs) = Programs::find() else {
        return;
    };
    let collection = Collection::new();
    let folder = collection.feature("a", "1.0.0", "");
    std::os::unix::fs::symlink("install.sh", folder.join("link")).unwrap();
    let out = tempfile::tempdir().unwrap();
    let [official, ours] = BOTH.map(|which| out.path().join(format!("{which:?}")));
    let ran = programs.package(Which::Official, collection.path(), &official);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let packed = Packed::read(&official);
    let tree = &packed.archives["devcontainer-feature-a.tgz"].tree;
    assert_eq!(tree["link"], packed::Item::Link("install.sh".to_owned()));
    let ran = programs.package(Which::Ours, collection.path(), &ours);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{}", ran.stderr);
    assert!(!ours.exists());
}
