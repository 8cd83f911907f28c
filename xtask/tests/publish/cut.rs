//! The program is killed after each single request of a run: readers see nothing half done, and the next run
//! makes all of it whole.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use xtask::package::Packed;
use xtask::registry::server::{Options, Serving, serve};
use xtask::registry::watch::{Moment, Verdict, Watch};

use crate::support::reader::{Reader, Tags};
use crate::support::{Collection, NAMESPACE, copy, fast_folder, pack, push, xtask};

const IDS: [&str; 3] = ["a", "b", "old"];

/// When the program dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    /// The request was sent and never arrived.
    BeforeTheRegistryHears,
    /// The registry did what it was asked, and nobody hears of it.
    BeforeTheAnswer,
}

/// A program that somebody else may kill.
#[derive(Default)]
struct Victim(Mutex<Option<Child>>);

impl Victim {
    fn kill(&self) {
        let mut child = self.0.lock().unwrap();
        let child = child.as_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits until it has ended; whether it did so by itself and well.
    fn end(&self) -> bool {
        for _ in 0..6000 {
            if let Some(status) = self.0.lock().unwrap().as_mut().unwrap().try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the program does not end");
    }
}

/// What is there before: 1.0.0 of one of the Features, and what is to come.
struct Stage {
    before: TempDir,
    collection: Collection,
    packed: Packed,
}

impl Stage {
    fn new() -> Self {
        let before = fast_folder();
        let collection = Collection::new();
        let a = collection.feature("a", "1.0.0", "");
        let serving = serve(before.path(), &Options::default()).unwrap();
        push(serving.port(), &pack(&a).unwrap()).unwrap();
        serving.stop();
        collection.feature("a", "1.1.0", "");
        collection.feature("b", "2.0.0", r#","legacyIds":["old"]"#);
        let packed = collection.pack();
        Self { before, collection, packed }
    }

    /// The folder as it was before.
    fn set(&self) -> TempDir {
        let root = fast_folder();
        copy(self.before.path(), root.path());
        root
    }

    /// What an undisturbed run leaves, and how many requests it takes.
    fn undisturbed(&self) -> (Tags, u64) {
        let root = self.set();
        let requests = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&requests);
        let watch = Watch::new(move |seen| {
            counted.fetch_max(seen.number, Ordering::SeqCst);
            Verdict::Go
        });
        let serving = serve(root.path(), &Options { watch, ..Options::default() }).unwrap();
        push(serving.port(), &self.packed).unwrap();
        let tags = Reader::over(root.path()).look(&IDS).unwrap();
        (tags, requests.load(Ordering::SeqCst))
    }

    /// Runs the xtask, which dies at a request; `None` if it had no such request.
    fn run_and_die(&self, root: &TempDir, number: u64, death: Death) -> Option<()> {
        let victim = Arc::new(Victim::default());
        let dead = Arc::new(AtomicBool::new(false));
        let serving = deadly(root, number, death, &victim, &dead);
        {
            let mut child = victim.0.lock().unwrap();
            let mut command = xtask(self.collection.path());
            command.args(["publish", ".", "-n", NAMESPACE, "-r", &serving.host()]);
            *child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        }
        let well = victim.end();
        assert_ne!(well, dead.load(Ordering::SeqCst), "request {number}, {death:?}: it failed by itself");
        (!well).then_some(())
    }
}

/// A registry at which the program dies, and which does nothing for it any more.
fn deadly(
    root: &TempDir,
    number: u64,
    death: Death,
    victim: &Arc<Victim>,
    dead: &Arc<AtomicBool>,
) -> Serving {
    let (victim, dead) = (Arc::clone(victim), Arc::clone(dead));
    let watch = Watch::new(move |seen| {
        let served = matches!(seen.moment, Moment::Served { .. });
        let dies = seen.number == number && served == (death == Death::BeforeTheAnswer);
        // Only one of the two moments is of interest, and what comes after the last request never came.
        if dies {
            dead.store(true, Ordering::SeqCst);
            victim.kill();
        }
        let late = seen.number > number && !served;
        if dies || (late && dead.load(Ordering::SeqCst)) { Verdict::Cut } else { Verdict::Go }
    });
    serve(root.path(), &Options { watch, ..Options::default() }).unwrap()
}

#[test]
fn killed_after_any_request_it_leaves_nothing_half_done_and_heals() {
    let stage = Stage::new();
    let (whole, requests) = stage.undisturbed();
    assert!(requests > 20, "only {requests} requests");
    let next = AtomicU64::new(1);
    let ended = AtomicU64::new(0);
    let work = || {
        loop {
            let turn = next.fetch_add(1, Ordering::SeqCst);
            let (number, death) = (turn.div_ceil(2), [Death::BeforeTheRegistryHears, Death::BeforeTheAnswer]);
            let death = death[usize::from(turn.is_multiple_of(2))];
            // Requests go in parallel, so that one run has some more than another.
            if number > requests + 10 {
                return;
            }
            let root = stage.set();
            let reader = Reader::over(root.path());
            // What is there before is remembered, so that going back is noticed.
            reader.look(&IDS).unwrap();
            if stage.run_and_die(&root, number, death).is_none() {
                ended.fetch_add(1, Ordering::SeqCst);
            }
            let after = format!("request {number} of {requests}, {death:?}");
            let left = reader.look(&IDS).unwrap_or_else(|what| panic!("{after}: {what}"));
            push(reader.port(), &stage.packed).unwrap_or_else(|error| panic!("{after}: {error:#}"));
            let healed = reader.look(&IDS).unwrap_or_else(|what| panic!("{after}, healed: {what}"));
            assert_eq!(healed, whole, "{after}, when it left {left:#?}");
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(work);
        }
    });
    // The last turns came after the end of the run, and no more than those.
    let ended = ended.load(Ordering::SeqCst);
    assert!((1..=40).contains(&ended), "{ended} runs were not killed, of {requests} requests twice");
}
