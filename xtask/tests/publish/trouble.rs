//! What is said while a registry is waited for, and when a publish broke off.

use crate::support::proxy::{Proxy, reply};
use crate::support::{
    Collection, NAMESPACE, destination, embedded_with, one_by_one, push, push_to, run, xtask,
};
use xtask::exit::Exit;
use xtask::registry::server::Options;

fn three() -> Collection {
    let collection = Collection::new();
    for id in ["a", "b", "c"] {
        collection.feature(id, "1.0.0", "");
    }
    collection
}

/// A registry with one fault, that sets each tag by itself.
fn faulty(fault: &str) -> crate::support::Embedded {
    let faults = [fault, "no-tag-parameter"].map(|fault| fault.parse().unwrap());
    embedded_with(&Options { faults: faults.into(), ..Options::default() })
}

#[test]
fn a_publish_that_broke_off_says_what_is_out() {
    for (refused, end) in [
        (
            &["/b/manifests/1.0.0", "/c/manifests/1.0.0"][..],
            "; 1 of 3 releases is out, and the same command does the rest",
        ),
        (&["/c/manifests/1.0.0"], "; 2 of 3 releases are out, and the same command does the rest"),
        (
            &["/c/manifests/latest"],
            "; every version is out, but not all that leads to it, and the same command does the rest",
        ),
        (
            &["/features/manifests/latest"],
            "; every version is out, but not all that leads to it, and the same command does the rest",
        ),
        // Where nothing is out, nothing is said of it.
        (&["/a/blobs/uploads/"], ": no"),
        (&["/manifests/1.0.0"], ": no"),
    ] {
        let registry = one_by_one();
        let proxy = Proxy::start(registry.port(), |seen| {
            let hit = seen.writes() && refused.iter().any(|path| seen.path.ends_with(path));
            hit.then(|| reply(400, &[], "no"))
        });
        let collection = three();
        let error = push(proxy.port, &collection.pack()).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Registry, "{error:#}");
        let text = format!("{error:#}");
        assert!(text.contains(" answered 400 to ") && text.ends_with(end), "{refused:?}: {text}");
        push(registry.port(), &collection.pack()).unwrap();
    }
}

#[test]
fn a_long_wait_is_told() {
    let registry = faulty("status=503,method=PUT,path=*/blobs/*,count=1,retry-after=2");
    let (result, notes) = push_to(&destination(registry.port()), &three().pack(), false);
    result.unwrap();
    let [note] = &notes[..] else { panic!("{notes:?}") };
    let start = format!("localhost:{} answered 503 to PUT /v2/{NAMESPACE}", registry.port());
    assert!(note.starts_with(&start) && note.ends_with(" s (2 of 6)"), "{note}");
    assert!(note.contains("; trying again in 3 s (") || note.contains("; trying again in 2 s ("), "{note}");
    // A short one is nobody's business.
    let registry = faulty("status=503,method=PUT,path=*/blobs/*,count=3");
    let (result, notes) = push_to(&destination(registry.port()), &three().pack(), false);
    result.unwrap();
    assert_eq!(notes, Vec::<String>::new());
}

#[test]
fn what_was_waited_for_is_said_at_the_end() {
    let registry = faulty("status=503,method=PUT,path=*/c/manifests/1.0.0,retry-after=60");
    let collection = three();
    let mut command = xtask(collection.path());
    let host = format!("localhost:{}", registry.port());
    command.args(["publish", ".", "-n", NAMESPACE, "-r", &host, "--timeout", "3"]);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!((code, stdout.as_str()), (5, ""), "{stderr}");
    let trouble = format!("{host} answered 503 to PUT /v2/{NAMESPACE}/c/manifests/1.0.0");
    let lines: Vec<&str> = stderr.lines().collect();
    let [waits, ended] = &lines[..] else { panic!("{stderr}") };
    assert!(waits.starts_with(&format!("{trouble}; trying again in 6")), "{stderr}");
    let end = format!(
        "error: publishing to {host} was ended after 3 s (--timeout); the last trouble was that {trouble}; what is there is whole (2 of 3 releases are out), and the same command does the rest"
    );
    assert_eq!(*ended, end);
}

#[test]
fn a_tag_that_is_not_there_leads_to_those_that_are() {
    let registry = one_by_one();
    let collection = Collection::new();
    for version in ["1.0.0-rc.1", "1.0.0-rc.2"] {
        collection.feature("a", version, "");
        push(registry.port(), &collection.pack()).unwrap();
    }
    let host = format!("localhost:{}", registry.port());
    let reference = format!("{host}/{NAMESPACE}/a");
    let (code, _, stderr) = run(xtask(collection.path()).args(["info", "manifest", &reference]));
    assert_eq!(code, 1, "{stderr}");
    assert_eq!(
        stderr,
        format!(
            "error: the registry {host} has no latest in {NAMESPACE}/a, whose tags are 1.0.0-rc.2, 1.0.0-rc.1; name one of them\n"
        )
    );
    let (code, _, stderr) =
        run(xtask(collection.path()).args(["info", "manifest", &format!("{host}/{NAMESPACE}/b")]));
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("has no latest in") && stderr.contains("; check the reference, and log in"),
        "{stderr}"
    );
}

#[test]
fn who_only_reads_needs_a_token_that_may_read() {
    let registry = faulty("status=401");
    let collection = three();
    let host = format!("localhost:{}", registry.port());
    let publish = ["publish", ".", "-n", NAMESPACE, "-r", &host];
    let reference = format!("{host}/{NAMESPACE}/a");
    for (args, right) in [
        (vec!["info", "manifest", &reference], "read"),
        ([&publish[..], &["--dry-run"]].concat(), "read"),
        (publish.to_vec(), "write"),
    ] {
        let (code, _, stderr) = run(xtask(collection.path()).args(&args));
        assert_ne!(code, 0, "{stderr}");
        assert!(stderr.contains(&format!("with a token that may {right} packages")), "{args:?}: {stderr}");
    }
}
