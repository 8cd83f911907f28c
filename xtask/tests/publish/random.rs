//! Whatever a registry does, in whatever order: readers see nothing half done, a run that says it is done is done,
//! and a run without faults makes all of it whole.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use xtask::exit::Exit;
use xtask::oci::error::OciError;
use xtask::package::Packed;
use xtask::publish::error::PublishError;
use xtask::registry::fault::Fault;
use xtask::registry::server::{Options, serve};
use xtask::registry::watch::{Moment, Verdict, Watch};

use crate::support::reader::{Reader, Tags};
use crate::support::{Collection, fast_folder, pack, push};

const IDS: [&str; 4] = ["a", "b", "c", "old"];
/// How many histories are played, unless the machine is too slow for them.
const SEEDS: u64 = 240;
/// Fewer than these are too few, however slow it is.
const AT_LEAST: u64 = 60;
const PATIENCE: Duration = Duration::from_secs(100);
const AT_ONCE: usize = 12;

/// Numbers that are the same for the same seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn one_of<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.roll(of.len() as u64)).unwrap()]
    }
}

/// What is published at a time: one pack, or two by two publishers at once.
struct Step {
    packs: Vec<Packed>,
    what: String,
}

/// A history of some releases.
fn history(dice: &mut Dice) -> Vec<Step> {
    let collection = Collection::new();
    let mut versions = [(1, 0, 0); 3];
    let write = |versions: &[(u64, u64, u64); 3], index: usize| {
        let (major, minor, patch) = versions[index];
        let more = if IDS[index] == "b" { r#","legacyIds":["old"]"# } else { "" };
        collection.feature(IDS[index], &format!("{major}.{minor}.{patch}"), more)
    };
    for index in 0..3 {
        write(&versions, index);
    }
    let mut steps = vec![Step { packs: vec![collection.pack()], what: "all".to_owned() }];
    for _ in 0..2 + dice.roll(2) {
        let index = usize::try_from(dice.roll(3)).unwrap();
        let (major, minor, patch) = versions[index];
        versions[index] = match dice.roll(4) {
            0 => (major + 1, 0, 0),
            1 => (major, minor + 1, 0),
            // A fix for what is old.
            2 if major > 1 => (1, 9, major),
            _ => (major, minor, patch + 1),
        };
        let folder = write(&versions, index);
        let mut step = match dice.roll(2) {
            0 => Step { packs: vec![collection.pack()], what: "all".to_owned() },
            _ => Step { packs: vec![pack(&folder).unwrap()], what: IDS[index].to_owned() },
        };
        if dice.roll(4) == 0 {
            let other = (index + 1) % 3;
            versions[other].2 += 1;
            step.packs.push(pack(&write(&versions, other)).unwrap());
            write!(step.what, " and {} at once", IDS[other]).unwrap();
        }
        write!(step.what, " {versions:?}").unwrap();
        steps.push(step);
    }
    steps
}

/// Some faults.
fn faults(dice: &mut Dice) -> Vec<Fault> {
    let mut faults = Vec::new();
    for _ in 0..dice.roll(4) {
        let effect = match dice.roll(12) {
            0 => format!("cut-request={}", dice.roll(300)),
            1 | 2 => "cut-answer=0".to_owned(),
            3 => format!("cut-answer={}", dice.roll(400)),
            4 => format!("status={}", dice.one_of(&["500", "502,body=html", "503", "504", "408", "425"])),
            5 => "status=429,retry-after=0.01".to_owned(),
            6 => "status=503,retry-after=0".to_owned(),
            7 => dice.one_of(&["lost,path=*/manifests/*", "lost"]).to_owned(),
            8 => "status=403,method=PUT".to_owned(),
            9 => dice.one_of(&["no-mount", "no-tag-parameter", "page=1", "tags-null"]).to_owned(),
            10 => dice.one_of(&["wrong-content,method=GET", "truncate=7,method=GET"]).to_owned(),
            _ => format!("location={}", dice.one_of(&["absolute", "query", "missing"])),
        };
        let from = 1 + dice.roll(60);
        let fault = format!("{effect},from={from},count={}", dice.one_of(&["1", "1", "2", "9"]));
        faults.push(fault.parse().unwrap());
    }
    faults
}

/// Whether an error is one that a registry's faults may lead to, in one clear sentence.
fn is_clear(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}");
    let error = match error.downcast_ref() {
        Some(PublishError::BrokenOff { why, .. }) => why,
        _ => error,
    };
    let of_the_registry = Exit::of(error) == Exit::Registry && error.downcast_ref::<OciError>().is_some();
    let unreadable = matches!(error.downcast_ref(), Some(PublishError::Collection { .. }));
    (of_the_registry || unreadable) && text.lines().count() == 1
}

/// What the faults did in all.
#[derive(Default)]
struct Total {
    met: AtomicU64,
    failed: AtomicU64,
    looks: AtomicU64,
}

/// Plays one history, and says what must not be.
fn play(seed: u64, total: &Total) -> Result<(), String> {
    let mut dice = Dice(seed);
    let steps = history(&mut dice);
    let root = fast_folder();
    let reader = Arc::new(Reader::over(root.path()));
    let mut log = String::new();
    for step in &steps {
        let faults = faults(&mut dice);
        let shown: Vec<String> = faults.iter().map(Fault::to_string).collect();
        writeln!(log, "{}: {}", step.what, shown.join(" ")).unwrap();
        reader.two_at_once(step.packs.len() > 1);
        let wrong = Arc::new(Mutex::new(None));
        let (noted, looks) = (Arc::clone(&wrong), Arc::clone(&reader));
        let (looked, counted) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (looked_here, counted_here) = (Arc::clone(&looked), Arc::clone(&counted));
        let watch = Watch::new(move |seen| {
            if let Moment::Served { met, .. } = seen.moment {
                counted_here.fetch_add(met.len() as u64, Ordering::SeqCst);
                // Nothing else changes what a reader sees.
                if seen.asked.method == "PUT" && seen.asked.path.contains("/manifests/") {
                    looked_here.fetch_add(1, Ordering::SeqCst);
                    if let Err(what) = looks.look(&IDS) {
                        let after = format!("after {} {}: {what}", seen.asked.method, seen.asked.path);
                        noted.lock().unwrap().get_or_insert(after);
                    }
                }
            }
            Verdict::Go
        });
        let serving = serve(root.path(), &Options { faults, watch, ..Options::default() }).unwrap();
        let port = serving.port();
        let results: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> =
                step.packs.iter().map(|packed| scope.spawn(move || push(port, packed))).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        serving.stop();
        total.met.fetch_add(counted.load(Ordering::SeqCst), Ordering::SeqCst);
        total.looks.fetch_add(looked.load(Ordering::SeqCst), Ordering::SeqCst);
        if let Some(what) = wrong.lock().unwrap().take() {
            return Err(format!("{log}{what}"));
        }
        let tags = reader.look(&IDS).map_err(|what| format!("{log}{what}"))?;
        for (packed, result) in step.packs.iter().zip(results) {
            match result {
                Ok(_) => {
                    done(packed, &tags).map_err(|what| format!("{log}it said it was done, and {what}"))?;
                }
                Err(error) => {
                    total.failed.fetch_add(1, Ordering::SeqCst);
                    writeln!(log, "  {error:#}").unwrap();
                    if !is_clear(&error) {
                        return Err(format!("{log}that is no clear sentence: {}", Exit::of(&error) as u8));
                    }
                }
            }
        }
    }
    reader.two_at_once(false);
    let healed =
        again(reader.port(), &reader, &steps).map_err(|what| format!("{log}while healing: {what}"))?;
    let other = fast_folder();
    let undisturbed = Reader::over(other.path());
    let expected = again(undisturbed.port(), &undisturbed, &steps)?;
    if healed == expected {
        return Ok(());
    }
    let differ: Vec<String> = healed
        .keys()
        .chain(expected.keys())
        .filter(|tag| healed.get(*tag) != expected.get(*tag))
        .map(|tag| format!("{tag}: {:?}, undisturbed {:?}", healed.get(tag), expected.get(tag)))
        .collect();
    Err(format!("{log}healed, it is not what an undisturbed run leaves:\n{}", differ.join("\n")))
}

/// Whether the exact versions that were published are there.
fn done(packed: &Packed, tags: &Tags) -> Result<(), String> {
    for feature in &packed.features {
        let metadata = &feature.metadata;
        for id in std::iter::once(&metadata.id).chain(&metadata.legacy_ids) {
            let tag = format!("{}/{id}:{}", crate::support::NAMESPACE, metadata.version);
            if !tags.contains_key(&tag) {
                return Err(format!("{tag} is not there"));
            }
        }
    }
    Ok(())
}

/// Publishes everything, one after the other, to a registry without faults.
fn again(port: u16, reader: &Reader, steps: &[Step]) -> Result<Tags, String> {
    for packed in steps.iter().flat_map(|step| &step.packs) {
        push(port, packed).map_err(|error| format!("{error:#}"))?;
    }
    reader.look(&IDS)
}

#[test]
fn whatever_happens_nothing_is_half_done_and_all_of_it_heals() {
    let total = Total::default();
    let next = AtomicU64::new(0);
    let wrong = AtomicUsize::new(0);
    let begun = Instant::now();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= SEEDS || (seed >= AT_LEAST && begun.elapsed() > PATIENCE) {
                return;
            }
            if let Err(what) = play(seed, &total) {
                wrong.fetch_add(1, Ordering::SeqCst);
                eprintln!("seed {seed}: {what}\n");
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let played = next.load(Ordering::SeqCst).min(SEEDS);
    let [met, failed, looks] =
        [&total.met, &total.failed, &total.looks].map(|count| count.load(Ordering::SeqCst));
    eprintln!("{played} histories: {met} faults met, {failed} runs failed, {looks} looks");
    assert_eq!(wrong.load(Ordering::SeqCst), 0, "the seeds are above");
    // Otherwise nothing was tried.
    assert!(met > played && failed > 0 && looks > played, "{met} {failed} {looks}");
}

/// Plays one seed alone: `SEED=17 cargo test -p xtask --test publish one_seed`.
#[test]
fn one_seed() {
    let seed = std::env::var("SEED").map_or(0, |seed| seed.parse().unwrap());
    play(seed, &Total::default()).unwrap();
}
